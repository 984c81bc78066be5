//! Things that happen at the same time. Real threads over real sockets rather than a model checker:
//! the locks of the broker are parking_lot's and its snapshots arc-swap's, which no model checker
//! can see into. Each test repeats a race thousands of times and then counts: every confirm has
//! come, and what was published is what was returned, deleted, or found.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use crate::broker::{Broker, eventually};
use crate::client::Client;
use crate::verbs::Counts;
use crate::wire::{Arguments, Message, Reader};

const MESSAGES: u32 = 4_000;

/// Publishes mandatory messages in bursts, with confirms; how many came back.
fn publish_until_done(mut client: Client, exchange: &str, key: &str, message: &Message) -> u32 {
    client.confirm_select();
    let (mut returned, mut confirmed, mut sent) = (0, 0, 0);
    while sent < u64::from(MESSAGES) {
        for _ in 0..8 {
            client.publish(exchange, key, message.clone().mandatory());
            sent += 1;
        }
        while confirmed < sent {
            let answer = client.expect_any(&[(60, 80), (60, 50)]);
            if answer.id == (60, 50) {
                returned += 1;
                continue;
            }
            let mut reader = Reader(&answer.arguments);
            let (tag, multiple) = (reader.longlong(), reader.octet() == 1);
            confirmed = if multiple { tag } else { confirmed + 1 };
        }
    }
    returned
}

/// Runs until the publishers are done.
fn meanwhile(done: &Arc<AtomicBool>, mut what: impl FnMut() + Send + 'static) -> JoinHandle<()> {
    let done = done.clone();
    thread::spawn(move || {
        while !done.load(Ordering::Relaxed) {
            what();
        }
    })
}

#[test]
fn publish_against_queue_delete_loses_and_sticks_nothing() {
    for (bits, message) in [(0, Message::new("x"))] {
        let broker = Broker::start();
        let clients = [broker.client(), broker.client()];
        let mut deleter = broker.client();
        let done = Arc::new(AtomicBool::new(false));
        let publishers = clients.map(|client| {
            let message = message.clone();
            thread::spawn(move || publish_until_done(client, "", "volatile", &message))
        });
        let publishing = {
            let done = done.clone();
            thread::spawn(move || {
                let returned: u32 = publishers.into_iter().map(|p| p.join().expect("done")).sum();
                done.store(true, Ordering::Relaxed);
                returned
            })
        };
        let (mut deleted, mut rounds) = (0, 0);
        while !done.load(Ordering::Relaxed) {
            deleter.queue("volatile", bits, &[]);
            deleter.ready("volatile");
            deleted += deleter.delete_queue("volatile");
            rounds += 1;
        }
        let returned = publishing.join().expect("all confirms came");
        assert_eq!(returned + deleted, 2 * MESSAGES, "{rounds} rounds, {returned} returned");
        assert!(rounds > 100, "{rounds} rounds");
    }
}

#[test]
fn publish_against_queue_delete_behind_a_fanout_reaches_the_other_queue() {
    let broker = Broker::start();
    let (publisher, mut deleter, mut client) = (broker.client(), broker.client(), broker.client());
    client.queue("stable", 0, &[]);
    client.bind("stable", "amq.fanout", "", &[]);
    let done = Arc::new(AtomicBool::new(false));
    let race = meanwhile(&done, move || {
        deleter.queue("volatile", 0, &[]);
        deleter.bind("volatile", "amq.fanout", "", &[]);
        deleter.delete_queue("volatile");
    });
    let returned = publish_until_done(publisher, "amq.fanout", "", &Message::new("x"));
    done.store(true, Ordering::Relaxed);
    race.join().expect("it ended well");
    assert_eq!((returned, client.ready("stable")), (0, MESSAGES));
}

