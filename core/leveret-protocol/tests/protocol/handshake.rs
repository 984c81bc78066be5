//! From the protocol header to connection.open.

use leveret_protocol::{ClientOptions, PeerProtocol, Reply, ReplyCode, ServerOptions};

use crate::pair::{Answers, Pair};

const HELLO: &[u8] = b"AMQP\x00\x00\x09\x01";
const PROTOCOL_HEADER: &str = "header [65, 77, 81, 80, 0, 0, 9, 1]";

fn with(client: ClientOptions) -> Pair {
    Pair::with(ServerOptions::default(), client)
}

#[test]
fn a_client_gets_through() {
    let mut pair = Pair::new();
    pair.settle();
    pair.expect(&["login PLAIN guest guest", "open /"], &["0 10.10", "0 10.30", "0 10.41"]);
    assert_eq!(pair.server.connection_name(), Some("pair"));
    assert!(pair.server.consumer_cancel_notify());
    assert!(pair.server.connection_blocked());
    assert!(pair.server.authentication_failure_close());
    assert_eq!((pair.server.frame_max(), pair.server.channel_max()), (131_072, 2047));
}

#[test]
fn a_client_may_send_its_whole_handshake_at_once_and_waits_for_the_answers() {
    let mut pair = Pair::new();
    pair.answers = Answers { login: false, open: false, ..Answers::ALL };
    pair.client.start_ok();
    pair.client.tune_ok_and_open();
    pair.client.open_channel(1);
    pair.settle_silently();
    assert_eq!(pair.events, ["login PLAIN guest guest"]);
    assert!(pair.server.is_waiting());
    pair.server.accept_login();
    pair.settle_silently();
    assert_eq!(pair.events, ["login PLAIN guest guest", "open /"]);
    assert!(pair.server.is_waiting() && pair.unread() > 0);
    pair.server.open_ok();
    pair.settle_silently();
    assert_eq!(pair.events.last().unwrap(), "1 open");
    assert!(!pair.server.is_waiting() && pair.unread() == 0);
}

#[test]
fn unlisted_capabilities_are_off() {
    let mut pair = with(ClientOptions { client_properties: Vec::new(), ..Default::default() });
    pair.settle();
    assert_eq!(pair.server.state_name(), "running");
    assert!(!pair.server.consumer_cancel_notify());
    assert!(!pair.server.connection_blocked());
    assert!(!pair.server.authentication_failure_close());
    assert_eq!(pair.server.connection_name(), None);
}

#[test]
fn a_refused_login_is_told_to_a_client_that_can_take_it() {
    let mut pair = Pair::new();
    pair.answers.login = false;
    pair.settle();
    pair.server.refuse_login(0);
    pair.settle();
    let text = "close 403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
                For details see the broker logfile. 0/0";
    pair.expect(&["login PLAIN guest guest"], &["0 10.10", text]);
    pair.client.close_ok(0);
    pair.settle();
    pair.expect(&["closed reset=false delay=0"], &[]);
}

#[test]
fn a_refused_login_that_is_not_acknowledged_is_reset_after_three_seconds() {
    let mut pair = Pair::new();
    pair.answers.login = false;
    pair.settle();
    pair.server.refuse_login(0);
    pair.settle();
    pair.forget();
    pair.advance(2_999);
    pair.expect(&[], &[]);
    pair.advance(1);
    pair.expect(&["closed reset=true delay=0"], &[]);
}

#[test]
fn a_refused_login_is_silence_for_a_client_that_cannot_take_it() {
    let mut pair = with(ClientOptions { client_properties: Vec::new(), ..Default::default() });
    pair.answers.login = false;
    pair.settle();
    pair.server.refuse_login(0);
    pair.settle();
    pair.expect(&["login PLAIN guest guest", "closed reset=true delay=3000"], &["0 10.10"]);
}

