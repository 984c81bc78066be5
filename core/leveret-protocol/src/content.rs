//! Messages as they come in, and the run of bytes in which a message is kept.
//!
//! A run holds everything of a message that every delivery repeats, in wire form, so that a delivery
//! is a prefix, one copy and the channel patched in at two places:
//!
//! ```text
//! +--------------------+-----------------------+------+---------------------------+-------------+
//! | shortstr exchange  | shortstr routing key  | 0xCE | content header frame      | body frame  |
//! +--------------------+-----------------------+------+---------------------------+-------------+
//!                                                     02 0000 len32                03 0000 len32
//!                                                     class 60, weight 0, size64   body
//!                                                     flags, properties  CE        CE
//! ```
//! The body frame is absent when the body is empty, and holds the whole body however long it is.
//! The 0xCE in front ends the deliver method's frame.

use crate::frame::{FRAME_END, HEADER_BYTES};

/// Bytes of a content header's payload in front of the property flags: class, weight, body size.
pub(crate) const CONTENT_HEADER_BYTES: usize = 12;

/// basic.publish with its whole content, borrowed from the input.
#[derive(Clone, Copy, Debug)]
pub struct Publish<'b> {
    /// Channel.
    pub channel: u16,
    /// Fail the message if it cannot be routed.
    pub mandatory: bool,
    /// Fail the message if no consumer takes it at once (RabbitMQ: 540).
    pub immediate: bool,
    /// Bytes of the property flags and list.
    pub(crate) properties_len: u32,
    /// Both short strings with their length octets.
    pub(crate) names: &'b [u8],
    /// Content header frame and, if there is a body, its one frame, as on the wire.
    pub(crate) frames: &'b [u8],
}

impl<'b> Publish<'b> {
    /// Exchange, empty for the default exchange; UTF-8.
    #[must_use]
    #[inline]
    pub fn exchange_bytes(&self) -> &'b [u8] {
        &self.names[1..1 + usize::from(self.names[0])]
    }

    /// Exchange, empty for the default exchange.
    #[must_use]
    pub fn exchange(&self) -> &'b str {
        std::str::from_utf8(self.exchange_bytes()).unwrap_or_default()
    }

    /// Routing key; UTF-8.
    #[must_use]
    #[inline]
    pub fn routing_key_bytes(&self) -> &'b [u8] {
        &self.names[2 + usize::from(self.names[0])..]
    }

    /// Routing key.
    #[must_use]
    pub fn routing_key(&self) -> &'b str {
        std::str::from_utf8(self.routing_key_bytes()).unwrap_or_default()
    }

    /// Where the body's frame begins behind the header's.
    #[inline]
    fn header_len(&self) -> usize {
        HEADER_BYTES + CONTENT_HEADER_BYTES + self.properties_len as usize + 1
    }

    /// Property flags and list as on the wire; checked (see [`crate::properties`]).
    #[must_use]
    #[inline]
    pub fn properties(&self) -> &'b [u8] {
        &self.frames[HEADER_BYTES + CONTENT_HEADER_BYTES..self.header_len() - 1]
    }

    /// The body.
    #[must_use]
    #[inline]
    pub fn body(&self) -> &'b [u8] {
        match self.body_len() {
            0 => &[],
            _ => &self.frames[self.header_len() + HEADER_BYTES..self.frames.len() - 1],
        }
    }

    /// Bytes of the body.
    #[must_use]
    #[inline]
    pub fn body_len(&self) -> usize {
        (self.frames.len() - self.header_len()).saturating_sub(HEADER_BYTES + 1)
    }

    /// Bytes that [`append_to`](Self::append_to) writes.
    #[must_use]
    #[inline]
    pub fn run_len(&self) -> usize {
        self.names.len() + 1 + self.frames.len()
    }

    /// The run in pieces, to be joined. The channel in the frames is the publisher's: a delivery
    /// writes its own over it.
    #[must_use]
    #[inline]
    pub fn pieces(&self) -> [&[u8]; 3] {
        [self.names, &[FRAME_END], self.frames]
    }

    /// Appends this message as a run.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.run_len());
        out.extend_from_slice(self.names);
        out.push(FRAME_END);
        let header_at = out.len();
        out.extend_from_slice(self.frames);
        let body_at = header_at + self.header_len();
        patch_channel(out, header_at, 0);
        if self.body_len() > 0 {
            patch_channel(out, body_at, 0);
        }
    }
}

/// basic.publish with its whole content, put together from pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedPublish {
    /// Channel.
    pub channel: u16,
    /// Fail the message if it cannot be routed.
    pub mandatory: bool,
    /// Fail the message if no consumer takes it at once (RabbitMQ: 540).
    pub immediate: bool,
    /// The message as a run (see the module's description); its properties are checked.
    pub bytes: Vec<u8>,
}

impl OwnedPublish {
    /// The message as a run.
    #[must_use]
    pub fn run(&self) -> Run<'_> {
        Run::parse(&self.bytes).unwrap_or(Run::EMPTY)
    }
}

/// A view of a run's bytes. Its layout is checked, its property list is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    pub(crate) bytes: &'a [u8],
    /// Where the content header frame begins.
    pub(crate) header_at: usize,
    /// Where the body frame begins; the end of the bytes if the body is empty.
    pub(crate) body_at: usize,
}

/// The run of a message without names, properties or body.
static EMPTY_RUN: [u8; 25] =
    [0, 0, 0xCE, 2, 0, 0, 0, 0, 0, 14, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xCE];

impl<'a> Run<'a> {
    /// A message without exchange, routing key, properties or body.
    pub const EMPTY: Run<'static> = Run { bytes: &EMPTY_RUN, header_at: 3, body_at: 25 };

