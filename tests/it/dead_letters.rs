//! Where messages go that expired, were rejected or did not fit, and what is written on them.

use leveret_plugin::value::Value;

use crate::broker::{Broker, eventually};
use crate::client::{Client, Delivery};
use crate::verbs::DURABLE;
use crate::wire::{Message, text};

fn to(key: &str) -> [(&str, Value<'_>); 2] {
    [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(key))]
}

/// The fields of the first table in x-death, as `name=value`.
fn first_death(delivery: &Delivery) -> Vec<String> {
    let properties = delivery.properties();
    let Some(Value::Array(deaths)) = properties.header("x-death") else {
        panic!("no x-death in {properties:?}")
    };
    let Some(Value::Table(death)) = deaths.iter().next() else { panic!("x-death is empty") };
    let field = |name: &str| match death.get(name)? {
        Value::Text(text) => Some(format!("{name}={}", String::from_utf8_lossy(text))),
        Value::I64(number) => Some(format!("{name}={number}")),
        Value::Array(keys) => {
            let keys = keys.iter().filter_map(|key| Some(key.as_str()?.to_owned()));
            Some(format!("{name}={}", keys.collect::<Vec<_>>().join(",")))
        }
        Value::Timestamp(_) => Some(name.to_owned()),
        other => panic!("{name} is {other:?}"),
    };
    let names =
        ["count", "reason", "queue", "time", "exchange", "routing-keys", "original-expiration"];
    names.into_iter().filter_map(field).collect()
}

fn with_dead() -> (Broker, Client) {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("dead", 0, &[]);
    client.queue("q", 0, &to("dead"));
    (broker, client)
}

#[test]
fn a_rejected_message_says_where_it_was() {
    let (_broker, mut client) = with_dead();
    client.publish("", "q", "x");
    let tag = client.get("q", false).expect("one").tag;
    client.nack(tag, false, false);
    let dead = client.get("dead", true).expect("it is dead");
    let expected = ["count=1", "reason=rejected", "queue=q", "time", "exchange=", "routing-keys=q"];
    assert_eq!(first_death(&dead), expected);
    assert_eq!(dead.properties().header("x-first-death-queue"), Some(text("q")));
    assert_eq!(dead.properties().header("x-last-death-reason"), Some(text("rejected")));
    assert_eq!((dead.exchange.as_str(), dead.key.as_str()), ("", "dead"));
}

#[test]
fn an_expired_message_loses_its_time_and_keeps_it_in_x_death() {
    let (_broker, mut client) = with_dead();
    client.publish("", "q", Message::new("x").ttl(1));
    eventually("it is dead", || client.ready("dead") == 1);
    let dead = client.get("dead", true).expect("it is dead");
    assert_eq!(dead.properties().expiration(), None);
    let death = first_death(&dead);
    assert!(death.contains(&"reason=expired".to_owned()), "{death:?}");
    assert!(death.contains(&"original-expiration=1".to_owned()), "{death:?}");
}

#[test]
fn the_same_death_again_is_counted() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("a", 0, &to("b"));
    client.queue("b", 0, &to("a"));
    client.publish("", "a", "x");
    for _ in 0..3 {
        for queue in ["a", "b"] {
            let tag = client.get(queue, false).expect("it came round").tag;
            client.nack(tag, false, false);
        }
    }
    let dead = client.get("a", true).expect("it came round");
    assert!(first_death(&dead).contains(&"count=3".to_owned()), "{:?}", first_death(&dead));
}

#[test]
fn a_cycle_without_a_rejection_ends() {
    let broker = Broker::start();
    let mut client = broker.client();
    let ttl = ("x-message-ttl", Value::I32(1));
    client.queue("a", 0, &[&to("b")[..], &[ttl]].concat());
    client.queue("b", 0, &[&to("a")[..], &[ttl]].concat());
    client.queue("witness", 0, &[]);
    client.publish("", "a", "x");
    eventually("it is gone", || client.ready("a") + client.ready("b") == 0);
    // A second one ends as well, and the queues still work.
    client.publish("", "b", "y");
    eventually("it is gone", || client.ready("a") + client.ready("b") == 0);
    client.publish("", "witness", "z");
    assert_eq!(client.drain("witness"), ["z"]);
}

#[test]
fn a_dead_letter_exchange_that_is_missing_loses_only_the_dead() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[("x-dead-letter-exchange", text("nowhere"))]);
    client.publish("", "q", "x");
    let tag = client.get("q", false).expect("one").tag;
    client.nack(tag, false, false);
    client.publish("", "q", "y");
    assert_eq!(client.drain("q"), ["y"]);
}

#[test]
fn dead_letters_are_durable_where_their_queue_is() {
    let mut broker = Broker::start();
    let mut client = broker.client();
    client.confirm_select();
    client.queue("dead", DURABLE, &[]);
    client.queue("q", DURABLE, &to("dead"));
    assert!(client.publish_confirmed("", "q", Message::persistent("x")));
    let tag = client.get("q", false).expect("one").tag;
    client.nack(tag, false, false);
    eventually("it is dead", || client.ready("dead") == 1);
    // What comes behind it in the log is on disk, so it is too.
    client.publish("", "dead", Message::persistent("behind"));
    client.expect((60, 80));
    broker.kill();
    broker.start_again("");
    let mut client = broker.client();
    assert_eq!(client.drain("dead"), ["x", "behind"]);
    assert_eq!(client.ready("q"), 0);
}

#[test]
fn dead_letters_follow_their_own_key_through_an_exchange() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.exchange("graves", "topic", 0, &[]);
    client.queue("dead", 0, &[]);
    client.bind("dead", "graves", "eu.#", &[]);
    client.queue("q", 0, &[("x-dead-letter-exchange", text("graves"))]);
    client.bind("q", "amq.topic", "#", &[]);
    for key in ["eu.fr", "as.jp"] {
        client.publish("amq.topic", key, key);
        let tag = client.get("q", false).expect("one").tag;
        client.nack(tag, false, false);
    }
    client.barrier();
    let dead = client.get("dead", true).expect("one of them");
    assert_eq!((dead.exchange.as_str(), dead.key.as_str()), ("graves", "eu.fr"));
    assert!(client.get("dead", true).is_none());
}
