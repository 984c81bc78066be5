//! Reading a log from its beginning: what is live, where the log ends, what is lost.

use std::path::Path;

use crate::{
    error::OpenError,
    file::log_dir::{LogDir, newer},
    frame::{BadHeader, Content, FILE_HEADER},
    liveness::{Liveness, MAX_OFFSET, Place},
    log::RecoveryReport,
    record::{Record, RecordView},
    scan::{FrameScan, Piece},
};

/// A segment as it was found.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    /// Position of its first byte.
    pub(crate) base: u64,
    /// Its bytes on disk.
    pub(crate) bytes: u64,
}

/// A log that was read.
#[derive(Default)]
pub(crate) struct Recovery {
    pub(crate) live: Liveness,
    /// Oldest first.
    pub(crate) segments: Vec<Segment>,
    /// The newest owner the log knows of.
    pub(crate) epoch: u64,
    /// Whether the last record says that the last writer had nothing more to write.
    pub(crate) clean: bool,
    /// The position after the last frame.
    pub(crate) end: u64,
    pub(crate) report: RecoveryReport,
}

impl Recovery {
    /// Reads every segment in `dir`, and cuts off what a crash left unfinished.
    pub(crate) fn run(dir: &LogDir) -> Result<Self, OpenError> {
        let mut this = Self { clean: true, ..Self::default() };
        let numbers = dir.segments()?;
        for (&number, next) in numbers.iter().zip(numbers.iter().skip(1).map(Some).chain([None])) {
            let path = dir.segment_path(number);
            let failed = |error| OpenError::io(&path, error);
            let mut scan = dir.scan(number, this.end).map_err(failed)?;
            this.begin(number, &scan, &path)?;
            if next.is_none() && this.is_unfinished(&scan) {
                this.report.torn_bytes += scan.size();
                dir.remove(number).map_err(failed)?;
                break;
            }
            let size =
                if next.is_none() { this.cut(&mut scan).map_err(failed)? } else { scan.size() };
            this.clean = false;
            this.read(number, &mut scan).map_err(failed)?;
            this.end = scan.base() + size;
            this.segments.push(Segment { number, base: scan.base(), bytes: size });
            this.report.bytes += size;
        }
        this.report.segments = this.segments.len() as u64;
        this.report.live_messages = this.live.total().live;
        Ok(this)
    }

    /// Looks at a segment's header and at what should have come before it.
    fn begin(&mut self, number: u64, scan: &FrameScan, path: &Path) -> Result<(), OpenError> {
        match scan.header() {
            Ok(header) => self.epoch = self.epoch.max(header.epoch),
            Err(BadHeader::Newer(found)) => return Err(newer(path.to_owned(), found)),
            Err(BadHeader::Damaged) => {}
        }
        if let Some(last) = self.segments.last() {
            self.report.missing_segments += number.saturating_sub(last.number + 1);
            if number == last.number + 1 {
                self.report.damaged_bytes += scan.base().saturating_sub(self.end);
            }
        }
        Ok(())
    }

    /// Whether the last segment is one that a crash kept from being made.
    fn is_unfinished(&self, scan: &FrameScan) -> bool {
        scan.header().is_err() && scan.size() <= FILE_HEADER as u64
    }

    /// Cuts the last segment after its last whole write and returns its size then.
    fn cut(&mut self, scan: &mut FrameScan) -> std::io::Result<u64> {
        let size = scan.size();
        let end = whole_until(scan)?;
        if end < size {
            scan.file().set_size(end)?;
            scan.file().sync()?;
            self.report.torn_bytes += size - end;
        }
        scan.restart(end);
        Ok(end)
    }

    fn read(&mut self, number: u64, scan: &mut FrameScan) -> std::io::Result<()> {
        if scan.header().is_err() {
            self.report.damaged_bytes += FILE_HEADER as u64;
        }
        while let Some(piece) = scan.next()? {
            match piece {
                Piece::Gap { len, .. } => {
                    self.report.damaged_bytes += len;
                    self.clean = false;
                }
                Piece::Frame { offset, header, records } => {
                    let content = Content::read(&header, records);
                    self.report.damaged_records += content.damaged;
                    self.clean = false;
                    for (at, record) in content.records {
                        self.apply(&record, number, offset + at);
                    }
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, record: &RecordView<'_>, segment: u64, offset: u64) {
        match record.decode() {
            Some(Record::Epoch(epoch)) => self.epoch = self.epoch.max(epoch),
            Some(Record::Clean) => self.clean = true,
            Some(decoded) => apply(&mut self.live, decoded, segment, offset, record.len()),
            None => self.report.damaged_records += 1,
        }
    }
}

/// Lets one record of the log take effect.
pub(crate) fn apply(
    live: &mut Liveness,
    record: Record<'_>,
    segment: u64,
    offset: u64,
    len: usize,
) {
    match record {
        Record::Enqueue { targets, .. } if offset < MAX_OFFSET => {
            let share = len.div_ceil(targets.len().max(1)) as u64;
            let place = Place::new(segment, offset, share);
            targets.targets().for_each(|(queue, seq)| live.insert(queue, seq, place));
        }
        Record::Settle(ranges) => {
            ranges.ranges().for_each(|(queue, first, last)| live.settle(queue, first, last));
        }
        Record::Delivered(counts) => {
            counts.counts().for_each(|(queue, seq, count)| live.set_delivered(queue, seq, count));
        }
        Record::Forget(queues) => queues.queues().for_each(|queue| live.forget(queue)),
        _ => {}
    }
}

/// Where a file ends that may have been written when the crash came: before the first thing that
/// is not whole and that no later write says was durable.
pub(crate) fn whole_until(scan: &mut FrameScan) -> std::io::Result<u64> {
    let mut synced = scan.base() + FILE_HEADER as u64;
    let mut broken = Vec::new();
    while let Some(piece) = scan.next()? {
        match piece {
            Piece::Gap { offset, .. } => broken.push(offset),
            Piece::Frame { offset, header, records } => {
                synced = synced.max(header.synced);
                if Content::read(&header, records).damaged > 0 {
                    broken.push(offset);
                }
            }
        }
    }
    let unsynced = synced.saturating_sub(scan.base());
    Ok(broken.into_iter().find(|offset| *offset >= unsynced).unwrap_or(scan.size()))
}
