//! A file of frames being written: the only place that writes frames, and that decides what a
//! failed write means.

use std::{
    io::{self, IoSlice},
    path::Path,
};

use crate::{
    disk::{Disk, DiskFile, is_full, write_all},
    frame::{FILE_HEADER, FileHeader, Frame},
};

/// The file and how much of it there is.
pub(crate) struct FrameFile {
    file: Box<dyn DiskFile>,
    header: FileHeader,
    size: u64,
    /// Everything before this position is durable.
    synced: u64,
}

/// What is left of the file after a write that failed.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// It is as before the write.
    Full,
    /// That is not known: it must not be written again.
    Failed(io::Error),
}

impl FrameFile {
    /// Makes a file with nothing but its header. Durable, except for its name in the directory.
    pub(crate) fn create(disk: &dyn Disk, path: &Path, header: FileHeader) -> io::Result<Self> {
        let file = disk.create(path)?;
        write_all(&*file, &mut [IoSlice::new(&header.encode())], 0)?;
        file.sync()?;
        Ok(Self::resume(file, header, FILE_HEADER as u64))
    }

    /// Goes on with a file of which the first `size` bytes are durable.
    pub(crate) fn resume(file: Box<dyn DiskFile>, header: FileHeader, size: u64) -> Self {
        Self { file, header, size, synced: header.base + size }
    }

    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The position of the next frame.
    pub(crate) fn end(&self) -> u64 {
        self.header.base + self.size
    }

    /// Whether there is something in it.
    pub(crate) fn has_frames(&self) -> bool {
        self.size > FILE_HEADER as u64
    }

    /// Writes frames, in one call if the system takes them so; not yet durable.
    pub(crate) fn write(&mut self, frames: &mut [&mut Frame]) -> Result<(), WriteError> {
        let mut position = self.end();
        for frame in frames.iter_mut() {
            frame.place(position, self.synced, self.header.salt);
            position += frame.len();
        }
        let mut slices: Vec<_> = frames.iter().map(|frame| IoSlice::new(frame.bytes())).collect();
        match write_all(&*self.file, &mut slices, self.size) {
            Ok(()) => self.size = position - self.header.base,
            Err(error) if is_full(&error) => {
                // Durably, so that no refused frame that was whole comes back after a crash.
                self.file.set_size(self.size).map_err(WriteError::Failed)?;
                self.file.sync().map_err(WriteError::Failed)?;
                return Err(WriteError::Full);
            }
            Err(error) => return Err(WriteError::Failed(error)),
        }
        Ok(())
    }

    /// Makes durable what was written. A failure is final: the system may have dropped the bytes
    /// and will not say so a second time.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.synced = self.end();
        Ok(())
    }
}
