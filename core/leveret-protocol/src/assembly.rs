//! A message that comes in pieces, put together directly as a run (see [`crate::content`]).
//!
//! Memory follows the bytes that have come, never the size that was announced.

use crate::content::{self, OwnedPublish};
use crate::cursor::Cursor;
use crate::frame::{BODY, FRAME_END};
use crate::limits::MAX_ANNOUNCED_BODY_BYTES;
use crate::method::{BASIC_PUBLISH, Method};
use crate::octets;
use crate::properties;
use crate::reply_code::{Reply, ReplyCode};

/// Growth of a run is at least this, so that a large body takes few steps.
const GROWTH_BYTES: usize = 64 * 1024;

/// Which frame comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    Body { remaining: u64 },
}

/// What becomes of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is kept.
    Keep,
    /// Its channel is closing: it is dropped.
    Drop,
    /// It is larger than allowed: it is read to its end, then refused.
    Refuse { body_bytes: u64 },
}

/// basic.publish waiting for the rest of its content.
#[derive(Debug)]
pub(crate) struct Assembly {
    mandatory: bool,
    immediate: bool,
    stage: Stage,
    fate: Fate,
    /// Where the body frame begins.
    body_at: usize,
    run: Vec<u8>,
}

/// A content that is whole.
#[derive(Debug)]
pub(crate) enum Assembled {
    /// The message.
    Publish(Box<OwnedPublish>),
    /// Nobody wants it.
    Dropped,
    /// The channel must be closed with this.
    RefuseChannel(Reply),
    /// The connection must be closed with this.
    RefuseConnection(Reply),
}

/// Whether a frame ended the content.
pub(crate) type Progress = Result<Option<Assembled>, Reply>;

impl Assembly {
    /// Begins with a basic.publish whose arguments were checked.
    pub(crate) fn begin(publish: &Method<'_>, channel_is_closing: bool) -> Self {
        let arguments = publish.arguments();
        // Two bytes of ticket, the names, one octet of bits.
        let names = arguments.get(2..arguments.len() - 1).unwrap_or_default();
        let bits = arguments.last().copied().unwrap_or(0);
        let mut run = Vec::with_capacity(names.len() + 64);
        run.extend_from_slice(names);
        run.push(FRAME_END);
        Self {
            mandatory: bits & 1 != 0,
            immediate: bits & 2 != 0,
            stage: Stage::Header,
            fate: if channel_is_closing { Fate::Drop } else { Fate::Keep },
            body_at: 0,
            run,
        }
    }

    /// The channel is closing: what is here and what still comes is dropped.
    pub(crate) fn forsake(&mut self) {
        self.fate = Fate::Drop;
        self.run = Vec::new();
    }

    /// A method or heartbeat came instead of the content.
    pub(crate) fn unexpected(&self) -> Reply {
        let text = match self.stage {
            Stage::Header => {
                "expected content header for class 60, got non content header frame instead"
            }
            Stage::Body { .. } => "expected content body, got non content body frame instead",
        };
        Reply::new(ReplyCode::UnexpectedFrame, BASIC_PUBLISH, text)
    }

    /// Takes a content header frame's payload of at least twelve bytes.
    pub(crate) fn header(&mut self, payload: &[u8], max_message_bytes: u64) -> Progress {
        let mut cursor = Cursor::new(payload);
        let (Stage::Header, Ok(class_id), Ok(0), Ok(size)) =
            (self.stage, cursor.u16(), cursor.u16(), cursor.u64())
        else {
            return Err(self.unexpected());
        };
        check_header(class_id, size, cursor.rest())?;
        if self.fate == Fate::Keep && size > max_message_bytes {
            self.fate = Fate::Refuse { body_bytes: size };
        }
        if self.fate == Fate::Keep {
            content::append_header(&mut self.run, cursor.rest(), size);
        }
        self.body_at = self.run.len();
        self.stage = Stage::Body { remaining: size };
        Ok((size == 0).then(|| self.finish(max_message_bytes)))
    }

    /// Takes a body frame's payload.
    pub(crate) fn body(&mut self, part: &[u8], max_message_bytes: u64) -> Progress {
        let Stage::Body { remaining } = self.stage else {
            return Err(self.unexpected());
        };
        let Some(left) = remaining.checked_sub(part.len() as u64) else {
            let text = "content body frame exceeds remaining content size";
            return Err(Reply::new(ReplyCode::FrameError, BASIC_PUBLISH, text));
        };
        self.stage = Stage::Body { remaining: left };
        if self.fate == Fate::Keep {
            self.append_body(part, remaining);
        }
        Ok((left == 0).then(|| self.finish(max_message_bytes)))
    }

    /// Appends a part; `remaining` counts it and everything behind it.
    fn append_body(&mut self, part: &[u8], remaining: u64) {
        if self.run.len() == self.body_at {
            self.run.extend_from_slice(&[BODY, 0, 0, 0, 0, 0, 0]);
        }
        let room = self.run.capacity() - self.run.len();
        if room < part.len() + 1 {
            let rest = usize::try_from(remaining).unwrap_or(usize::MAX).saturating_add(1);
            let growth = self.run.len().max(GROWTH_BYTES).max(part.len() + 1);
            self.run.reserve_exact(rest.min(growth));
        }
        self.run.extend_from_slice(part);
    }

