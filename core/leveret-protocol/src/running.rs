//! Frames on the channels of an open connection, and the ends of connections.

use crate::assembly::{Assembled, Assembly, Progress};
use crate::channel::{Channel, ChannelState};
use crate::connection::{Connection, Step};
use crate::cursor::Cursor;
use crate::encode;
use crate::event::Event;
use crate::fast::{ACK, PUBLISH};
use crate::frame::{BODY, Frame, HEADER, HEARTBEAT, METHOD};
use crate::handshake::undecodable;
use crate::method::{
    BASIC_ACK, BASIC_CANCEL_OK, BASIC_NACK, BASIC_PUBLISH, BASIC_QOS, BASIC_REJECT, CHANNEL_CLOSE,
    CHANNEL_CLOSE_OK, CHANNEL_OPEN, CONNECTION_CLOSE, CONNECTION_CLOSE_OK, Method, MethodId,
};
use crate::reply_code::{Reply, ReplyCode};

impl Connection {
    /// One frame of an open connection.
    pub(crate) fn step_running<'b>(&mut self, input: &mut &'b [u8]) -> Step<'b> {
        let whole = *input;
        let frame = match Frame::read(whole, self.max_payload) {
            Ok(frame) => frame,
            Err(why) => return self.unframed(why),
        };
        *input = whole.get(frame.total()..).unwrap_or_default();
        let step = match frame.channel {
            0 => self.channel_zero(frame),
            _ => self.channel_frame(frame),
        };
        if matches!(step, Step::Stall) {
            *input = whole;
        }
        step
    }

    /// The frame in front, if it is a basic.publish or basic.ack where nothing is unusual.
    #[inline(always)]
    pub(crate) fn hot_frame<'b>(&mut self, input: &'b [u8]) -> Option<(Frame<'b>, [u8; 4])> {
        let frame = Frame::read(input, self.max_payload).ok()?;
        let id = *frame.payload.first_chunk::<4>()?;
        let known = frame.kind == METHOD && matches!(id, PUBLISH | ACK);
        (known && self.channels.is_idle(frame.channel)).then_some((frame, id))
    }

    /// A frame on a channel other than 0.
    fn channel_frame<'b>(&mut self, frame: Frame<'b>) -> Step<'b> {
        match (frame.kind, frame.payload.len()) {
            (METHOD, 4..) => match Method::split(frame.payload) {
                Ok(method) => self.channel_method(frame.channel, method),
                Err(unknown) => self.cut_off(unknown),
            },
            (HEADER, 12..) | (BODY, _) => self.channel_content(frame),
            (HEARTBEAT, 0) => self.unexpected_frame(frame),
            _ => self.unknown_frame(frame),
        }
    }

    fn channel_content(&mut self, frame: Frame<'_>) -> Step<'static> {
        let max_message_bytes = self.options.max_message_bytes;
        let found = match self.channels.get_mut(frame.channel) {
            None => return self.no_channel_for_content(),
            Some(Channel { state: ChannelState::Releasing, .. }) => return Step::Stall,
            Some(found) => found,
        };
        let progress = match &mut found.assembly {
            None => Err(method_expected()),
            Some(assembly) if frame.kind == HEADER => {
                assembly.header(frame.payload, max_message_bytes)
            }
            Some(assembly) => assembly.body(frame.payload, max_message_bytes),
        };
        if matches!(progress, Ok(Some(_))) {
            found.assembly = None;
        }
        self.assembled(frame.channel, progress)
    }

    fn assembled(&mut self, channel: u16, progress: Progress) -> Step<'static> {
        match progress {
            Ok(None | Some(Assembled::Dropped)) => Step::Again,
            Ok(Some(Assembled::Publish(mut publish))) => {
                publish.channel = channel;
                Step::Event(Event::OwnedPublish(publish))
            }
            Ok(Some(Assembled::RefuseChannel(reply))) => {
                self.close_channel(channel, &reply);
                Step::Event(Event::ChannelFailed(channel, reply))
            }
            Ok(Some(Assembled::RefuseConnection(reply))) | Err(reply) => self.fail(reply),
        }
    }

    fn no_channel_for_content(&mut self) -> Step<'static> {
        let reply = self.too_many_channels().unwrap_or_else(method_expected);
        self.fail(reply)
    }

    /// 530 if one more channel would be too many.
    fn too_many_channels(&self) -> Option<Reply> {
        let (open, max) = (self.channels.len(), self.channel_max);
        let text = format!(
            "number of channels opened ({open}) has reached the negotiated channel_max ({max})"
        );
        let full = max != 0 && open >= usize::from(max);
        full.then(|| Reply::new(ReplyCode::NotAllowed, (0, 0), text))
    }

    fn channel_method<'b>(&mut self, channel: u16, method: Method<'b>) -> Step<'b> {
        let state = match self.channels.get_mut(channel) {
            None => return self.method_without_channel(channel, &method),
            Some(Channel { state: ChannelState::Releasing, .. }) => return Step::Stall,
            Some(Channel { assembly: Some(assembly), .. }) => {
                let reply = assembly.unexpected();
                return self.fail(reply);
            }
            Some(found) => found.state,
        };
        if let Err(why) = method.check() {
            return self.fail(undecodable(&method, why));
        }
        match (method.spec.id, state) {
            (BASIC_PUBLISH, state) => self.begin_content(channel, &method, state),
            (CHANNEL_OPEN, _) => {
                let text = "second 'channel.open' seen";
                self.fail(Reply::new(ReplyCode::ChannelError, CHANNEL_OPEN, text))
            }
            (id, ChannelState::Closing) => self.closing_method(channel, id),
            (id, _) => self.open_method(channel, id, &method),
        }
    }

    /// Only channel.open may come on a number that is not in use.
    fn method_without_channel<'b>(&mut self, channel: u16, method: &Method<'b>) -> Step<'b> {
        if let Some(reply) = self.too_many_channels() {
            return self.fail(reply);
        }
        if let Err(why) = method.check() {
            return self.fail(undecodable(method, why));
        }
        if method.spec.id != CHANNEL_OPEN {
            let text = "expected 'channel.open'";
            return self.fail(Reply::new(ReplyCode::ChannelError, method.spec.id, text));
        }
        self.channels.open(channel);
        Step::Event(Event::ChannelOpen(channel))
    }

    fn begin_content(
        &mut self,
        channel: u16,
        publish: &Method<'_>,
        state: ChannelState,
    ) -> Step<'static> {
        if let Some(found) = self.channels.get_mut(channel) {
            let closing = state == ChannelState::Closing;
            found.assembly = Some(Box::new(Assembly::begin(publish, closing)));
        }
        Step::Again
    }

    /// A channel that we closed ignores everything but the end of closing.
    fn closing_method(&mut self, channel: u16, id: MethodId) -> Step<'static> {
        match id {
            CHANNEL_CLOSE => {
                encode::write_method(&mut self.output, channel, CHANNEL_CLOSE_OK, |_| ());
                Step::Again
            }
            CHANNEL_CLOSE_OK => {
                self.channels.remove(channel);
                Step::Event(Event::ChannelCloseOk(channel))
            }
            _ => Step::Again,
        }
    }

    /// A method other than basic.publish on an open channel.
    fn open_method<'b>(&mut self, channel: u16, id: MethodId, method: &Method<'b>) -> Step<'b> {
        match id {
            CHANNEL_CLOSE => {
                if let Some(found) = self.channels.get_mut(channel) {
                    found.state = ChannelState::Releasing;
                }
                Step::Event(Event::ChannelClose(channel))
            }
            // The client's answer to a basic.cancel of ours: nobody waits for it.
            BASIC_CANCEL_OK => Step::Again,
            BASIC_ACK | BASIC_NACK | BASIC_REJECT => settlement(channel, method),
            CHANNEL_CLOSE_OK => self.unimplemented(id),
            _ if !method.spec.from_client => self.unimplemented(id),
            BASIC_QOS if prefetch_size(method) != 0 => {
                let why = format!("prefetch_size!=0 ({})", prefetch_size(method));
                self.fail(Reply::new(ReplyCode::NotImplemented, id, why))
            }
            _ => match method.decode() {
                Ok((decoded, arguments)) => {
                    Step::Event(Event::Method { channel, method: decoded, arguments })
                }
                Err(why) => self.fail(undecodable(method, why)),
            },
        }
    }

    /// 503: a method that only a server sends, or that belongs to channel 0.
    fn unimplemented(&mut self, id: MethodId) -> Step<'static> {
        self.fail(Reply::new(ReplyCode::CommandInvalid, id, "unimplemented method"))
    }

    /// After connection.close was sent only its end counts.
    pub(crate) fn step_closing(&mut self, input: &mut &[u8]) -> Step<'static> {
        let frame = match Frame::read(input, self.max_payload) {
            Ok(frame) => frame,
            Err(why @ crate::frame::Unframed::Incomplete(_)) => return self.unframed(why),
            Err(_) => {
                self.finish(true, self.options.silent_close_ms);
                return Step::Again;
            }
        };
        *input = input.get(frame.total()..).unwrap_or_default();
        let id = match frame.payload {
            &[c1, c0, m1, m0, ..] if frame.kind == METHOD && frame.channel == 0 => {
                (u16::from_be_bytes([c1, c0]), u16::from_be_bytes([m1, m0]))
            }
            _ => return Step::Again,
        };
        match id {
            CONNECTION_CLOSE => {
                encode::write_method(&mut self.output, 0, CONNECTION_CLOSE_OK, |_| ());
            }
            CONNECTION_CLOSE_OK => self.finish(false, 0),
            _ => {}
        }
        Step::Again
    }
}

/// basic.ack, nack or reject, whose arguments were checked.
fn settlement(channel: u16, method: &Method<'_>) -> Step<'static> {
    let mut arguments = Cursor::new(method.arguments());
    let (Ok(delivery_tag), Ok(bits)) = (arguments.u64(), arguments.u8()) else {
        return Step::Again;
    };
    let (first, second) = (bits & 1 != 0, bits & 2 != 0);
    Step::Event(match method.spec.id {
        BASIC_ACK => Event::Ack { channel, delivery_tag, multiple: first },
        BASIC_NACK => Event::Nack { channel, delivery_tag, multiple: first, requeue: second },
        _ => Event::Reject { channel, delivery_tag, requeue: first },
    })
}

/// 505: content without a method in front.
fn method_expected() -> Reply {
    let text = "expected method frame, got non method frame instead";
    Reply::new(ReplyCode::UnexpectedFrame, (0, 0), text)
}

/// The first field of basic.qos, which the decoder of methods passes over.
fn prefetch_size(method: &Method<'_>) -> u32 {
    let field = method.arguments().first_chunk::<4>();
    field.copied().map_or(0, u32::from_be_bytes)
}
