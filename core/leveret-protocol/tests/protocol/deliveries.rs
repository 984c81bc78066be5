//! What the broker writes, read back by a client.

use std::sync::Arc;

use leveret_protocol::content::append_run;
use leveret_protocol::methods::{AMQPClass, basic};
use leveret_protocol::{
    Client, ClientOptions, Connection, Event, Reply, ReplyCode, Run, ServerMessage, ServerOptions,
    encode,
};

use crate::pair::Pair;

fn run(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_run(&mut bytes, "ex", "key", &[0x10, 0, 2], body);
    bytes
}

/// Method, header and joined body that a client reads from `bytes`.
fn read(bytes: &[u8]) -> (AMQPClass, u64, Vec<u8>, Vec<u8>, Vec<usize>) {
    let mut client = Client::new(ClientOptions::default());
    let mut rest = bytes;
    let Some(ServerMessage::Method { channel: 3, method, .. }) = client.next_message(&mut rest)
    else {
        panic!("no method on channel 3");
    };
    let Some(ServerMessage::Header { channel: 3, body_size, properties }) =
        client.next_message(&mut rest)
    else {
        panic!("no header on channel 3");
    };
    let (mut body, mut pieces) = (Vec::new(), Vec::new());
    while let Some(message) = client.next_message(&mut rest) {
        let ServerMessage::Body { channel: 3, part } = message else {
            panic!("not a body on channel 3: {message:?}");
        };
        body.extend_from_slice(part);
        pieces.push(part.len());
    }
    assert!(rest.is_empty());
    (method, body_size, properties.to_vec(), body, pieces)
}

#[test]
fn a_delivery_says_everything_about_its_message() {
    let stored = run(b"hello");
    let mut out = vec![0xEE];
    encode::deliver(&mut out, 3, "ctag", 99, true, &Run::parse(&stored).unwrap(), 4096);
    assert_eq!(out.len() - 1, encode::deliver_len("ctag", stored.len()));
    let (method, size, properties, body, _) = read(&out[1..]);
    let AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) = method else {
        panic!("{method:?}");
    };
    assert_eq!(deliver.consumer_tag.as_str(), "ctag");
    assert_eq!((deliver.delivery_tag, deliver.redelivered), (99, true));
    assert_eq!((deliver.exchange.as_str(), deliver.routing_key.as_str()), ("ex", "key"));
    assert_eq!((size, &properties[..], &body[..]), (5, &[0x10, 0, 2][..], &b"hello"[..]));
}

#[test]
fn an_empty_body_has_no_frame() {
    let stored = run(b"");
    let mut out = Vec::new();
    encode::deliver(&mut out, 3, "", 1, false, &Run::parse(&stored).unwrap(), 4096);
    let (_, size, _, _, pieces) = read(&out);
    assert_eq!((size, pieces), (0, Vec::new()));
}

#[test]
fn bodies_are_split_into_frames_of_frame_max_minus_eight() {
    for (length, pieces) in [(4088, vec![4088]), (4089, vec![4088, 1]), (8177, vec![4088, 4088, 1])]
    {
        let stored = run(&vec![b'x'; length]);
        let parsed = Run::parse(&stored).unwrap();
        let mut deliver = Vec::new();
        encode::deliver(&mut deliver, 3, "c", 1, false, &parsed, 4096);
        let mut get = Vec::new();
        encode::get_ok(&mut get, 3, 1, false, 7, &parsed, 4096);
        let mut unlimited = Vec::new();
        encode::deliver(&mut unlimited, 3, "c", 1, false, &parsed, 0);
        assert_eq!(read(&deliver).4, pieces);
        assert_eq!(read(&get).4, pieces);
        assert_eq!(read(&unlimited).4, [length]);
        assert_eq!(read(&deliver).3, parsed.body());
    }
}

