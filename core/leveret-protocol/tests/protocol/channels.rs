//! Channels: opening, closing from both ends, and what is ignored meanwhile.

use leveret_protocol::methods::{AMQPClass, basic, queue};
use leveret_protocol::{ClientOptions, Reply, ReplyCode, ServerOptions};

use crate::pair::Pair;

fn not_found() -> Reply {
    Reply::new(ReplyCode::NotFound, (60, 40), "no exchange 'nope' in vhost '/'")
}

fn declare(name: &str) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
        queue: name.into(),
        ..Default::default()
    }))
}

#[test]
fn a_channel_opens_and_closes() {
    let mut pair = Pair::open();
    pair.client.open_channel(1);
    pair.client.close_channel(1);
    pair.settle();
    pair.expect(&["1 open", "1 close"], &["1 20.11", "1 20.41"]);
    assert_eq!(pair.server.channel_count(), 0);
}

#[test]
fn a_number_is_free_again_as_soon_as_close_ok_is_sent() {
    let mut pair = Pair::channel();
    pair.client.close_channel(1);
    pair.client.open_channel(1);
    pair.settle();
    pair.expect(&["1 close", "1 open"], &["1 20.41", "1 20.11"]);
}

#[test]
fn frames_behind_a_close_wait_until_the_channel_was_released() {
    let mut pair = Pair::channel();
    pair.answers.channel_close = false;
    pair.client.close_channel(1);
    pair.client.open_channel(1);
    pair.settle();
    pair.expect(&["1 close"], &[]);
    assert!(pair.server.is_waiting());
    pair.server.channel_closed(1);
    pair.settle();
    pair.expect(&["1 open"], &["1 20.41", "1 20.11"]);
    assert!(!pair.server.is_waiting());
}

#[test]
fn a_channel_closed_by_the_broker_ignores_everything_until_close_ok() {
    let mut pair = Pair::channel();
    pair.server.close_channel(1, &not_found());
    pair.client.method(1, &declare("q"));
    pair.client.publish(1, ("x", "k"), &[0, 0], b"body", 2);
    pair.client.ack(1, 1, false);
    pair.settle();
    let text = "1 close 404 NOT_FOUND - no exchange 'nope' in vhost '/' 60/40";
    pair.expect(&[], &[text]);
    pair.client.close_ok(1);
    pair.client.open_channel(1);
    pair.settle();
    pair.expect(&["1 close-ok", "1 open"], &["1 20.11"]);
}

#[test]
fn closes_that_cross_are_both_answered() {
    let mut pair = Pair::channel();
    pair.server.close_channel(1, &not_found());
    pair.client.close_channel(1);
    pair.settle();
    assert_eq!(pair.messages.last().unwrap(), "1 20.41");
    pair.forget();
    pair.client.close_ok(1);
    pair.settle();
    pair.expect(&["1 close-ok"], &[]);
}

#[test]
fn a_content_that_was_begun_is_dropped_when_its_channel_is_closed() {
    let mut pair = Pair::channel();
    pair.client.publish_method(1, "x", "k");
    pair.client.content_header(1, &[0, 0], 100_000);
    pair.client.frame(3, 1, &[7; 40_000]);
    pair.settle();
    pair.server.close_channel(1, &not_found());
    pair.client.frame(3, 1, &[7; 60_000]);
    pair.client.close_ok(1);
    pair.settle();
    assert_eq!(pair.events, ["1 close-ok"]);
}

#[test]
fn channels_are_counted_not_numbered() {
    let client = ClientOptions { channel_max: 2, ..Default::default() };
    let mut pair = Pair::open_with(ServerOptions::default(), client);
    pair.client.open_channel(50);
    pair.client.open_channel(7);
    pair.settle();
    pair.expect(&["50 open", "7 open"], &["50 20.11", "7 20.11"]);
    pair.client.open_channel(1);
    pair.settle();
    let text = "530 NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2) \
         0/0";
    pair.expect(&[&format!("failed {text}")], &[&format!("close {text}")]);
}

