//! What can go wrong, in words that tell an operator what to do.

use std::{io, path::PathBuf, sync::Arc};

use crate::ids::{Epoch, Revision};

/// Why a store or its log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the directory.
    #[error(
        "data directory {} is in use by {}: stop it, or choose another directory",
        dir.display(),
        pid.map_or("another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// The process that holds the lock, where its lock file says so.
        pid: Option<u32>,
    },
    /// The path exists and is no directory.
    #[error("{} is not a directory: choose another data directory", path.display())]
    NotADirectory {
        /// The path as given.
        path: PathBuf,
    },
    /// The operating system does not let this user read or write there.
    #[error(
        "no permission to use {}: give its owner to the user that runs the broker, or choose \
         another data directory",
        path.display()
    )]
    Permission {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The files were written by a later version of this program.
    #[error(
        "{} has format version {found}, this program knows versions up to {known}: start the \
         newer version that wrote it, or restore a backup made before the upgrade",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The version in it.
        found: u32,
        /// The newest version this program can read.
        known: u32,
    },
    /// A newer owner has already opened this log.
    #[error("the log was opened by epoch {}, a writer of epoch {} may not have it", held.0, asked.0)]
    Fenced {
        /// The epoch the log knows of.
        held: Epoch,
        /// The epoch that asked.
        asked: Epoch,
    },
    /// Anything else the system refused.
    #[error("cannot open {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    /// Sorts a system error at `path` into the variant that says what to do about it.
    pub(crate) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Permission { path, source },
            io::ErrorKind::NotADirectory => Self::NotADirectory { path },
            _ => Self::Io { path, source },
        }
    }
}

/// Why a batch is not in the log.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A newer owner has the log: this writer must stop serving.
    #[error("another owner has taken over the log")]
    Fenced,
    /// No space. The batch is not in the log; a later one may be. Batches that only settle go on
    /// being accepted for a while from a reserve.
    #[error("no space left for the log")]
    Full,
    /// The batch is larger than [`Capabilities::max_batch_bytes`](crate::Capabilities).
    #[error("a batch of {bytes} bytes is larger than the log takes ({limit})")]
    TooLarge {
        /// Encoded size of the batch.
        bytes: usize,
        /// Largest size accepted.
        limit: usize,
    },
    /// A write or sync failed. What was not yet confirmed may or may not be on disk; every later
    /// append fails as well. Restart to recover from what is there.
    #[error("the log has failed and takes nothing more: {0}")]
    Failed(Arc<str>),
    /// The engine does not know whether the batch is in the log: open again and look.
    #[error("it is not known whether the log has the batch")]
    Unknown,
}

impl AppendError {
    /// A failure that ends the log.
    pub(crate) fn failed(why: &impl ToString) -> Self {
        Self::Failed(why.to_string().into())
    }
}

/// Why a message could not be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The log does not have it: settled, forgotten, or not yet durable.
    #[error("the log does not hold this message")]
    Gone,
    /// Its bytes are not what was written.
    #[error("the message is damaged on disk")]
    Damaged,
    /// The system could not read it.
    #[error("cannot read the log: {0}")]
    Io(#[from] io::Error),
}

/// Why a change of definitions was not made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetaError {
    /// The key has another revision than expected.
    #[error("the definition has changed: its revision is {found:?}")]
    Conflict {
        /// The revision it has, or none if it does not exist.
        found: Option<Revision>,
    },
    /// No space; nothing was changed.
    #[error("no space left for definitions")]
    Full,
    /// A key of more than 65,535 bytes, or a change too large for one record.
    #[error("a definition of {bytes} bytes is larger than the store takes")]
    TooLarge {
        /// Encoded size.
        bytes: usize,
    },
    /// A write or sync failed; every later change fails as well. Restart to recover.
    #[error("the definitions have failed and take no more changes: {0}")]
    Failed(Arc<str>),
}

impl MetaError {
    /// A failure that ends the definitions.
    pub(crate) fn failed(why: &impl ToString) -> Self {
        Self::Failed(why.to_string().into())
    }
}

/// Why an ownership was not given.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// Somebody else has it.
    #[error("shard is owned by {holder} (epoch {})", epoch.0)]
    Held {
        /// The owner, as it named itself.
        holder: String,
        /// Its epoch.
        epoch: Epoch,
    },
    /// The engine could not find out or could not write it down.
    #[error("cannot acquire the ownership: {0}")]
    Failed(Arc<str>),
}