#[test]
fn get_ok_and_return_carry_their_fields() {
    let stored = run(b"hello");
    let parsed = Run::parse(&stored).unwrap();
    let mut out = Vec::new();
    encode::get_ok(&mut out, 3, 5, true, 42, &parsed, 131_072);
    let AMQPClass::Basic(basic::AMQPMethod::GetOk(got)) = read(&out).0 else { panic!() };
    assert_eq!((got.delivery_tag, got.redelivered, got.message_count), (5, true, 42));
    assert_eq!((got.exchange.as_str(), got.routing_key.as_str()), ("ex", "key"));
    out.clear();
    let no_route = Reply::bare(ReplyCode::NoRoute, (60, 40));
    encode::return_(&mut out, 3, &no_route, &parsed, 131_072);
    let (AMQPClass::Basic(basic::AMQPMethod::Return(returned)), 5, _, body, _) = read(&out) else {
        panic!()
    };
    assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
    assert_eq!((returned.routing_key.as_str(), &body[..]), ("key", &b"hello"[..]));
}

#[test]
fn a_message_handed_over_at_once_is_written_as_a_stored_one_is() {
    for body in [&b""[..], b"x", &[b'y'; 9_000]] {
        for frame_max in [0, 4096, 131_072] {
            let (direct, stored) = both_ways(body, frame_max);
            assert_eq!(direct, stored, "{} bytes, frame_max {frame_max}", body.len());
        }
    }
}

/// The same message delivered from the input and from its run.
fn both_ways(body: &[u8], frame_max: u32) -> (Vec<u8>, Vec<u8>) {
    let mut pair = Pair::channel();
    pair.client.publish(1, ("ex", "key"), &[0x10, 0, 2], body, usize::MAX);
    let mut bytes = Vec::new();
    pair.client.poll_output(&mut bytes);
    let mut input = &bytes[..];
    let Some(Event::Publish(publish)) = pair.server.next_event(&mut input, 0) else {
        panic!("not one message");
    };
    let mut run = Vec::new();
    publish.append_to(&mut run);
    let (mut direct, mut stored) = (Vec::new(), Vec::new());
    encode::deliver_publish(&mut direct, 3, "ctag", 9, false, &publish, frame_max);
    encode::deliver(&mut stored, 3, "ctag", 9, false, &Run::parse(&run).unwrap(), frame_max);
    (direct, stored)
}

#[test]
fn confirms_and_cancels_are_what_clients_expect() {
    let mut out = Vec::new();
    encode::ack(&mut out, 3, 7, true);
    encode::nack(&mut out, 3, 8, false);
    encode::basic_cancel(&mut out, 3, "ctag");
    encode::get_empty(&mut out, 3);
    let mut client = Client::new(ClientOptions::default());
    let mut rest = &out[..];
    let mut methods = Vec::new();
    while let Some(ServerMessage::Method { channel: 3, method, .. }) =
        client.next_message(&mut rest)
    {
        methods.push(method);
    }
    let ack = basic::Ack { delivery_tag: 7, multiple: true };
    let nack = basic::Nack { delivery_tag: 8, multiple: false, requeue: true };
    let cancel = basic::Cancel { consumer_tag: "ctag".into(), nowait: true };
    let expected = [
        basic::AMQPMethod::Ack(ack),
        basic::AMQPMethod::Nack(nack),
        basic::AMQPMethod::Cancel(cancel),
        basic::AMQPMethod::GetEmpty(basic::GetEmpty {}),
    ];
    assert_eq!(methods, expected.map(AMQPClass::Basic));
}

#[test]
fn methods_are_written_behind_what_is_already_there() {
    let mut out = b"before".to_vec();
    let tag = basic::ConsumeOk { consumer_tag: "c".into() };
    encode::method(&mut out, 258, &AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(tag)));
    assert_eq!(out, b"before\x01\x01\x02\x00\x00\x00\x06\x00\x3c\x00\x15\x01c\xce");
}

#[test]
fn a_machine_can_be_moved_between_threads() {
    fn movable<T: Send + 'static>(_: T) {}
    movable(Connection::server(Arc::new(ServerOptions::default()), 0));
}
