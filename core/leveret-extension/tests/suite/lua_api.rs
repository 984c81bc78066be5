//! What scripts read of messages, and the helpers of the global `leveret`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use leveret_extension::{Limits, Registry, ScriptOptions};
use leveret_plugin::host::{FailureKind, Level, Stage, Verdict};
use leveret_plugin::message::{Message, MessageMut};
use leveret_plugin::properties::{PropertiesEditor, Property, PropertyValue};
use leveret_plugin::table::{ArrayBuilder, TableBuilder};
use leveret_plugin::value::Value;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::kit::*;

/// Runs `body` in route; the error of an assertion in it fails the test.
fn check(message: &Message<'_>, body: &str) {
    let routed = route_message(&*routing(&format!("{body}\nreturn 0")), message);
    assert_eq!(routed, Ok(vec![0]), "{body}");
}

fn check_plain(body: &str) {
    check(&message("k", &[0, 0], b""), body);
}

fn error_in(body: &str) -> String {
    route(&*routing(body), "k").expect_err(body).text
}

#[test]
fn every_field_of_a_message() {
    let peer = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)));
    let properties = with_headers(&[]);
    let seen = Message { mandatory: true, peer, ..message("the.key", &properties, b"the body") };
    check(
        &seen,
        "assert(key == 'the.key' and msg.routing_key == key)
        assert(msg.exchange == 'x' and msg.vhost == '/' and msg.user == 'guest')
        assert(msg.mandatory == true and msg.redelivered == false)
        assert(msg.peer == '10.0.0.7' and msg.queue == nil)
        assert(msg.body_size == 8 and msg:body() == 'the body')
        local b = msg:body_buffer()
        assert(buffer.len(b) == 8 and buffer.tostring(b) == 'the body')",
    );
}

