//! Giving space back: the oldest segment is removed when nothing in it is live, and what little
//! is live in it is first carried forward to the end of the log.
//!
//! Segments go strictly oldest first. A settle comes after the enqueue it settles, so it never
//! goes before it; and what is carried forward was live, so no settle of it came earlier.

use crate::{
    batch::Batch,
    file::owner::{Owner, Waiting},
    frame::{Content, Frame},
    liveness::Liveness,
    record::{CARRIED, Record, RecordView},
    scan::{FrameScan, Piece},
};

/// The oldest segment is carried forward when less than one part in this many of it is live.
const SPARSE: u64 = 4;
/// It is, whatever is live in it, when the log is larger than this many times what is live in
/// all: then each byte carried makes room for two.
const BLOATED: u64 = 3;
/// Bytes looked at between two writes when nothing else is to be written.
const STEP_BYTES: u64 = 1 << 20;

/// Work in progress.
#[derive(Default)]
pub(crate) struct Reclaim {
    carrying: Option<Carrying>,
    /// To be written next.
    moved: Option<Batch>,
    /// A segment that still has something live although all of it was carried: damaged.
    stuck: Option<u64>,
    /// A segment that the system does not remove.
    unremovable: Option<u64>,
    /// There was no space for what was to be carried.
    is_blocked: bool,
    written: u64,
}

/// A segment that is being carried forward.
struct Carrying {
    segment: u64,
    scan: FrameScan,
}

impl Reclaim {
    /// What is to be written because of this.
    pub(crate) fn take_moved(&mut self) -> Option<Waiting> {
        let batch = self.moved.take()?;
        Some(Waiting { frame: Frame::new(batch.into_records()), enqueues: true, done: None })
    }

    /// There is no space for what was moved: begin again when there is some for messages.
    pub(crate) fn abandon(&mut self) {
        self.carrying = None;
        self.moved = None;
        self.is_blocked = true;
    }

    pub(crate) fn note_written(&mut self, bytes: u64, has_enqueues: bool) {
        self.written += bytes;
        self.is_blocked &= !has_enqueues;
    }
}

impl Owner {
    /// Whether there is something to do also if nobody asks for anything.
    pub(crate) fn is_reclaiming(&self) -> bool {
        !self.is_failed() && (self.reclaim.carrying.is_some() || self.reclaim.moved.is_some())
    }

    /// A step in proportion to what was written since the last one, so that the log does not
    /// grow faster than it is cleaned and no confirm waits long.
    pub(crate) fn reclaim_some(&mut self) {
        let written = std::mem::take(&mut self.reclaim.written);
        if !self.is_failed() && self.reading.strong_count() == 0 {
            self.remove_dead();
            if !self.reclaim.is_blocked {
                self.carry(STEP_BYTES.max(4 * written));
            }
        }
    }

    /// Everything there is to do, now.
    pub(crate) fn reclaim_all(&mut self) {
        loop {
            self.reclaim_some();
            match self.reclaim.take_moved() {
                Some(moved) => self.commit(vec![moved]),
                None if self.is_reclaiming() => {}
                None => break,
            }
        }
    }

    /// Removes the oldest segments as long as nothing in them is live.
    fn remove_dead(&mut self) {
        while let Some(oldest) = self.sealed.front().copied() {
            let live = self.live.lock().segment(oldest.number).live;
            if live > 0 || self.reclaim.unremovable == Some(oldest.number) {
                return;
            }
            if let Err(error) = self.dir.remove(oldest.number) {
                tracing::warn!(segment = oldest.number, %error, "cannot remove a segment");
                self.reclaim.unremovable = Some(oldest.number);
                return;
            }
            self.sealed.pop_front();
            self.reclaim.carrying.take_if(|carrying| carrying.segment == oldest.number);
            self.publish_usage();
        }
    }

    /// Looks at about `budget` bytes of the segment that is being carried forward.
    fn carry(&mut self, budget: u64) {
        let Some(mut carrying) = self.reclaim.carrying.take().or_else(|| self.begin_carrying())
        else {
            return;
        };
        let mut batch = Batch::new();
        match carrying.step(&self.live.lock(), budget, &mut batch) {
            Ok(true) => self.reclaim.carrying = Some(carrying),
            Ok(false) if batch.is_empty() => self.reclaim.stuck = Some(carrying.segment),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(segment = carrying.segment, %error, "cannot read a segment");
                self.reclaim.stuck = Some(carrying.segment);
            }
        }
        self.reclaim.moved = (!batch.is_empty()).then_some(batch);
    }

    fn begin_carrying(&mut self) -> Option<Carrying> {
        let oldest = *self.sealed.front()?;
        if [self.reclaim.stuck, self.reclaim.unremovable].contains(&Some(oldest.number))
            || !self.is_worth_carrying(oldest.bytes)
        {
            return None;
        }
        match self.dir.scan(oldest.number, oldest.base) {
            Ok(scan) => Some(Carrying { segment: oldest.number, scan }),
            Err(error) => {
                tracing::warn!(segment = oldest.number, %error, "cannot read a segment");
                self.reclaim.stuck = Some(oldest.number);
                None
            }
        }
    }

    fn is_worth_carrying(&self, bytes: u64) -> bool {
        let live = self.live.lock();
        let oldest = self.sealed.front().map(|oldest| live.segment(oldest.number));
        let is_sparse = oldest.is_some_and(|oldest| oldest.live_bytes * SPARSE < bytes);
        let slack = 2 * self.segment_bytes;
        is_sparse || self.disk_bytes() > BLOATED * live.total().live_bytes + slack
    }
}

impl Carrying {
    /// Adds the live records of some frames to `batch`. False at the end of the segment.
    fn step(&mut self, live: &Liveness, budget: u64, batch: &mut Batch) -> std::io::Result<bool> {
        let mut seen = 0;
        while seen < budget {
            match self.scan.next()? {
                None => return Ok(false),
                Some(Piece::Gap { len, .. }) => seen += len,
                Some(Piece::Frame { offset, header, records }) => {
                    seen += header.len();
                    for (at, record) in Content::read(&header, records).records {
                        carry_record(live, &record, self.segment, offset + at, batch);
                    }
                }
            }
        }
        Ok(true)
    }
}

/// Adds the record at this place to `batch` for those queues that still hold it there.
fn carry_record(
    live: &Liveness,
    record: &RecordView<'_>,
    segment: u64,
    offset: u64,
    batch: &mut Batch,
) {
    let Some(Record::Enqueue { targets, body }) = record.decode() else { return };
    let here = targets.targets().filter(|&(queue, seq)| live.is_at(queue, seq, segment, offset));
    let here: Vec<_> = here.collect();
    batch.enqueue_flagged(CARRIED, &here, &[body]);
    for (queue, seq) in here {
        let count = live.delivered(queue, seq);
        if count > 0 {
            batch.delivered(queue, seq, count);
        }
    }
}
