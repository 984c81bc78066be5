//! The engine that keeps everything in a directory of its own.
//!
//! `DIR/lock` keeps other processes out, `DIR/log/` has the segments of the log, `DIR/definitions`
//! the definitions. See `FORMAT.md`.

mod definitions;
mod dir_lock;
mod frame_file;
mod group;
mod log;
mod log_dir;
mod messages;
mod meta;
mod owner;
mod reclaim;
mod recovery;
mod reserve;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use crate::{
    disk::{Disk, SystemDisk},
    error::OpenError,
    ids::Epoch,
    local::LocalOwnership,
    log::{Log, RecoveryReport},
    meta::Meta,
    ownership::Ownership,
};
use dir_lock::DirLock;

/// How a [`FileStore`] uses its directory.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// A segment of the log is followed by the next when it has about this many bytes (512 MiB
    /// at most). Space is given back by whole segments.
    pub segment_bytes: u64,
    /// Space kept aside, so that settles can be written when the disk is full. 0 for none.
    pub reserve_bytes: u64,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, reserve_bytes: 4 << 20 }
    }
}

impl FileOptions {
    fn segment_bytes(&self) -> u64 {
        self.segment_bytes.clamp(1 << 10, 512 << 20)
    }
}

/// A store in a directory. The directory is locked until this, everything it gave out and every
/// log opened from it are gone.
#[derive(Clone)]
pub struct FileStore {
    log: Arc<log::FileLog>,
    meta: Arc<meta::FileMeta>,
    ownership: Arc<LocalOwnership>,
}

impl FileStore {
    /// Locks `dir` (made if it does not exist) and reads the definitions. The log is read when it
    /// is opened.
    ///
    /// # Errors
    /// Whatever keeps the directory from being used; each variant says what to do.
    pub fn open(dir: impl AsRef<Path>, options: FileOptions) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(SystemDisk), dir.as_ref(), options)
    }

    /// As [`FileStore::open`] on another disk: for tests. The lock is the system's all the same.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: FileOptions,
    ) -> Result<Self, OpenError> {
        let failed = |error| OpenError::io(dir, error);
        if dir.exists() && !dir.is_dir() {
            return Err(OpenError::NotADirectory { path: dir.to_owned() });
        }
        make_dir(&*disk, dir).map_err(failed)?;
        let lock = Arc::new(DirLock::take(dir)?);
        let log_dir = log_dir::LogDir::open(Arc::clone(&disk), dir)?;
        let epoch = Epoch(log_dir.newest_epoch()?);
        let meta = meta::FileMeta::open(disk, dir, Arc::clone(&lock))?;
        Ok(Self {
            log: Arc::new(log::FileLog::new(log_dir, options, lock)),
            meta: Arc::new(meta),
            ownership: Arc::new(LocalOwnership::after(epoch)),
        })
    }

    /// Its log.
    pub fn log(&self) -> Arc<dyn Log> {
        Arc::clone(&self.log) as _
    }

    /// What was found when the definitions were read. If they are damaged, a queue that is in
    /// the log and not in them may be one that was lost: do not forget it.
    pub fn definitions_report(&self) -> &RecoveryReport {
        self.meta.report()
    }

    /// Its definitions.
    pub fn meta(&self) -> Arc<dyn Meta> {
        Arc::clone(&self.meta) as _
    }

    /// Who may write it: this process, under one name for each shard.
    pub fn ownership(&self) -> Arc<dyn Ownership> {
        Arc::clone(&self.ownership) as _
    }
}

/// Makes the directory and those above it, and their names durable.
fn make_dir(disk: &dyn Disk, dir: &Path) -> std::io::Result<()> {
    let missing: Vec<_> = dir.ancestors().take_while(|path| !path.exists()).collect();
    std::fs::create_dir_all(dir)?;
    disk.create_dir(dir)?;
    for parent in missing.into_iter().filter_map(Path::parent) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        disk.sync_dir(parent)?;
    }
    Ok(())
}
