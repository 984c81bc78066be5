//! Frames that go out, appended to the caller's buffer.
//!
//! [`deliver`] is the hottest function of the broker: one reservation, four copies, two patches.

use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::{AMQPClass, gen_class};

use crate::content::{CONTENT_HEADER_BYTES, Publish, Run, patch_channel, push_short_str};
use crate::frame::{BODY, FRAME_END, HEADER_BYTES, METHOD};
use crate::limits::FRAME_OVERHEAD_BYTES;
use crate::reply_code::Reply;

/// Appends basic.deliver and the content.
///
/// `frame_max` is the negotiated one (0 = no limit); `consumer_tag` has at most 255 bytes.
#[inline]
pub fn deliver(
    out: &mut Vec<u8>,
    channel: u16,
    consumer_tag: &str,
    delivery_tag: u64,
    redelivered: bool,
    run: &Run<'_>,
    frame_max: u32,
) {
    out.reserve(deliver_len(consumer_tag, run.bytes.len()));
    let names_len = run.header_at - 1;
    deliver_prefix(out, channel, consumer_tag, delivery_tag, redelivered, names_len);
    append_content(out, channel, run, frame_max);
}

/// Appends basic.deliver and the content of a message that was never stored.
///
/// As [`deliver`]; saves the copy into a run.
#[inline]
pub fn deliver_publish(
    out: &mut Vec<u8>,
    channel: u16,
    consumer_tag: &str,
    delivery_tag: u64,
    redelivered: bool,
    publish: &Publish<'_>,
    frame_max: u32,
) {
    out.reserve(deliver_len(consumer_tag, publish.run_len()));
    let names_len = publish.names.len();
    deliver_prefix(out, channel, consumer_tag, delivery_tag, redelivered, names_len);
    out.extend_from_slice(publish.names);
    out.push(FRAME_END);
    let header_at = out.len();
    let header_len = HEADER_BYTES + CONTENT_HEADER_BYTES + publish.properties().len() + 1;
    if fits(publish.body_len(), frame_max) {
        out.extend_from_slice(publish.frames);
        if publish.body_len() > 0 {
            patch_channel(out, header_at + header_len, channel);
        }
    } else {
        out.extend_from_slice(&publish.frames[..header_len]);
        append_body(out, channel, publish.body(), frame_max);
    }
    patch_channel(out, header_at, channel);
}

/// Bytes of a delivery whose body is not split.
///
/// `run_len` is the length of the run ([`Publish::run_len`] or that of the run's bytes).
#[must_use]
#[inline]
pub fn deliver_len(consumer_tag: &str, run_len: usize) -> usize {
    HEADER_BYTES + 14 + consumer_tag.len() + run_len
}

/// Everything of a deliver method up to the names.
#[inline]
fn deliver_prefix(
    out: &mut Vec<u8>,
    channel: u16,
    consumer_tag: &str,
    delivery_tag: u64,
    redelivered: bool,
    names_len: usize,
) {
    let [c1, c0] = channel.to_be_bytes();
    let payload_len = (14 + consumer_tag.len() + names_len) as u32;
    let [l3, l2, l1, l0] = payload_len.to_be_bytes();
    let tag_len = consumer_tag.len() as u8;
    out.extend_from_slice(&[METHOD, c1, c0, l3, l2, l1, l0, 0, 60, 0, 60, tag_len]);
    out.extend_from_slice(consumer_tag.as_bytes());
    let [t7, t6, t5, t4, t3, t2, t1, t0] = delivery_tag.to_be_bytes();
    out.extend_from_slice(&[t7, t6, t5, t4, t3, t2, t1, t0, u8::from(redelivered)]);
}

/// Names, end marker, header and body of a run.
#[inline]
fn append_content(out: &mut Vec<u8>, channel: u16, run: &Run<'_>, frame_max: u32) {
    let start = out.len();
    if fits(run.body_len(), frame_max) {
        out.extend_from_slice(run.bytes);
        patch_channel(out, start + run.header_at, channel);
        patch_channel(out, start + run.body_at, channel);
    } else {
        out.extend_from_slice(&run.bytes[..run.body_at]);
        patch_channel(out, start + run.header_at, channel);
        append_body(out, channel, run.body(), frame_max);
    }
}

/// Whether a body goes into one frame.
#[inline]
fn fits(body_len: usize, frame_max: u32) -> bool {
    frame_max == 0 || body_len + FRAME_OVERHEAD_BYTES <= frame_max as usize
}

/// A body in frames of at most `frame_max` bytes, overhead included.
fn append_body(out: &mut Vec<u8>, channel: u16, body: &[u8], frame_max: u32) {
    let piece = (frame_max as usize).saturating_sub(FRAME_OVERHEAD_BYTES).max(1);
    for part in body.chunks(piece) {
        crate::frame::write(out, BODY, channel, part);
    }
}

