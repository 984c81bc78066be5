//! The thread that owns the log: it takes every batch that waits, writes them with one write,
//! makes them durable with one sync, and answers them all. The next batches gather meanwhile.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Weak, atomic::Ordering},
};

use parking_lot::Mutex;

use crate::{
    completion::Completer,
    disk::is_full,
    error::AppendError,
    file::{
        FileOptions,
        dir_lock::DirLock,
        frame_file::{FrameFile, WriteError},
        log::Shared,
        log_dir::LogDir,
        reclaim::Reclaim,
        recovery::{Segment, apply},
        reserve::Reserve,
    },
    frame::Frame,
    ids::{Epoch, Lsn},
    liveness::{Liveness, MAX_OFFSET, MAX_SEGMENT},
    mailbox::{Nothing, Receiver},
    record::{FRAME_HEADER, RecordView, Records, kind},
};

/// No more than about this is written and synced at once.
const MAX_GROUP_BYTES: u64 = 8 << 20;

/// Where the answer to a request goes.
pub(crate) type Done = Completer<Result<Lsn, AppendError>>;

/// What the thread is asked for.
pub(crate) enum Request {
    Append {
        frame: Frame,
        enqueues: bool,
        done: Done,
    },
    Barrier(Done),
    Trim(Done),
    Close(Done),
    /// Write what was asked for before, then end.
    Stop,
}

/// A batch on its way.
pub(crate) struct Waiting {
    pub(crate) frame: Frame,
    pub(crate) enqueues: bool,
    /// Nobody waits for what compaction moves.
    pub(crate) done: Option<Done>,
}

/// The log being written.
pub(crate) struct Owner {
    pub(crate) dir: LogDir,
    pub(crate) segment_bytes: u64,
    epoch: Epoch,
    current: FrameFile,
    /// Those before the current one, oldest first.
    pub(crate) sealed: VecDeque<Segment>,
    pub(crate) live: Arc<Mutex<Liveness>>,
    shared: Arc<Shared>,
    /// While somebody holds this, recovery is still being read: nothing may be moved or removed.
    pub(crate) reading: Weak<()>,
    pub(crate) reclaim: Reclaim,
    reserve: Reserve,
    failed: Option<AppendError>,
}

/// Tells those who wait that the thread has written all it will write.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.set_ended();
    }
}

/// Why the thread stops.
enum End {
    Stopped,
    Closed(Done),
}

impl Owner {
    pub(crate) fn new(
        dir: LogDir,
        options: &FileOptions,
        current: FrameFile,
        sealed: Vec<Segment>,
        live: Arc<Mutex<Liveness>>,
        shared: Arc<Shared>,
        reading: Weak<()>,
    ) -> Self {
        let reserve = Reserve::take(&dir, options.reserve_bytes);
        Self {
            segment_bytes: options.segment_bytes(),
            epoch: Epoch::default(),
            reclaim: Reclaim::default(),
            failed: None,
            sealed: sealed.into(),
            dir,
            current,
            live,
            shared,
            reading,
            reserve,
        }
    }

    /// Writes down who writes from here on.
    pub(crate) fn begin(&mut self, epoch: Epoch) -> io::Result<()> {
        self.epoch = epoch;
        self.write_mark(|records| records.number(kind::EPOCH, epoch.0))?;
        self.publish_usage();
        Ok(())
    }

    /// Serves requests until told to stop.
    pub(crate) fn run(mut self, requests: &Receiver<Request>, lock: Arc<DirLock>) {
        // Also if this thread panics: somebody may wait for its end.
        let ended = Ended(Arc::clone(&self.shared));
        let end = self.serve(requests);
        let answer = match &end {
            End::Closed(_) => self.finish(),
            End::Stopped => Ok(self.lsn()),
        };
        // The directory is free before anybody hears that the log is closed.
        drop((self, lock));
        drop(ended);
        if let End::Closed(done) = end {
            done.complete(answer);
        }
    }

