//! Every refusal of the protocol layer, byte for byte: what is sent, and what comes back.

use crate::error_rows::{self, declare, frame, method, publish, zero};
use crate::pair::{Answers, Pair};

#[test]
fn errors_on_an_open_connection_close_it_with_their_code_and_text() {
    for (name, bytes, reply) in error_rows::all() {
        let mut pair = Pair::channel();
        pair.client.raw(&bytes);
        pair.settle();
        let (failed, close) = (format!("failed {reply}"), format!("close {reply}"));
        assert_eq!((&pair.events, &pair.messages), (&vec![failed], &vec![close]), "{name}");
        pair.forget();
        pair.client.close_ok(0);
        pair.settle();
        pair.expect(&["closed reset=false delay=0"], &[]);
    }
}

#[test]
fn a_channel_that_is_closing_still_keeps_the_order_of_frames() {
    let cases = [
        (frame(3, 1, b"x"), "expected method frame, got non method frame instead 0/0"),
        (
            [publish(), declare()].concat(),
            "expected content header for class 60, got non content header frame instead 60/40",
        ),
    ];
    for (bytes, text) in cases {
        let mut pair = Pair::channel();
        let reply =
            leveret_protocol::Reply::new(leveret_protocol::ReplyCode::NotFound, (60, 40), "x");
        pair.server.close_channel(1, &reply);
        pair.client.raw(&bytes);
        pair.settle();
        pair.expect(
            &[&format!("failed 505 UNEXPECTED_FRAME - {text}")],
            &["1 close 404 NOT_FOUND - x 60/40", &format!("close 505 UNEXPECTED_FRAME - {text}")],
        );
    }
}

#[test]
fn a_spoilt_frame_closes_with_501_and_resets_after_a_pause() {
    let mut bad_end = frame(1, 0, &[0, 60, 0, 10, 0]);
    *bad_end.last_mut().unwrap() = 0;
    let too_large = vec![1, 0, 1, 0, 2, 0, 1];
    let cases = [
        (bad_end, "type 1, all octets = <<0,60,0,10,0>>: {invalid_frame_end_marker,0}"),
        (too_large, "type 1, all octets = <<>>: {frame_too_large,131073,131064}"),
    ];
    for (bytes, text) in cases {
        let mut pair = Pair::channel();
        pair.client.raw(&bytes);
        pair.client.close_ok(0);
        pair.settle();
        let (failed, close) = (
            format!("failed 501 FRAME_ERROR - {text} 0/0"),
            format!("close 501 FRAME_ERROR - {text} 0/0"),
        );
        pair.expect(&[&failed, "closed reset=true delay=3000"], &[&close]);
    }
}

#[test]
fn a_spoilt_frame_after_the_end_is_answered_with_silence() {
    let mut pair = Pair::channel();
    pair.client.raw(&method(20, 10, &[0]));
    pair.settle();
    pair.forget();
    pair.client.raw(&[1, 0, 0, 0, 0, 0, 0, 7]);
    pair.settle();
    pair.expect(&["closed reset=true delay=3000"], &[]);
}

#[test]
fn unknown_methods_cut_the_connection_off() {
    for (bytes, class_id, method_id) in
        [(zero(10, 99, &[]), 10, 99), (method(60, 99, &[]), 60, 99), (method(99, 1, &[]), 99, 1)]
    {
        let mut pair = Pair::channel();
        pair.client.raw(&bytes);
        pair.settle();
        let failed = format!(
            "failed 503 COMMAND_INVALID - unknown method {method_id} of class {class_id} 0/0"
        );
        pair.expect(&[&failed, "closed reset=true delay=0"], &[]);
    }
}

/// Sends `bytes` in each state of the handshake; returns events and messages since.
fn in_state(state: &str, bytes: &[u8]) -> Pair {
    let mut pair = Pair::new();
    let hello = b"AMQP\x00\x00\x09\x01";
    pair.client.poll_output(&mut Vec::new());
    pair.client.raw(hello);
    if state != "starting" {
        pair.client.start_ok();
    }
    if state == "opening" {
        pair.client.raw(&zero(10, 31, &[0, 1, 0, 0, 0x20, 0, 0, 0]));
    }
    pair.answers = Answers::ALL;
    pair.settle_silently();
    assert_eq!(pair.server.state_name(), state);
    pair.forget();
    pair.client.raw(bytes);
    pair.settle_silently();
    pair
}

