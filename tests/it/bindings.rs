//! Which queues a message reaches, over every type of exchange that is built in.

use crate::broker::Broker;
use crate::client::Client;
use crate::verbs::{INTERNAL, Pairs};
use crate::wire::{Message, Value, text};

/// A type; the key and arguments of its bindings; keys that match, and that do not.
type Row<'a> = (&'a str, &'a str, Pairs<'a>, &'a [&'a str], &'a [&'a str]);

const TYPES: &[Row<'static>] = &[
    ("direct", "a.b", &[], &["a.b"], &["a", "a.*", ""]),
    ("fanout", "a.b", &[], &["a.b", "", "else"], &[]),
    ("topic", "a.*.#", &[], &["a.b", "a.b.c.d"], &["a", "b.a"]),
    ("topic", "#", &[], &["", "a", "a.b"], &[]),
    ("headers", "a.b", &[("x-match", Value::Text(b"any"))], &[], &["a.b", ""]),
    ("x-lua-shard", "a.b", &[], &["a.b", "else"], &[]),
    ("x-lua-random", "a.b", &[], &["a.b", "else"], &[]),
];

fn arrives(client: &mut Client, exchange: &str, key: &str) -> bool {
    client.publish(exchange, key, Message::new("x").mandatory());
    let returned = client.settled().iter().any(|one| one.id == (60, 50));
    let found = client.drain("q").len();
    assert_eq!(found, usize::from(!returned), "it is returned or it arrives: {exchange} {key}");
    !returned
}

#[test]
fn each_type_routes_by_its_own_rule() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    for (kind, binding, arguments, matching, others) in TYPES {
        client.exchange("e", kind, 0, &[]);
        assert!(!arrives(&mut client, "e", "a.b"), "{kind}: nothing is bound");
        client.bind("q", "e", binding, arguments);
        client.bind("q", "e", binding, arguments);
        matching.iter().for_each(|key| assert!(arrives(&mut client, "e", key), "{kind} {key}"));
        others.iter().for_each(|key| assert!(!arrives(&mut client, "e", key), "{kind} {key}"));
        client.delete_exchange("e");
    }
}

#[test]
fn headers_match_all_or_any() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.exchange("e", "headers", 0, &[]);
    let both = [("a", Value::I32(1)), ("b", text("two"))];
    for rule in ["all", "any"] {
        client.queue(rule, 0, &[]);
        client.bind(rule, "e", "", &[&both[..], &[("x-match", text(rule))]].concat());
    }
    client.publish("e", "", Message::new("both").header("a", both[0].1).header("b", both[1].1));
    client.publish("e", "", Message::new("one").header("a", Value::I64(1)));
    client.publish("e", "", Message::new("none").header("a", Value::I32(2)));
    client.barrier();
    assert_eq!(client.drain("all"), ["both"]);
    assert_eq!(client.drain("any"), ["both", "one"]);
}

#[test]
fn what_nobody_takes_goes_to_the_alternate_exchange() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.exchange("rest", "fanout", 0, &[]);
    client.queue("q", 0, &[]);
    client.bind("q", "rest", "", &[]);
    client.exchange("e", "direct", 0, &[("alternate-exchange", text("rest"))]);
    client.queue("taken", 0, &[]);
    client.bind("taken", "e", "k", &[]);
    assert!(arrives(&mut client, "e", "other"));
    client.publish("e", "k", "x");
    client.barrier();
    assert_eq!(client.ready("taken"), 1);
    assert_eq!(client.ready("q"), 0);
}

#[test]
fn alternate_exchanges_in_a_ring_come_to_an_end() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    client.exchange("a", "direct", 0, &[("alternate-exchange", text("b"))]);
    client.exchange("b", "direct", 0, &[("alternate-exchange", text("a"))]);
    assert!(!arrives(&mut client, "a", "k"));
    client.bind("q", "b", "k", &[]);
    assert!(arrives(&mut client, "a", "k"));
}

#[test]
fn exchanges_bound_in_a_ring_deliver_once() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    for name in ["a", "b", "c"] {
        client.exchange(name, "fanout", 0, &[]);
        client.bind("q", name, "", &[]);
    }
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "a"), ("a", "a")] {
        client.bind_exchange(to, from, "");
    }
    for name in ["a", "b", "c"] {
        assert!(arrives(&mut client, name, "k"));
    }
}

#[test]
fn an_internal_exchange_is_reached_only_through_others() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    client.exchange("inner", "fanout", INTERNAL, &[]);
    client.exchange("outer", "fanout", 0, &[]);
    client.bind_exchange("inner", "outer", "");
    client.bind("q", "inner", "", &[]);
    client.publish("outer", "", "x");
    client.barrier();
    assert_eq!(client.drain("q"), ["x"]);
    client.publish("inner", "", "x");
    assert_eq!(client.refused().code, 403);
}

#[test]
fn deleting_a_queue_takes_it_out_of_every_exchange() {
    let broker = Broker::start();
    let mut client = broker.client();
    let kinds = ["direct", "fanout", "topic", "headers", "x-lua-shard", "x-lua-random"];
    client.queue("q", 0, &[]);
    for kind in kinds {
        client.exchange(kind, kind, 0, &[]);
        client.bind("q", kind, "k", &[]);
        assert!(arrives(&mut client, kind, "k"), "{kind}");
    }
    client.delete_queue("q");
    client.queue("q", 0, &[]);
    for kind in kinds {
        assert!(!arrives(&mut client, kind, "k"), "{kind}");
    }
}
