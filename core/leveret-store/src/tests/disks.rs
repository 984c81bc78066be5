//! A disk that does as it is told: it is full, or fails, when a test says so. Its syncs cost
//! nothing, for no test here cuts the power.

use std::{
    io::{self, IoSlice},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use crate::disk::{Disk, DiskFile, SystemDisk};

/// The system's disk with switches.
#[derive(Clone, Default)]
pub(crate) struct TestDisk(Arc<Switches>);

#[derive(Default)]
pub(crate) struct Switches {
    /// Bytes that may still be written, if that is limited.
    space: AtomicU64,
    is_limited: AtomicBool,
    /// Every sync fails.
    pub(crate) fail_sync: AtomicBool,
    /// Every write fails, after half of it was written.
    pub(crate) fail_write: AtomicBool,
}

impl TestDisk {
    pub(crate) fn switches(&self) -> &Switches {
        &self.0
    }

    /// From now on there is room for this many bytes, or for any number.
    pub(crate) fn set_space(&self, bytes: Option<u64>) {
        self.0.space.store(bytes.unwrap_or(0), SeqCst);
        self.0.is_limited.store(bytes.is_some(), SeqCst);
    }
}

impl Switches {
    /// How many of `wanted` bytes there is room for.
    fn take(&self, wanted: u64) -> u64 {
        if !self.is_limited.load(SeqCst) {
            return wanted;
        }
        let space = self.space.load(SeqCst);
        let taken = wanted.min(space);
        self.space.store(space - taken, SeqCst);
        taken
    }

    fn give(&self, bytes: u64) {
        self.space.fetch_add(bytes, SeqCst);
    }
}

fn failure() -> io::Error {
    io::Error::other("the disk was told to fail")
}

impl Disk for TestDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(TestFile(SystemDisk.create(path)?, Arc::clone(&self.0))))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(TestFile(SystemDisk.open(path)?, Arc::clone(&self.0))))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        SystemDisk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        SystemDisk.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let size = SystemDisk.open(path)?.size()?;
        self.0.give(size);
        SystemDisk.remove(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

struct TestFile(Box<dyn DiskFile>, Arc<Switches>);

impl DiskFile for TestFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(buffer, at)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
        let bytes = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect::<Vec<u8>>();
        if self.1.fail_write.load(SeqCst) {
            self.0.write_at(&[IoSlice::new(&bytes[..bytes.len() / 2])], at)?;
            return Err(failure());
        }
        let room = usize::try_from(self.1.take(bytes.len() as u64)).expect("fits");
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_at(&[IoSlice::new(&bytes[..room])], at)
    }

    fn sync(&self) -> io::Result<()> {
        if self.1.fail_sync.load(SeqCst) { Err(failure()) } else { Ok(()) }
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.1.give(self.0.size()?.saturating_sub(size));
        self.0.set_size(size)
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        let missing = size.saturating_sub(self.0.size()?);
        let taken = self.1.take(missing);
        if taken < missing {
            self.1.give(taken);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.reserve(size)
    }
}
