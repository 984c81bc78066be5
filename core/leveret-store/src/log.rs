//! The log as the broker sees it: open with a fence, append batches, read a message back.

use std::{fmt, future::Future, pin::Pin};

use bytes::Bytes;

use crate::{
    batch::Batch,
    error::{AppendError, OpenError, ReadError},
    ids::{Epoch, Lsn, QueueId, RecordRef, Seq},
};

/// Resolves when the batch is as durable as [`Capabilities::durability`] says.
pub type AppendFuture = Pin<Box<dyn Future<Output = Result<Lsn, AppendError>> + Send>>;

/// Resolves when everything appended is durable and the log is marked as cleanly stopped.
pub type CloseFuture = Pin<Box<dyn Future<Output = Result<(), AppendError>> + Send>>;

/// A durable, ordered log of batches.
pub trait Log: Send + Sync {
    /// Recovers what is live and gives out the one writer. A writer that is still in use is
    /// fenced first. Blocks for as long as reading the log takes.
    ///
    /// # Errors
    /// [`OpenError::Fenced`] if the log has seen a newer epoch than `fence`; otherwise what keeps
    /// the log from being read. Damage in it is no error: see [`RecoveryReport`].
    fn open(&self, fence: Epoch) -> Result<Opened, OpenError>;

    /// The bytes of one message, as they were given to [`Batch::enqueue`]. Blocks on the disk; the
    /// message must be durable (its append resolved) and not yet settled in that queue.
    ///
    /// # Errors
    /// [`ReadError::Gone`] if that queue has settled it.
    fn read(&self, at: RecordRef) -> Result<Bytes, ReadError>;

    /// What this engine promises and prefers.
    fn capabilities(&self) -> Capabilities;
}

/// The only way to add to a log. Dropping it without [`Writer::close`] writes what was appended
/// (blocking until that is done) and leaves the log marked as not cleanly stopped.
pub trait Writer: Send {
    /// Adds a batch, whole or not at all. Returns at once; batches reach the log in the order of
    /// the calls, whether or not their futures are polled. A refused batch ([`AppendError::Full`])
    /// does not stop later ones.
    fn append(&mut self, batch: Batch) -> AppendFuture;

    /// Resolves when everything appended before is durable and the engine has done what it can to
    /// make the next opening short. With the engines of today that is the barrier alone.
    fn checkpoint(&mut self) -> AppendFuture;

    /// Gives space back now that the engine would otherwise reclaim in its own time: carries live
    /// records forward and drops what is dead. Resolves when that is done.
    fn trim(&mut self) -> AppendFuture;

    /// Bytes appended and not yet durable. The engine does not bound them: whoever appends should.
    fn pending_bytes(&self) -> usize;

    /// What the log takes, as of the last batch that became durable.
    fn usage(&self) -> Usage;

    /// Makes everything durable, then marks the log as cleanly stopped.
    fn close(self: Box<Self>) -> CloseFuture;
}

/// What an engine promises and prefers.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Capabilities {
    /// What a resolved append survives.
    pub durability: Durability,
    /// Largest encoded batch accepted, in bytes.
    pub max_batch_bytes: usize,
    /// Batches of about this many bytes are cheapest; smaller ones are gathered by the engine
    /// while a sync is under way.
    pub preferred_batch_bytes: usize,
}

/// What a resolved append survives.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: it lives as long as the process.
    None,
    /// The end of the process and the loss of power: this machine's disk has it.
    Fsync,
    /// The loss of one machine, but not of power everywhere.
    QuorumMemory,
    /// The loss of one machine, and of power everywhere.
    QuorumFsync,
}

/// What a log occupies.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub struct Usage {
    /// Messages not settled, counted once for each queue.
    pub live_messages: u64,
    /// About as many bytes as those need.
    pub live_bytes: u64,
    /// Bytes the log occupies.
    pub disk_bytes: u64,
    /// Segments the log consists of.
    pub segments: u64,
    /// Bytes written since opening, compaction included.
    pub written_bytes: u64,
    /// Bytes of those that compaction carried forward.
    pub moved_bytes: u64,
    /// Syncs since opening.
    pub syncs: u64,
}

/// An opened log.
#[derive(Debug)]
pub struct Opened {
    /// Where to append.
    pub writer: Box<dyn Writer>,
    /// What was there.
    pub recovered: Recovered,
}

impl fmt::Debug for dyn Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("pending_bytes", &self.pending_bytes()).finish()
    }
}

/// What a log held when it was opened.
pub struct Recovered {
    /// Whether the last writer stopped by [`Writer::close`]. If not, a message may have been
    /// delivered although the log does not say so.
    pub clean: bool,
    /// Every message that some queue has not settled, once each, in the order of the log. The
    /// order of a queue is that of its `seq`: it is mostly but not always that of the log, so
    /// sort. Nothing is reclaimed until this is dropped: finish it soon.
    pub messages: Box<dyn Iterator<Item = RecoveredMessage> + Send>,
    /// What was found on the way.
    pub report: RecoveryReport,
}

impl fmt::Debug for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovered")
            .field("clean", &self.clean)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

/// A message that at least one queue has not settled.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct RecoveredMessage {
    /// As given to [`Batch::enqueue`], its parts joined.
    pub bytes: Bytes,
    /// The queues that have not settled it.
    pub targets: Vec<RecoveredTarget>,
}

/// One queue's hold on a recovered message.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
pub struct RecoveredTarget {
    /// The queue.
    pub queue: QueueId,
    /// Its position there.
    pub seq: Seq,
    /// How often it was delivered, as far as [`Batch::delivered`] said.
    pub delivered: u32,
}

impl RecoveredTarget {
    /// The reference under which this queue reads the message back.
    pub fn record(&self) -> RecordRef {
        RecordRef { queue: self.queue, seq: self.seq }
    }
}

/// What recovery found. All zero after a clean stop on a sound disk.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct RecoveryReport {
    /// Messages not settled, counted once for each queue.
    pub live_messages: u64,
    /// Segments read.
    pub segments: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes cut off the end: a write that the crash interrupted. None of it was confirmed.
    pub torn_bytes: u64,
    /// Records that were on disk and are no longer what was written. They were left out.
    pub damaged_records: u64,
    /// Bytes in which not even records could be made out.
    pub damaged_bytes: u64,
    /// Segments that should be there and are not.
    pub missing_segments: u64,
}

impl RecoveryReport {
    /// Whether something that had been durable is lost.
    pub fn is_damaged(&self) -> bool {
        self.damaged_records > 0 || self.damaged_bytes > 0 || self.missing_segments > 0
    }
}
