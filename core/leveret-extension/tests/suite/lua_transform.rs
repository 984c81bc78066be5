//! Transforms in Lua.

use leveret_extension::{Registry, ScriptOptions};
use leveret_plugin::host::{FailureKind, OnError, Stage, Verdict};
use leveret_plugin::message::MessageMut;
use leveret_plugin::properties::Properties;
use leveret_plugin::value::Value;

use crate::kit::*;

fn transform(body: &str) -> Registry {
    load(&format!(
        "local T = {{ name = 'test' }}\nfunction T.publish(msg, conn, cfg)\n{body}\nend\nreturn T"
    ))
    .expect("loads")
}

/// Applies the body of `publish` to a message with a few headers.
fn apply<R>(
    body: &str,
    look: impl FnOnce(Result<Verdict, leveret_plugin::host::Failure>, &MessageMut<'_>) -> R,
) -> R {
    let properties =
        with_headers(&[("keep", Value::U8(7)), ("old", Value::Text(b"x")), ("gone", Value::Void)]);
    let mut message = MessageMut::new(message("key", &properties, b"body"));
    let verdict = transform(body).transforms()[0].apply(Stage::Publish, &mut message);
    look(verdict, &message)
}

#[test]
fn a_message_that_is_left_alone_is_not_copied() {
    apply("return leveret.pass", |verdict, message| {
        assert_eq!(verdict, Ok(Verdict::Pass));
        assert!(!message.is_changed());
    });
}

#[test]
fn headers_properties_body_and_key_can_be_changed_and_read_back() {
    let body = "
        msg.headers.old = 'new'
        msg.headers.gone = nil
        msg.headers.number = 5
        msg.headers.large = 5000000000
        msg.headers.half = 0.5
        msg.headers.list = { 'a', { b = true } }
        msg.properties.content_type = 'text/plain'
        msg.properties.priority = 3
        msg:set_body('longer body')
        msg:set_routing_key('other.key')
        assert(msg.headers.old == 'new' and msg.headers.gone == nil and msg.headers.keep == 7)
        assert(msg.headers.list[2].b == true and msg.properties.priority == 3)
        assert(msg:body() == 'longer body' and msg.body_size == 11)
        assert(msg.routing_key == 'other.key')
        return leveret.pass";
    apply(body, |verdict, message| {
        assert_eq!(verdict, Ok(Verdict::Pass));
        let view = message.view();
        assert_eq!((view.routing_key, view.body), ("other.key", &b"longer body"[..]));
        let properties = Properties::parse(view.properties).expect("well formed");
        assert_eq!(properties.content_type(), Some("text/plain"));
        assert_eq!(properties.priority(), Some(3));
        assert_eq!(properties.header("keep"), Some(Value::U8(7)), "byte for byte");
        assert_eq!(properties.header("old"), Some(Value::Text(b"new")));
        assert_eq!(properties.header("gone"), None);
        assert_eq!(properties.header("number"), Some(Value::I32(5)));
        assert_eq!(properties.header("large"), Some(Value::I64(5_000_000_000)));
        assert_eq!(properties.header("half"), Some(Value::F64(0.5)));
    });
}

#[test]
fn verdicts() {
    for (body, wanted) in [
        ("return leveret.drop('spam')", Verdict::Drop("spam".into())),
        ("return leveret.drop", Verdict::Drop("dropped by a transform".into())),
        ("return leveret.reject(403, 'no')", Verdict::Reject(403, "no".into())),
        ("return leveret.reject('no')", Verdict::Reject(406, "no".into())),
        ("return leveret.reject", Verdict::Reject(406, "rejected by a transform".into())),
    ] {
        apply(body, |verdict, _| assert_eq!(verdict, Ok(wanted), "{body}"));
    }
}

#[test]
fn no_verdict_is_a_failure_and_not_a_pass() {
    for (body, reason) in [
        ("", "test.lua: returned a nil where a verdict is expected"),
        ("return true", "test.lua: returned a boolean where a verdict is expected"),
        ("return leveret.allow", "test.lua: a transform cannot decide 'allow'"),
        ("return leveret.reject(7, 'no')", "test.lua: leveret.reject takes a reply code"),
    ] {
        apply(body, |verdict, _| {
            let failure = verdict.expect_err(body);
            assert_eq!(failure.kind, FailureKind::Error);
            assert!(failure.text.starts_with(reason), "{}", failure.text);
        });
    }
}

#[test]
fn a_failure_half_way_leaves_the_message_as_it_was() {
    let body = "msg:set_body('half') msg.headers.old = 'half' error('then this')";
    apply(body, |verdict, message| {
        assert_eq!(verdict.expect_err("fails").text, "test.lua:3: then this");
        assert!(!message.is_changed());
    });
}

#[test]
fn wrong_values_are_errors_that_say_what_is_right() {
    for (body, reason) in [
        ("msg:set_body(5)", "msg:set_body takes a string or a buffer"),
        ("msg:set_routing_key(('x'):rep(256))", "a routing key is a string of at most 255 bytes"),
        ("msg.headers.f = print", "a function cannot be a header"),
        ("msg.headers[('n'):rep(256)] = 1", "field name too long"),
        (
            "msg.properties.priority = 256",
            "msg.properties.priority takes a whole number from 0 to 255",
        ),
        ("msg.properties.reply_to = 5", "msg.properties.reply_to takes a string, not a number"),
        ("msg.properties.headers = {}", "headers are in msg.headers"),
    ] {
        apply(body, |verdict, message| {
            let text = verdict.expect_err(body).text;
            assert!(text.starts_with(&format!("test.lua:3: {reason}")), "{text}");
            assert!(!message.is_changed());
        });
    }
}

#[test]
fn the_connection_and_the_configuration_are_arguments() {
    let text = "local T = { name = 'test' }
        function T.publish(msg, conn, cfg)
            msg.headers.by = conn.user .. '@' .. conn.vhost .. cfg.suffix
            return leveret.pass
        end
        return T";
    let config = serde_json::json!({ "suffix": "!" });
    let registry =
        load_with(text, &ScriptOptions { config, ..ScriptOptions::default() }).expect("loads");
    let mut message = MessageMut::new(message("k", &[0, 0], b""));
    let verdict = registry.transforms()[0].apply(Stage::Publish, &mut message);
    assert_eq!(verdict, Ok(Verdict::Pass));
    let properties = Properties::parse(&message.properties).expect("well formed");
    assert_eq!(properties.header("by"), Some(Value::Text(b"guest@/!")));
}

#[test]
fn stages_match_and_on_error_are_what_the_script_says() {
    let text = "local T = { name = 't', on_error = 'drop' }
        T.match = { exchange = 'pay*', content_type = 'application/json' }
        function T.deliver(msg, consumer) return leveret.pass end
        return T";
    let registry = load(text).expect("loads");
    let transform = &registry.transforms()[0];
    assert!(!transform.runs_at(Stage::Publish) && transform.runs_at(Stage::Deliver));
    assert_eq!(transform.on_error(), OnError::Drop);
    assert_eq!(transform.matches().exchange.as_deref(), Some("pay*"));
    assert_eq!(transform.matches().content_type.as_deref(), Some("application/json"));
    assert_eq!(transform.matches().queue, None);
    let options = ScriptOptions { on_error: Some(OnError::Pass), ..ScriptOptions::default() };
    let registry = load_with(text, &options).expect("loads");
    assert_eq!(registry.transforms()[0].on_error(), OnError::Pass, "the configuration wins");
}
