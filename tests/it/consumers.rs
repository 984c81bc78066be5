//! Who gets which message: rotation, priorities, prefetch, exclusiveness, and the end of consumers.

use crate::broker::{Broker, eventually};
use crate::verbs::{AUTO_DELETE, DURABLE, EXCLUSIVE, NO_ACK, SOLE};
use crate::wire::{Reader, Value};

#[test]
fn equal_consumers_take_turns() {
    let broker = Broker::start();
    let (mut publisher, mut odd, mut even) = (broker.client(), broker.client(), broker.client());
    publisher.queue("q", 0, &[]);
    odd.consume("q", "odd", NO_ACK, &[]);
    even.consume("q", "even", NO_ACK, &[]);
    for n in 1..=6 {
        publisher.publish("", "q", &*n.to_string());
    }
    assert_eq!(odd.texts(3), ["1", "3", "5"]);
    assert_eq!(even.texts(3), ["2", "4", "6"]);
}

#[test]
fn a_backlog_is_dealt_in_turns_as_well() {
    let broker = Broker::start();
    let (mut client, mut other) = (broker.client(), broker.client());
    client.queue("q", 0, &[]);
    for one in [&mut client, &mut other] {
        one.prefetch(10, false);
        one.consume("q", "c", 0, &[]);
    }
    for n in 0..20 {
        client.publish("", "q", &*n.to_string());
    }
    let (mine, others) = (client.texts(10), other.texts(10));
    assert!(mine.iter().chain(&others).all(|text| text.parse::<u8>().is_ok()));
    assert_eq!(mine, ["0", "2", "4", "6", "8", "10", "12", "14", "16", "18"]);
    assert_eq!(others, ["1", "3", "5", "7", "9", "11", "13", "15", "17", "19"]);
}

#[test]
fn higher_priorities_come_first_until_their_credit_is_used() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    client.prefetch(2, false);
    client.consume("q", "low", 0, &[("x-priority", Value::I32(-1))]);
    client.consume("q", "high", 0, &[("x-priority", Value::I32(10))]);
    client.consume("q", "default", 0, &[]);
    (0..6).for_each(|_| client.publish("", "q", "x"));
    let consumers: Vec<_> = client.deliveries(6).into_iter().map(|one| one.consumer).collect();
    assert_eq!(consumers, ["high", "high", "default", "default", "low", "low"]);
    client.ack(1, false);
    client.publish("", "q", "x");
    assert_eq!(client.take_delivery().consumer, "high");
}

#[test]
fn prefetch_holds_for_each_consumer_and_each_ack_lets_one_more_out() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    client.prefetch(3, false);
    client.consume("q", "a", 0, &[]);
    client.consume("q", "b", 0, &[]);
    (0..10).for_each(|_| client.publish("", "q", "x"));
    client.deliveries(6);
    assert!(client.settled().is_empty(), "no more than three each");
    assert_eq!(client.ready("q"), 4);
    client.ack(1, false);
    assert_eq!(client.take_delivery().tag, 7);
    assert!(client.settled().is_empty());
    client.ack(7, true);
    client.deliveries(3);
    assert_eq!(client.ready("q"), 0);
}

#[test]
fn global_prefetch_is_shared_by_the_consumers_of_a_channel() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    client.prefetch(3, true);
    client.consume("q", "a", 0, &[]);
    client.consume("q", "b", 0, &[]);
    (0..10).for_each(|_| client.publish("", "q", "x"));
    client.deliveries(3);
    assert!(client.settled().is_empty(), "three on the channel");
    client.ack(2, true);
    client.deliveries(2);
    assert!(client.settled().is_empty());
}

#[test]
fn one_exclusive_consumer_keeps_the_others_away() {
    let broker = Broker::start();
    let (mut client, mut other) = (broker.client(), broker.client());
    client.queue("q", 0, &[]);
    client.consume("q", "alone", SOLE, &[]);
    let arguments = crate::wire::Arguments::new().short(0).text("q").text("").octet(0).table(&[]);
    other.send((60, 20), &arguments);
    let refusal = other.refused();
    assert_eq!(refusal.code, 403);
    assert!(refusal.text.contains("queue 'q' in vhost '/' in exclusive use"), "{}", refusal.text);
    client.cancel("alone");
    other.open(1);
    other.consume("q", "alone", SOLE, &[]);
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", AUTO_DELETE, &[]);
    client.consume("q", "a", 0, &[]);
    client.consume("q", "b", 0, &[]);
    client.cancel("a");
    assert!(client.has_queue("q"));
    client.cancel("b");
    assert!(!client.has_queue("q"));
}

#[test]
fn exclusive_queues_are_gone_before_close_ok() {
    let broker = Broker::start();
    let mut watcher = broker.client();
    for round in 0..50 {
        let mut client = broker.client();
        let name = client.queue("", EXCLUSIVE, &[]);
        client.publish("", &name, "x");
        client.close();
        assert!(!watcher.has_queue(&name), "round {round}");
    }
}

#[test]
fn exclusive_queues_are_refused_to_others() {
    let broker = Broker::start();
    let (mut client, mut other) = (broker.client(), broker.client());
    client.queue("q", EXCLUSIVE, &[]);
    let arguments = crate::wire::Arguments::new().short(0).text("q").octet(0);
    other.send((60, 70), &arguments);
    assert_eq!(other.refused().code, 405);
}

#[test]
fn consumers_are_told_when_their_queue_goes() {
    let broker = Broker::start();
    let (mut client, mut other) = (broker.client(), broker.client());
    client.queue("q", DURABLE, &[]);
    client.consume("q", "told", 0, &[]);
    other.delete_queue("q");
    let cancelled = client.expect((60, 30));
    assert_eq!(Reader(&cancelled.arguments).text(), "told");
}

#[test]
fn a_dead_consumers_messages_go_to_the_others_in_order() {
    let broker = Broker::start();
    let (mut first, mut second) = (broker.client(), broker.client());
    first.queue("q", 0, &[]);
    first.consume("q", "c", 0, &[]);
    for n in 0..5 {
        first.publish("", "q", &*n.to_string());
    }
    first.deliveries(5);
    second.consume("q", "c", 0, &[]);
    drop(first);
    let again = second.deliveries(5);
    assert!(again.iter().all(|one| one.redelivered));
    let texts: Vec<_> = again.iter().map(|one| one.text()).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4"]);
    eventually("one consumer is left", || second.counts("q").consumers == 1);
}

#[test]
fn a_cancelled_consumer_keeps_what_it_has_not_acked() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    client.consume("q", "c", 0, &[]);
    client.publish("", "q", "x");
    let tag = client.take_delivery().tag;
    client.cancel("c");
    client.publish("", "q", "y");
    assert_eq!(client.ready("q"), 1);
    client.nack(tag, false, true);
    assert_eq!(client.drain("q"), ["x", "y"]);
}
