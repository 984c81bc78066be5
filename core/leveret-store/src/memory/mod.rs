//! The engine without a disk: for tests, and for brokers that may forget. It lives as long as the
//! store does, so that a log can be opened again within one process.

mod log;
mod meta;

use std::sync::Arc;

use crate::{ids::Epoch, local::LocalOwnership, log::Log, meta::Meta, ownership::Ownership};

/// A store in memory.
#[derive(Clone)]
pub struct MemoryStore {
    log: Arc<log::MemoryLog>,
    meta: Arc<meta::MemoryMeta>,
    ownership: Arc<LocalOwnership>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            log: Arc::default(),
            meta: Arc::default(),
            ownership: Arc::new(LocalOwnership::after(Epoch(0))),
        }
    }

    /// Its log.
    pub fn log(&self) -> Arc<dyn Log> {
        Arc::clone(&self.log) as _
    }

    /// Its definitions.
    pub fn meta(&self) -> Arc<dyn Meta> {
        Arc::clone(&self.meta) as _
    }

    /// Who may write it.
    pub fn ownership(&self) -> Arc<dyn Ownership> {
        Arc::clone(&self.ownership) as _
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}