#[test]
fn headers_of_every_type() {
    let mut array = ArrayBuilder::new();
    array.push(Value::I8(1));
    array.push(Value::Text(b"two"));
    let table: TableBuilder = [("inner", Value::Bool(true))].into_iter().collect();
    let properties = with_headers(&[
        ("text", Value::Text(b"t")),
        ("binary", Value::Binary(b"\xff\x00")),
        ("yes", Value::Bool(true)),
        ("byte", Value::I8(-5)),
        ("exact", Value::I64(1 << 53)),
        ("large", Value::I64((1 << 53) + 1)),
        ("least", Value::I64(i64::MIN)),
        ("double", Value::F64(0.25)),
        ("decimal", Value::Decimal { scale: 2, value: 314 }),
        ("time", Value::Timestamp(1_700_000_000)),
        ("void", Value::Void),
        ("array", Value::Array(array.array())),
        ("table", Value::Table(table.table())),
    ]);
    check(
        &message("k", &properties, b""),
        "local h = msg.headers
        assert(h.text == 't' and h.binary == '\\255\\0' and h.yes == true and h.byte == -5)
        assert(type(h.exact) == 'number' and h.exact == 9007199254740992)
        assert(type(h.large) == 'integer' and tostring(h.large) == '9007199254740993')
        assert(tostring(h.least) == '-9223372036854775808')
        assert(h.double == 0.25 and h.decimal == 3.14 and h.time == 1700000000)
        assert(h.void == leveret.null and h.missing == nil)
        assert(#h.array == 2 and h.array[1] == 1 and h.array[2] == 'two')
        assert(h.table.inner == true)
        local count = 0
        for name, value in h do count += 1 assert(h[name] ~= nil) end
        assert(count == 13)",
    );
}

#[test]
fn properties_by_name() {
    let mut editor = PropertiesEditor::new();
    editor.set(Property::ContentType, PropertyValue::Text(b"text/plain")).expect("fits");
    editor.set(Property::Priority, PropertyValue::Octet(9)).expect("fits");
    editor.set(Property::Timestamp, PropertyValue::Timestamp(77)).expect("fits");
    check(
        &message("k", &editor.into_bytes(), b""),
        "local p = msg.properties
        assert(p.content_type == 'text/plain' and p.priority == 9 and p.timestamp == 77)
        assert(p.reply_to == nil)",
    );
    assert_eq!(
        error_in("return msg.properties.colour"),
        "test.lua:6: there is no property 'colour'"
    );
}

#[test]
fn what_is_no_field_is_an_error_with_the_line() {
    assert_eq!(error_in("\nreturn msg.bdy"), "test.lua:7: msg has no field 'bdy'");
    assert_eq!(
        error_in("msg.x = 1"),
        "test.lua:6: msg.x cannot be assigned; there are \
        msg:set_body, msg:set_routing_key, msg.headers and msg.properties"
    );
    assert_eq!(
        error_in("msg.body()"),
        "test.lua:6: msg:body() must be called on a message, with \
        a colon"
    );
}

#[test]
fn an_exchange_type_may_not_change_messages() {
    for change in [
        "msg.headers.x = 1",
        "msg:set_body('')",
        "msg:set_routing_key('')",
        "msg.properties.priority = 1",
    ] {
        assert_eq!(error_in(change), "test.lua:6: only a transform may change a message");
    }
}

#[test]
fn a_message_kept_beyond_its_call_is_not_valid() {
    let table = routing(
        "if key == 'keep' then ex.kept = { msg, msg.headers, msg.properties } return 0 end
        if key == 'msg' then return ex.kept[1].exchange end
        if key == 'headers' then return ex.kept[2].x end",
    );
    assert_eq!(route(&*table, "keep"), Ok(vec![0]));
    // Within another call it shows that call's message, which is this one's to see.
    let registry = load(
        "local X = { name = 'x' }
        local kept
        function X.new(args) if kept then return { at = kept.exchange } end return {} end
        function X.bind(ex) if kept then error(kept.exchange) end end
        function X.route(ex, key, msg) kept = msg return 0 end
        return X",
    )
    .expect("loads");
    let mut table = declare(&registry).build(&[]).expect("builds");
    assert_eq!(route(&*table, "k"), Ok(vec![0]));
    let failure = table.bind(&binding(0, "k", "q")).expect_err("gone");
    assert_eq!(failure.text, "test.lua:4: message no longer valid: its call has ended");
}

#[test]
fn hashes_are_the_published_ones() {
    check_plain(
        "assert(leveret.hash.crc32('123456789') == 0xCBF43926)
        assert(leveret.hash.fnv1a('foobar') == 0xBF9CF968)
        assert(leveret.hash.xxh32('abc') == 0x32D153FF and leveret.hash.xxh32('') == 0x02CC5D05)",
    );
    assert_eq!(
        error_in("return leveret.hash.crc32(nil)"),
        "test.lua:6: leveret.hash.crc32 takes a string, not a nil"
    );
}

#[test]
fn json_round_trips_without_losing_digits_or_shapes() {
    check_plain(
        r#"
        local function same(text)
            local again = leveret.json.encode(leveret.json.decode(text))
            assert(again == text, text .. ' became ' .. again)
        end
        same('[]') same('{}') same('[[],{}]') same('null') same('[null,1]') same('true')
        same('9007199254740993') same('-9223372036854775808') same('0.1') same('-3')
        same('{"a":[1,2,{"b":"ü\\n\\u0001"}]}')
        assert(leveret.json.encode(leveret.json.array({})) == '[]')
        assert(leveret.json.encode({ x = leveret.null }) == '{"x":null}')
        assert(leveret.json.decode('{"a":{"b":[10,20]}}').a.b[2] == 20)
        local nothing, why = leveret.json.decode('{"a":')
        assert(nothing == nil and string.find(why, 'line 1 column 5', 1, true), why)
        assert(leveret.json.decode('[1] x') == nil)
        assert(leveret.json.decode(buffer.fromstring('7')) == 7)
        "#,
    );
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<i32>().prop_map(|n| (f64::from(n) + 0.5).into()),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(".{0,6}", inner, 0..6)
                .prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

#[test]
fn any_json_document_survives_a_script() {
    let again = "local function again(msg)
            msg:set_body(leveret.json.encode(leveret.json.decode(msg:body())))
            return leveret.pass
        end
        return { name = 'again', publish = again }";
    let registry = load(again).expect("loads");
    let config = Config { failure_persistence: None, ..Config::default() };
    let survives = TestRunner::new(config).run(&json_value(), |value| {
        let body = value.to_string();
        let mut message = MessageMut::new(message("k", &[0, 0], body.as_bytes()));
        let verdict = registry.transforms()[0].apply(Stage::Publish, &mut message);
        prop_assert_eq!(verdict, Ok(Verdict::Pass));
        prop_assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&message.body).ok(),
            Some(value)
        );
        Ok(())
    });
    survives.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn what_cannot_be_json_is_an_error() {
    for (value, reason) in [
        ("print", "a function cannot be JSON"),
        ("0/0", "NaN cannot be JSON"),
        ("'\\255'", "a string that is no UTF-8 cannot be JSON"),
        ("{ [true] = 1 }", "a boolean cannot be a key in JSON"),
        ("(function() local t = {} t.t = t return t end)()", "nested too deeply for JSON"),
    ] {
        let text = error_in(&format!("return leveret.json.encode({value})"));
        assert!(text.starts_with(&format!("test.lua:6: {reason}")), "{text}");
    }
    let deep = "local t, why = leveret.json.decode(string.rep('[', 100000)) assert(t == nil)";
    check_plain(deep);
}

#[test]
fn a_large_json_document_counts_against_the_memory_of_the_script() {
    let body = format!("[{}[]]", "[],".repeat(400_000));
    let text = exchange_script("return #leveret.json.decode(msg:body())");
    let options = ScriptOptions {
        memory_bytes: Some(8 << 20),
        timeout_ms: Some(10_000),
        ..ScriptOptions::default()
    };
    let registry = load_with(&text, &options).expect("loads");
    let table = declare(&registry).build(&[]).expect("builds");
    let failure = route_message(&*table, &message("k", &[0, 0], body.as_bytes()));
    assert_eq!(failure.expect_err("too much").kind, FailureKind::OutOfMemory);
}

#[test]
fn random_numbers_are_in_their_range_and_differ() {
    check_plain(
        "local seen = {}
        for _ = 1, 1000 do
            local n = leveret.random(5)
            assert(n >= 1 and n <= 5 and n % 1 == 0)
            seen[n] = true
        end
        assert(#seen == 5)",
    );
}

#[test]
fn searching_strings_works_as_in_the_library() {
    check_plain(
        "local function all(...) return table.concat({ ... }, ' ') end
        assert(all(string.find('hello world', 'o w')) == '5 7')
        assert(all(string.find('hello', 'l', -2)) == '4 4')
        assert(all(string.find('a.b', '.', 2, true)) == '2 2')
        assert(all(string.find('abc', '(b)(c)')) == '2 3 b c')
        assert(all(('abc'):find('')) == '1 0' and all(('abc'):find('', 4)) == '4 3')
        assert(string.find('abc', '', 5) == nil and string.find('abc', 'x') == nil)
        assert(all(string.find(123, 2)) == '2 2')
        assert(all(table.unpack(string.split('a,b,,c'))) == 'a b  c')
        assert(all(table.unpack(string.split('a--b', '--'))) == 'a b')
        assert(#string.split('abc', '') == 3 and #string.split('', ',') == 1)",
    );
    assert_eq!(
        error_in("\nreturn string.find('x', '[')"),
        "test.lua:7: malformed pattern (missing ']')"
    );
}

#[test]
fn log_lines_carry_script_and_line() {
    let host = Arc::new(TestHost::default());
    let mut registry = Registry::new(Arc::clone(&host) as _, Limits::default());
    let text = exchange_script("leveret.log.warn('n is', 5, true)\nprint('hello')\nreturn 0");
    registry.load_script(&embedded("test.lua", &text), &ScriptOptions::default()).expect("loads");
    let table = declare(&registry).build(&[]).expect("builds");
    assert_eq!(route(&*table, "k"), Ok(vec![0]));
    let lines = host.lines.lock();
    let wanted = [
        (Level::Warn, "test.lua:6: n is 5 true".into()),
        (Level::Info, "test.lua:7: hello".into()),
    ];
    assert_eq!(*lines, wanted);
}
