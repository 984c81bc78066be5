//! Durable, ordered bytes; definitions with revisions; and who owns them.
//!
//! This crate knows ids and bytes. It does not know AMQP: ready order, acknowledgements, time to
//! live, dead-lettering and confirms live in the broker, which tells the log what was enqueued
//! and what is settled and gets back, after a restart, what was not.
//!
//! Read in this order: [`Batch`] (what the broker writes), [`Log`] and [`Writer`] (where it goes),
//! [`Meta`] (definitions), [`Ownership`] (who may write), then one of the two engines,
//! [`MemoryStore`] or [`FileStore`]. The bytes on disk are described in `FORMAT.md`.
//!
//! No future here needs a runtime: each is completed by the thread that did the work.

mod batch;
mod completion;
pub mod disk;
mod error;
mod file;
mod frame;
mod ids;
mod liveness;
mod local;
mod log;
mod mailbox;
mod memory;
mod meta;
mod ownership;
mod record;
mod scan;
mod table;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use error::{AcquireError, AppendError, MetaError, OpenError, ReadError};
pub use file::{FileOptions, FileStore};
pub use ids::{Epoch, Lsn, QueueId, RecordRef, Revision, Seq};
pub use log::{
    AppendFuture, Capabilities, CloseFuture, Durability, Log, Opened, Recovered, RecoveredMessage,
    RecoveredTarget, RecoveryReport, Usage, Writer,
};
pub use memory::MemoryStore;
pub use meta::{Change, Meta, MetaFuture, Watch};
pub use ownership::{AcquireFuture, Holder, HolderFuture, Lease, Ownership};