/// Appends basic.get-ok and the content. `message_count` is what is left in the queue.
pub fn get_ok(
    out: &mut Vec<u8>,
    channel: u16,
    delivery_tag: u64,
    redelivered: bool,
    message_count: u32,
    run: &Run<'_>,
    frame_max: u32,
) {
    write_method(out, channel, (60, 71), |out| {
        out.extend_from_slice(&delivery_tag.to_be_bytes());
        out.push(u8::from(redelivered));
        out.extend_from_slice(&run.bytes[..run.header_at - 1]);
        out.extend_from_slice(&message_count.to_be_bytes());
    });
    content(out, channel, run, frame_max);
}

/// Appends basic.return and the content. Of `reply` only code and text are sent.
pub fn return_(out: &mut Vec<u8>, channel: u16, reply: &Reply, run: &Run<'_>, frame_max: u32) {
    write_method(out, channel, (60, 50), |out| {
        out.extend_from_slice(&reply.code.number().to_be_bytes());
        push_short_str(out, &reply.text);
        out.extend_from_slice(&run.bytes[..run.header_at - 1]);
    });
    content(out, channel, run, frame_max);
}

/// Content header and body of a run, without its names.
fn content(out: &mut Vec<u8>, channel: u16, run: &Run<'_>, frame_max: u32) {
    let header_at = out.len();
    out.extend_from_slice(&run.bytes[run.header_at..run.body_at]);
    patch_channel(out, header_at, channel);
    append_body(out, channel, run.body(), if frame_max == 0 { u32::MAX } else { frame_max });
}

/// Appends basic.ack (a publisher confirm).
#[inline]
pub fn ack(out: &mut Vec<u8>, channel: u16, delivery_tag: u64, multiple: bool) {
    settle(out, channel, 80, delivery_tag, u8::from(multiple));
}

/// Appends basic.nack (a refused publish). The requeue bit is set, as RabbitMQ's encoder does.
#[inline]
pub fn nack(out: &mut Vec<u8>, channel: u16, delivery_tag: u64, multiple: bool) {
    settle(out, channel, 120, delivery_tag, u8::from(multiple) | 2);
}

/// basic.ack and basic.nack are 21 bytes each.
#[inline]
fn settle(out: &mut Vec<u8>, channel: u16, method: u8, delivery_tag: u64, bits: u8) {
    let [c1, c0] = channel.to_be_bytes();
    let [t7, t6, t5, t4, t3, t2, t1, t0] = delivery_tag.to_be_bytes();
    out.extend_from_slice(&[
        METHOD, c1, c0, 0, 0, 0, 13, 0, 60, 0, method, t7, t6, t5, t4, t3, t2, t1, t0, bits,
        FRAME_END,
    ]);
}

/// Appends basic.cancel with no-wait set: the broker ended this consumer.
pub fn basic_cancel(out: &mut Vec<u8>, channel: u16, consumer_tag: &str) {
    write_method(out, channel, (60, 30), |out| {
        push_short_str(out, consumer_tag);
        out.push(1);
    });
}

/// Appends basic.get-empty.
pub fn get_empty(out: &mut Vec<u8>, channel: u16) {
    write_method(out, channel, (60, 72), |out| out.push(0));
}

/// Appends any method. Tables inside it are written as they are held.
///
/// Short strings in `method` cannot be longer than 255 bytes: their type sees to it.
pub fn method(out: &mut Vec<u8>, channel: u16, method: &AMQPClass) {
    let start = begin_method(out, channel);
    let context = WriteContext::from(std::mem::take(out));
    match gen_class(method)(context) {
        Ok(written) => *out = written.into_inner().0,
        // Writing to a Vec cannot fail, and losing bytes silently would break the stream.
        Err(error) => unreachable!("a method could not be written: {error}"),
    }
    end_method(out, start);
}

/// Appends a method frame whose arguments `arguments` writes.
pub(crate) fn write_method(
    out: &mut Vec<u8>,
    channel: u16,
    (class_id, method_id): (u16, u16),
    arguments: impl FnOnce(&mut Vec<u8>),
) {
    let start = begin_method(out, channel);
    out.extend_from_slice(&class_id.to_be_bytes());
    out.extend_from_slice(&method_id.to_be_bytes());
    arguments(out);
    end_method(out, start);
}

/// The frame header, its length still open. Returns where the frame begins.
fn begin_method(out: &mut Vec<u8>, channel: u16) -> usize {
    let start = out.len();
    let [c1, c0] = channel.to_be_bytes();
    out.extend_from_slice(&[METHOD, c1, c0, 0, 0, 0, 0]);
    start
}

/// Fills in the length and ends the frame.
fn end_method(out: &mut Vec<u8>, start: usize) {
    let payload_len = (out.len() - start - HEADER_BYTES) as u32;
    out[start + 3..start + HEADER_BYTES].copy_from_slice(&payload_len.to_be_bytes());
    out.push(FRAME_END);
}
