//! Every refusal of the protocol layer, byte for byte: what is sent, and what comes back.

use crate::pair::{Answers, Pair};

/// A frame.
fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&[kind][..], &channel.to_be_bytes(), &length, payload, &[0xCE]].concat()
}

/// A method frame on channel 1.
fn method(class_id: u8, method_id: u8, arguments: &[u8]) -> Vec<u8> {
    frame(1, 1, &[&[0, class_id, 0, method_id][..], arguments].concat())
}

/// A method frame on channel 0.
fn zero(class_id: u8, method_id: u8, arguments: &[u8]) -> Vec<u8> {
    frame(1, 0, &[&[0, class_id, 0, method_id][..], arguments].concat())
}

fn publish() -> Vec<u8> {
    method(60, 40, &[0, 0, 0, 1, b'q', 0])
}

fn header(class_id: u8, weight: u8, size: u64, properties: &[u8]) -> Vec<u8> {
    frame(2, 1, &[&[0, class_id, 0, weight][..], &size.to_be_bytes(), properties].concat())
}

fn declare() -> Vec<u8> {
    method(50, 10, &[0, 0, 1, b'q', 0, 0, 0, 0, 0])
}

/// On an open connection with channel 1 open, `bytes` end the connection with `close`.
fn rows() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let after_publish = |rest: Vec<u8>| [publish(), rest].concat();
    let in_body = |rest: Vec<u8>| [publish(), header(60, 0, 2, &[0, 0]), rest].concat();
    let unopened = |class: u8, id: u8, arguments: &[u8]| {
        frame(1, 7, &[&[0, class, 0, id][..], arguments].concat())
    };
    vec![
        // Channels.
        (
            "second open",
            method(20, 10, &[0]),
            "504 CHANNEL_ERROR - second 'channel.open' seen 20/10",
        ),
        (
            "unopened: declare",
            unopened(50, 10, &[0, 0, 1, b'q', 0, 0, 0, 0, 0]),
            "504 CHANNEL_ERROR - expected 'channel.open' 50/10",
        ),
        (
            "unopened: close",
            unopened(20, 40, &[0, 200, 0, 0, 0, 0, 0]),
            "504 CHANNEL_ERROR - expected 'channel.open' 20/40",
        ),
        (
            "unopened: close-ok",
            unopened(20, 41, &[]),
            "504 CHANNEL_ERROR - expected 'channel.open' 20/41",
        ),
        (
            "unopened: body",
            frame(3, 7, b"x"),
            "505 UNEXPECTED_FRAME - expected method frame, got non method frame instead 0/0",
        ),
        (
            "close-ok of an open channel",
            method(20, 41, &[]),
            "503 COMMAND_INVALID - unimplemented method 20/41",
        ),
        (
            "connection.close on a channel",
            method(10, 50, &[0, 200, 0, 0, 0, 0, 0]),
            "503 COMMAND_INVALID - unimplemented method 10/50",
        ),
        (
            "queue.declare-ok",
            method(50, 11, &[1, b'q', 0, 0, 0, 0, 0, 0, 0, 0]),
            "503 COMMAND_INVALID - unimplemented method 50/11",
        ),
        (
            "channel.open-ok",
            method(20, 11, &[0; 4]),
            "503 COMMAND_INVALID - unimplemented method 20/11",
        ),
        (
            "channel.flow-ok",
            method(20, 21, &[1]),
            "503 COMMAND_INVALID - unimplemented method 20/21",
        ),
        (
            "confirm.select-ok",
            method(85, 11, &[]),
            "503 COMMAND_INVALID - unimplemented method 85/11",
        ),
        // Channel 0.
        (
            "queue.declare on 0",
            zero(50, 10, &[0, 0, 1, b'q', 0, 0, 0, 0, 0]),
            "504 CHANNEL_ERROR - unexpected method in connection state running 50/10",
        ),
        (
            "tune-ok again",
            zero(10, 31, &[0; 8]),
            "504 CHANNEL_ERROR - unexpected method in connection state running 10/31",
        ),
        (
            "open again",
            zero(10, 40, b"\x01/\x00\x00"),
            "504 CHANNEL_ERROR - unexpected method in connection state running 10/40",
        ),
        (
            "blocked from a client",
            zero(10, 60, b"\x01a"),
            "504 CHANNEL_ERROR - unexpected method in connection state running 10/60",
        ),
        (
            "header on 0",
            frame(2, 0, &[0; 14]),
            "505 UNEXPECTED_FRAME - type 2, all octets = <<0,0,0,0,0,0,0,0,0,0,0,0,0,0>> 0/0",
        ),
        (
            "body on 0",
            frame(3, 0, b"ab\n\"\\\x01\xe9"),
            "505 UNEXPECTED_FRAME - type 3, all octets = <<97,98,10,34,92,1,233>> 0/0",
        ),
        ("undecodable on 0", zero(10, 50, &[0]), "541 INTERNAL_ERROR - cannot decode <<0>> 0/0"),
        // Frames.
        (
            "unknown type",
            frame(9, 1, b"ab"),
            "501 FRAME_ERROR - type 9, all octets = <<\"ab\">>: unknown_frame 0/0",
        ),
        (
            "unknown type, 20 octets",
            frame(9, 1, b"abcdefghijklmnopqrst"),
            "501 FRAME_ERROR - type 9, first 16 octets = <<\"abcdefghijklmnop\">>: unknown_frame 0/0",
        ),
        (
            "method of 3 octets",
            frame(1, 1, &[0, 60, 0]),
            "501 FRAME_ERROR - type 1, all octets = <<0,60,0>>: unknown_frame 0/0",
        ),
        (
            "empty method",
            frame(1, 0, &[]),
            "501 FRAME_ERROR - type 1, all octets = <<>>: unknown_frame 0/0",
        ),
        (
            "heartbeat on a channel",
            frame(8, 1, &[]),
            "505 UNEXPECTED_FRAME - type 8, all octets = <<>> 0/0",
        ),
        (
            "heartbeat with a payload",
            frame(8, 0, b"xx"),
            "501 FRAME_ERROR - type 8, all octets = <<\"xx\">>: unknown_frame 0/0",
        ),
        // Arguments.
        (
            "arguments too long",
            method(50, 10, b"\x00\x00\x02pq\x08\x00\x00\x00\x00zz"),
            "501 FRAME_ERROR - cannot decode <<0,0,2,112,113,8,0,0,0,0,122,122>> 50/10",
        ),
        (
            "arguments too short",
            method(50, 10, b"\x00\x00\x02pq"),
            "501 FRAME_ERROR - cannot decode <<0,0,2,112,113>> 50/10",
        ),
        (
            "short string that is no text",
            method(50, 10, b"\x00\x00\x01\xff\x00\x00\x00\x00\x00"),
            "501 FRAME_ERROR - Malformed UTF-8 in shortstr 0/0",
        ),
        (
            "exchange that is no text",
            method(60, 40, b"\x00\x00\x01\xff\x00\x00"),
            "501 FRAME_ERROR - Malformed UTF-8 in shortstr 0/0",
        ),
        (
            "unknown type in a table",
            method(50, 10, b"\x00\x00\x00\x00\x00\x00\x00\x03\x01aZ"),
            "501 FRAME_ERROR - cannot decode <<0,0,0,0,0,0,0,3,1,97,90>> 50/10",
        ),
        ("ack too short", method(60, 80, &[0]), "501 FRAME_ERROR - cannot decode <<0>> 60/80"),
        (
            "ack too long",
            method(60, 80, &[0; 10]),
            "501 FRAME_ERROR - cannot decode <<0,0,0,0,0,0,0,0,0,0>> 60/80",
        ),
        // Contents.
        (
            "body without method",
            frame(3, 1, b"x"),
            "505 UNEXPECTED_FRAME - expected method frame, got non method frame instead 0/0",
        ),
        (
            "header without method",
            header(60, 0, 1, &[0, 0]),
            "505 UNEXPECTED_FRAME - expected method frame, got non method frame instead 0/0",
        ),
        (
            "method for header",
            after_publish(declare()),
            "505 UNEXPECTED_FRAME - expected content header for class 60, got non content header \
             frame instead 60/40",
        ),
        (
            "body for header",
            after_publish(frame(3, 1, b"x")),
            "505 UNEXPECTED_FRAME - expected content header for class 60, got non content header \
             frame instead 60/40",
        ),
        (
            "header with weight",
            after_publish(header(60, 1, 0, &[0, 0])),
            "505 UNEXPECTED_FRAME - expected content header for class 60, got non content header \
             frame instead 60/40",
        ),
        (
            "header of another class",
            after_publish(header(50, 0, 0, &[0, 0])),
            "505 UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 \
             instead 60/40",
        ),
        (
            "header of 11 octets",
            after_publish(frame(2, 1, &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
            "501 FRAME_ERROR - type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0>>: unknown_frame 0/0",
        ),
        (
            "header without flags",
            after_publish(header(60, 0, 0, &[])),
            "541 INTERNAL_ERROR - cannot decode properties: property list ends too early: <<>> 0/0",
        ),
        (
            "properties too long",
            after_publish(header(60, 0, 0, &[0, 0, 1])),
            "541 INTERNAL_ERROR - cannot decode properties: 1 bytes follow the property list: \
             <<0,0,1>> 0/0",
        ),
        (
            "unknown type in headers",
            after_publish(header(60, 0, 0, b"\x20\x00\x00\x00\x00\x03\x01aZ")),
            "541 INTERNAL_ERROR - cannot decode properties: headers: field table holds a value of \
             unknown type 90: <<32,0,0,0,0,3,1,97,90>> 0/0",
        ),
        (
            "body over 512 MiB",
            after_publish(header(60, 0, 629_145_600, &[0, 0])),
            "501 FRAME_ERROR - content body size 629145600 exceeds maximum allowed size 536870912 \
             60/40",
        ),
        (
            "method for body",
            in_body(declare()),
            "505 UNEXPECTED_FRAME - expected content body, got non content body frame instead 60/40",
        ),
        (
            "header for body",
            in_body(header(60, 0, 2, &[0, 0])),
            "505 UNEXPECTED_FRAME - expected content body, got non content body frame instead 60/40",
        ),
        (
            "heartbeat for body",
            in_body(frame(8, 1, &[])),
            "505 UNEXPECTED_FRAME - type 8, all octets = <<>> 0/0",
        ),
        (
            "body too long",
            in_body(frame(3, 1, b"xxx")),
            "501 FRAME_ERROR - content body frame exceeds remaining content size 60/40",
        ),
        (
            "body too long in its second frame",
            in_body([frame(3, 1, b"x"), frame(3, 1, b"xx")].concat()),
            "501 FRAME_ERROR - content body frame exceeds remaining content size 60/40",
        ),
    ]
}

#[test]
fn errors_on_an_open_connection_close_it_with_their_code_and_text() {
    for (name, bytes, reply) in rows() {
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
