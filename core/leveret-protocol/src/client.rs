//! A minimal client machine: the other half of the tests' pairs, here and in whatever embeds the
//! server without a socket.
//!
//! It shakes hands on its own and then hands out what the server sends, frame by frame. It checks
//! nothing that a server under test might do wrong except that its frames can be decoded.

use amq_protocol::protocol::AMQPClass;

use crate::content::{append_header, push_short_str};
use crate::cursor::Cursor;
use crate::encode;
use crate::frame::{self, BODY, Frame, HEADER, HEARTBEAT, HEARTBEAT_FRAME, METHOD, Unframed};
use crate::method::Method;
use crate::table::TableBuilder;

/// What a [`Client`] says in its handshake.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// User of the PLAIN response.
    pub user: String,
    /// Password of the PLAIN response.
    pub password: String,
    /// Virtual host.
    pub vhost: String,
    /// channel_max of tune-ok.
    pub channel_max: u16,
    /// frame_max of tune-ok.
    pub frame_max: u32,
    /// Heartbeat of tune-ok.
    pub heartbeat_secs: u16,
    /// Pairs of the client-properties table.
    pub client_properties: Vec<u8>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        let capabilities = TableBuilder::new()
            .boolean("authentication_failure_close", true)
            .boolean("consumer_cancel_notify", true)
            .boolean("connection.blocked", true);
        let client_properties = TableBuilder::new()
            .text("product", "leveret-client")
            .text("connection_name", "pair")
            .table("capabilities", &capabilities);
        Self {
            user: "guest".to_owned(),
            password: "guest".to_owned(),
            vhost: "/".to_owned(),
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat_secs: 0,
            client_properties: client_properties.into_bytes(),
        }
    }
}

/// Something that the server sent.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerMessage<'b> {
    /// The eight bytes with which a server refuses a protocol header.
    ProtocolHeader([u8; 8]),
    /// A method, with the pairs of its table (the method's own table is empty).
    Method {
        /// Channel.
        channel: u16,
        /// The method.
        method: AMQPClass,
        /// Pairs of its table, if it has one.
        arguments: &'b [u8],
    },
    /// A content header.
    Header {
        /// Channel.
        channel: u16,
        /// Bytes of the body.
        body_size: u64,
        /// Property flags and list.
        properties: &'b [u8],
    },
    /// One body frame.
    Body {
        /// Channel.
        channel: u16,
        /// Its bytes.
        part: &'b [u8],
    },
    /// A heartbeat.
    Heartbeat,
    /// Something that is no frame, or a method that cannot be decoded. Nothing follows.
    Garbage,
}

/// The client's side of one connection.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    output: Vec<u8>,
}

impl Client {
    /// A client that has its protocol header ready.
    #[must_use]
    pub fn new(options: ClientOptions) -> Self {
        Self { options, output: b"AMQP\x00\x00\x09\x01".to_vec() }
    }

    /// Takes what is ready to be sent.
    pub fn poll_output(&mut self, out: &mut Vec<u8>) -> bool {
        let any = !self.output.is_empty();
        out.append(&mut self.output);
        any
    }

