//! basic.publish and its content, whole and in pieces.

use leveret_protocol::{ClientOptions, LOOKAHEAD_BYTES, ServerOptions};

use crate::pair::Pair;

#[test]
fn a_message_that_is_there_as_a_whole_is_one_event() {
    let mut pair = Pair::channel();
    pair.client.publish(1, ("x", "key"), &[0x10, 0, 2], b"body", 100);
    pair.client.publish(1, ("", "q"), &[0, 0], b"", 100);
    pair.settle();
    let first = "1 publish 'x' 'key' (false, false) [16, 0, 2] \"body\"";
    pair.expect(&[first, "1 publish '' 'q' (false, false) [0, 0] \"\""], &[]);
}

#[test]
fn a_message_in_several_body_frames_is_put_together() {
    let mut pair = Pair::channel();
    pair.client.publish(1, ("x", "key"), &[0, 0], b"body", 1);
    pair.settle();
    pair.expect(&["1 publish 'x' 'key' (false, false) [0, 0] \"body\""], &[]);
}

#[test]
fn frames_of_other_channels_and_heartbeats_may_come_in_between() {
    let mut pair = Pair::channel();
    pair.client.open_channel(2);
    pair.client.publish_method(1, "x", "one");
    pair.client.publish_method(2, "x", "two");
    pair.client.heartbeat();
    pair.client.content_header(2, &[0, 0], 2);
    pair.client.content_header(1, &[0, 0], 2);
    pair.client.frame(3, 1, b"1");
    pair.client.frame(3, 2, b"22");
    pair.client.frame(3, 1, b"1");
    pair.settle();
    let two = "2 publish 'x' 'two' (false, false) [0, 0] \"22\"";
    let one = "1 publish 'x' 'one' (false, false) [0, 0] \"11\"";
    pair.expect(&["2 open", two, one], &["2 20.11"]);
}

#[test]
fn empty_body_frames_are_allowed() {
    let mut pair = Pair::channel();
    pair.client.publish_method(1, "x", "k");
    pair.client.content_header(1, &[0, 0], 2);
    for part in [&b""[..], b"a", b"", b"b"] {
        pair.client.frame(3, 1, part);
    }
    pair.settle();
    pair.expect(&["1 publish 'x' 'k' (false, false) [0, 0] \"ab\""], &[]);
}

#[test]
fn mandatory_and_immediate_are_passed_on() {
    for bits in 0..4_u8 {
        for piece in [1, 9] {
            let mut pair = Pair::channel();
            pair.client.frame(1, 1, &[0, 60, 0, 40, 0, 0, 0, 1, b'q', bits]);
            pair.client.content_header(1, &[0, 0], 2);
            b"ab".chunks(piece).for_each(|part| pair.client.frame(3, 1, part));
            pair.settle();
            let flags = (bits & 1 != 0, bits & 2 != 0);
            pair.expect(&[&format!("1 publish '' 'q' {flags:?} [0, 0] \"ab\"")], &[]);
        }
    }
}

#[test]
fn a_small_message_stays_in_the_input_until_it_is_whole() {
    let mut pair = Pair::channel();
    pair.client.publish_method(1, "x", "k");
    pair.settle();
    let method_bytes = pair.unread();
    assert_eq!(pair.server.needed(), method_bytes + 8);
    pair.client.content_header(1, &[0, 0], 1_000);
    pair.settle();
    assert_eq!(pair.unread(), method_bytes + 22);
    assert_eq!(pair.server.needed(), method_bytes + 22 + 1_008);
    pair.expect(&[], &[]);
}

#[test]
fn a_large_message_leaves_the_input_before_it_is_whole() {
    let mut pair = Pair::channel();
    pair.client.publish_method(1, "x", "k");
    pair.client.content_header(1, &[0, 0], LOOKAHEAD_BYTES as u64);
    pair.settle();
    assert_eq!(pair.unread(), 0);
    assert_eq!(pair.server.needed(), 8);
}

#[test]
fn a_message_over_the_limit_costs_its_channel_after_its_last_byte() {
    for (size, piece) in [(11, 11), (11, 4), (10, 10)] {
        let server = ServerOptions { max_message_bytes: 10, ..Default::default() };
        let mut pair = Pair::open_with(server, ClientOptions::default());
        pair.client.open_channel(1);
        pair.settle();
        pair.forget();
        pair.client.publish(1, ("x", "k"), &[0, 0], &vec![b'b'; size], piece);
        pair.settle();
        if size == 10 {
            assert!(pair.events[0].starts_with("1 publish"));
            continue;
        }
        let text =
            "406 PRECONDITION_FAILED - message size 11 is larger than configured max size 10 60/40";
        pair.expect(&[&format!("1 failed {text}")], &[&format!("1 close {text}")]);
        pair.client.close_ok(1);
        pair.settle();
        pair.expect(&["1 close-ok"], &[]);
    }
}

#[test]
fn an_immediate_message_over_the_limit_is_refused_for_being_immediate() {
    let server = ServerOptions { max_message_bytes: 1, ..Default::default() };
    let mut pair = Pair::open_with(server, ClientOptions::default());
    pair.client.open_channel(1);
    pair.client.frame(1, 1, &[0, 60, 0, 40, 0, 0, 0, 1, b'q', 2]);
    pair.client.content_header(1, &[0, 0], 2);
    pair.client.frame(3, 1, b"ab");
    pair.settle();
    assert_eq!(pair.events[1], "failed 540 NOT_IMPLEMENTED - immediate=true 60/40");
}

#[test]
fn payloads_of_exactly_frame_max_pass() {
    let client = ClientOptions { frame_max: 4096, ..Default::default() };
    let mut pair = Pair::open_with(ServerOptions::default(), client);
    pair.client.open_channel(1);
    pair.client.publish(1, ("x", "k"), &[0, 0], &[b'b'; 4096], 4096);
    pair.settle();
    assert!(pair.events[1].starts_with("1 publish"), "{:?}", pair.events);
    pair.forget();
    pair.client.publish(1, ("x", "k"), &[0, 0], &[b'b'; 4097], 4097);
    pair.settle();
    let text = "501 FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,4097,4088} 0/0";
    let failed = format!("failed {text}");
    pair.expect(&[&failed, "closed reset=true delay=3000"], &[&format!("close {text}")]);
}

#[test]
fn a_large_header_is_checked_once_however_slowly_its_body_comes() {
    let mut pair = Pair::channel();
    let mut properties = b"\x20\x00\x00\x00\x13\x88\x01kS\x00\x00\x13\x81".to_vec();
    properties.extend_from_slice(&[b'v'; 0x1381]);
    pair.client.publish_method(1, "x", "k");
    pair.client.content_header(1, &properties, 3);
    pair.settle();
    assert_eq!(pair.unread(), 0);
    pair.client.frame(3, 1, b"abc");
    pair.settle();
    assert!(pair.events[0].ends_with("\"abc\""), "{:?}", pair.events);
}