#[test]
fn an_unknown_virtual_host_is_refused_with_530() {
    let mut pair = Pair::new();
    pair.answers.open = false;
    pair.settle();
    pair.forget();
    pair.server.close(&Reply::new(ReplyCode::NotAllowed, (10, 40), "vhost nope not found"), 0);
    pair.settle();
    pair.expect(&[], &["close 530 NOT_ALLOWED - vhost nope not found 10/40"]);
    pair.client.open_channel(1);
    pair.client.close_ok(0);
    pair.settle();
    pair.expect(&["closed reset=false delay=0"], &[]);
}

#[test]
fn other_protocols_are_told_what_we_speak_and_recognised() {
    let cases: &[(&[u8], PeerProtocol)] = &[
        (b"AMQP\x03\x01\x00\x00", PeerProtocol::OtherAmqp { version: [3, 1, 0, 0] }),
        (b"AMQP\x00\x01\x00\x00", PeerProtocol::OtherAmqp { version: [0, 1, 0, 0] }),
        (b"AMQP\x00\x00\x09\x02", PeerProtocol::OtherAmqp { version: [0, 0, 9, 2] }),
        (b"GET / HTTP/1.1\r\n\r\n", PeerProtocol::Http),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", PeerProtocol::Tls),
        (b"SSH-2.0-x\r\n", PeerProtocol::Unknown { header: *b"SSH-2.0-" }),
    ];
    for (bytes, peer) in cases {
        let mut pair = Pair::new();
        pair.client = silent_client();
        pair.client.raw(bytes);
        pair.settle();
        let wrong = format!("wrong protocol {peer:?}");
        pair.expect(&[&wrong, "closed reset=false delay=0"], &[PROTOCOL_HEADER]);
    }
}

#[test]
fn amqp_0_9_is_served_as_0_9_1() {
    let mut pair = Pair::new();
    pair.client = silent_client();
    pair.client.raw(b"AMQP\x01\x01\x00\x09");
    pair.settle();
    assert_eq!(pair.messages[0], "0 10.10");
}

#[test]
fn fewer_than_eight_bytes_are_waited_for() {
    let mut pair = Pair::new();
    pair.client = silent_client();
    pair.client.raw(b"AMQPX");
    pair.settle();
    pair.expect(&[], &[]);
    assert_eq!(pair.server.needed(), 8);
}

/// A client that has said nothing yet.
fn silent_client() -> leveret_protocol::Client {
    let mut client = leveret_protocol::Client::new(ClientOptions::default());
    client.poll_output(&mut Vec::new());
    client
}

#[test]
fn values_out_of_range_in_tune_ok_are_answered_with_silence() {
    let range = |name: &str, rest: &str| {
        format!("failed 530 NOT_ALLOWED - negotiated {name} = {rest} 10/31")
    };
    let cases = [
        (
            0,
            131_072,
            range("channel_max", "0 (no limit) is higher than the maximum allowed value (2047)"),
        ),
        (
            2048,
            131_072,
            range("channel_max", "2048 is higher than the maximum allowed value (2047)"),
        ),
        (
            10,
            0,
            range("frame_max", "0 (no limit) is higher than the maximum allowed value (131072)"),
        ),
        (
            10,
            131_073,
            range("frame_max", "131073 is higher than the maximum allowed value (131072)"),
        ),
        (10, 4095, range("frame_max", "4095 is lower than the minimum allowed value (4096)")),
    ];
    for (channel_max, frame_max, failed) in cases {
        let mut pair = with(ClientOptions { channel_max, frame_max, ..Default::default() });
        pair.settle();
        let events = ["login PLAIN guest guest", &*failed, "closed reset=true delay=3000"];
        pair.expect(&events, &["0 10.10", "0 10.30"]);
    }
}

#[test]
fn the_smallest_frame_max_and_a_server_without_limits_are_fine() {
    let pair = Pair::open_with(
        ServerOptions::default(),
        ClientOptions { frame_max: 4096, channel_max: 1, ..Default::default() },
    );
    assert_eq!((pair.server.frame_max(), pair.server.channel_max()), (4096, 1));
    let pair = Pair::open_with(
        ServerOptions { frame_max: 0, channel_max: 0, ..Default::default() },
        ClientOptions { frame_max: 0, channel_max: 0, ..Default::default() },
    );
    assert_eq!((pair.server.frame_max(), pair.server.channel_max()), (0, 0));
}

