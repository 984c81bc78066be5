//! Queues that hold so much and no more.

use crate::broker::Broker;
use crate::client::Client;
use crate::verbs::Pairs;
use crate::wire::{Message, Value, text};

fn with_queue(arguments: Pairs<'_>) -> (Broker, Client) {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("dead", 0, &[]);
    let all = [
        arguments,
        &[("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text("dead"))],
    ]
    .concat();
    client.queue("q", 0, &all);
    client.confirm_select();
    (broker, client)
}

/// Which of the messages 0 to 4 the broker took.
fn publish_five(client: &mut Client) -> Vec<bool> {
    (0..5).map(|n| client.publish_confirmed("", "q", &*n.to_string())).collect()
}

#[test]
fn a_full_queue_drops_its_head() {
    let (_broker, mut client) = with_queue(&[("x-max-length", Value::I32(3))]);
    assert_eq!(publish_five(&mut client), [true; 5]);
    assert_eq!(client.drain("q"), ["2", "3", "4"]);
    let dead = client.get("dead", true).expect("it was dropped");
    assert_eq!(dead.properties().header("x-first-death-reason"), Some(text("maxlen")));
    assert_eq!(client.drain("dead"), ["1"]);
}

#[test]
fn a_full_queue_that_rejects_nacks_and_keeps_what_it_has() {
    let policy = ("x-overflow", text("reject-publish"));
    let (_broker, mut client) = with_queue(&[("x-max-length", Value::I32(3)), policy]);
    assert_eq!(publish_five(&mut client), [true, true, true, false, false]);
    assert_eq!(client.drain("q"), ["0", "1", "2"]);
    assert_eq!(client.drain("dead"), [""; 0]);
}

#[test]
fn a_full_queue_may_dead_letter_what_it_rejects() {
    let policy = ("x-overflow", text("reject-publish-dlx"));
    let (_broker, mut client) = with_queue(&[("x-max-length", Value::I32(3)), policy]);
    assert_eq!(publish_five(&mut client), [true, true, true, false, false]);
    assert_eq!(client.drain("q"), ["0", "1", "2"]);
    assert_eq!(client.drain("dead"), ["3", "4"]);
}

#[test]
fn bytes_count_bodies_of_what_is_ready() {
    let (_broker, mut client) = with_queue(&[("x-max-length-bytes", Value::I32(10))]);
    for body in ["aaaaaa", "bbbb"] {
        assert!(client.publish_confirmed("", "q", body));
    }
    assert_eq!(client.ready("q"), 2);
    assert!(client.publish_confirmed("", "q", "c"));
    assert_eq!(client.drain("q"), ["bbbb", "c"]);
}

#[test]
fn what_is_unacked_does_not_count() {
    let (_broker, mut client) = with_queue(&[("x-max-length", Value::I32(1))]);
    assert!(client.publish_confirmed("", "q", "held"));
    client.get("q", false).expect("it is there");
    assert!(client.publish_confirmed("", "q", "ready"));
    client.recover();
    assert_eq!(client.ready("q"), 1, "what returns is over the limit again");
}

#[test]
fn a_fanout_is_nacked_when_one_of_its_queues_rejects() {
    let policy = ("x-overflow", text("reject-publish"));
    let (_broker, mut client) = with_queue(&[("x-max-length", Value::I32(0)), policy]);
    client.queue("roomy", 0, &[]);
    ["q", "roomy"].iter().for_each(|queue| client.bind(queue, "amq.fanout", "", &[]));
    assert!(!client.publish_confirmed("amq.fanout", "", Message::new("x")));
    assert_eq!(client.drain("roomy"), ["x"]);
}