    fn serve(&mut self, requests: &Receiver<Request>) -> End {
        loop {
            let (group, control) = match self.gather(requests) {
                Ok(gathered) => gathered,
                Err(end) => return end,
            };
            self.commit(group);
            match control {
                Some(Request::Barrier(done)) => done.complete(self.answer()),
                Some(Request::Trim(done)) => {
                    self.reclaim_all();
                    done.complete(self.answer());
                }
                Some(Request::Close(done)) => return End::Closed(done),
                Some(Request::Stop) => return End::Stopped,
                Some(Request::Append { .. }) | None => self.reclaim_some(),
            }
        }
    }

    /// Every batch that waits, up to the first request of another kind. Waits for one if there is
    /// nothing else to do.
    fn gather(
        &mut self,
        requests: &Receiver<Request>,
    ) -> Result<(Vec<Waiting>, Option<Request>), End> {
        let mut group = Vec::new();
        let mut bytes = 0;
        if let Some(moved) = self.reclaim.take_moved() {
            bytes += moved.frame.len();
            group.push(moved);
        }
        let mut idle = group.is_empty() && !self.is_reclaiming();
        while bytes < MAX_GROUP_BYTES {
            let next =
                if idle { requests.recv().ok_or(Nothing::Ever) } else { requests.try_recv() };
            idle = false;
            match next {
                Ok(Request::Append { frame, enqueues, done }) => {
                    bytes += frame.len();
                    group.push(Waiting { frame, enqueues, done: Some(done) });
                }
                Ok(control) => return Ok((group, Some(control))),
                Err(Nothing::Yet) => break,
                Err(Nothing::Ever) if group.is_empty() => return Err(End::Stopped),
                Err(Nothing::Ever) => break,
            }
        }
        Ok((group, None))
    }

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

    /// The last write of a log that stops cleanly.
    fn finish(&mut self) -> Result<Lsn, AppendError> {
        self.answer()?;
        let written = self.write_mark(|records| records.begin(kind::CLEAN, 0, 0));
        written.map(|()| self.lsn()).map_err(|error| AppendError::failed(&error))
    }

    fn write_mark(&mut self, add: impl FnOnce(&mut Records)) -> io::Result<()> {
        let mut records = Records::new();
        add(&mut records);
        let mut frame = Frame::new(records);
        match self.current.write(&mut [&mut frame]) {
            Ok(()) => self.current.sync(),
            Err(WriteError::Full) => Err(io::ErrorKind::StorageFull.into()),
            Err(WriteError::Failed(error)) => Err(error),
        }
    }

    /// No further batch is taken: what the disk holds is no longer known.
    fn fail(&mut self, error: &io::Error) {
        tracing::error!(%error, "the log cannot be written: no more confirms until a restart");
        self.failed = Some(AppendError::failed(&error));
    }

    fn refuse(&self, waiting: Waiting) {
        let error = self.failed.clone().unwrap_or(AppendError::Unknown);
        self.answer_one(waiting, Err(error));
    }

    fn answer_one(&self, waiting: Waiting, answer: Result<Lsn, AppendError>) {
        if let Some(done) = waiting.done {
            let bytes = usize::try_from(waiting.frame.len()).unwrap_or(0);
            self.shared.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
            done.complete(answer);
        }
    }

    fn answer(&self) -> Result<Lsn, AppendError> {
        self.failed.clone().map_or_else(|| Ok(self.lsn()), Err)
    }

    fn lsn(&self) -> Lsn {
        Lsn(self.current.end())
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Bytes of all segments.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.sealed.iter().map(|segment| segment.bytes).sum::<u64>() + self.current.size()
    }

    pub(crate) fn publish_usage(&self) {
        let total = self.live.lock().total();
        let mut usage = self.shared.usage.lock();
        usage.live_messages = total.live;
        usage.live_bytes = total.live_bytes;
        usage.disk_bytes = self.disk_bytes();
        usage.segments = self.sealed.len() as u64 + 1;
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
