//! Definitions on disk: answered from memory, changed by a thread that makes every change which
//! waits durable with one sync.

use std::{
    collections::HashMap,
    future::ready,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use bytes::Bytes;

use crate::{
    completion::{Completer, completion},
    disk::Disk,
    error::{MetaError, OpenError},
    file::{
        definitions::{Definitions, put},
        dir_lock::DirLock,
        frame_file::WriteError,
    },
    frame::Frame,
    ids::Revision,
    log::RecoveryReport,
    mailbox::{Receiver, Sender, mailbox},
    meta::{Change, Meta, MetaFuture, Watch},
    record::{Records, kind},
    table::Table,
};

/// Longest key, in bytes.
const MAX_KEY_BYTES: usize = 65_535;
/// Largest sum of one change, in bytes.
const MAX_CHANGE_BYTES: usize = 256 << 20;
/// No more changes than this are written at once.
const MAX_GROUP: usize = 4096;

/// Definitions in a file.
pub(crate) struct FileMeta {
    table: Arc<Table>,
    report: RecoveryReport,
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    changes: Vec<(String, Option<Bytes>)>,
    /// The revision that the first of them must find, if that matters.
    expected: Option<Option<Revision>>,
    done: Completer<Result<Revision, MetaError>>,
}

impl FileMeta {
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        lock: Arc<DirLock>,
    ) -> Result<Self, OpenError> {
        let table = Arc::new(Table::default());
        let (definitions, report) = Definitions::open(disk, dir, &table)?;
        if report.is_damaged() || report.torn_bytes > 0 {
            tracing::warn!(
                ?report,
                "the definitions were not written to their end, or are damaged"
            );
        }
        let (requests, receiver) = mailbox();
        let mut keeper =
            Keeper { definitions, table: Arc::clone(&table), failed: None, _lock: lock };
        let thread = thread::Builder::new()
            .name("leveret-meta".to_owned())
            .spawn(move || keeper.run(&receiver))
            .map_err(|error| OpenError::io(dir, error))?;
        Ok(Self { table, report, requests: Some(requests), thread: Some(thread) })
    }

    /// What was found when the file was read.
    pub(crate) fn report(&self) -> &RecoveryReport {
        &self.report
    }

    fn change(
        &self,
        changes: Vec<(String, Option<Bytes>)>,
        expected: Option<Option<Revision>>,
    ) -> MetaFuture {
        if let Some(bytes) = too_large(&changes) {
            return Box::pin(ready(Err(MetaError::TooLarge { bytes })));
        }
        let (done, answer) = completion();
        if let Some(requests) = &self.requests {
            // Without a thread the request is dropped, and with it `done`: that is the answer.
            requests.send(Request { changes, expected, done });
        }
        Box::pin(async move {
            answer.await.unwrap_or_else(|| Err(MetaError::failed(&"its thread has ended")))
        })
    }
}

fn too_large(changes: &[(String, Option<Bytes>)]) -> Option<usize> {
    let longest_key = changes.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    if longest_key > MAX_KEY_BYTES {
        return Some(longest_key);
    }
    let size = |(key, value): &(String, Option<Bytes>)| {
        24 + key.len() + value.as_ref().map_or(0, Bytes::len)
    };
    let bytes = changes.iter().map(size).sum();
    (bytes > MAX_CHANGE_BYTES).then_some(bytes)
}

impl Meta for FileMeta {
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
        self.change(vec![(key.to_owned(), value)], Some(expected))
    }

    fn put_all(&self, changes: Vec<(String, Option<Bytes>)>) -> MetaFuture {
        self.change(changes, None)
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        self.table.watch(prefix, from)
    }
}

impl Drop for FileMeta {
    /// Waits until what was asked for is written and the directory is free.
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // It has said what it had to say if it panicked.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Keeper {
    definitions: Definitions,
    table: Arc<Table>,
    failed: Option<MetaError>,
    _lock: Arc<DirLock>,
}

/// A change that is to be made.
struct Accepted {
    changes: Vec<(String, Option<Bytes>)>,
    revision: Revision,
    done: Completer<Result<Revision, MetaError>>,
}

impl Keeper {
    fn run(&mut self, requests: &Receiver<Request>) {
        while let Some(first) = requests.recv() {
            let mut group = vec![first];
            let others = std::iter::from_fn(|| requests.try_recv().ok());
            group.extend(others.take(MAX_GROUP));
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Request>) {
        let accepted = self.accept(group);
        if accepted.is_empty() {
            return;
        }
        let mut frames: Vec<_> = accepted.iter().map(encode).collect();
        match self.definitions.append(&mut frames) {
            Ok(()) => {}
            Err(WriteError::Full) => return refuse(accepted, &MetaError::Full),
            Err(WriteError::Failed(error)) => return self.fail(accepted, &error),
        }
        for Accepted { changes, revision, done } in accepted {
            self.table.raise_revision(revision);
            for (key, value) in changes {
                self.table.apply(Change { key, revision, value });
            }
            done.complete(Ok(revision));
        }
        if let Err(error) = self.definitions.rewrite_if_large(&self.table) {
            tracing::warn!(%error, "cannot write the definitions anew: the file goes on growing");
        }
    }

    /// Refuses what finds another revision than it expects, whether that is in the table already
    /// or is to come with an earlier change of the same group.
    fn accept(&self, group: Vec<Request>) -> Vec<Accepted> {
        let mut revision = self.table.revision();
        let mut coming = HashMap::<String, Option<Revision>>::new();
        let mut accepted = Vec::with_capacity(group.len());
        for Request { changes, expected, done } in group {
            if let Some(error) = self.failed.clone() {
                done.complete(Err(error));
                continue;
            }
            let found = changes.first().and_then(|(key, _)| {
                coming.get(key).copied().unwrap_or_else(|| self.table.revision_of(key))
            });
            if expected.is_some_and(|expected| expected != found) {
                done.complete(Err(MetaError::Conflict { found }));
                continue;
            }
            revision.0 += 1;
            for (key, value) in &changes {
                coming.insert(key.clone(), value.as_ref().map(|_| revision));
            }
            accepted.push(Accepted { changes, revision, done });
        }
        accepted
    }

    fn fail(&mut self, accepted: Vec<Accepted>, error: &std::io::Error) {
        tracing::error!(%error, "definitions cannot be written: no more changes until a restart");
        let error = MetaError::failed(&error);
        refuse(accepted, &error);
        self.failed = Some(error);
    }
}

fn encode(accepted: &Accepted) -> Frame {
    let mut records = Records::new();
    if accepted.changes.is_empty() {
        // Said also for a change of nothing, so that no revision is given twice.
        records.number(kind::REVISION, accepted.revision.0);
    }
    for (key, value) in &accepted.changes {
        put(&mut records, key, accepted.revision, value.as_deref());
    }
    Frame::new(records)
}

fn refuse(accepted: Vec<Accepted>, error: &MetaError) {
    accepted.into_iter().for_each(|change| change.done.complete(Err(error.clone())));
}
