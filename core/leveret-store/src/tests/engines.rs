//! The engines under one roof: what can be opened, stopped, and opened again.

use std::sync::Arc;

use tempfile::TempDir;

use super::disks::TestDisk;
use crate::{
    Epoch, FileOptions, FileStore, Log, MemoryStore, Meta, Opened, completion::tests::block_on,
};

/// A store that can be closed and opened again with what it kept.
pub(crate) trait Engine {
    fn log(&self) -> Arc<dyn Log>;
    fn meta(&self) -> Arc<dyn Meta>;
    /// Everything goes, then what is durable comes back.
    fn reopen(&mut self);

    fn open(&self) -> Opened {
        let lease = block_on(self.ownership().acquire("/", "test")).expect("free");
        self.log().open(lease.epoch()).expect("opens")
    }

    fn ownership(&self) -> Arc<dyn crate::Ownership>;
}

pub(crate) struct Memory(MemoryStore);

impl Memory {
    pub(crate) fn new() -> Self {
        Self(MemoryStore::new())
    }
}

impl Engine for Memory {
    fn log(&self) -> Arc<dyn Log> {
        self.0.log()
    }

    fn meta(&self) -> Arc<dyn Meta> {
        self.0.meta()
    }

    fn ownership(&self) -> Arc<dyn crate::Ownership> {
        self.0.ownership()
    }

    fn reopen(&mut self) {}
}

pub(crate) struct Files {
    dir: TempDir,
    options: FileOptions,
    store: Option<FileStore>,
}

impl Files {
    pub(crate) fn new(segment_bytes: u64) -> Self {
        let dir = TempDir::new().expect("a directory");
        let options = FileOptions { segment_bytes, reserve_bytes: 0 };
        let mut files = Self { dir, options, store: None };
        files.reopen();
        files
    }

    fn store(&self) -> &FileStore {
        self.store.as_ref().expect("open")
    }
}

impl Engine for Files {
    fn log(&self) -> Arc<dyn Log> {
        self.store().log()
    }

    fn meta(&self) -> Arc<dyn Meta> {
        self.store().meta()
    }

    fn ownership(&self) -> Arc<dyn crate::Ownership> {
        self.store().ownership()
    }

    fn reopen(&mut self) {
        self.store = None;
        let disk = Arc::new(TestDisk::default());
        self.store =
            Some(FileStore::open_on(disk, self.dir.path(), self.options.clone()).expect("opens"));
    }
}

/// A fence greater than any the ownership of a new store gives out.
pub(crate) const LATER: Epoch = Epoch(1_000_000);
