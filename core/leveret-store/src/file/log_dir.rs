//! The directory of the segments: their names, making and removing them.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    disk::Disk,
    error::OpenError,
    file::frame_file::FrameFile,
    frame::{BadHeader, FORMAT_VERSION, FileHeader, FileKind},
    liveness::MAX_SEGMENT,
    scan::FrameScan,
};

const EXTENSION: &str = ".segment";
const DIGITS: usize = 10;

/// Where the segments are.
#[derive(Clone)]
pub(crate) struct LogDir {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
}

impl LogDir {
    /// Makes the directory unless it exists.
    pub(crate) fn open(disk: Arc<dyn Disk>, parent: &Path) -> Result<Self, OpenError> {
        let path = parent.join("log");
        disk.create_dir(&path).map_err(|error| OpenError::io(&path, error))?;
        disk.sync_dir(parent).map_err(|error| OpenError::io(parent, error))?;
        Ok(Self { disk, path })
    }

    /// The numbers of the segments, ascending.
    pub(crate) fn segments(&self) -> Result<Vec<u64>, OpenError> {
        let names = self.disk.list(&self.path).map_err(|error| OpenError::io(&self.path, error))?;
        let mut numbers: Vec<_> = names.iter().filter_map(|name| number_in(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) fn segment_path(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:0DIGITS$}{EXTENSION}"))
    }

    /// Begins to read a segment; `base` as in [`FrameScan::new`].
    pub(crate) fn scan(&self, number: u64, base: u64) -> io::Result<FrameScan> {
        FrameScan::new(self.disk.open(&self.segment_path(number))?, FileKind::Segment, base)
    }

    /// The epoch of the newest segment that says one.
    pub(crate) fn newest_epoch(&self) -> Result<u64, OpenError> {
        for number in self.segments()?.into_iter().rev() {
            let path = self.segment_path(number);
            let scan = self.scan(number, 0).map_err(|error| OpenError::io(&path, error))?;
            match scan.header() {
                Ok(header) => return Ok(header.epoch),
                Err(BadHeader::Newer(found)) => return Err(newer(path, found)),
                Err(BadHeader::Damaged) => {}
            }
        }
        Ok(0)
    }

    /// A new segment, its name durable too.
    pub(crate) fn create(&self, number: u64, base: u64, epoch: u64) -> io::Result<FrameFile> {
        let header =
            FileHeader { kind: FileKind::Segment, number, base, epoch, salt: salt(number) };
        let path = self.segment_path(number);
        let made = FrameFile::create(&*self.disk, &path, header)
            .and_then(|file| self.disk.sync_dir(&self.path).map(|()| file));
        if made.is_err() {
            // So that the number is free if the caller may try again; if this fails too, the
            // next opening finds a segment without frames.
            let _ = self.disk.remove(&path);
        }
        made
    }

    /// Removes a segment. Segments are removed oldest first, each durably before the next: one
    /// that came back would lack the settles that later ones held.
    pub(crate) fn remove(&self, number: u64) -> io::Result<()> {
        self.disk.remove(&self.segment_path(number))?;
        self.disk.sync_dir(&self.path)
    }
}

/// The number in a segment's name. Files with other names are none of ours.
fn number_in(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(EXTENSION).filter(|digits| digits.len() == DIGITS)?;
    digits.parse().ok().filter(|number| (1..MAX_SEGMENT).contains(number))
}

/// The error for a file of a later version.
pub(crate) fn newer(path: PathBuf, found: u32) -> OpenError {
    OpenError::NewerFormat { path, found, known: FORMAT_VERSION }
}

/// A number nobody can foresee.
pub(crate) fn salt(number: u64) -> u64 {
    RandomState::new().hash_one(number)
}
