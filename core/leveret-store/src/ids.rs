//! The names of things in the store: queues, positions, revisions, epochs.

/// A queue, by a number the broker gives out once and never again, not even after the queue is
/// forgotten.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct QueueId(pub u64);

/// The position of a message in its queue: assigned by the broker, increasing per queue.
pub type Seq = u64;

/// A place in the log's order: what was appended later has a greater one. Its value means nothing
/// outside the engine that gave it.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, Default)]
pub struct Lsn(pub u64);

/// The number of an ownership. A writer of an older epoch than the newest is fenced.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, Default)]
pub struct Epoch(pub u64);

/// The version of a definition: increasing over the whole store, never used twice.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, Default)]
pub struct Revision(pub u64);

/// A message in the log, as one of its queues sees it.
///
/// It stays valid until that queue has settled the message, wherever compaction moves the bytes
/// in the meantime. A body shared by several queues has one reference for each: use the one of
/// the queue that asks, for it ends when that queue settles.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct RecordRef {
    /// The queue that asks.
    pub queue: QueueId,
    /// The message's position in that queue.
    pub seq: Seq,
}
