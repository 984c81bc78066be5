//! basic.publish with its whole content in one look, without a copy.

use crate::content::{CONTENT_HEADER_BYTES, Publish};
use crate::frame::{BODY, FRAME_END, Frame, FrameHeader, HEADER, HEADER_BYTES};
use crate::limits::LOOKAHEAD_BYTES;
use crate::properties;

/// What the look at the input found.
#[derive(Debug)]
pub(crate) enum Look<'b> {
    /// A whole message, this many bytes of input.
    Whole(Publish<'b>, usize),
    /// So far a message like any other; this many bytes of input are needed to go on.
    NeedMore(usize),
    /// Something else: an error, several body frames, another channel's frames in between, or a
    /// message too large to wait for. To be taken frame by frame.
    NotWhole,
}

/// Names and bits of a basic.publish.
struct Arguments<'b> {
    names: &'b [u8],
    exchange: &'b str,
    routing_key: &'b str,
    bits: u8,
}

/// The frame behind the ones already seen, or what to do without it.
enum Next<'b> {
    Payload(&'b [u8]),
    Missing(usize),
    Other,
}

/// Looks at `input`, which begins with `method`, the frame of a basic.publish.
#[inline]
pub(crate) fn look<'b>(
    input: &'b [u8],
    method: Frame<'b>,
    max_payload: usize,
    max_message_bytes: u64,
) -> Look<'b> {
    let Some(arguments) = arguments(method.payload) else {
        return Look::NotWhole;
    };
    let header_at = method.total();
    let header = match next(input, header_at, HEADER, method.channel, max_payload) {
        Next::Payload(payload) => payload,
        Next::Missing(needed) => return Look::NeedMore(needed),
        Next::Other => return Look::NotWhole,
    };
    let Some((size, properties)) = content_header(header, max_message_bytes) else {
        return Look::NotWhole;
    };
    let body_at = header_at + header.len() + HEADER_BYTES + 1;
    let body = match body(input, body_at, size, method.channel, max_payload) {
        Next::Payload(payload) => payload,
        Next::Missing(needed) => return Look::NeedMore(needed),
        Next::Other => return Look::NotWhole,
    };
    let end = if size == 0 { body_at } else { body_at + size + HEADER_BYTES + 1 };
    let Some(frames) = input.get(header_at..end) else {
        return Look::NotWhole;
    };
    let Arguments { names, exchange, routing_key, bits } = arguments;
    let (mandatory, immediate) = (bits & 1 != 0, bits & 2 != 0);
    let channel = method.channel;
    let publish = Publish {
        channel,
        mandatory,
        immediate,
        exchange,
        routing_key,
        properties,
        body,
        names,
        frames,
    };
    Look::Whole(publish, end)
}

#[inline]
fn arguments(payload: &[u8]) -> Option<Arguments<'_>> {
    let rest = payload.get(6..)?;
    let exchange_len = usize::from(*rest.first()?);
    let key_len = usize::from(*rest.get(1 + exchange_len)?);
    let (names, bits) = rest.split_at_checked(exchange_len + key_len + 2)?;
    let &[bits] = bits else {
        return None;
    };
    let exchange = std::str::from_utf8(names.get(1..1 + exchange_len)?).ok()?;
    let routing_key = std::str::from_utf8(names.get(2 + exchange_len..)?).ok()?;
    Some(Arguments { names, exchange, routing_key, bits })
}

/// Body size and properties of a content header that is in order.
#[inline]
fn content_header(payload: &[u8], max_message_bytes: u64) -> Option<(usize, &[u8])> {
    let (head, properties) = payload.split_first_chunk::<CONTENT_HEADER_BYTES>()?;
    let &[0, 60, 0, 0, s7, s6, s5, s4, s3, s2, s1, s0] = head else {
        return None;
    };
    let size = u64::from_be_bytes([s7, s6, s5, s4, s3, s2, s1, s0]);
    let small = size <= max_message_bytes && properties::check(properties).is_ok();
    if small { Some((usize::try_from(size).ok()?, properties)) } else { None }
}

/// The one body frame of a content, or no frame at all if it is empty.
#[inline]
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
#[inline]
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
#[inline]
fn missing(needed: usize) -> Next<'static> {
    if needed <= LOOKAHEAD_BYTES { Next::Missing(needed) } else { Next::Other }
}