#[test]
fn a_channel_may_be_refused_by_the_owner() {
    let mut pair = Pair::open();
    pair.answers.channel_open = false;
    pair.client.open_channel(1);
    pair.settle();
    let text = "number of channels opened for user 'lim' has reached the maximum allowed user limit of (1)";
    pair.server.close(&Reply::new(ReplyCode::NotAllowed, (0, 0), text), 0);
    pair.settle();
    pair.expect(&["1 open"], &[&format!("close 530 NOT_ALLOWED - {text} 0/0")]);
}

#[test]
fn methods_come_with_their_table_as_sent() {
    let mut pair = Pair::channel();
    let table = [1, b'a', b's', 0, 1, 1, b'a', b'L', 0, 0, 0, 0, 0, 0, 0, 9];
    let mut payload = vec![0, 50, 0, 10, 0, 0, 1, b'q', 2, 0, 0, 0, 16];
    payload.extend_from_slice(&table);
    pair.client.frame(1, 1, &payload);
    pair.settle();
    pair.expect(&[&format!("1 method 50.10 {table:?}")], &[]);
}

#[test]
fn acks_nacks_and_rejects_are_events_of_their_own() {
    let mut pair = Pair::channel();
    pair.client.ack(1, 7, true);
    let nack = basic::Nack { delivery_tag: 8, multiple: false, requeue: true };
    pair.client.method(1, &AMQPClass::Basic(basic::AMQPMethod::Nack(nack)));
    let reject = basic::Reject { delivery_tag: u64::MAX, requeue: true };
    pair.client.method(1, &AMQPClass::Basic(basic::AMQPMethod::Reject(reject)));
    pair.settle();
    let reject = format!("1 reject {} true", u64::MAX);
    pair.expect(&["1 ack 7 true", "1 nack 8 false true", &reject], &[]);
}

#[test]
fn the_answer_to_a_cancel_of_ours_is_swallowed() {
    let mut pair = Pair::channel();
    let cancel_ok = basic::CancelOk { consumer_tag: "c".into() };
    pair.client.method(1, &AMQPClass::Basic(basic::AMQPMethod::CancelOk(cancel_ok)));
    pair.settle();
    pair.expect(&[], &[]);
}

#[test]
fn update_secret_is_a_method_of_channel_0() {
    let mut pair = Pair::open();
    pair.client.frame(1, 0, b"\x00\x0a\x00\x46\x00\x00\x00\x03new\x06reason");
    pair.settle();
    pair.expect(&["0 method 10.70 []"], &[]);
}

#[test]
fn the_client_closes_the_connection() {
    let mut pair = Pair::channel();
    pair.answers.close = false;
    pair.client.close();
    pair.client.open_channel(2);
    pair.settle();
    pair.expect(&["close requested 200 "], &[]);
    assert!(pair.server.is_waiting());
    pair.server.close_ok();
    pair.settle();
    pair.expect(&["closed reset=false delay=30000"], &["0 10.51"]);
}

#[test]
fn the_broker_closes_the_connection_and_ignores_what_was_on_its_way() {
    let mut pair = Pair::channel();
    let shutdown = "broker forced connection closure with reason 'shutdown'";
    pair.server.close(&Reply::new(ReplyCode::ConnectionForced, (0, 0), shutdown), 0);
    pair.client.publish(1, ("x", "k"), &[0, 0], b"body", 9);
    pair.client.frame(1, 1, &[0, 99, 0, 99]);
    pair.client.close();
    pair.client.close_ok(0);
    pair.settle();
    let close = format!("close 320 CONNECTION_FORCED - {shutdown} 0/0");
    pair.expect(&["closed reset=false delay=0"], &[&close, "0 10.51"]);
}

#[test]
fn a_client_that_does_not_answer_a_close_is_reset() {
    for (heartbeat_secs, wait_ms) in [(0, 30_000), (5, 5_000), (60, 30_000)] {
        let client = ClientOptions { heartbeat_secs, ..Default::default() };
        let mut pair = Pair::open_with(ServerOptions::default(), client);
        pair.server.close(&Reply::new(ReplyCode::ConnectionForced, (0, 0), "x"), pair.now_ms);
        pair.settle();
        pair.forget();
        pair.advance(wait_ms - 1);
        pair.expect(&[], &[]);
        pair.advance(1);
        pair.expect(&["closed reset=true delay=0"], &[]);
    }
}
