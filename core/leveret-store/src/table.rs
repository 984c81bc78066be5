//! Definitions in memory: the map both engines answer from, and those who watch it.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    ids::Revision,
    meta::{Change, Watch, Watchers},
};

/// What is durable, for everybody to read; only the engine changes it.
#[derive(Default)]
pub(crate) struct Table(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    entries: BTreeMap<String, (Revision, Bytes)>,
    bytes: u64,
    revision: Revision,
    watchers: Watchers,
}

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<(Revision, Bytes)> {
        self.0.lock().entries.get(key).cloned()
    }

    pub(crate) fn revision_of(&self, key: &str) -> Option<Revision> {
        self.0.lock().entries.get(key).map(|(revision, _)| *revision)
    }

    /// The newest revision given to anything.
    pub(crate) fn revision(&self) -> Revision {
        self.0.lock().revision
    }

    /// No revision up to this one is to be given again.
    pub(crate) fn raise_revision(&self, least: Revision) {
        let mut inner = self.0.lock();
        inner.revision = inner.revision.max(least);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().entries.len()
    }

    /// Bytes of all keys and values.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.lock().bytes
    }

    /// Every entry in the order of the keys, until `each` fails. Nothing may change meanwhile.
    pub(crate) fn each<E>(
        &self,
        mut each: impl FnMut(&str, Revision, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let inner = self.0.lock();
        inner.entries.iter().try_for_each(|(key, (revision, value))| each(key, *revision, value))
    }

    pub(crate) fn list(&self, prefix: &str) -> Vec<(String, Revision, Bytes)> {
        let inner = self.0.lock();
        let list = under(&inner.entries, prefix);
        list.map(|(key, (revision, value))| (key.clone(), *revision, value.clone())).collect()
    }

    pub(crate) fn apply(&self, change: Change) {
        let mut inner = self.0.lock();
        inner.revision = inner.revision.max(change.revision);
        inner.watchers.tell(&change);
        let key_bytes = change.key.len();
        let size = |value: &Bytes| (key_bytes + value.len()) as u64;
        inner.bytes += change.value.as_ref().map_or(0, size);
        let before = match change.value {
            Some(value) => inner.entries.insert(change.key, (change.revision, value)),
            None => inner.entries.remove(&change.key),
        };
        inner.bytes -= before.map_or(0, |(_, value)| size(&value));
    }

    pub(crate) fn watch(&self, prefix: &str, from: Revision) -> Watch {
        let inner = &mut *self.0.lock();
        let first = under(&inner.entries, prefix)
            .filter(|(_, (revision, _))| *revision > from)
            .map(|(key, (revision, value))| Change {
                key: key.clone(),
                revision: *revision,
                value: Some(value.clone()),
            });
        inner.watchers.add(prefix, first)
    }
}

fn under<'a>(
    entries: &'a BTreeMap<String, (Revision, Bytes)>,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a String, &'a (Revision, Bytes))> {
    use std::ops::Bound::{Included, Unbounded};
    entries
        .range::<str, _>((Included(prefix), Unbounded))
        .take_while(move |(key, _)| key.starts_with(prefix))
}
