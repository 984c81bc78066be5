//! Messages and queues that live for a time. Nothing here waits a fixed time: tests ask until it is
//! so, or know an order of deadlines.

use std::time::{Duration, Instant};

use crate::broker::{Broker, eventually};
use crate::verbs::{DURABLE, NO_ACK};
use crate::wire::{Message, Value};

#[test]
fn a_message_expires_behind_one_that_does_not() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    client.publish("", "q", "stays");
    client.publish("", "q", Message::new("goes").ttl(20));
    client.publish("", "q", Message::new("stays too").ttl(600_000));
    eventually("one expired", || client.ready("q") == 2);
    assert_eq!(client.drain("q"), ["stays", "stays too"]);
}

#[test]
fn the_shorter_of_the_queues_and_the_messages_time_counts() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("short", 0, &[("x-message-ttl", Value::I32(20))]);
    client.queue("long", 0, &[("x-message-ttl", Value::I32(600_000))]);
    client.publish("", "short", Message::new("x").ttl(600_000));
    client.publish("", "long", Message::new("x").ttl(20));
    client.publish("", "long", "y");
    eventually("both expired", || client.ready("short") == 0 && client.ready("long") == 1);
}

#[test]
fn a_time_of_zero_is_for_those_who_wait_already() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    client.publish("", "q", Message::new("nobody").ttl(0));
    client.barrier();
    assert!(client.get("q", true).is_none());
    client.consume("q", "c", NO_ACK, &[]);
    client.publish("", "q", Message::new("somebody").ttl(0));
    assert_eq!(client.take_delivery().text(), "somebody");
}

#[test]
fn an_unacked_message_does_not_expire_before_it_is_back() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[("x-message-ttl", Value::I32(30))]);
    client.publish("", "q", "held");
    let tag = client.get("q", false).expect("in time").tag;
    // Published later, so that its end is behind the other's.
    client.publish("", "q", "witness");
    eventually("the witness expired", || client.ready("q") == 0);
    client.ack(tag, false);
    assert!(client.settled().is_empty(), "the tag was still known");
}

#[test]
fn an_unused_queue_expires_and_a_consumed_one_does_not() {
    let broker = Broker::start();
    let mut client = broker.client();
    let arguments = [("x-expires", Value::I32(100))];
    client.queue("consumed", 0, &arguments);
    client.consume("consumed", "c", 0, &[]);
    let started = Instant::now();
    client.queue("unused", 0, &arguments);
    client.bind("unused", "amq.fanout", "", &[]);
    // Its name is not asked for: that would be a use. A message finds it, or does not.
    eventually("it expired", || {
        client.publish("amq.fanout", "", Message::new("x").mandatory());
        client.settled().iter().any(|one| one.id == (60, 50))
    });
    assert!(started.elapsed() >= Duration::from_millis(100));
    assert!(client.has_queue("consumed"));
}

#[test]
fn times_go_on_over_a_restart() {
    let mut broker = Broker::start();
    let mut client = broker.client();
    client.confirm_select();
    client.queue("q", DURABLE, &[("x-message-ttl", Value::I32(600_000))]);
    assert!(client.publish_confirmed("", "q", Message::persistent("goes").ttl(50)));
    assert!(client.publish_confirmed("", "q", Message::persistent("stays")));
    broker.kill();
    broker.start_again("");
    let mut client = broker.client();
    eventually("one expired", || client.ready("q") == 1);
    assert_eq!(client.drain("q"), ["stays"]);
}

#[test]
fn a_time_that_is_none_is_refused() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    let message = Message::new("x").with(
        leveret_plugin::properties::Property::Expiration,
        leveret_plugin::properties::PropertyValue::Text(b"soon"),
    );
    client.publish("", "q", message);
    let refusal = client.refused();
    assert_eq!(refusal.code, 406);
    assert!(refusal.text.contains("invalid expiration 'soon'"), "{}", refusal.text);
}