#[test]
fn start_ok_may_have_8192_bytes_and_not_one_more() {
    for (size, passes) in [(8192, true), (8193, false)] {
        let mut pair = Pair::new();
        pair.client = silent_client();
        pair.client.raw(HELLO);
        let fixed = 4 + 4 + 6 + 4 + 12 + 1;
        let table_bytes = size - fixed;
        let value = vec![b'v'; table_bytes - 7];
        let mut table = vec![1, b'k', b'S'];
        table.extend_from_slice(&(value.len() as u32).to_be_bytes());
        table.extend_from_slice(&value);
        let mut payload = vec![0, 10, 0, 11];
        payload.extend_from_slice(&(table.len() as u32).to_be_bytes());
        payload.extend_from_slice(&table);
        payload.extend_from_slice(b"\x05PLAIN\x00\x00\x00\x0c\x00guest\x00guest\x00");
        assert_eq!(payload.len(), size);
        pair.client.frame(1, 0, &payload);
        pair.settle();
        assert_eq!(pair.events[0].starts_with("login"), passes, "{:?}", pair.events);
    }
}

#[test]
fn nested_tables_before_login_are_refused_without_recursion() {
    let mut value = vec![b'V'];
    for _ in 0..1_500 {
        let mut outer = vec![b'A'];
        outer.extend_from_slice(&(value.len() as u32).to_be_bytes());
        outer.extend_from_slice(&value);
        value = outer;
    }
    let table = [&[1, b'k'][..], &value].concat();
    let mut payload = vec![0, 10, 0, 11];
    payload.extend_from_slice(&(table.len() as u32).to_be_bytes());
    payload.extend_from_slice(&table);
    payload.extend_from_slice(b"\x05PLAIN\x00\x00\x00\x0c\x00guest\x00guest\x05en_US");
    let mut pair = Pair::new();
    pair.client = silent_client();
    pair.client.raw(HELLO);
    pair.client.frame(1, 0, &payload);
    pair.settle();
    assert!(pair.events[0].starts_with("failed 541"), "{:?}", pair.events);
    assert_eq!(pair.events[1], "closed reset=true delay=3000");
}

#[test]
fn a_handshake_of_ten_seconds_is_reset() {
    for stop_at_login in [true, false] {
        let mut pair = Pair::new();
        pair.answers = Answers { login: !stop_at_login, open: false, ..Answers::ALL };
        pair.settle();
        pair.forget();
        pair.advance(9_999);
        pair.expect(&[], &[]);
        pair.advance(1);
        pair.expect(&["handshake timeout", "closed reset=true delay=0"], &[]);
        pair.server.accept_login();
        pair.server.open_ok();
        pair.settle();
        pair.expect(&[], &[]);
    }
}

#[test]
fn a_client_that_says_nothing_is_reset_after_ten_seconds() {
    let mut pair = Pair::new();
    pair.client = silent_client();
    pair.advance(10_000);
    pair.expect(&["handshake timeout", "closed reset=true delay=0"], &[]);
}

#[test]
fn closing_before_the_client_is_known_is_a_reset_without_words() {
    let mut pair = Pair::new();
    pair.answers.login = false;
    pair.settle();
    pair.forget();
    pair.server.close(&Reply::new(ReplyCode::ConnectionForced, (0, 0), "shutdown"), 0);
    pair.settle();
    pair.expect(&["closed reset=true delay=0"], &[]);
}

#[test]
fn a_connection_with_one_channel_is_small() {
    let pair = Pair::channel();
    let machine = size_of_val(&pair.server);
    let heap = pair.server.client_properties().len() + 32;
    assert!(machine + heap <= 600, "{machine} + {heap} bytes");
}
