//! A message as queues keep it: one run of bytes in wire form, shared by every queue it went to.
//!
//! Small messages lie one behind the other in segments of the worker thread that received them;
//! large ones have an allocation of their own, since one slow message pins its segment.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use leveret_plugin::properties::{Properties, Property};
use leveret_plugin::table::Array;
use leveret_protocol::content::append_run;
use leveret_protocol::{OwnedPublish, Publish, Run};

const SEGMENT_BYTES: usize = 64 << 10;
/// Runs from this length on are not put into a segment.
const LARGE_BYTES: usize = 16 << 10;
/// What a queued message costs besides its run, for limits on memory.
const OVERHEAD_BYTES: usize = 112;

thread_local! {
    static SEGMENT: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// A message; cheap to clone.
#[derive(Clone, Debug)]
pub struct Message {
    /// The run; behind it, if it hides keys, those keys and their length in four bytes.
    bytes: Bytes,
    body_len: u32,
    persistent: bool,
    hides_keys: bool,
}

impl Message {
    /// Keeps a message that is still in the read buffer.
    pub(crate) fn store(publish: &Publish<'_>, persistent: bool) -> Self {
        let bytes = if publish.run_len() >= LARGE_BYTES {
            let mut run = Vec::with_capacity(publish.run_len());
            publish.append_to(&mut run);
            Bytes::from(run)
        } else {
            Self::in_segment(publish)
        };
        Self { bytes, body_len: publish.body_len() as u32, persistent, hides_keys: false }
    }

    /// Keeps a message that was put together from pieces.
    pub(crate) fn from_owned(publish: OwnedPublish) -> Self {
        Self::from_run(publish.bytes.into())
    }

    /// Keeps a run, for example one read from the log.
    pub(crate) fn from_run(bytes: Bytes) -> Self {
        let run = Run::parse(&bytes).unwrap_or(Run::EMPTY);
        let properties = Properties::view(run.properties());
        let persistent = properties.is_ok_and(|p| p.delivery_mode() == Some(2));
        Self { body_len: run.body_len() as u32, persistent, bytes, hides_keys: false }
    }

    /// Makes a message from its parts.
    pub(crate) fn build(exchange: &str, routing_key: &str, properties: &[u8], body: &[u8]) -> Self {
        let mut run = Vec::new();
        append_run(&mut run, exchange, routing_key, properties, body);
        Self::from_run(run.into())
    }

    /// The same with routing keys that no consumer sees, the values of a field array: for
    /// dead-lettering. The log does not keep them.
    pub(crate) fn hiding(self, keys: Array<'_>) -> Self {
        let keys = keys.as_bytes();
        let bytes = [self.bytes(), keys, &(keys.len() as u32).to_be_bytes()].concat().into();
        Self { bytes, hides_keys: true, ..self }
    }

    #[inline]
    fn in_segment(publish: &Publish<'_>) -> Bytes {
        SEGMENT.with_borrow_mut(|segment| {
            if segment.capacity() < publish.run_len() {
                *segment = BytesMut::with_capacity(SEGMENT_BYTES);
            }
            publish.pieces().into_iter().for_each(|piece| segment.extend_from_slice(piece));
            segment.split().freeze()
        })
    }

    /// Stands where a message was taken away.
    pub(crate) fn hole() -> Self {
        Self { bytes: Bytes::new(), body_len: 0, persistent: false, hides_keys: false }
    }

    #[inline]
    pub(crate) fn is_hole(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The message in wire form.
    #[inline]
    pub fn run(&self) -> Run<'_> {
        Run::parse(self.bytes()).unwrap_or(Run::EMPTY)
    }

    /// The bytes of the run.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        if self.hides_keys { self.split().0 } else { &self.bytes }
    }

    /// Routing keys that no consumer sees.
    pub(crate) fn hidden_keys(&self) -> impl Iterator<Item = &str> {
        Array::new(self.split().1).iter().filter_map(|key| key.as_str())
    }

    /// The run, and the hidden keys.
    #[cold]
    fn split(&self) -> (&[u8], &[u8]) {
        let (rest, length) = match self.bytes.split_last_chunk() {
            Some((rest, length)) if self.hides_keys => (rest, u32::from_be_bytes(*length)),
            _ => (&self.bytes[..], 0),
        };
        rest.split_at(rest.len().saturating_sub(length as usize))
    }

    /// Bytes of the body.
    #[inline]
    pub fn body_len(&self) -> usize {
        self.body_len as usize
    }

    /// About how much memory it takes in a queue.
    #[inline]
    pub(crate) fn weight(&self) -> u64 {
        (self.bytes.len() + OVERHEAD_BYTES) as u64
    }

    /// Whether its delivery_mode is 2.
    #[inline]
    pub fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// Its own time to live, if it has one.
    pub(crate) fn expiration_ms(&self) -> Option<u64> {
        let properties = Properties::view(self.run().properties()).ok()?;
        crate::arguments::expiration_ms(properties.raw(Property::Expiration)?).ok()
    }

    #[cfg(test)]
    pub(crate) fn for_tests(exchange: &str, routing_key: &str, body: &[u8]) -> Self {
        Self::build(exchange, routing_key, &[0, 0], body)
    }
}

#[cfg(test)]
mod tests {
    use leveret_plugin::table::ArrayBuilder;
    use leveret_plugin::value::Value;

    use super::*;

    #[test]
    fn hidden_keys_are_no_part_of_the_run() {
        let plain = Message::for_tests("x", "key", b"body");
        assert_eq!(plain.hidden_keys().count(), 0);
        for names in [&["secret", "other"][..], &[]] {
            let mut keys = ArrayBuilder::new();
            names.iter().for_each(|name| keys.push(Value::Text(name.as_bytes())));
            let hiding = plain.clone().hiding(keys.array());
            assert_eq!(hiding.bytes(), plain.bytes());
            assert_eq!((hiding.run(), hiding.body_len()), (plain.run(), plain.body_len()));
            assert!(hiding.hidden_keys().eq(names.iter().copied()));
        }
    }
}
