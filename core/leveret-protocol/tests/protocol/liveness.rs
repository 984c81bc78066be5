//! Heartbeats both ways.

use leveret_protocol::{ClientOptions, ServerOptions};

use crate::pair::Pair;

fn beating(heartbeat_secs: u16) -> Pair {
    let client = ClientOptions { heartbeat_secs, ..Default::default() };
    Pair::open_with(ServerOptions::default(), client)
}

#[test]
fn the_clients_interval_is_adopted() {
    assert_eq!(beating(7).server.heartbeat_secs(), 7);
    assert_eq!(beating(0).server.poll_timeout(), None);
}

#[test]
fn a_heartbeat_is_sent_every_half_interval_in_which_nothing_else_was() {
    let mut pair = beating(2);
    pair.advance(999);
    pair.expect(&[], &[]);
    pair.advance(1);
    pair.expect(&[], &["heartbeat"]);
    pair.advance(500);
    pair.server.sent(pair.now_ms);
    pair.advance(999);
    pair.expect(&[], &[]);
    pair.advance(1);
    pair.expect(&[], &["heartbeat"]);
}

#[test]
fn a_peer_that_is_silent_for_three_intervals_is_reset_without_words() {
    let mut pair = beating(2);
    pair.advance(5_999);
    assert_eq!(pair.events, Vec::<String>::new());
    pair.forget();
    pair.advance(1);
    pair.expect(&["heartbeat missed", "closed reset=true delay=0"], &[]);
    assert_eq!(pair.server.poll_timeout(), None);
}

#[test]
fn any_byte_counts_as_a_sign_of_life() {
    let mut pair = beating(2);
    for _ in 0..5 {
        pair.advance(5_000);
        // Half a frame.
        pair.server.received(pair.now_ms);
    }
    pair.client.heartbeat();
    pair.settle();
    assert_eq!(pair.events, Vec::<String>::new());
}

#[test]
fn silence_does_not_count_while_an_alarm_keeps_us_from_reading() {
    let mut pair = beating(2);
    pair.server.pause_liveness(true, pair.now_ms);
    pair.advance(60_000);
    assert_eq!(pair.events, Vec::<String>::new());
    pair.server.pause_liveness(false, pair.now_ms);
    pair.advance(5_999);
    assert_eq!(pair.events, Vec::<String>::new());
    pair.advance(1);
    assert_eq!(pair.events[0], "heartbeat missed");
}
