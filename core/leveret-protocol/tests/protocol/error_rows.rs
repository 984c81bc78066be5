//! What the protocol layer refuses on an open connection with channel 1 open: a name, the bytes that
//! are sent, and code, text, class and method of the connection.close that answers them.

/// A frame.
pub(crate) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&[kind][..], &channel.to_be_bytes(), &length, payload, &[0xCE]].concat()
}

/// A method frame on channel 1.
pub(crate) fn method(class_id: u8, method_id: u8, arguments: &[u8]) -> Vec<u8> {
    frame(1, 1, &[&[0, class_id, 0, method_id][..], arguments].concat())
}

/// A method frame on channel 0.
pub(crate) fn zero(class_id: u8, method_id: u8, arguments: &[u8]) -> Vec<u8> {
    frame(1, 0, &[&[0, class_id, 0, method_id][..], arguments].concat())
}

pub(crate) fn publish() -> Vec<u8> {
    method(60, 40, &[0, 0, 0, 1, b'q', 0])
}

pub(crate) fn header(class_id: u8, weight: u8, size: u64, properties: &[u8]) -> Vec<u8> {
    frame(2, 1, &[&[0, class_id, 0, weight][..], &size.to_be_bytes(), properties].concat())
}

pub(crate) fn declare() -> Vec<u8> {
    method(50, 10, &[0, 0, 1, b'q', 0, 0, 0, 0, 0])
}

fn after_publish(rest: Vec<u8>) -> Vec<u8> {
    [publish(), rest].concat()
}

fn in_body(rest: Vec<u8>) -> Vec<u8> {
    [publish(), header(60, 0, 2, &[0, 0]), rest].concat()
}

/// A method on channel 7, which is not open.
fn unopened(class_id: u8, method_id: u8, arguments: &[u8]) -> Vec<u8> {
    frame(1, 7, &[&[0, class_id, 0, method_id][..], arguments].concat())
}

type Row = (&'static str, Vec<u8>, &'static str);

/// Every row.
pub(crate) fn all() -> Vec<Row> {
    [channels(), channel_zero(), frames(), arguments(), headers_out_of_order(), headers(), bodies()]
        .concat()
}

/// Channels that are not in the state for it, and methods that a client does not send.
fn channels() -> Vec<Row> {
    vec![
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
    ]
}

/// Channel 0.
fn channel_zero() -> Vec<Row> {
    vec![
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
    ]
}

/// Frames that are no frames.
fn frames() -> Vec<Row> {
    vec![
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
    ]
}

/// Arguments that cannot be decoded.
fn arguments() -> Vec<Row> {
    vec![
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
    ]
}

/// Contents without a method, and methods without a content.
fn headers_out_of_order() -> Vec<Row> {
    vec![
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
    ]
}

/// Content headers that cannot be taken.
fn headers() -> Vec<Row> {
    vec![
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
    ]
}

/// Bodies.
fn bodies() -> Vec<Row> {
    vec![
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
