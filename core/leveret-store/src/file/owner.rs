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
    error::AppendError,
    file::{
        FileOptions,
        dir_lock::DirLock,
        frame_file::{FrameFile, WriteError},
        log::Shared,
        log_dir::LogDir,
        reclaim::Reclaim,
        recovery::Segment,
        reserve::Reserve,
    },
    frame::Frame,
    ids::{Epoch, Lsn},
    liveness::Liveness,
    mailbox::{Nothing, Receiver},
    record::{Records, kind},
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
    pub(crate) epoch: Epoch,
    pub(crate) current: FrameFile,
    /// Those before the current one, oldest first.
    pub(crate) sealed: VecDeque<Segment>,
    pub(crate) live: Arc<Mutex<Liveness>>,
    pub(crate) shared: Arc<Shared>,
    /// While somebody holds this, recovery is still being read: nothing may be moved or removed.
    pub(crate) reading: Weak<()>,
    pub(crate) reclaim: Reclaim,
    pub(crate) reserve: Reserve,
    pub(crate) failed: Option<AppendError>,
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
    pub(crate) fn fail(&mut self, error: &io::Error) {
        tracing::error!(%error, "the log cannot be written: no more confirms until a restart");
        self.failed = Some(AppendError::failed(&error));
    }

    pub(crate) fn refuse(&self, waiting: Waiting) {
        let error = self.failed.clone().unwrap_or(AppendError::Unknown);
        self.answer_one(waiting, Err(error));
    }

    pub(crate) fn answer_one(&self, waiting: Waiting, answer: Result<Lsn, AppendError>) {
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