    /// The content is whole: fills in the body's length and hands it out.
    fn finish(&mut self, max_message_bytes: u64) -> Assembled {
        if let Fate::Refuse { body_bytes } = self.fate {
            return self.refuse(body_bytes, max_message_bytes);
        }
        if self.fate == Fate::Drop {
            return Assembled::Dropped;
        }
        let mut bytes = std::mem::take(&mut self.run);
        if bytes.len() > self.body_at {
            let length = (bytes.len() - self.body_at - 7) as u32;
            bytes[self.body_at + 3..self.body_at + 7].copy_from_slice(&length.to_be_bytes());
            bytes.push(FRAME_END);
        }
        let (mandatory, immediate) = (self.mandatory, self.immediate);
        Assembled::Publish(Box::new(OwnedPublish { channel: 0, mandatory, immediate, bytes }))
    }

    /// RabbitMQ looks at `immediate` before it looks at the size.
    fn refuse(&self, body_bytes: u64, max_message_bytes: u64) -> Assembled {
        if self.immediate {
            let reply = Reply::new(ReplyCode::NotImplemented, BASIC_PUBLISH, "immediate=true");
            return Assembled::RefuseConnection(reply);
        }
        let text = format!(
            "message size {body_bytes} is larger than configured max size {max_message_bytes}"
        );
        Assembled::RefuseChannel(Reply::new(ReplyCode::PreconditionFailed, BASIC_PUBLISH, text))
    }
}

/// Class, size and properties of a content header.
fn check_header(class_id: u16, size: u64, properties: &[u8]) -> Result<(), Reply> {
    if class_id != 60 {
        let text =
            format!("expected content header for class 60, got one for class {class_id} instead");
        return Err(Reply::new(ReplyCode::UnexpectedFrame, BASIC_PUBLISH, text));
    }
    if size > MAX_ANNOUNCED_BODY_BYTES {
        let text = format!(
            "content body size {size} exceeds maximum allowed size {MAX_ANNOUNCED_BODY_BYTES}"
        );
        return Err(Reply::new(ReplyCode::FrameError, BASIC_PUBLISH, text));
    }
    properties::check(properties).map_err(|error| {
        let shown = octets::list(properties);
        let text = format!("cannot decode properties: {error}: {shown}");
        Reply::new(ReplyCode::InternalError, (0, 0), text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Run;

    fn begin(bits: u8) -> Assembly {
        let payload = [0, 60, 0, 40, 0, 0, 1, b'x', 2, b'k', b'k', bits];
        Assembly::begin(&Method::split(&payload).expect("known"), false)
    }

    fn header(size: u64) -> Vec<u8> {
        [&[0, 60, 0, 0][..], &size.to_be_bytes(), &[0, 0]].concat()
    }

    #[test]
    fn parts_become_one_run() {
        let mut assembly = begin(1);
        assert!(matches!(assembly.header(&header(5), 100), Ok(None)));
        assert!(matches!(assembly.body(b"", 100), Ok(None)));
        assert!(matches!(assembly.body(b"ab", 100), Ok(None)));
        let Ok(Some(Assembled::Publish(publish))) = assembly.body(b"cde", 100) else {
            panic!("not whole");
        };
        let run = Run::parse(&publish.bytes).expect("a run");
        assert_eq!((run.exchange(), run.routing_key(), run.body()), ("x", "kk", &b"abcde"[..]));
        assert!(publish.mandatory && !publish.immediate);
    }

    #[test]
    fn memory_follows_what_has_come_not_what_was_announced() {
        let mut assembly = begin(0);
        assert!(matches!(assembly.header(&header(500_000_000), u64::MAX), Ok(None)));
        assert!(matches!(assembly.body(&[7; 1000], u64::MAX), Ok(None)));
        assert!(assembly.run.capacity() <= 2 * GROWTH_BYTES, "{}", assembly.run.capacity());
    }

    #[test]
    fn a_message_over_the_limit_is_refused_at_its_end_and_never_held() {
        let mut assembly = begin(0);
        assert!(matches!(assembly.header(&header(11), 10), Ok(None)));
        assert!(matches!(assembly.body(&[0; 10], 10), Ok(None)));
        assert!(assembly.run.len() < 16);
        let Ok(Some(Assembled::RefuseChannel(reply))) = assembly.body(&[0; 1], 10) else {
            panic!("not refused");
        };
        let text = "PRECONDITION_FAILED - message size 11 is larger than configured max size 10";
        assert_eq!(reply.text, text);
    }

    #[test]
    fn a_forsaken_message_is_read_to_its_end() {
        let mut assembly = begin(0);
        assert!(matches!(assembly.header(&header(2), 10), Ok(None)));
        assembly.forsake();
        assert!(matches!(assembly.body(&[0; 2], 10), Ok(Some(Assembled::Dropped))));
    }
}
