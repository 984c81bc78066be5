//! What a restart and a power cut leave, and what they take.

use crate::broker::Broker;
use crate::client::{Client, Refusal};
use crate::verbs::DURABLE;
use crate::wire::{Message, text};

/// How the broker ends between two lives.
#[derive(Clone, Copy, Debug)]
enum End {
    Killed,
    Stopped,
}

const ENDS: [End; 2] = [End::Killed, End::Stopped];

fn restart(broker: &mut Broker, end: End) -> Client {
    match end {
        End::Killed => broker.kill(),
        End::Stopped => assert_eq!(broker.stop(), Some(0)),
    }
    broker.start_again("");
    broker.client()
}

#[test]
fn confirmed_persistent_messages_survive_and_transient_ones_vanish() {
    for end in ENDS {
        let mut broker = Broker::start();
        let mut client = broker.client();
        client.confirm_select();
        client.queue("kept", DURABLE, &[]);
        client.queue("lost", 0, &[]);
        for number in 0..100 {
            client.publish("", "kept", Message::persistent(format!("p{number}")));
            client.publish("", "kept", Message::new(format!("t{number}")));
            client.publish("", "lost", Message::persistent("p"));
        }
        client.confirmed_to(300);
        let mut client = restart(&mut broker, end);
        assert!(!client.has_queue("lost"), "{end:?}");
        assert_eq!(client.ready("kept"), 100, "{end:?}");
        let expected: Vec<_> = (0..100).map(|number| format!("p{number}")).collect();
        assert_eq!(client.drain("kept"), expected, "{end:?}");
    }
}

#[test]
fn messages_nobody_has_seen_are_marked_redelivered_only_after_a_power_cut() {
    let mut broker = Broker::start();
    let mut client = broker.client();
    client.confirm_select();
    client.queue("work", DURABLE, &[]);
    assert!(client.publish_confirmed("", "work", Message::persistent("job")));
    let mut client = restart(&mut broker, End::Killed);
    assert!(client.get("work", true).expect("it survived").redelivered);
}

#[test]
fn acked_messages_do_not_come_back() {
    for end in ENDS {
        let mut broker = Broker::start();
        let mut client = broker.client();
        client.confirm_select();
        client.queue("work", DURABLE, &[]);
        (0..10).for_each(|n| client.publish("", "work", Message::persistent(n.to_string())));
        client.confirmed_to(10);
        client.consume("work", "c", 0, &[]);
        let tags: Vec<_> = client.deliveries(10).iter().map(|one| one.tag).collect();
        client.ack(tags[2], true);
        client.ack(tags[8], false);
        // A confirm that comes behind the acks in the same log covers them as well.
        client.queue("after", DURABLE, &[]);
        client.publish("", "after", Message::persistent("x"));
        client.expect((60, 80));
        let mut client = restart(&mut broker, end);
        assert_eq!(client.drain("work"), ["3", "4", "5", "6", "7", "9"], "{end:?}");
    }
}

#[test]
fn exchanges_and_bindings_of_every_type_survive() {
    for end in ENDS {
        let mut broker = Broker::start();
        let mut client = broker.client();
        client.queue("q", DURABLE, &[]);
        for kind in ["direct", "fanout", "topic", "headers", "x-lua-shard", "x-lua-content"] {
            let (key, header) = (format!("key.{kind}"), [("which", text(kind))]);
            client.exchange(kind, kind, DURABLE, &[]);
            client.bind("q", kind, &key, &header);
        }
        client.exchange("second", "fanout", DURABLE, &[]);
        client.bind_exchange("second", "direct", "other");
        client.bind("q", "second", "", &[]);
        let mut client = restart(&mut broker, end);
        for kind in ["direct", "fanout", "topic", "headers", "x-lua-shard"] {
            let message = Message::new(kind).header("which", text(kind)).mandatory();
            client.publish(kind, &format!("key.{kind}"), message);
        }
        client.publish("direct", "other", Message::new("second").mandatory());
        assert!(client.settled().is_empty(), "nothing is returned: {end:?}");
        let expected = ["direct", "fanout", "topic", "headers", "x-lua-shard", "second"];
        assert_eq!(client.drain("q"), expected, "{end:?}");
    }
}

