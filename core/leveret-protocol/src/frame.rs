//! Frames on the wire (AMQP 0-9-1, section 2.3.5).
//!
//! ```text
//!  0      1         3             7                  7 + size   8 + size
//!  +------+---------+-------------+------------------+----------+
//!  | type | channel |    size     |     payload      |   0xCE   |
//!  +------+---------+-------------+------------------+----------+
//!    u8     u16        u32          size bytes          u8
//! ```

/// The octet that ends a frame.
pub(crate) const FRAME_END: u8 = 0xCE;
/// Bytes in front of the payload.
pub(crate) const HEADER_BYTES: usize = 7;

/// Frame types.
pub(crate) const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 8;

/// A heartbeat, whole.
pub(crate) const HEARTBEAT_FRAME: [u8; 8] = [HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END];

/// The seven bytes in front of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) size: usize,
}

impl FrameHeader {
    #[inline]
    pub(crate) fn read(input: &[u8]) -> Option<Self> {
        let &[kind, c1, c0, s3, s2, s1, s0] = input.first_chunk::<HEADER_BYTES>()?;
        let size = u32::from_be_bytes([s3, s2, s1, s0]) as usize;
        Some(Self { kind, channel: u16::from_be_bytes([c1, c0]), size })
    }

    /// Bytes of the whole frame.
    #[inline]
    pub(crate) fn total(&self) -> usize {
        self.size + HEADER_BYTES + 1
    }
}

/// One whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'b> {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) payload: &'b [u8],
}

/// Why no frame could be taken from the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unframed<'b> {
    /// The frame at the front is this many bytes long, or at least so many.
    Incomplete(usize),
    /// Its payload is larger than allowed.
    TooLarge(FrameHeader),
    /// It does not end with 0xCE but with `end`.
    BadEnd { kind: u8, payload: &'b [u8], end: u8 },
}

impl<'b> Frame<'b> {
    /// The frame at the front of `input`, which is not consumed.
    #[inline]
    pub(crate) fn read(input: &'b [u8], max_payload: usize) -> Result<Self, Unframed<'b>> {
        let Some(header) = FrameHeader::read(input) else {
            return Err(Unframed::Incomplete(HEADER_BYTES + 1));
        };
        if header.size > max_payload {
            return Err(Unframed::TooLarge(header));
        }
        let Some(frame) = input.get(HEADER_BYTES..header.total()) else {
            return Err(Unframed::Incomplete(header.total()));
        };
        let (payload, end) = frame.split_at(header.size);
        let FrameHeader { kind, channel, .. } = header;
        match end {
            [FRAME_END] => Ok(Self { kind, channel, payload }),
            _ => Err(Unframed::BadEnd { kind, payload, end: end.first().copied().unwrap_or(0) }),
        }
    }

    /// Bytes of the whole frame on the wire.
    #[inline]
    pub(crate) fn total(&self) -> usize {
        self.payload.len() + HEADER_BYTES + 1
    }
}

/// Appends one whole frame.
pub(crate) fn write(out: &mut Vec<u8>, kind: u8, channel: u16, payload: &[u8]) {
    out.reserve(payload.len() + HEADER_BYTES + 1);
    let [c1, c0] = channel.to_be_bytes();
    let [s3, s2, s1, s0] = (payload.len() as u32).to_be_bytes();
    out.extend_from_slice(&[kind, c1, c0, s3, s2, s1, s0]);
    out.extend_from_slice(payload);
    out.push(FRAME_END);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_frame_is_read_back() {
        let mut out = Vec::new();
        write(&mut out, METHOD, 258, b"abc");
        let frame = Frame::read(&out, 3).expect("whole");
        assert_eq!(frame, Frame { kind: METHOD, channel: 258, payload: b"abc" });
        assert_eq!(frame.total(), out.len());
    }

    #[test]
    fn every_prefix_of_a_frame_is_incomplete() {
        let mut out = Vec::new();
        write(&mut out, BODY, 1, b"abc");
        for end in 0..out.len() {
            let wanted = if end < HEADER_BYTES { HEADER_BYTES + 1 } else { out.len() };
            assert_eq!(Frame::read(&out[..end], 3), Err(Unframed::Incomplete(wanted)));
        }
    }

    #[test]
    fn a_payload_over_the_limit_is_refused_from_its_header_alone() {
        let input = [3, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF];
        let header = FrameHeader { kind: 3, channel: 1, size: 0xFFFF_FFFF };
        assert_eq!(Frame::read(&input, 131_072), Err(Unframed::TooLarge(header)));
    }

    #[test]
    fn a_wrong_end_marker_is_named() {
        let input = [8, 0, 0, 0, 0, 0, 0, 7];
        let bad = Unframed::BadEnd { kind: 8, payload: &[], end: 7 };
        assert_eq!(Frame::read(&input, 8), Err(bad));
    }
}
