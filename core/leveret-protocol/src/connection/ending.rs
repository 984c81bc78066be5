//! How connections end: with connection.close where the peer has shown who it is, with silence and a
//! reset before that.

use super::{Connection, Phase, Step};
use crate::encode;
use crate::event::Event;
use crate::frame::Unframed;
use crate::limits::CLOSING_TIMEOUT_SECS;
use crate::method::CONNECTION_CLOSE;
use crate::octets;
use crate::reply_code::{Reply, ReplyCode};

impl Connection {
    /// No frame can be taken. Where one is spoilt nothing behind it can be read any more: the peer
    /// is told, if it is far enough, and reset after a pause.
    pub(crate) fn unframed(&mut self, why: Unframed) -> Step<'static> {
        let text = match why {
            Unframed::Incomplete(needed) => return Step::NeedMore(needed),
            Unframed::TooLarge(header) => {
                let shown = octets::describe_frame(header.kind, &[]);
                let allowed = self.max_payload.saturating_sub(8);
                format!("{shown}: {{frame_too_large,{},{allowed}}}", header.size)
            }
            Unframed::BadEnd { kind, payload, end } => {
                let shown = octets::describe_frame(kind, payload);
                format!("{shown}: {{invalid_frame_end_marker,{end}}}")
            }
        };
        let reply = Reply::new(ReplyCode::FrameError, (0, 0), text);
        if self.answers_errors() {
            self.send_close(&reply);
        }
        self.finish(true, self.options.silent_close_ms);
        Step::Event(Event::Failed(reply))
    }

    /// Fails the connection: with connection.close where the handshake is far enough, else with
    /// silence.
    pub(crate) fn fail(&mut self, reply: Reply) -> Step<'static> {
        if self.answers_errors() {
            self.send_close(&reply);
            self.enter_closing();
        } else {
            self.finish(true, self.options.silent_close_ms);
        }
        Step::Event(Event::Failed(reply))
    }

    /// A method that nobody knows: the peer speaks something else. It is cut off at once.
    pub(crate) fn cut_off(&mut self, (class_id, method_id): (u16, u16)) -> Step<'static> {
        self.finish(true, 0);
        let text = format!("unknown method {method_id} of class {class_id}");
        Step::Event(Event::Failed(Reply::new(ReplyCode::CommandInvalid, (0, 0), text)))
    }

    /// Whether the peer has shown who it is, so that errors are told and not only logged.
    fn answers_errors(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::OpenWait | Phase::Running)
    }

    pub(super) fn send_close(&mut self, reply: &Reply) {
        write_close(&mut self.output, 0, CONNECTION_CLOSE, reply);
    }

    pub(super) fn enter_closing(&mut self) {
        self.channels.clear();
        self.phase = Phase::Closing;
        self.deadline_ms = self.now_ms.saturating_add(self.closing_timeout_ms());
    }

    /// min(heartbeat, 30 s).
    pub(super) fn closing_timeout_ms(&self) -> u64 {
        let secs = match self.heartbeat.interval_secs() {
            0 => CLOSING_TIMEOUT_SECS,
            secs => secs.min(CLOSING_TIMEOUT_SECS),
        };
        secs * 1000
    }

    pub(crate) fn finish(&mut self, reset: bool, delay_ms: u64) {
        self.channels.clear();
        self.phase = Phase::Finish { reset, delay_ms };
    }
}

/// connection.close or channel.close.
pub(super) fn write_close(out: &mut Vec<u8>, channel: u16, method: (u16, u16), reply: &Reply) {
    encode::write_method(out, channel, method, |out| {
        out.extend_from_slice(&reply.code.number().to_be_bytes());
        crate::content::push_short_str(out, &reply.text);
        out.extend_from_slice(&reply.class_id.to_be_bytes());
        out.extend_from_slice(&reply.method_id.to_be_bytes());
    });
}
