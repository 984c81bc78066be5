//! From the protocol header to connection.open (AMQP 0-9-1, section 2.2.4).
//!
//! A client may send its whole handshake at once: what it sent ahead stays in the input while an
//! answer of the upper layer is awaited. Until tune-ok an error is answered with three seconds of
//! silence and a reset, as RabbitMQ does it to slow down whoever guesses passwords.

use crate::connection::{Capabilities, Connection, Phase, Step};
use crate::cursor::{Cursor, ReadError};
use crate::encode;
use crate::event::{Event, PeerProtocol};
use crate::frame::{BODY, Frame, HEADER, HEARTBEAT, METHOD};
use crate::limits::MIN_FRAME_MAX_BYTES;
use crate::method::{
    CONNECTION_CLOSE, CONNECTION_OPEN, CONNECTION_START_OK, CONNECTION_TUNE_OK,
    CONNECTION_UPDATE_SECRET, Malformed, Method,
};
use crate::octets;
use crate::reply_code::{Reply, ReplyCode};
use crate::sasl::Mechanism;
use crate::table;

/// What we speak.
const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";
/// AMQP 0-9, whose clients get 0-9-1.
const PROTOCOL_HEADER_0_9: [u8; 8] = *b"AMQP\x01\x01\x00\x09";

impl Connection {
    /// The protocol header.
    pub(crate) fn step_header(&mut self, input: &mut &[u8]) -> Step<'static> {
        let Some((header, rest)) = input.split_first_chunk::<8>() else {
            return Step::NeedMore(8);
        };
        *input = rest;
        if *header == PROTOCOL_HEADER || *header == PROTOCOL_HEADER_0_9 {
            self.send_start();
            self.phase = Phase::Starting;
            return Step::Again;
        }
        self.output.extend_from_slice(&PROTOCOL_HEADER);
        self.finish(false, 0);
        Step::Event(Event::WrongProtocol(recognise(*header)))
    }

    fn send_start(&mut self) {
        let options = &self.options;
        encode::write_method(&mut self.output, 0, (10, 10), |out| {
            out.extend_from_slice(&[0, 9]);
            push_long(out, &options.server_properties);
            push_long(out, options.mechanisms.as_bytes());
            push_long(out, b"en_US");
        });
    }

    pub(crate) fn send_tune(&mut self) {
        let options = &self.options;
        encode::write_method(&mut self.output, 0, (10, 30), |out| {
            out.extend_from_slice(&options.channel_max.to_be_bytes());
            out.extend_from_slice(&options.frame_max.to_be_bytes());
            out.extend_from_slice(&options.heartbeat_secs.to_be_bytes());
        });
    }

    /// A frame before connection.open was answered.
    pub(crate) fn step_handshake<'b>(&mut self, input: &mut &'b [u8]) -> Step<'b> {
        let frame = match Frame::read(input, self.max_payload) {
            Ok(frame) => frame,
            Err(why) => return self.unframed(why),
        };
        *input = input.get(frame.total()..).unwrap_or_default();
        match frame.channel {
            0 => self.channel_zero(frame),
            _ => self.unexpected_frame(frame),
        }
    }

    /// A frame on channel 0, in any state in which the connection is not closing.
    pub(crate) fn channel_zero<'b>(&mut self, frame: Frame<'b>) -> Step<'b> {
        match (frame.kind, frame.payload.len()) {
            (METHOD, 4..) => match Method::split(frame.payload) {
                Ok(method) => self.method_zero(method),
                Err(unknown) => self.cut_off(unknown),
            },
            (HEARTBEAT, 0) => Step::Again,
            (HEADER, 12..) | (BODY, _) => self.unexpected_frame(frame),
            _ => self.unknown_frame(frame),
        }
    }

    fn method_zero<'b>(&mut self, method: Method<'b>) -> Step<'b> {
        if method.check().is_err() {
            return self.fail(undecodable_on_channel_zero(&method));
        }
        let arguments = Cursor::new(method.arguments());
        let step = match (self.phase, method.spec.id) {
            (Phase::Starting, CONNECTION_START_OK) => self.start_ok(arguments),
            (Phase::Tuning, CONNECTION_TUNE_OK) => self.tune_ok(arguments),
            (Phase::Opening, CONNECTION_OPEN) => self.open(arguments),
            (Phase::Opening | Phase::Running, CONNECTION_CLOSE) => self.client_close(arguments),
            (Phase::Running, CONNECTION_UPDATE_SECRET) => return self.update_secret(&method),
            (_, id) => {
                let state = self.state_name();
                let text = format!("unexpected method in connection state {state}");
                return self.fail(Reply::new(ReplyCode::ChannelError, id, text));
            }
        };
        step.unwrap_or_else(|_| self.fail(undecodable_on_channel_zero(&method)))
    }

    fn start_ok<'b>(&mut self, mut arguments: Cursor<'b>) -> Result<Step<'b>, ReadError> {
        let client_properties = arguments.long_bytes()?;
        let name = arguments.short_str()?;
        let response = arguments.long_bytes()?;
        self.capabilities = capabilities(client_properties);
        self.client_properties = client_properties.into();
        let Some(mechanism) = Mechanism::find(name, &self.options.mechanisms) else {
            let text = format!("unknown authentication mechanism '{name}'");
            return Ok(self.fail(Reply::new(ReplyCode::CommandInvalid, CONNECTION_START_OK, text)));
        };
        self.mechanism = mechanism;
        let Some(credentials) = mechanism.credentials(response) else {
            let text = format!("malformed response of authentication mechanism {name}");
            return Ok(self.fail(Reply::new(ReplyCode::SyntaxError, CONNECTION_START_OK, text)));
        };
        self.phase = Phase::LoginWait;
        let (user, password) = (credentials.user, credentials.password);
        Ok(Step::Event(Event::Login { mechanism: mechanism.name(), user, password }))
    }

    fn tune_ok(&mut self, mut arguments: Cursor<'_>) -> Result<Step<'static>, ReadError> {
        let channel_max = arguments.u16()?;
        let frame_max = arguments.u32()?;
        let heartbeat_secs = arguments.u16()?;
        let violation = violation("channel_max", channel_max.into(), self.channel_max.into(), 1)
            .or_else(|| violation("frame_max", frame_max, self.frame_max, MIN_FRAME_MAX_BYTES));
        if let Some(text) = violation {
            return Ok(self.fail(Reply::new(ReplyCode::NotAllowed, CONNECTION_TUNE_OK, text)));
        }
        self.negotiate(channel_max, frame_max, heartbeat_secs);
        self.phase = Phase::Opening;
        Ok(Step::Again)
    }

    fn open<'b>(&mut self, mut arguments: Cursor<'b>) -> Result<Step<'b>, ReadError> {
        let vhost = arguments.short_str()?;
        self.phase = Phase::OpenWait;
        Ok(Step::Event(Event::Open { vhost }))
    }

    fn client_close<'b>(&mut self, mut arguments: Cursor<'b>) -> Result<Step<'b>, ReadError> {
        let code = arguments.u16()?;
        let text = arguments.short_str()?;
        self.phase = Phase::CloseWait;
        Ok(Step::Event(Event::CloseRequested { code, text }))
    }

    fn update_secret<'b>(&mut self, method: &Method<'b>) -> Step<'b> {
        match method.decode() {
            Ok((decoded, arguments)) => {
                Step::Event(Event::Method { channel: 0, method: decoded, arguments })
            }
            Err(_) => self.fail(undecodable_on_channel_zero(method)),
        }
    }

    /// 505: a frame that has no business here.
    pub(crate) fn unexpected_frame(&mut self, frame: Frame<'_>) -> Step<'static> {
        let text = octets::describe_frame(frame.kind, frame.payload);
        self.fail(Reply::new(ReplyCode::UnexpectedFrame, (0, 0), text))
    }

    /// 501: a frame of no known type, or too short for its type.
    pub(crate) fn unknown_frame(&mut self, frame: Frame<'_>) -> Step<'static> {
        let shown = octets::describe_frame(frame.kind, frame.payload);
        let text = format!("{shown}: unknown_frame");
        self.fail(Reply::new(ReplyCode::FrameError, (0, 0), text))
    }
}

/// On channel 0 RabbitMQ calls arguments that it cannot decode an internal error.
fn undecodable_on_channel_zero(method: &Method<'_>) -> Reply {
    let text = format!("cannot decode {}", octets::list(method.arguments()));
    Reply::new(ReplyCode::InternalError, (0, 0), text)
}

/// 501: arguments of a method on an open channel that cannot be decoded.
pub(crate) fn undecodable(method: &Method<'_>, why: Malformed) -> Reply {
    match why {
        Malformed::NotUtf8 => {
            Reply::new(ReplyCode::FrameError, (0, 0), "Malformed UTF-8 in shortstr")
        }
        Malformed::Arguments => {
            let text = format!("cannot decode {}", octets::list(method.arguments()));
            Reply::new(ReplyCode::FrameError, method.spec.id, text)
        }
    }
}

/// What is wrong with a negotiated value: it may not be above the server's, where 0 is above
/// everything, nor below `minimum`.
fn violation(name: &str, client: u32, server: u32, minimum: u32) -> Option<String> {
    if client == 0 && server == 0 {
        return None;
    }
    if server != 0 && (client == 0 || client > server) {
        let unlimited = if client == 0 { " (no limit)" } else { "" };
        return Some(format!(
            "negotiated {name} = {client}{unlimited} is higher than the maximum allowed value \
             ({server})"
        ));
    }
    (client != 0 && client < minimum).then(|| {
        format!("negotiated {name} = {client} is lower than the minimum allowed value ({minimum})")
    })
}

fn capabilities(client_properties: &[u8]) -> Capabilities {
    let listed = table::find(client_properties, "capabilities")
        .and_then(|value| value.as_table())
        .unwrap_or_default();
    let has = |name| table::find(listed, name).is_some_and(|value| value.is_true());
    Capabilities {
        consumer_cancel_notify: has("consumer_cancel_notify"),
        connection_blocked: has("connection.blocked"),
        authentication_failure_close: has("authentication_failure_close"),
    }
}

/// What the first eight bytes look like, for the log's hint.
fn recognise(header: [u8; 8]) -> PeerProtocol {
    match header {
        [b'A', b'M', b'Q', b'P', version @ ..] => PeerProtocol::OtherAmqp { version },
        [0x16, 0x03, _, _, _, 0x01, ..] => PeerProtocol::Tls,
        [b'G', b'E', b'T', b' ', ..]
        | [b'P', b'U', b'T', b' ', ..]
        | [b'P', b'O', b'S', b'T', b' ', ..]
        | [b'H', b'E', b'A', b'D', b' ', ..]
        | [b'O', b'P', b'T', b'I', b'O', b'N', b'S', b' ']
        | [b'D', b'E', b'L', b'E', b'T', b'E', b' ', _] => PeerProtocol::Http,
        header => PeerProtocol::Unknown { header },
    }
}

fn push_long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}
