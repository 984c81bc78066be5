//! One group of batches: written into the segment it belongs into, made durable, answered.

use std::io;

use crate::{
    disk::is_full,
    error::AppendError,
    file::{
        frame_file::WriteError,
        owner::{Owner, Waiting},
        recovery::{Segment, apply},
    },
    frame::Frame,
    ids::Lsn,
    liveness::{Liveness, MAX_OFFSET, MAX_SEGMENT},
    record::{FRAME_HEADER, RecordView},
};

impl Owner {
    /// Writes a group, makes it durable and answers it.
    pub(crate) fn commit(&mut self, group: Vec<Waiting>) {
        let mut group = self.admit(group);
        while !group.is_empty() && self.failed.is_none() {
            let rest = match self.split(&mut group) {
                Ok(rest) => rest,
                Err(error) => {
                    self.fail(&error);
                    break;
                }
            };
            self.commit_run(group);
            group = rest;
        }
        for waiting in group {
            self.refuse(waiting);
        }
    }

    /// Refuses new messages while there is no space for them.
    fn admit(&mut self, group: Vec<Waiting>) -> Vec<Waiting> {
        if !group.iter().any(|waiting| waiting.enqueues) || self.reserve.is_ready() {
            return group;
        }
        self.settles_only(group)
    }

    fn settles_only(&mut self, group: Vec<Waiting>) -> Vec<Waiting> {
        self.reclaim.abandon();
        let (enqueues, settles) = group.into_iter().partition(|waiting| waiting.enqueues);
        let enqueues: Vec<_> = enqueues;
        enqueues.into_iter().for_each(|waiting| self.answer_one(waiting, Err(AppendError::Full)));
        settles
    }

    /// Keeps in `group` what belongs into the current segment, after beginning a new one if
    /// nothing does; gives back the rest.
    fn split(&mut self, group: &mut Vec<Waiting>) -> io::Result<Vec<Waiting>> {
        let first = group.first().map_or(0, |waiting| waiting.frame.len());
        if self.current.has_frames() && self.current.size() + first > self.segment_bytes {
            match self.roll() {
                // Then the current one grows, as far as places in it can be told apart.
                Err(error) if is_full(&error) && self.current.size() < MAX_OFFSET / 2 => {}
                rolled => rolled?,
            }
        }
        let mut size = self.current.size() + first;
        let mut fits = |waiting: &Waiting| {
            size += waiting.frame.len();
            size <= self.segment_bytes
        };
        let count = 1 + group.iter().skip(1).take_while(|waiting| fits(waiting)).count();
        Ok(group.split_off(count.min(group.len())))
    }

    fn roll(&mut self) -> io::Result<()> {
        let number = self.current.number() + 1;
        if number >= MAX_SEGMENT {
            return Err(io::Error::other("the segment numbers are used up"));
        }
        let base = self.current.end();
        let next = self.dir.create(number, base, self.epoch.0)?;
        let sealed = std::mem::replace(&mut self.current, next);
        let bytes = sealed.size();
        self.sealed.push_back(Segment { number: number - 1, base: base - bytes, bytes });
        Ok(())
    }

    /// Writes what fits into the current segment.
    fn commit_run(&mut self, group: Vec<Waiting>) {
        match self.write(group) {
            Ok((group, offset)) => self.finish_run(group, offset),
            Err(group) => group.into_iter().for_each(|waiting| self.refuse(waiting)),
        }
    }

    /// Writes and syncs. If there is no space for all, what only settles is tried alone, then
    /// with the space of the reserve. Gives back what is durable and where, or, after a failure,
    /// what is not known to be.
    fn write(&mut self, mut group: Vec<Waiting>) -> Result<(Vec<Waiting>, u64), Vec<Waiting>> {
        loop {
            let offset = self.current.size();
            let mut frames: Vec<_> = group.iter_mut().map(|waiting| &mut waiting.frame).collect();
            match self.current.write(&mut frames) {
                Ok(()) => {
                    return match self.current.sync() {
                        Ok(()) => Ok((group, offset)),
                        Err(error) => {
                            self.fail(&error);
                            Err(group)
                        }
                    };
                }
                Err(WriteError::Failed(error)) => {
                    self.fail(&error);
                    return Err(group);
                }
                Err(WriteError::Full) => group = self.after_full(group),
            }
            if group.is_empty() {
                return Ok((group, offset));
            }
        }
    }

    /// What is worth another attempt when there was no space for `group`.
    fn after_full(&mut self, group: Vec<Waiting>) -> Vec<Waiting> {
        if group.iter().any(|waiting| waiting.enqueues) {
            return self.settles_only(group);
        }
        if self.reserve.spend() {
            return group;
        }
        group.into_iter().for_each(|waiting| self.answer_one(waiting, Err(AppendError::Full)));
        Vec::new()
    }

    /// Lets durable batches take effect and answers them.
    fn finish_run(&mut self, group: Vec<Waiting>, mut offset: u64) {
        if group.is_empty() {
            return;
        }
        let start = offset;
        let mut moved = 0;
        {
            let mut live = self.live.lock();
            for waiting in &group {
                apply_frame(&mut live, &waiting.frame, self.current.number(), offset);
                offset += waiting.frame.len();
                moved += if waiting.done.is_none() { waiting.frame.len() } else { 0 };
            }
        }
        {
            let mut usage = self.shared.usage.lock();
            usage.written_bytes += offset - start;
            usage.moved_bytes += moved;
            usage.syncs += 1;
        }
        self.publish_usage();
        self.reclaim.note_written(offset - start, group.iter().any(|waiting| waiting.enqueues));
        let mut end = self.current.end() - (offset - start);
        for waiting in group {
            end += waiting.frame.len();
            self.answer_one(waiting, Ok(Lsn(end)));
        }
    }
}

fn apply_frame(live: &mut Liveness, frame: &Frame, segment: u64, offset: u64) {
    let mut at = 0;
    while let Some(record) = frame.records().get(at..).and_then(RecordView::trust) {
        if let Some(decoded) = record.decode() {
            let place = offset + (FRAME_HEADER + at) as u64;
            apply(live, decoded, segment, place, record.len());
        }
        at += record.len();
    }
}