#[test]
fn errors_before_tune_ok_are_answered_with_silence() {
    let declare_on_zero = zero(50, 10, &[0, 0, 1, b'q', 0, 0, 0, 0, 0]);
    for state in ["starting", "tuning"] {
        let too_large = vec![1, 0, 0, 0, 0, 0x20, 1];
        let close = zero(10, 50, &[0, 200, 0, 0, 0, 0, 0]);
        let open_channel = method(20, 10, &[0]);
        let cases: [(Vec<u8>, String); 5] = [
            (
                declare_on_zero.clone(),
                format!("504 CHANNEL_ERROR - unexpected method in connection state {state} 50/10"),
            ),
            (
                close,
                format!("504 CHANNEL_ERROR - unexpected method in connection state {state} 10/50"),
            ),
            (
                open_channel,
                "505 UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>> 0/0".to_owned(),
            ),
            (
                too_large,
                "501 FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,8193,8184} 0/0"
                    .to_owned(),
            ),
            (zero(10, 31, &[0, 0]), "541 INTERNAL_ERROR - cannot decode <<0,0>> 0/0".to_owned()),
        ];
        for (bytes, failed) in cases {
            let mut pair = in_state(state, &bytes);
            pair.expect(&[&format!("failed {failed}"), "closed reset=true delay=3000"], &[]);
            pair.settle();
            pair.expect(&[], &[]);
        }
    }
}

#[test]
fn errors_after_tune_ok_are_told() {
    let mut pair = in_state("opening", &method(20, 10, &[0]));
    let text = "failed 505 UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>> 0/0";
    pair.expect(&[text], &[]);
    assert_eq!(pair.server.state_name(), "closing");
    let mut pair = in_state("opening", &zero(50, 10, &[0, 0, 1, b'q', 0, 0, 0, 0, 0]));
    pair.expect(
        &["failed 504 CHANNEL_ERROR - unexpected method in connection state opening 50/10"],
        &[],
    );
}

#[test]
fn unknown_mechanisms_and_malformed_responses_are_answered_with_silence() {
    let start_ok = |mechanism: &[u8], response: &[u8]| {
        let sizes = ([mechanism.len() as u8], (response.len() as u32).to_be_bytes());
        zero(10, 11, &[&[0; 4][..], &sizes.0, mechanism, &sizes.1, response, b"\x05en_US"].concat())
    };
    let cases = [
        (
            start_ok(b"BOGUS", b""),
            "503 COMMAND_INVALID - unknown authentication mechanism 'BOGUS' 10/11",
        ),
        (
            start_ok(b"PLAIN", b"guest"),
            "502 SYNTAX_ERROR - malformed response of authentication mechanism PLAIN 10/11",
        ),
        (
            start_ok(b"AMQPLAIN", b"\x05LOGINS\x00\x00\x00\x01g"),
            "502 SYNTAX_ERROR - malformed response of authentication mechanism AMQPLAIN 10/11",
        ),
    ];
    for (bytes, failed) in cases {
        let mut pair = in_state("starting", &bytes);
        pair.expect(&[&format!("failed {failed}"), "closed reset=true delay=3000"], &[]);
    }
}

#[test]
fn amqplain_logs_in() {
    let response = b"\x05LOGINS\x00\x00\x00\x01g\x08PASSWORDS\x00\x00\x00\x01p";
    let length = (response.len() as u32).to_be_bytes();
    let bytes =
        zero(10, 11, &[&[0; 4][..], b"\x08AMQPLAIN", &length, response, b"\x05en_US"].concat());
    let mut pair = in_state("starting", &bytes);
    pair.expect(&["login AMQPLAIN g p"], &[]);
}

#[test]
fn a_heartbeat_before_login_does_no_harm() {
    let mut pair = in_state("starting", &frame(8, 0, &[]));
    pair.expect(&[], &[]);
}
