//! Definitions that no file keeps.

use std::future::ready;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    error::MetaError,
    ids::Revision,
    meta::{Change, Meta, MetaFuture, Watch},
    table::Table,
};

/// A table and the order of its changes.
#[derive(Default)]
pub(crate) struct MemoryMeta {
    table: Table,
    /// Held while a change is made.
    changing: Mutex<()>,
}

impl MemoryMeta {
    fn put(&self, changes: Vec<(String, Option<Bytes>)>) -> Revision {
        let revision = Revision(self.table.revision().0 + 1);
        self.table.raise_revision(revision);
        for (key, value) in changes {
            self.table.apply(Change { key, revision, value });
        }
        revision
    }
}

impl Meta for MemoryMeta {
    fn get(&self, key: &str) -> Option<(Revision, Bytes)> {
        self.table.get(key)
    }

    fn list(&self, prefix: &str) -> Vec<(String, Revision, Bytes)> {
        self.table.list(prefix)
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Revision>,
        value: Option<Bytes>,
    ) -> MetaFuture {
        let _changing = self.changing.lock();
        let found = self.table.revision_of(key);
        Box::pin(ready(if found == expected {
            Ok(self.put(vec![(key.to_owned(), value)]))
        } else {
            Err(MetaError::Conflict { found })
        }))
    }

    fn put_all(&self, changes: Vec<(String, Option<Bytes>)>) -> MetaFuture {
        let _changing = self.changing.lock();
        Box::pin(ready(Ok(self.put(changes))))
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        self.table.watch(prefix, from)
    }
}