#[test]
fn bind_against_route_returns_or_delivers_each_message() {
    for kind in ["direct", "fanout", "topic", "headers", "x-lua-shard", "x-lua-random"] {
        let broker = Broker::start();
        let (publisher, mut binder, mut client) =
            (broker.client(), broker.client(), broker.client());
        client.exchange("e", kind, 0, &[]);
        client.queue("q", 0, &[]);
        let done = Arc::new(AtomicBool::new(false));
        let race = meanwhile(&done, move || {
            binder.bind("q", "e", "k", &[]);
            binder.ready("q");
            let unbind = Arguments::new().short(0).text("q").text("e").text("k").table(&[]);
            binder.call((50, 50), &unbind, (50, 51));
        });
        let returned = publish_until_done(publisher, "e", "k", &Message::new("x"));
        done.store(true, Ordering::Relaxed);
        race.join().expect("it ended well");
        assert_eq!(returned + client.ready("q"), MESSAGES, "{kind}");
    }
}

#[test]
fn publish_against_exchange_delete_confirms_or_closes_and_the_broker_goes_on() {
    let broker = Broker::start();
    let (mut deleter, mut client) = (broker.client(), broker.client());
    client.queue("q", 0, &[]);
    let done = Arc::new(AtomicBool::new(false));
    let race = meanwhile(&done, move || {
        deleter.exchange("e", "topic", 0, &[]);
        deleter.bind("q", "e", "#", &[]);
        deleter.delete_exchange("e");
    });
    let mut publisher = broker.client();
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..MESSAGES / 4 {
        publisher.confirm_select();
        publisher.publish("e", "k", Message::new("x").mandatory());
        match publisher.expect_any(&[(60, 80), (60, 50), (20, 40)]).id {
            (60, 80) => taken += 1,
            (60, 50) => drop(publisher.expect((60, 80))),
            _ => {
                publisher.send((20, 41), &Arguments::new());
                publisher.open(1);
                refused += 1;
            }
        }
    }
    done.store(true, Ordering::Relaxed);
    race.join().expect("it ended well");
    assert_eq!(client.ready("q"), taken, "{refused} were refused");
}

/// Takes messages and acks, requeues, or lets go of a channel that holds some, until told to stop.
fn work(mut client: Client, seed: u64, count: &AtomicU32) -> Vec<u32> {
    let mut acked = Vec::new();
    let mut random = seed;
    let goes_on = || count.load(Ordering::Relaxed) < MESSAGES;
    while goes_on() {
        client.prefetch(3, false);
        client.consume("q", "c", 0, &[]);
        while goes_on() {
            let Some(delivery) = client.delivery_if_any() else { continue };
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match random >> 60 {
                0..=1 => client.nack(delivery.tag, false, true),
                2 => break,
                _ => {
                    client.ack(delivery.tag, false);
                    acked.push(delivery.text().parse().expect("a number"));
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        let bye = Arguments::new().short(200).text("").long(0);
        client.call((20, 40), &bye, (20, 41));
        client.forget();
        client.open(1);
    }
    acked
}

#[test]
fn deal_against_ack_delivers_every_message_until_it_is_acked_once() {
    let broker = Broker::start();
    let mut publisher = broker.client();
    publisher.queue("q", 0, &[]);
    let count = Arc::new(AtomicU32::new(0));
    let workers: Vec<_> = (1..=4)
        .map(|seed| {
            let (client, count) = (broker.client(), count.clone());
            thread::spawn(move || work(client, seed, &count))
        })
        .collect();
    publisher.confirm_select();
    (0..MESSAGES).for_each(|n| publisher.publish("", "q", &*n.to_string()));
    publisher.confirmed_to(MESSAGES.into());
    eventually("all is acked", || count.load(Ordering::Relaxed) >= MESSAGES);
    let acked: BTreeSet<u32> =
        workers.into_iter().flat_map(|worker| worker.join().expect("it ended well")).collect();
    assert_eq!(acked, (0..MESSAGES).collect(), "each is acked once");
    assert_eq!(publisher.counts("q"), Counts { messages: 0, consumers: 0 });
}
