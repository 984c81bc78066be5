//! A batch: what the broker wants in the log, whole or not at all.

use std::fmt;

use crate::{
    ids::{QueueId, Seq},
    record::{Records, kind},
};

/// Encoded records on their way to the log. They take effect in the order they were added.
///
/// Encoding and checksums are done here, on the caller's thread, so that the thread that writes
/// the log only writes.
pub struct Batch {
    records: Records,
    enqueues: bool,
}

impl Batch {
    /// A batch with nothing in it.
    pub fn new() -> Self {
        Self { records: Records::new(), enqueues: false }
    }

    /// One message, `parts` joined, for each of `targets`. Without targets nothing is added.
    pub fn enqueue(&mut self, targets: &[(QueueId, Seq)], parts: &[&[u8]]) {
        self.enqueue_flagged(0, targets, parts);
    }

    /// As [`Batch::enqueue`], carried forward by compaction.
    pub(crate) fn enqueue_flagged(
        &mut self,
        flags: u8,
        targets: &[(QueueId, Seq)],
        parts: &[&[u8]],
    ) {
        if targets.is_empty() {
            return;
        }
        self.enqueues = true;
        self.records.begin(kind::ENQUEUE, flags, targets.len());
        for (queue, seq) in targets {
            self.records.put_u64(queue.0);
            self.records.put_u64(*seq);
        }
        for part in parts {
            self.records.put(part);
        }
    }

    /// `queue` needs the messages from `first` to `last`, both included, no more: acknowledged,
    /// expired, dropped, purged or passed on. Positions it does not hold are passed over.
    pub fn settle(&mut self, queue: QueueId, first: Seq, last: Seq) {
        self.records.entry(kind::SETTLE);
        self.records.put_u64(queue.0);
        self.records.put_u64(first);
        self.records.put_u64(last);
    }

    /// A message of `queue` has been delivered `count` times in all.
    pub fn delivered(&mut self, queue: QueueId, seq: Seq, count: u32) {
        self.records.entry(kind::DELIVERED);
        self.records.put_u64(queue.0);
        self.records.put_u64(seq);
        self.records.put(&count.to_le_bytes());
    }

    /// `queue` is gone and with it everything in it. Its id must not be used again.
    pub fn forget(&mut self, queue: QueueId) {
        self.records.entry(kind::FORGET);
        self.records.put_u64(queue.0);
    }

    /// Bytes this batch takes in the log.
    pub fn len_bytes(&self) -> usize {
        self.records.len_bytes()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether it needs space that only later settles give back.
    pub fn has_enqueues(&self) -> bool {
        self.enqueues
    }

    pub(crate) fn into_records(self) -> Records {
        self.records
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len_bytes", &self.len_bytes()).finish_non_exhaustive()
    }
}