#[test]
fn a_deleted_queue_leaves_nothing_behind() {
    for end in ENDS {
        let mut broker = Broker::start();
        let mut client = broker.client();
        client.confirm_select();
        for name in ["a", "b"] {
            client.queue(name, DURABLE, &[]);
            client.bind(name, "amq.fanout", "", &[]);
        }
        client.publish("amq.fanout", "", Message::persistent("x"));
        client.confirmed_to(1);
        assert_eq!(client.delete_queue("a"), 1);
        let mut client = restart(&mut broker, end);
        assert!(!client.has_queue("a"), "{end:?}");
        client.queue("a", DURABLE, &[]);
        client.publish("amq.fanout", "", "y");
        client.barrier();
        assert_eq!(client.ready("a"), 0, "neither messages nor bindings: {end:?}");
        assert_eq!(client.drain("b"), ["x", "y"], "{end:?}");
    }
}

#[test]
fn a_purged_queue_stays_empty_and_a_deleted_exchange_stays_away() {
    for end in ENDS {
        let mut broker = Broker::start();
        let mut client = broker.client();
        client.confirm_select();
        client.queue("q", DURABLE, &[]);
        client.exchange("e", "direct", DURABLE, &[]);
        client.bind("q", "e", "k", &[]);
        assert!(client.publish_confirmed("e", "k", Message::persistent("x")));
        assert_eq!(client.purge("q"), 1);
        client.delete_exchange("e");
        client.publish("", "q", Message::persistent("later"));
        client.expect((60, 80));
        let mut client = restart(&mut broker, end);
        assert_eq!(client.drain("q"), ["later"], "{end:?}");
        client.publish("e", "k", "x");
        assert_eq!(client.refused().code, 404, "{end:?}");
    }
}

#[test]
fn an_exchange_whose_script_is_missing_is_kept_and_refuses_until_it_is_back() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/lua-exchange");
    let config = format!("script_dirs = [\"{scripts}\"]\n");
    let mut broker = Broker::with(&config);
    let mut client = broker.client();
    client.queue("q", DURABLE, &[]);
    client.exchange("e", "x-prefix", DURABLE, &[]);
    client.bind("q", "e", "eu.", &[]);
    let mut client = restart(&mut broker, End::Stopped);
    client.publish("e", "eu.fr", "x");
    let Refusal { code, text } = client.refused();
    assert_eq!(code, 406, "{text}");
    assert!(text.contains("Cannot route message through exchange 'e' in vhost '/'"), "{text}");
    drop(client);
    assert_eq!(broker.stop(), Some(0));
    broker.start_again(&config);
    let mut client = broker.client();
    client.publish("e", "eu.fr", "y");
    client.publish("e", "as.jp", "z");
    client.barrier();
    assert_eq!(client.drain("q"), ["y"]);
}

#[test]
fn a_thousand_restarts_worth_of_segments_is_not_needed_to_trim_the_log() {
    let config = "[store]\nsegment_bytes = 1048576\n";
    let mut broker = Broker::with(config);
    let mut client = broker.client();
    client.confirm_select();
    client.queue("q", DURABLE, &[]);
    for round in 1..=64 {
        client.publish("", "q", Message::persistent(vec![b'x'; 262_144]));
        client.expect((60, 80));
        if round % 2 == 0 {
            assert_eq!(client.purge("q"), 2);
        }
    }
    client.publish("", "q", Message::persistent("last"));
    client.expect((60, 80));
    broker.kill();
    broker.start_again(config);
    assert_eq!(broker.client().drain("q"), ["last"]);
}
