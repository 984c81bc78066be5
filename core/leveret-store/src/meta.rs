//! Definitions: small values under string keys, with revisions.

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{error::MetaError, ids::Revision};

/// Resolves when the change is durable and visible.
pub type MetaFuture = Pin<Box<dyn Future<Output = Result<Revision, MetaError>> + Send>>;

/// A map from keys to opaque values, durable and ordered by key. Reads answer from memory and see
/// only what is durable; changes are made in the order of the calls.
pub trait Meta: Send + Sync {
    /// The value and its revision.
    fn get(&self, key: &str) -> Option<(Revision, Bytes)>;

    /// Every entry whose key begins with `prefix`, in the order of the keys.
    fn list(&self, prefix: &str) -> Vec<(String, Revision, Bytes)>;

    /// Sets (or with `None` removes) `key` if its revision is `expected` (`None`: if it does not
    /// exist). Resolves to the revision of the change.
    ///
    /// # Errors
    /// [`MetaError::Conflict`] if the revision is another one; nothing is changed then.
    fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Revision>,
        value: Option<Bytes>,
    ) -> MetaFuture;

    /// Sets or removes all of these whatever they were: all of them or, after a crash, none.
    fn put_all(&self, changes: Vec<(String, Option<Bytes>)>) -> MetaFuture;

    /// First every entry under `prefix` whose revision is greater than `from`, then each change
    /// to come, in order.
    fn watch(&self, prefix: &str, from: Revision) -> Watch;
}

/// One change of a definition.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Change {
    /// What changed.
    pub key: String,
    /// The revision of the change.
    pub revision: Revision,
    /// The new value, or none if it was removed.
    pub value: Option<Bytes>,
}

/// The changes under one prefix, as they become durable. It ends when the store does.
pub struct Watch {
    shared: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    changes: VecDeque<Change>,
    ended: bool,
    waker: Option<Waker>,
}

impl Watch {
    /// The next change if there is one already.
    pub fn try_next(&mut self) -> Option<Change> {
        self.shared.lock().changes.pop_front()
    }

    /// Waits for the next change; `None` when the store has ended.
    pub async fn next(&mut self) -> Option<Change> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Watch::next`], for those who poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        let mut waiting = self.shared.lock();
        if let Some(change) = waiting.changes.pop_front() {
            return Poll::Ready(Some(change));
        }
        if waiting.ended {
            return Poll::Ready(None);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("waiting", &self.shared.lock().changes.len()).finish()
    }
}

/// Everybody who watches a store.
#[derive(Default)]
pub(crate) struct Watchers {
    list: Vec<(String, Weak<Mutex<Waiting>>)>,
}

impl Watchers {
    /// Adds a watcher that finds `first` waiting for it.
    pub(crate) fn add(&mut self, prefix: &str, first: impl Iterator<Item = Change>) -> Watch {
        let waiting = Waiting { changes: first.collect(), ..Waiting::default() };
        let shared = Arc::new(Mutex::new(waiting));
        self.list.push((prefix.to_owned(), Arc::downgrade(&shared)));
        Watch { shared }
    }

    /// Tells whom it concerns, and forgets those who stopped watching.
    pub(crate) fn tell(&mut self, change: &Change) {
        self.list.retain(|(prefix, watcher)| {
            let Some(watcher) = watcher.upgrade() else { return false };
            if change.key.starts_with(prefix.as_str()) {
                push(&watcher, change.clone());
            }
            true
        });
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        for watcher in self.list.iter().filter_map(|(_, watcher)| watcher.upgrade()) {
            let mut waiting = watcher.lock();
            waiting.ended = true;
            let waker = waiting.waker.take();
            drop(waiting);
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

fn push(watcher: &Mutex<Waiting>, change: Change) {
    let mut waiting = watcher.lock();
    waiting.changes.push_back(change);
    let waker = waiting.waker.take();
    drop(waiting);
    waker.into_iter().for_each(Waker::wake);
}