    /// Consumes one frame from the front of `input`; answers connection.start and tune by itself.
    pub fn next_message<'b>(&mut self, input: &mut &'b [u8]) -> Option<ServerMessage<'b>> {
        if let Some((header, rest)) = input.split_first_chunk::<8>()
            && header.starts_with(b"AMQP")
        {
            *input = rest;
            return Some(ServerMessage::ProtocolHeader(*header));
        }
        let frame = match Frame::read(input, u32::MAX as usize) {
            Ok(frame) => frame,
            Err(Unframed::Incomplete(_)) => return None,
            Err(_) => {
                *input = &[];
                return Some(ServerMessage::Garbage);
            }
        };
        *input = input.get(frame.total()..).unwrap_or_default();
        let message = read(frame).unwrap_or(ServerMessage::Garbage);
        self.shake_hands(&message);
        Some(message)
    }

    fn shake_hands(&mut self, message: &ServerMessage<'_>) {
        let ServerMessage::Method { channel: 0, method, .. } = message else { return };
        match (method.get_amqp_class_id(), method.get_amqp_method_id()) {
            (10, 10) => self.start_ok(),
            (10, 30) => self.tune_ok_and_open(),
            _ => {}
        }
    }

    /// Sends connection.start-ok with the PLAIN mechanism.
    pub fn start_ok(&mut self) {
        let Self { options, output } = self;
        encode::write_method(output, 0, (10, 11), |out| {
            push_long(out, &options.client_properties);
            push_short_str(out, "PLAIN");
            let response = ["\0", &*options.user, "\0", &*options.password].concat();
            push_long(out, response.as_bytes());
            push_short_str(out, "en_US");
        });
    }

    /// Sends connection.tune-ok and connection.open.
    pub fn tune_ok_and_open(&mut self) {
        let Self { options, output } = self;
        encode::write_method(output, 0, (10, 31), |out| {
            out.extend_from_slice(&options.channel_max.to_be_bytes());
            out.extend_from_slice(&options.frame_max.to_be_bytes());
            out.extend_from_slice(&options.heartbeat_secs.to_be_bytes());
        });
        encode::write_method(output, 0, (10, 40), |out| {
            push_short_str(out, &options.vhost);
            out.extend_from_slice(&[0, 0]);
        });
    }

    /// Sends any method.
    pub fn method(&mut self, channel: u16, method: &AMQPClass) {
        encode::method(&mut self.output, channel, method);
    }

    /// Sends channel.open.
    pub fn open_channel(&mut self, channel: u16) {
        encode::write_method(&mut self.output, channel, (20, 10), |out| out.push(0));
    }

    /// Sends channel.close without an error.
    pub fn close_channel(&mut self, channel: u16) {
        let arguments = |out: &mut Vec<u8>| out.extend_from_slice(&[0, 200, 0, 0, 0, 0, 0]);
        encode::write_method(&mut self.output, channel, (20, 40), arguments);
    }

    /// Sends connection.close without an error.
    pub fn close(&mut self) {
        let arguments = |out: &mut Vec<u8>| out.extend_from_slice(&[0, 200, 0, 0, 0, 0, 0]);
        encode::write_method(&mut self.output, 0, (10, 50), arguments);
    }

    /// Sends the -ok to a close of the server: of the connection where `channel` is 0.
    pub fn close_ok(&mut self, channel: u16) {
        let id = if channel == 0 { (10, 51) } else { (20, 41) };
        encode::write_method(&mut self.output, channel, id, |_| ());
    }

    /// Sends basic.publish with its content, the body in frames of at most `piece` bytes.
    pub fn publish(
        &mut self,
        channel: u16,
        (exchange, routing_key): (&str, &str),
        properties: &[u8],
        body: &[u8],
        piece: usize,
    ) {
        self.publish_method(channel, exchange, routing_key);
        self.content_header(channel, properties, body.len() as u64);
        for part in body.chunks(piece.max(1)) {
            frame::write(&mut self.output, BODY, channel, part);
        }
    }

    /// Sends basic.publish alone.
    pub fn publish_method(&mut self, channel: u16, exchange: &str, routing_key: &str) {
        encode::write_method(&mut self.output, channel, (60, 40), |out| {
            out.extend_from_slice(&[0, 0]);
            push_short_str(out, exchange);
            push_short_str(out, routing_key);
            out.push(0);
        });
    }

    /// Sends a content header alone.
    pub fn content_header(&mut self, channel: u16, properties: &[u8], body_size: u64) {
        let at = self.output.len();
        append_header(&mut self.output, properties, body_size);
        crate::content::patch_channel(&mut self.output, at, channel);
    }

    /// Sends basic.ack.
    pub fn ack(&mut self, channel: u16, delivery_tag: u64, multiple: bool) {
        encode::ack(&mut self.output, channel, delivery_tag, multiple);
    }

    /// Sends a heartbeat.
    pub fn heartbeat(&mut self) {
        self.output.extend_from_slice(&HEARTBEAT_FRAME);
    }

    /// Sends any frame, or what pretends to be one.
    pub fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        frame::write(&mut self.output, kind, channel, payload);
    }

    /// Sends bytes.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }
}

fn read(frame: Frame<'_>) -> Option<ServerMessage<'_>> {
    let Frame { kind, channel, payload } = frame;
    Some(match (kind, payload.len()) {
        (METHOD, 4..) => {
            let (method, arguments) = Method::split(payload).ok()?.decode().ok()?;
            ServerMessage::Method { channel, method, arguments }
        }
        (HEADER, 12..) => {
            let mut cursor = Cursor::new(payload);
            let (_class_and_weight, body_size) = (cursor.u32().ok()?, cursor.u64().ok()?);
            ServerMessage::Header { channel, body_size, properties: cursor.rest() }
        }
        (BODY, _) => ServerMessage::Body { channel, part: payload },
        (HEARTBEAT, 0) => ServerMessage::Heartbeat,
        _ => return None,
    })
}

fn push_long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}