    /// Looks at bytes that are one run and nothing else. `None` if their layout is not that of a
    /// run.
    #[must_use]
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let exchange_len = usize::from(*bytes.first()?);
        let key_len = usize::from(*bytes.get(1 + exchange_len)?);
        let header_at = exchange_len + key_len + 3;
        let head = bytes.get(header_at..header_at + HEADER_BYTES)?;
        let header_len = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let body_at = header_at.checked_add(header_len)?.checked_add(HEADER_BYTES + 1)?;
        let run = Self { bytes, header_at, body_at };
        run.is_whole(header_len).then_some(run)
    }

    /// Whether the frames fill the bytes exactly.
    fn is_whole(&self, header_len: usize) -> bool {
        let bytes = self.bytes;
        let body_len = match bytes.len().checked_sub(self.body_at) {
            Some(0) => 0,
            Some(rest) if rest > HEADER_BYTES + 1 => rest - HEADER_BYTES - 1,
            _ => return false,
        };
        let announced = self.header_at + HEADER_BYTES + 4;
        let size = bytes.get(announced..announced + 8).unwrap_or_default();
        header_len >= CONTENT_HEADER_BYTES + 2
            && size == (body_len as u64).to_be_bytes()
            && bytes[self.header_at - 1] == FRAME_END
            && bytes[self.body_at - 1] == FRAME_END
            && bytes[bytes.len() - 1] == FRAME_END
    }

    /// The bytes themselves.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Exchange. Empty if the stored name is not UTF-8, which no publish lets happen.
    #[must_use]
    #[inline]
    pub fn exchange(&self) -> &'a str {
        let length = usize::from(self.bytes[0]);
        std::str::from_utf8(&self.bytes[1..1 + length]).unwrap_or_default()
    }

    /// Routing key. Empty if the stored key is not UTF-8, which no publish lets happen.
    #[must_use]
    #[inline]
    pub fn routing_key(&self) -> &'a str {
        let start = usize::from(self.bytes[0]) + 2;
        std::str::from_utf8(&self.bytes[start..self.header_at - 1]).unwrap_or_default()
    }

    /// Property flags and list.
    #[must_use]
    #[inline]
    pub fn properties(&self) -> &'a [u8] {
        let start = self.header_at + HEADER_BYTES + CONTENT_HEADER_BYTES;
        &self.bytes[start..self.body_at - 1]
    }

    /// The body.
    #[must_use]
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        match self.body_len() {
            0 => &[],
            _ => &self.bytes[self.body_at + HEADER_BYTES..self.bytes.len() - 1],
        }
    }

    /// Bytes of the body.
    #[must_use]
    #[inline]
    pub fn body_len(&self) -> usize {
        (self.bytes.len() - self.body_at).saturating_sub(HEADER_BYTES + 1)
    }
}

/// Appends a run made of its parts, as a transform or the broker itself needs it. Names longer than
/// 255 bytes are cut at a character's boundary.
pub fn append_run(
    out: &mut Vec<u8>,
    exchange: &str,
    routing_key: &str,
    properties: &[u8],
    body: &[u8],
) {
    out.reserve(exchange.len() + routing_key.len() + properties.len() + body.len() + 40);
    append_names(out, exchange, routing_key);
    append_header(out, properties, body.len() as u64);
    if !body.is_empty() {
        crate::frame::write(out, crate::frame::BODY, 0, body);
    }
}

/// The names of a run and the end marker behind them.
pub(crate) fn append_names(out: &mut Vec<u8>, exchange: &str, routing_key: &str) {
    push_short_str(out, exchange);
    push_short_str(out, routing_key);
    out.push(FRAME_END);
}

/// The content header frame of a run.
pub(crate) fn append_header(out: &mut Vec<u8>, properties: &[u8], body_size: u64) {
    let length = (CONTENT_HEADER_BYTES + properties.len()) as u32;
    out.extend_from_slice(&[crate::frame::HEADER, 0, 0]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[0, 60, 0, 0]);
    out.extend_from_slice(&body_size.to_be_bytes());
    out.extend_from_slice(properties);
    out.push(FRAME_END);
}

/// A short string, cut to 255 bytes at a character's boundary.
pub(crate) fn push_short_str(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(255)];
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// Writes a channel into the frame that begins at `at`.
#[inline]
pub(crate) fn patch_channel(out: &mut [u8], at: usize, channel: u16) {
    if let Some(place) = out.get_mut(at + 1..at + 3) {
        place.copy_from_slice(&channel.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_empty_run_is_a_run() {
        assert_eq!(Run::parse(&EMPTY_RUN), Some(Run::EMPTY));
        assert_eq!(Run::EMPTY.properties(), &[0, 0]);
    }

    #[test]
    fn a_run_that_lost_a_byte_is_refused() {
        let mut bytes = Vec::new();
        append_run(&mut bytes, "ex", "key", &[0, 0], b"body");
        for end in 0..bytes.len() {
            assert_eq!(Run::parse(&bytes[..end]), None, "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn a_run_gives_back_its_parts(
            exchange in ".{0,60}", key in ".{0,60}",
            properties in prop::collection::vec(any::<u8>(), 2..80),
            body in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = Vec::new();
            append_run(&mut bytes, &exchange, &key, &properties, &body);
            let run = Run::parse(&bytes).expect("a run");
            prop_assert_eq!(run.exchange(), exchange);
            prop_assert_eq!(run.routing_key(), key);
            prop_assert_eq!(run.properties(), &properties[..]);
            prop_assert_eq!(run.body(), &body[..]);
        }

        #[test]
        fn bytes_that_are_no_run_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(run) = Run::parse(&bytes) {
                let _ = (run.exchange(), run.routing_key(), run.properties(), run.body());
            }
        }
    }
}
