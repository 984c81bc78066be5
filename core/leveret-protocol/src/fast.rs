//! basic.publish with its whole content, and basic.ack, in one look and without a copy.
//!
//! A look only measures; the message is cut out of the input where it is returned, because an event
//! is large and every copy of it shows in a profile.

use crate::content::{CONTENT_HEADER_BYTES, Publish};
use crate::frame::{BODY, FRAME_END, Frame, FrameHeader, HEADER, HEADER_BYTES};
use crate::limits::LOOKAHEAD_BYTES;
use crate::method::Method;
use crate::properties;

/// Class and method of basic.publish and basic.ack as the first four bytes of a payload.
pub(crate) const PUBLISH: [u8; 4] = [0, 60, 0, 40];
pub(crate) const ACK: [u8; 4] = [0, 60, 0, 80];

/// Where the names of a basic.publish begin: behind frame header, class, method and ticket.
const NAMES_AT: usize = HEADER_BYTES + 6;

/// A content header larger than this is not waited behind: it would be checked again at each read.
const MOST_HEADER_BYTES: usize = 4096;

/// What the look at the input found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Look {
    /// A whole message.
    Whole(Layout),
    /// So far a message like any other; this many bytes of input are needed to go on.
    NeedMore(usize),
    /// Something else: an error, several body frames, another channel's frames in between, or a
    /// message too large to wait for. To be taken frame by frame.
    No,
}

/// Where the parts of a whole message lie in the input. All ends are inside of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    channel: u16,
    exchange_len: usize,
    /// Where the content header frame begins; the bits of basic.publish lie two bytes in front.
    header_at: usize,
    /// Where the content header frame ends.
    header_end: usize,
    /// Where the whole message ends.
    pub(crate) end: usize,
}

/// The payload of the frame that was looked for, or what to do without it.
enum Next<'b> {
    Payload(&'b [u8]),
    Missing(usize),
    Other,
}

/// Looks at `input`, which begins with `method`, the frame of a basic.publish.
#[inline(always)]
pub(crate) fn look(
    input: &[u8],
    method: Frame<'_>,
    max_payload: usize,
    max_message_bytes: u64,
) -> Look {
    let channel = method.channel;
    let Some(exchange_len) = exchange_len(method.payload) else { return Look::No };
    let header_at = method.total();
    let header = match next(input, header_at, HEADER, channel, max_payload) {
        Next::Payload(payload) => payload,
        Next::Missing(needed) => return wait(method.payload, needed),
        Next::Other => return Look::No,
    };
    let Some(size) = body_size(header, max_message_bytes) else { return Look::No };
    let header_end = header_at + header.len() + HEADER_BYTES + 1;
    let end = match body(input, header_end, size, channel, max_payload) {
        Next::Payload([]) => header_end,
        Next::Payload(_) => header_end + size + HEADER_BYTES + 1,
        Next::Missing(needed) if header.len() <= MOST_HEADER_BYTES => {
            return wait(method.payload, needed);
        }
        Next::Missing(_) | Next::Other => return Look::No,
    };
    Look::Whole(Layout { channel, exchange_len, header_at, header_end, end })
}

/// Waits for more input, unless the method is wrong already.
#[cold]
fn wait(payload: &[u8], needed: usize) -> Look {
    let fine = Method::split(payload).is_ok_and(|method| method.check().is_ok());
    if fine { Look::NeedMore(needed) } else { Look::No }
}

/// Cuts a message out of the input that was looked at. `None` if a name is not UTF-8.
#[inline(always)]
pub(crate) fn cut(input: &[u8], layout: Layout) -> Option<Publish<'_>> {
    let Layout { channel, exchange_len, header_at, header_end, end } = layout;
    let names = &input[NAMES_AT..header_at - 2];
    if !are_utf8(names, exchange_len) {
        return None;
    }
    let bits = input[header_at - 2];
    let properties_len = header_end - 1 - (header_at + HEADER_BYTES + CONTENT_HEADER_BYTES);
    Some(Publish {
        channel,
        mandatory: bits & 1 != 0,
        immediate: bits & 2 != 0,
        properties_len: properties_len as u32,
        names,
        frames: &input[header_at..end],
    })
}

/// Whether exchange and routing key are UTF-8. Names are nearly always ASCII, which is seen at
/// once; their lengths are then, too, unless one is 128 or more.
#[inline(always)]
fn are_utf8(names: &[u8], exchange_len: usize) -> bool {
    names.is_ascii()
        || (std::str::from_utf8(&names[1..1 + exchange_len]).is_ok()
            && std::str::from_utf8(&names[2 + exchange_len..]).is_ok())
}

/// Tag and multiple of a basic.ack.
#[inline(always)]
pub(crate) fn ack(payload: &[u8]) -> Option<(u64, bool)> {
    let &[_, _, _, _, t7, t6, t5, t4, t3, t2, t1, t0, bits] = payload else {
        return None;
    };
    Some((u64::from_be_bytes([t7, t6, t5, t4, t3, t2, t1, t0]), bits & 1 != 0))
}

/// Length of the exchange's name, if the names and one octet of bits fill the payload exactly.
#[inline(always)]
fn exchange_len(payload: &[u8]) -> Option<usize> {
    let rest = payload.get(6..)?;
    let exchange_len = usize::from(*rest.first()?);
    let key_len = usize::from(*rest.get(1 + exchange_len)?);
    (rest.len() == exchange_len + key_len + 3).then_some(exchange_len)
}

/// Body size of a content header that is in order.
#[inline(always)]
fn body_size(payload: &[u8], max_message_bytes: u64) -> Option<usize> {
    let (head, properties) = payload.split_first_chunk::<CONTENT_HEADER_BYTES>()?;
    let &[0, 60, 0, 0, s7, s6, s5, s4, s3, s2, s1, s0] = head else {
        return None;
    };
    let size = u64::from_be_bytes([s7, s6, s5, s4, s3, s2, s1, s0]);
    let fine = size <= max_message_bytes && properties::check(properties).is_ok();
    if fine { usize::try_from(size).ok() } else { None }
}

/// The one body frame of a content, or no frame at all if it is empty.
#[inline(always)]
fn body(input: &[u8], at: usize, size: usize, channel: u16, max_payload: usize) -> Next<'_> {
    if size == 0 {
        return Next::Payload(&[]);
    }
    if size > max_payload {
        return Next::Other;
    }
    let end = at + size + HEADER_BYTES + 1;
    match next(input, at, BODY, channel, max_payload) {
        Next::Payload(payload) if payload.len() == size => Next::Payload(payload),
        Next::Missing(needed) if needed <= end => missing(end),
        _ => Next::Other,
    }
}

/// The payload of the frame at `at`, if it is of this kind and channel.
#[inline(always)]
fn next(input: &[u8], at: usize, kind: u8, channel: u16, max_payload: usize) -> Next<'_> {
    let rest = input.get(at..).unwrap_or_default();
    let Some(header) = FrameHeader::read(rest) else {
        return missing(at + HEADER_BYTES + 1);
    };
    if header.kind != kind || header.channel != channel || header.size > max_payload {
        return Next::Other;
    }
    match rest.get(HEADER_BYTES..header.total()).map(<[u8]>::split_last) {
        Some(Some((&FRAME_END, payload))) => Next::Payload(payload),
        Some(_) => Next::Other,
        None => missing(at + header.total()),
    }
}

/// Waits for `needed` bytes of input if that is worth it.
#[inline(always)]
fn missing(needed: usize) -> Next<'static> {
    if needed <= LOOKAHEAD_BYTES { Next::Missing(needed) } else { Next::Other }
}
