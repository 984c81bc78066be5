//! The rules of RabbitMQ, one by one.

use leveret_plugin::testkit::{Arguments, Exchange, Publish};

use super::*;

const A1: (&str, Value<'_>) = ("a", Value::I32(1));
const B2: (&str, Value<'_>) = ("b", Value::Text(b"2"));
const X3: (&str, Value<'_>) = ("x-c", Value::I32(3));
const ANY: (&str, Value<'_>) = ("x-match", Value::Text(b"any"));
const ALL_X: (&str, Value<'_>) = ("x-match", Value::Text(b"all-with-x"));
const ANY_X: (&str, Value<'_>) = ("x-match", Value::Text(b"any-with-x"));

fn matches(binding: Arguments<'_>, headers: Arguments<'_>) -> bool {
    let mut exchange = Exchange::declare(&PLUGIN, "headers", &[]).unwrap();
    exchange.bind(1, "ignored", binding).unwrap();
    let message = headers.iter().fold(Publish::key("k"), |m, (name, value)| m.header(name, *value));
    exchange.route(&message).unwrap() == [1]
}

#[test]
fn all_needs_every_argument_and_any_needs_one() {
    assert!(matches(&[A1, B2], &[A1, B2, X3]));
    assert!(!matches(&[A1, B2], &[A1]));
    assert!(matches(&[("x-match", Value::Text(b"all")), A1], &[A1]));
    assert!(matches(&[ANY, A1, B2], &[B2]));
    assert!(!matches(&[ANY, A1, B2], &[X3]));
}

#[test]
fn without_arguments_all_matches_everything_and_any_nothing() {
    assert!(matches(&[], &[]));
    assert!(matches(&[], &[A1]));
    assert!(!matches(&[ANY], &[]));
    assert!(!matches(&[ANY], &[A1]));
    assert!(!matches(&[ANY_X], &[A1]));
    assert!(matches(&[ALL_X], &[A1]));
}

#[test]
fn names_that_start_with_x_count_only_where_asked() {
    assert!(matches(&[X3, A1], &[A1]));
    assert!(!matches(&[ANY, X3], &[X3]));
    assert!(!matches(&[ALL_X, X3, A1], &[A1]));
    assert!(matches(&[ALL_X, X3, A1], &[A1, X3]));
    assert!(matches(&[ANY_X, X3, A1], &[X3]));
}

#[test]
fn values_are_compared_by_value_and_void_asks_for_presence() {
    assert!(matches(&[A1], &[("a", Value::I64(1))]));
    assert!(matches(&[A1], &[("a", Value::F64(1.0))]));
    assert!(!matches(&[A1], &[("a", Value::Text(b"1"))]));
    assert!(!matches(&[B2], &[("b", Value::I32(2))]));
    assert!(matches(&[("a", Value::Void)], &[A1]));
    assert!(matches(&[ANY, ("a", Value::Void)], &[B2, A1]));
    assert!(!matches(&[("a", Value::Void)], &[B2]));
    assert!(!matches(&[A1], &[("a", Value::Void)]));
}

fn refusal(x_match: Value<'_>) -> String {
    let mut exchange = Exchange::declare(&PLUGIN, "headers", &[]).unwrap();
    exchange.bind(1, "", &[("x-match", x_match)]).unwrap_err().text
}

#[test]
fn a_wrong_x_match_is_refused_in_the_words_of_rabbitmq() {
    assert_eq!(
        refusal(Value::Text(b"bogus")),
        "Invalid x-match field value <<\"bogus\">>; expected all, any, all-with-x, or any-with-x"
    );
    assert_eq!(
        refusal(Value::I32(1)),
        "Invalid x-match field type signedint (value 1); expected longstr"
    );
    assert_eq!(
        refusal(Value::Bool(true)),
        "Invalid x-match field type bool (value true); expected longstr"
    );
    assert_eq!(
        refusal(Value::Text(&[0, 255])),
        "Invalid x-match field value <<0,255>>; expected all, any, all-with-x, or any-with-x"
    );
}

#[test]
fn bindings_of_one_destination_go_one_by_one() {
    let mut exchange = Exchange::declare(&PLUGIN, "headers", &[]).unwrap();
    exchange.bind(1, "", &[A1]).unwrap();
    exchange.bind(1, "", &[B2]).unwrap();
    exchange.bind(1, "k", &[A1]).unwrap();
    exchange.unbind(1, "", &[A1]).unwrap();
    let message = |(name, value)| Publish::key("").header(name, value);
    assert_eq!(exchange.route(&message(A1)).unwrap(), [1]);
    exchange.unbind(1, "k", &[A1]).unwrap();
    assert_eq!(exchange.route(&message(A1)).unwrap(), []);
    assert_eq!(exchange.route(&message(B2)).unwrap(), [1]);
}
