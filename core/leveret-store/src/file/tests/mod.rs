//! What the file engine alone must do: survive what happens to files.

mod arbitrary;
mod damage;
mod definitions;
mod opening;
mod reclaim;
mod space;

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use tempfile::TempDir;

use crate::{
    Batch, FileOptions, FileStore, Opened, QueueId, RecoveryReport, Seq, Writer,
    completion::tests::block_on, tests::disks::TestDisk,
};

/// A data directory on a disk that obeys.
struct Dir {
    temp: TempDir,
    disk: TestDisk,
    options: FileOptions,
}

impl Dir {
    fn new(segment_bytes: u64, reserve_bytes: u64) -> Self {
        let options = FileOptions { segment_bytes, reserve_bytes };
        Self { temp: TempDir::new().expect("a directory"), disk: TestDisk::default(), options }
    }

    fn store(&self) -> FileStore {
        let disk = Arc::new(self.disk.clone());
        FileStore::open_on(disk, self.temp.path(), self.options.clone()).expect("opens")
    }

    /// The log, ready to be written and reclaimed; the store must outlive nothing.
    fn open(&self) -> Opened {
        let store = self.store();
        let lease = block_on(store.ownership().acquire("/", "test")).expect("free");
        store.log().open(lease.epoch()).expect("opens")
    }

    fn writer(&self) -> Box<dyn Writer> {
        self.open().writer
    }

    /// What comes back, by queue and position.
    fn recover(&self) -> (BTreeMap<(u64, Seq), Vec<u8>>, RecoveryReport) {
        let Opened { writer, recovered } = self.open();
        let targets = recovered.messages.flat_map(|message| {
            let bytes = message.bytes.to_vec();
            message.targets.into_iter().map(move |t| ((t.queue.0, t.seq), bytes.clone()))
        });
        let found = targets.collect();
        drop(writer);
        (found, recovered.report)
    }

    /// The segments, oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.temp.path().join("log")).expect("a log");
        let paths = entries.map(|entry| entry.expect("readable").path());
        let mut paths: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|e| e == "segment")).collect();
        paths.sort();
        paths
    }

    fn log_bytes(&self) -> u64 {
        let sizes =
            self.segments().into_iter().map(|path| fs::metadata(path).expect("there").len());
        sizes.sum()
    }
}

fn one(seq: Seq, body: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.enqueue(&[(QueueId(1), seq)], &[body]);
    batch
}

fn settle(first: Seq, last: Seq) -> Batch {
    let mut batch = Batch::new();
    batch.settle(QueueId(1), first, last);
    batch
}

fn append(writer: &mut dyn Writer, batch: Batch) {
    block_on(writer.append(batch)).expect("appends");
}
