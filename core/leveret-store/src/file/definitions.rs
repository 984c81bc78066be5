//! The file of definitions: loaded once, then only appended to, and written anew when most of it
//! is out of date.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    disk::{Disk, read_full, write_all},
    error::OpenError,
    file::{
        frame_file::{FrameFile, WriteError},
        log_dir::{newer, salt},
        recovery::whole_until,
    },
    frame::{BadHeader, Content, FILE_HEADER, FileHeader, FileKind, Frame},
    ids::Revision,
    log::RecoveryReport,
    meta::Change,
    record::{FRAME_HEADER, RECORD_HEADER, Record, Records, kind},
    scan::{FrameScan, Piece},
    table::Table,
};

const NAME: &str = "definitions";
/// Entries written anew share frames of about this size.
const FRAME_BYTES: usize = 1 << 20;
/// A file smaller than this is not worth writing anew.
const SMALL_FILE: u64 = 1 << 20;

/// The file, open for appending.
pub(crate) struct Definitions {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: FrameFile,
    /// The file is written anew when it is larger than this.
    rewrite_at: u64,
}

impl Definitions {
    /// Loads the definitions of `dir` into `table`, or makes the file.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        table: &Table,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let path = dir.join(NAME);
        let failed = |error| OpenError::io(&path, error);
        let mut report = RecoveryReport::default();
        let file = match disk.open(&path) {
            Ok(file) => {
                let mut scan = FrameScan::new(file, FileKind::Definitions, 0).map_err(failed)?;
                if let Err(BadHeader::Newer(found)) = scan.header() {
                    return Err(newer(path, found));
                }
                load(&mut scan, table, &mut report).map_err(failed)?;
                if report.is_damaged() {
                    set_aside(&*disk, dir, &scan).map_err(failed)?;
                }
                resume(scan, &report)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let this = match file {
            Some(file) => {
                let mut this = Self { disk, dir: dir.to_owned(), file, rewrite_at: 0 };
                this.rewrite_at = worth_rewriting(table);
                this.rewrite_if_large(table).map_err(failed)?;
                this
            }
            None => Self::write_new(disk, dir, table).map_err(failed)?,
        };
        Ok((this, report))
    }

    /// Writes one frame for each change, all durable on return or none in the file.
    pub(crate) fn append(&mut self, frames: &mut [Frame]) -> Result<(), WriteError> {
        let mut frames: Vec<_> = frames.iter_mut().collect();
        self.file.write(&mut frames)?;
        self.file.sync().map_err(WriteError::Failed)
    }

    /// Writes the file anew if most of it is out of date.
    pub(crate) fn rewrite_if_large(&mut self, table: &Table) -> io::Result<()> {
        if self.file.size() <= self.rewrite_at {
            return Ok(());
        }
        self.rewrite_at = worth_rewriting(table);
        if self.file.size() > self.rewrite_at {
            *self = Self::write_new(Arc::clone(&self.disk), &self.dir, table)?;
        }
        Ok(())
    }

    /// A file of what is in `table`, in the place of the one there is.
    fn write_new(disk: Arc<dyn Disk>, dir: &Path, table: &Table) -> io::Result<Self> {
        let temporary = dir.join("definitions.new");
        match disk.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let header =
            FileHeader { kind: FileKind::Definitions, number: 1, base: 0, epoch: 0, salt: salt(1) };
        let mut file = FrameFile::create(&*disk, &temporary, header)?;
        write_table(&mut file, table)?;
        disk.rename(&temporary, &dir.join(NAME))?;
        disk.sync_dir(dir)?;
        Ok(Self { disk, dir: dir.to_owned(), file, rewrite_at: worth_rewriting(table) })
    }
}

/// The size from which on most of the file is out of date.
fn worth_rewriting(table: &Table) -> u64 {
    let overhead = (FRAME_HEADER + RECORD_HEADER + 8) * table.len();
    2 * (table.bytes() + overhead as u64) + SMALL_FILE
}

fn write_table(file: &mut FrameFile, table: &Table) -> io::Result<()> {
    let mut records = Records::new();
    table.each(|key, revision, value| {
        put(&mut records, key, revision, Some(value));
        if records.len_bytes() < FRAME_BYTES {
            return Ok(());
        }
        write_frame(file, std::mem::replace(&mut records, Records::new()))
    })?;
    if !records.is_empty() {
        write_frame(file, records)?;
    }
    file.sync()?;
    // The last frame says that those before it are durable: what is wrong with them later on
    // is damage and not an unfinished write.
    let mut last = Records::new();
    last.number(kind::REVISION, table.revision().0);
    write_frame(file, last)?;
    file.sync()
}

fn write_frame(file: &mut FrameFile, records: Records) -> io::Result<()> {
    match file.write(&mut [&mut Frame::new(records)]) {
        Ok(()) => Ok(()),
        Err(WriteError::Full) => Err(io::ErrorKind::StorageFull.into()),
        Err(WriteError::Failed(error)) => Err(error),
    }
}

/// Adds one entry.
pub(crate) fn put(records: &mut Records, key: &str, revision: Revision, value: Option<&[u8]>) {
    let kind = if value.is_some() { kind::PUT } else { kind::REMOVE };
    records.begin(kind, 0, key.len());
    records.put_u64(revision.0);
    records.put(key.as_bytes());
    records.put(value.unwrap_or_default());
}

/// Reads the whole file, and cuts off what a crash left unfinished.
fn load(scan: &mut FrameScan, table: &Table, report: &mut RecoveryReport) -> io::Result<()> {
    let size = scan.size();
    let end = whole_until(scan)?;
    if end < size {
        scan.file().set_size(end)?;
        scan.file().sync()?;
        report.torn_bytes = size - end;
    }
    scan.restart(end);
    if scan.header().is_err() {
        report.damaged_bytes += FILE_HEADER as u64;
    }
    report.bytes = end;
    while let Some(piece) = scan.next()? {
        match piece {
            Piece::Gap { len, .. } => report.damaged_bytes += len,
            Piece::Frame { header, records, .. } => {
                let content = Content::read(&header, records);
                report.damaged_records += content.damaged;
                for (_, record) in content.records {
                    report.damaged_records += u64::from(!apply(table, record.decode()));
                }
            }
        }
    }
    Ok(())
}

fn apply(table: &Table, record: Option<Record<'_>>) -> bool {
    match record {
        Some(Record::Define { key, revision, value }) => table.apply(Change {
            key: key.to_owned(),
            revision: Revision(revision),
            value: value.map(Bytes::copy_from_slice),
        }),
        Some(Record::Revision(least)) => table.raise_revision(Revision(least)),
        _ => return false,
    }
    true
}

/// The file to append to, or none if it must be written anew.
fn resume(scan: FrameScan, report: &RecoveryReport) -> Option<FrameFile> {
    let header = scan.header().ok().filter(|_| !report.is_damaged())?;
    let size = scan.size();
    Some(FrameFile::resume(scan.into_file(), header, size))
}

/// Keeps a copy of a damaged file for whoever wants to look into it.
fn set_aside(disk: &dyn Disk, dir: &Path, scan: &FrameScan) -> io::Result<()> {
    let path = dir.join("definitions.damaged");
    let copy = match disk.create(&path) {
        // An earlier copy is nearer to what was written.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    };
    let mut buffer = vec![0; FRAME_BYTES];
    let mut at = 0;
    loop {
        let read = read_full(scan.file(), &mut buffer, at)?;
        if read == 0 {
            return copy.sync();
        }
        write_all(&*copy, &mut [IoSlice::new(&buffer[..read])], at)?;
        at += read as u64;
    }
}
