//! Arguments and the texts of their refusals, as RabbitMQ 3.10.8 was measured to word them.

use leveret_plugin::properties::{Properties, PropertiesEditor};
use leveret_plugin::table::{ArrayBuilder, Table, TableBuilder};
use leveret_plugin::value::Value;
use leveret_plugin::value::Value::{
    Array, Bool, F64, I8, I16, I32, I64, Text, Timestamp, U8, Void,
};
use leveret_protocol::ReplyCode;
use proptest::prelude::*;

use super::*;
use crate::error::Error;

fn table(pairs: &[(&str, Value<'_>)]) -> Vec<u8> {
    pairs.iter().copied().collect::<TableBuilder>().into_bytes()
}

fn parse(pairs: &[(&str, Value<'_>)]) -> Result<QueueArguments, Error> {
    QueueArguments::parse("/", "q", &table(pairs))
}

fn valid(pairs: &[(&str, Value<'_>)]) -> QueueArguments {
    parse(pairs).expect("valid arguments")
}

fn refused(pairs: &[(&str, Value<'_>)]) -> String {
    let error = parse(pairs).expect_err("refused arguments");
    assert_eq!(error.code, ReplyCode::PreconditionFailed);
    error.text
}

/// The refusal of a redeclaration with `received` of a queue declared with `current`.
fn differs(current: &[(&str, Value<'_>)], received: &[(&str, Value<'_>)]) -> Option<String> {
    let received = table(received);
    valid(current).assert_equivalent("/", "q", &received).err().map(|error| error.text)
}

#[test]
fn values_are_read() {
    let arguments = valid(&[
        ("x-message-ttl", I32(60_000)),
        ("x-expires", I64(1)),
        ("x-max-length", U8(0)),
        ("x-max-length-bytes", I16(300)),
        ("x-overflow", Text(b"reject-publish")),
        ("x-dead-letter-exchange", Text(b"")),
        ("x-dead-letter-routing-key", Text(b"dead")),
        ("x-max-priority", I8(10)),
        ("x-single-active-consumer", Bool(true)),
        ("x-consumer-timeout", I32(5)),
        ("mine", Void),
    ]);
    assert_eq!(arguments.message_ttl_ms, Some(60_000));
    assert_eq!(arguments.expires_ms, Some(1));
    assert_eq!(arguments.max_length, Some(0));
    assert_eq!(arguments.max_length_bytes, Some(300));
    assert_eq!(arguments.overflow, Overflow::RejectPublish);
    assert_eq!(arguments.dead_letter_exchange.as_deref(), Some(""));
    assert_eq!(arguments.dead_letter_routing_key.as_deref(), Some("dead"));
    assert_eq!(arguments.max_priority, Some(10));
    assert!(arguments.single_active_consumer);
    assert_eq!(arguments.consumer_timeout_ms, Some(5));
    assert_eq!(Table::new(arguments.raw()).get("mine"), Some(Void));
}

#[test]
fn nothing_said_is_a_classic_queue_without_limits() {
    let arguments = valid(&[]);
    assert_eq!(arguments, QueueArguments::default());
    assert_eq!(arguments.queue_type, QueueType::Classic);
    assert_eq!(arguments.overflow, Overflow::DropHead);
}

#[test]
fn bad_values_are_refused_in_rabbitmqs_words() {
    let cases: &[(&str, Value<'_>, &str)] = &[
        ("x-message-ttl", I32(-1), "{value_negative,-1}"),
        ("x-message-ttl", I64(315_360_000_001), "{value_too_large,315360000001}"),
        ("x-message-ttl", Text(b"1000"), "\"expected integer, got longstr\""),
        ("x-message-ttl", F64(1.5), "\"expected integer, got double\""),
        ("x-message-ttl", Timestamp(1), "\"expected integer, got timestamp\""),
        ("x-expires", I32(0), "{value_zero,0}"),
        ("x-expires", I32(-5), "{value_negative,-5}"),
        ("x-max-length", I32(-1), "{value_negative,-1}"),
        ("x-max-length-bytes", Bool(true), "\"expected integer, got bool\""),
        ("x-max-priority", I32(256), "{max_value_exceeded,256}"),
        ("x-max-priority", I32(-1), "{value_negative,-1}"),
        ("x-dead-letter-routing-key", Text(b"k"), "routing_key_but_no_dlx_defined"),
        ("x-dead-letter-routing-key", I32(1), "{unacceptable_type,signedint}"),
        ("x-overflow", Text(b"bogus"), "invalid_overflow"),
        ("x-overflow", I32(1), "{unacceptable_type,signedint}"),
        ("x-queue-type", Text(b"bogus"), "\"unsupported queue type 'bogus'\""),
        ("x-queue-type", I32(1), "{unacceptable_type,signedint}"),
        ("x-queue-mode", Text(b"bogus"), "\"unsupported queue mode 'bogus'\""),
        ("x-queue-version", I32(3), "\"unsupported queue version '3'\""),
        ("x-single-active-consumer", Text(b"true"), "{unacceptable_type,longstr}"),
    ];
    for (name, value, why) in cases {
        let expected = format!("invalid arg '{name}' for queue 'q' in vhost '/': {why}");
        assert_eq!(refused(&[(name, *value)]), expected);
    }
}

#[test]
fn ten_years_and_the_names_of_rabbitmq_are_valid() {
    assert_eq!(
        valid(&[("x-message-ttl", I64(315_360_000_000))]).message_ttl_ms,
        Some(315_360_000_000)
    );
    for (name, value) in [
        ("x-overflow", "reject-publish-dlx"),
        ("x-queue-mode", "lazy"),
        ("x-queue-type", "classic"),
        ("x-queue-leader-locator", "balanced"),
    ] {
        valid(&[(name, Text(value.as_bytes()))]);
    }
}

#[test]
fn a_dead_letter_exchange_is_a_string() {
    assert_eq!(
        refused(&[("x-dead-letter-exchange", I32(1))]),
        "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'"
    );
}

#[test]
fn the_first_fault_in_rabbitmqs_order_is_reported() {
    let text = refused(&[("x-max-length", I32(-1)), ("x-expires", I32(0))]);
    assert!(text.contains("'x-expires'"), "{text}");
    let text = refused(&[("x-expires", I32(0)), ("x-queue-type", Text(b"bogus"))]);
    assert!(text.contains("'x-queue-type'"), "{text}");
    let text = refused(&[("x-delivery-limit", I32(1)), ("x-expires", I32(0))]);
    assert!(text.contains("'x-expires'"), "{text}");
}

#[test]
fn arguments_of_other_types_of_queues_are_refused() {
    assert_eq!(
        refused(&[("x-queue-type", Text(b"quorum")), ("x-max-priority", I32(5))]),
        "invalid arg 'x-max-priority' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue"
    );
    assert_eq!(
        refused(&[("x-delivery-limit", I32(5))]),
        "invalid arg 'x-delivery-limit' for queue 'q' in vhost '/' of queue type \
         rabbit_classic_queue"
    );
    assert_eq!(
        refused(&[("x-max-age", Text(b"7D"))]),
        "invalid arg 'x-max-age' for queue 'q' in vhost '/' of queue type rabbit_classic_queue"
    );
}

#[test]
fn a_stream_is_not_available_yet() {
    let error = parse(&[("x-queue-type", Text(b"stream"))]).expect_err("no streams");
    assert_eq!(error.code, ReplyCode::NotImplemented);
    assert!(error.text.starts_with("queue 'q' in vhost '/'"), "{error}");
}

#[test]
fn a_quorum_queue_is_durable_shared_and_named() {
    let quorum = [("x-queue-type", Text(b"quorum"))];
    let check = |durable, exclusive, auto_delete| {
        let properties = QueueProperties::declared(durable, exclusive, auto_delete);
        valid(&quorum).check_properties("/", "q", &properties).map_err(|error| error.text)
    };
    let invalid =
        |property: &str| Err(format!("invalid property '{property}' for queue 'q' in vhost '/'"));
    assert_eq!(check(true, false, false), Ok(()));
    assert_eq!(check(false, false, false), invalid("non-durable"));
    assert_eq!(check(true, true, false), invalid("exclusive-owner"));
    assert_eq!(check(true, false, true), invalid("auto-delete"));
    assert_eq!(check(false, true, true), invalid("auto-delete"));
    let classic = QueueProperties::declared(false, true, true);
    assert_eq!(valid(&[]).check_properties("/", "q", &classic), Ok(()));

    let error = QueueArguments::check_server_named(&table(&quorum)).expect_err("no name");
    assert_eq!(error.text, "Cannot declare a server-named queue for type rabbit_quorum_queue");
    assert_eq!(QueueArguments::check_server_named(&[]), Ok(()));
}

#[test]
fn what_comes_later_is_named_and_what_is_off_is_not() {
    let later = |pairs: &[(&str, Value<'_>)]| valid(pairs).later_features().collect::<Vec<_>>();
    assert_eq!(later(&[("x-message-ttl", I32(1)), ("mine", I32(1))]), Vec::<&str>::new());
    assert_eq!(
        later(&[("x-single-active-consumer", Bool(true)), ("x-max-priority", I32(3))]),
        ["x-max-priority", "x-single-active-consumer"]
    );
    assert_eq!(later(&[("x-single-active-consumer", Bool(false))]), Vec::<&str>::new());
    assert_eq!(
        later(&[("x-queue-type", Text(b"quorum")), ("x-delivery-limit", I32(3))]),
        ["x-queue-type=quorum", "x-delivery-limit"]
    );
}

#[test]
fn a_redeclaration_that_differs_says_how() {
    let ttl = |value| [("x-message-ttl", value)];
    let text = "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received ";
    assert_eq!(
        differs(&[], &ttl(I32(1000))),
        Some(format!("{text}the value '1000' of type 'signedint' but current is none"))
    );
    assert_eq!(
        differs(&ttl(I32(1000)), &ttl(I32(2000))),
        Some(format!("{text}'2000' but current is '1000'"))
    );
    assert_eq!(
        differs(&ttl(I32(1000)), &[]),
        Some(format!("{text}none but current is the value '1000' of type 'signedint'"))
    );
    assert_eq!(
        differs(&ttl(I32(1000)), &ttl(Text(b"1000"))),
        Some(format!("{text}'1000' but current is '1000'"))
    );
    assert_eq!(
        differs(&[], &[("x-single-active-consumer", Bool(true))]),
        Some(
            "inequivalent arg 'x-single-active-consumer' for queue 'q' in vhost '/': received \
             the value 'true' of type 'bool' but current is none"
                .to_owned()
        )
    );
}

#[test]
fn tables_and_arrays_are_shown_as_erlang_prints_them() {
    let inner = table(&[("a", I32(1))]);
    let items = list(&[I32(1), Text(b"x"), Value::Table(Table::new(&inner)), Text(b"\0\xff")]);
    let text = differs(&[], &[("x-expires", Array(leveret_plugin::table::Array::new(&items)))]);
    assert_eq!(
        text.as_deref(),
        Some(
            "inequivalent arg 'x-expires' for queue 'q' in vhost '/': received the value \
             '[{signedint,1},{longstr,<<\"x\">>},{table,[{<<\"a\">>,signedint,1}]},\
             {longstr,<<0,255>>}]' of type 'array' but current is none"
        )
    );
}

#[test]
fn widths_of_integers_and_unknown_arguments_do_not_matter() {
    let ttl = |value| [("x-message-ttl", value)];
    assert_eq!(differs(&ttl(I32(100)), &ttl(I64(100))), None);
    assert_eq!(differs(&ttl(U8(100)), &ttl(I8(100))), None);
    assert!(differs(&ttl(I32(100)), &ttl(F64(100.0))).is_some());
    assert_eq!(differs(&[("mine", I32(1))], &[("mine", I32(2))]), None);
    assert_eq!(differs(&[("mine", I32(1))], &[("x-delivery-limit", I32(2))]), None);
}

#[test]
fn classic_is_what_a_queue_is_that_does_not_say() {
    let kind = |name: &'static str| [("x-queue-type", Text(name.as_bytes()))];
    assert_eq!(differs(&[], &kind("classic")), None);
    assert_eq!(differs(&kind("classic"), &[]), None);
    let text = "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received ";
    assert_eq!(
        differs(&[], &kind("quorum")),
        Some(format!("{text}the value 'quorum' of type 'longstr' but current is none"))
    );
    assert_eq!(
        differs(&kind("quorum"), &[]),
        Some(format!("{text}none but current is the value 'quorum' of type 'longstr'"))
    );
    assert_eq!(
        differs(&kind("classic"), &kind("quorum")),
        Some(format!("{text}'quorum' but current is 'classic'"))
    );
}

#[test]
fn properties_of_a_queue_are_compared() {
    let current = QueueProperties::declared(true, false, false);
    let differs = |durable, auto_delete| {
        let received = QueueProperties::declared(durable, false, auto_delete);
        current.assert_equivalent("/", "q", &received).err().map(|error| error.text)
    };
    assert_eq!(differs(true, false), None);
    assert_eq!(
        differs(false, true).as_deref(),
        Some(
            "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current \
             is 'true'"
        )
    );
    assert_eq!(
        differs(true, true).as_deref(),
        Some(
            "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but \
             current is 'false'"
        )
    );
    let exclusive = QueueProperties::declared(true, true, false);
    assert_eq!(exclusive, QueueProperties::declared(false, true, false));
}

#[test]
fn properties_of_an_exchange_are_compared() {
    let current =
        ExchangeProperties { kind: "direct", durable: true, auto_delete: false, internal: false };
    let differs = |received: ExchangeProperties<'_>| {
        current.assert_equivalent("/", "x", &received).err().map(|error| error.text)
    };
    let text = |arg: &str, received: &str, current: &str| {
        Some(format!(
            "inequivalent arg '{arg}' for exchange 'x' in vhost '/': received '{received}' but \
             current is '{current}'"
        ))
    };
    assert_eq!(differs(current), None);
    assert_eq!(
        differs(ExchangeProperties { kind: "fanout", durable: false, ..current }),
        text("type", "fanout", "direct")
    );
    assert_eq!(
        differs(ExchangeProperties { durable: false, ..current }),
        text("durable", "false", "true")
    );
    assert_eq!(
        differs(ExchangeProperties { internal: true, ..current }),
        text("internal", "true", "false")
    );
}

#[test]
fn an_alternate_exchange_is_a_string_and_compared() {
    let parse =
        |value| ExchangeArguments::parse("/", "x", &table(&[("alternate-exchange", value)]));
    let arguments = parse(Text(b"ae")).expect("valid");
    assert_eq!(arguments.alternate_exchange.as_deref(), Some("ae"));
    assert_eq!(
        parse(I32(1)).expect_err("no string").text,
        "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '/'"
    );
    let other = table(&[("alternate-exchange", Text(b"other"))]);
    assert_eq!(
        arguments.assert_equivalent("/", "x", &other).expect_err("differs").text,
        "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received 'other' \
         but current is 'ae'"
    );
    let more = table(&[("hash-header", I32(1)), ("alternate-exchange", Text(b"ae"))]);
    assert_eq!(arguments.assert_equivalent("/", "x", &more), Ok(()));
}

#[test]
fn consumers_have_a_priority() {
    let parse = |queue_type, pairs: &[(&str, Value<'_>)]| {
        ConsumerArguments::parse("/", "q", queue_type, &table(pairs)).map_err(|error| error.text)
    };
    let classic = |name, value| parse(QueueType::Classic, &[(name, value)]);
    assert_eq!(classic("x-priority", I32(-3)).expect("valid").priority, -3);
    assert_eq!(classic("mine", I32(1)), Ok(ConsumerArguments::default()));
    assert_eq!(
        classic("x-priority", Text(b"1")).expect_err("no integer"),
        "invalid arg 'x-priority' for queue 'q' in vhost '/': \"expected integer, got longstr\""
    );
    assert_eq!(classic("x-cancel-on-ha-failover", Bool(true)), Ok(ConsumerArguments::default()));
    assert_eq!(
        classic("x-stream-offset", Text(b"first")).expect_err("no stream"),
        "invalid arg 'x-stream-offset' for queue 'q' in vhost '/' of queue type \
         rabbit_classic_queue"
    );
    assert!(parse(QueueType::Quorum, &[("x-cancel-on-ha-failover", Bool(true))]).is_err());
}

#[test]
fn an_expiration_is_digits_of_at_most_ten_years() {
    let text = |expiration: &str| expiration_ms(expiration.as_bytes()).map_err(|error| error.text);
    assert_eq!(text("0"), Ok(0));
    assert_eq!(text("60000"), Ok(60_000));
    assert_eq!(text("+007"), Ok(7));
    assert_eq!(text("-0"), Ok(0));
    assert_eq!(text("315360000000"), Ok(315_360_000_000));
    for (expiration, why) in [
        ("", "no_integer"),
        ("abc", "no_integer"),
        ("-", "no_integer"),
        (" 5", "no_integer"),
        ("-1", "{value_negative,-1}"),
        ("-0012", "{value_negative,-12}"),
        ("12abc", "{leftover_string,\"abc\"}"),
        ("1.5", "{leftover_string,\".5\"}"),
        ("5 ", "{leftover_string,\" \"}"),
        ("5\"", "{leftover_string,\"\\\"\"}"),
        ("5\0", "{leftover_string,[0]}"),
        ("315360000001", "{value_too_large,315360000001}"),
        ("99999999999999999999", "{value_too_large,99999999999999999999}"),
    ] {
        assert_eq!(text(expiration), Err(format!("invalid expiration '{expiration}': {why}")));
    }
}

fn list(values: &[Value<'_>]) -> Vec<u8> {
    let mut array = ArrayBuilder::new();
    values.iter().for_each(|value| array.push(*value));
    array.into_bytes()
}

#[test]
fn cc_and_bcc_name_further_routing_keys() {
    let (cc, bcc) = (list(&[Text(b"a"), I32(1), Text(b"b")]), list(&[Text(b"c")]));
    let array = leveret_plugin::table::Array::new;
    let mut editor = PropertiesEditor::new();
    editor.set_header("BCC", Array(array(&bcc))).expect("set");
    editor.set_header("CC", Array(array(&cc))).expect("set");
    let properties = editor.into_bytes();
    let headers = Properties::parse(&properties).expect("properties").headers();
    let keys = extra_keys(&headers).expect("keys");
    assert_eq!(keys.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(keys.shown().collect::<Vec<_>>(), ["a", "b"]);
    assert!(keys.hidden().is_some() && !keys.is_empty());
    assert!(extra_keys(&Table::default()).expect("none").is_empty());
}

#[test]
fn cc_and_bcc_are_arrays() {
    let text = |name, value| {
        let headers = table(&[(name, value)]);
        extra_keys(&Table::new(&headers)).expect_err("no array").text
    };
    assert_eq!(
        text("CC", Text(b"a")),
        "invalid message: {unacceptable_type_in_header,\"CC\",longstr}"
    );
    assert_eq!(text("BCC", Void), "invalid message: {unacceptable_type_in_header,\"BCC\",void}");
}

proptest! {
    #[test]
    fn every_number_of_milliseconds_up_to_ten_years_is_an_expiration(ms in 0..=315_360_000_000u64) {
        prop_assert_eq!(expiration_ms(ms.to_string().as_bytes()), Ok(ms));
    }

    #[test]
    fn no_expiration_and_no_argument_ends_the_process(bytes: Vec<u8>) {
        let _ = expiration_ms(&bytes);
        let _ = QueueArguments::parse("/", "q", &bytes);
        let _ = ExchangeArguments::parse("/", "x", &bytes);
        let _ = ConsumerArguments::parse("/", "q", QueueType::Quorum, &bytes);
        let _ = QueueArguments::default().assert_equivalent("/", "q", &bytes);
        let _ = extra_keys(&Table::new(&bytes)).map(|keys| keys.iter().count());
    }

    #[test]
    fn any_queue_can_be_declared_again_with_its_own_arguments(
        ttl in prop::option::of(0..=i64::MAX),
        length in prop::option::of(0..=i32::MAX),
        key in prop::option::of("[a-z]{0,8}"),
        lazy: bool,
    ) {
        let mut pairs = vec![("x-dead-letter-exchange", Text(b"dlx"))];
        pairs.extend(ttl.map(|ttl| ("x-message-ttl", I64(ttl % 315_360_000_001))));
        pairs.extend(length.map(|length| ("x-max-length", I32(length))));
        pairs.extend(key.as_ref().map(|key| ("x-dead-letter-routing-key", Text(key.as_bytes()))));
        pairs.extend(lazy.then_some(("x-queue-mode", Text(b"lazy"))));
        let arguments = valid(&pairs);
        pairs.reverse();
        prop_assert_eq!(arguments.assert_equivalent("/", "q", table(&pairs)), Ok(()));
    }
}
