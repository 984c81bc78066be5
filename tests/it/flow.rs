//! Bounds: what a slow or silent client may cost, and that nothing gets stuck on the way.

use std::io::Write as _;

use crate::broker::{Broker, eventually};
use crate::client::Client;
use crate::verbs::{DURABLE, NO_ACK};
use crate::wire::{self, Arguments, Message};

const MIB: usize = 1 << 20;

/// Publishes from a thread of its own, so that whoever reads the answers is never in its way.
fn publish_all(client: &Client, queue: &str, message: &Message, count: usize) {
    let mut stream = client.stream.try_clone().expect("a second handle");
    let arguments = Arguments::new().short(0).text("").text(queue).octet(0);
    let mut bytes = Vec::new();
    wire::method(&mut bytes, client.channel, (60, 40), &arguments);
    wire::content(&mut bytes, client.channel, message);
    std::thread::spawn(move || {
        (0..count).for_each(|_| stream.write_all(&bytes).expect("the broker reads on"));
    });
}

#[test]
fn every_confirm_arrives_while_the_same_connection_acks_only_at_the_end() {
    for (bits, message) in [
        (0, Message::new(vec![7; 65_536])),
        (DURABLE, Message::persistent(vec![7; 65_536])),
        (0, Message::new(vec![7; MIB])),
    ] {
        let broker = Broker::start();
        let mut client = broker.client();
        client.queue("q", bits, &[]);
        client.prefetch(1, false);
        client.consume("q", "c", 0, &[]);
        client.confirm_select();
        let count = 64 * MIB / message.body.len();
        publish_all(&client, "q", &message, count);
        client.confirmed_to(count as u64);
        for _ in 0..count {
            let tag = client.take_delivery().tag;
            client.ack(tag, false);
        }
        assert_eq!(client.ready("q"), 0);
        assert!(client.settled().is_empty());
    }
}

#[test]
fn a_consumer_that_reads_nothing_holds_little_and_hurts_nobody() {
    let broker = Broker::start();
    let (mut silent, mut publisher) = (broker.client(), broker.client());
    let (count, size) = (16_384_u32, 4_096);
    publisher.queue("q", 0, &[]);
    silent.consume("q", "c", NO_ACK, &[]);
    publisher.confirm_select();
    publish_all(&publisher, "q", &Message::new(vec![7; size]), count as usize);
    publisher.confirmed_to(count.into());
    // What left the queue is in the broker's buffer for the connection or in the kernel's.
    let taken = (count - publisher.ready("q")) as usize * size;
    assert!(taken < 16 * MIB, "{taken} bytes are on their way to who does not read");
    let mut reader = broker.client();
    let left = publisher.ready("q");
    reader.consume("q", "r", NO_ACK, &[]);
    (0..left).for_each(|_| drop(reader.take_delivery()));
    assert_eq!(publisher.ready("q"), 0);
}

#[test]
fn memory_of_a_connection_that_reads_nothing_stays_bounded() {
    let broker = Broker::start();
    let (mut silent, mut client) = (broker.client(), broker.client());
    client.queue("q", 0, &[]);
    silent.consume("q", "c", NO_ACK, &[]);
    client.consume("q", "c", NO_ACK, &[]);
    let before = broker.resident_bytes();
    // The other consumer takes its turns; the queue is kept short by whoever publishes.
    let message = Message::new(vec![7; 65_536]);
    for _ in 0..2_048 {
        client.publish("", "q", message.clone());
        client.settled();
    }
    eventually("the reader has taken all that was left", || {
        client.settled();
        client.ready("q") == 0
    });
    let grown = broker.resident_bytes().saturating_sub(before) as usize;
    assert!(grown < 48 * MIB, "{} MiB more for 128 MiB that passed", grown / MIB);
}

#[test]
fn a_thousand_connections_come_and_go_without_a_trace() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    let mut round = |count: usize| {
        for _ in 0..count {
            let mut other = broker.client();
            other.consume("q", "c", 0, &[]);
            other.queue("", crate::verbs::EXCLUSIVE, &[]);
        }
        eventually("they are gone", || client.counts("q").consumers == 0);
        broker.resident_bytes()
    };
    let before = round(200);
    let after = round(1_000);
    assert!(after < before + 8 * MIB as u64, "{before} bytes became {after}");
}
