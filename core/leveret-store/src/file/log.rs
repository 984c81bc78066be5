//! The log in a directory, and the writer's side of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::{
    batch::Batch,
    completion::{Completion, completion},
    disk::{DiskFile, read_full},
    error::{AppendError, OpenError, ReadError},
    file::{
        FileOptions,
        dir_lock::DirLock,
        log_dir::LogDir,
        messages::Messages,
        owner::{Owner, Request},
        recovery::Recovery,
    },
    frame::Frame,
    ids::{Epoch, Lsn, RecordRef},
    liveness::{Liveness, Place},
    log::{
        AppendFuture, Capabilities, CloseFuture, Durability, Log, Opened, Recovered, Usage, Writer,
    },
    mailbox::{Sender, mailbox},
    record::{RECORD_HEADER, Record, RecordView, u32_at},
};

/// Largest batch taken, so that offsets and lengths stay far below what the format can say.
const MAX_BATCH_BYTES: usize = 256 << 20;

/// The log of a directory.
pub(crate) struct FileLog {
    dir: LogDir,
    options: FileOptions,
    lock: Arc<DirLock>,
    running: Mutex<Option<Running>>,
    /// Held while the log is read.
    opening: Mutex<()>,
}

/// An opened log.
struct Running {
    epoch: Epoch,
    live: Arc<Mutex<Liveness>>,
    shared: Arc<Shared>,
    requests: Sender<Request>,
}

/// What the writer and the thread both know.
#[derive(Default)]
pub(crate) struct Shared {
    /// Bytes appended and not yet answered.
    pub(crate) pending_bytes: AtomicUsize,
    /// Another writer has been given out.
    pub(crate) fenced: AtomicBool,
    pub(crate) usage: Mutex<Usage>,
    ended: Mutex<bool>,
    end: Condvar,
}

impl Shared {
    /// The thread has written all it will write.
    pub(crate) fn set_ended(&self) {
        *self.ended.lock() = true;
        self.end.notify_all();
    }

    fn wait_ended(&self) {
        let mut ended = self.ended.lock();
        while !*ended {
            self.end.wait(&mut ended);
        }
    }
}

impl FileLog {
    pub(crate) fn new(dir: LogDir, options: FileOptions, lock: Arc<DirLock>) -> Self {
        Self { dir, options, lock, running: Mutex::new(None), opening: Mutex::new(()) }
    }

    /// Stops the writer there is, unless it is a newer owner's.
    fn stop_for(&self, fence: Epoch) -> Result<(), OpenError> {
        let mut running = self.running.lock();
        if let Some(held) = running.as_ref().map(|held| held.epoch).filter(|held| fence < *held) {
            return Err(OpenError::Fenced { held, asked: fence });
        }
        let before = running.take();
        drop(running);
        if let Some(before) = before {
            before.shared.fenced.store(true, Ordering::Release);
            before.requests.send(Request::Stop);
            before.shared.wait_ended();
        }
        Ok(())
    }

    /// Starts the thread that writes, with a segment of its own.
    fn start(&self, recovery: Recovery, fence: Epoch) -> Result<Opened, OpenError> {
        let live = Arc::new(Mutex::new(recovery.live));
        let shared = Arc::new(Shared::default());
        let keep = Arc::new(());
        let number = recovery.segments.last().map_or(1, |last| last.number + 1);
        let messages = Messages::new(
            self.dir.clone(),
            Arc::clone(&live),
            recovery.segments.clone(),
            Arc::clone(&keep),
        );
        let current = self.dir.create(number, recovery.end, fence.0);
        let current = current.map_err(|error| OpenError::io(&self.dir.path, error))?;
        let mut owner = Owner::new(
            self.dir.clone(),
            &self.options,
            current,
            recovery.segments,
            Arc::clone(&live),
            Arc::clone(&shared),
            Arc::downgrade(&keep),
        );
        owner.begin(fence).map_err(|error| OpenError::io(&self.dir.path, error))?;
        let requests = spawn(owner, Arc::clone(&self.lock))
            .map_err(|error| OpenError::io(&self.dir.path, error))?;
        let running =
            Running { epoch: fence, live, shared: Arc::clone(&shared), requests: requests.clone() };
        *self.running.lock() = Some(running);
        let recovered = Recovered {
            clean: recovery.clean,
            messages: Box::new(messages),
            report: recovery.report,
        };
        let writer = Box::new(FileWriter { requests, shared, closed: false });
        Ok(Opened { writer, recovered })
    }
}

fn spawn(owner: Owner, lock: Arc<DirLock>) -> std::io::Result<Sender<Request>> {
    let (sender, receiver) = mailbox();
    let name = "leveret-log".to_owned();
    thread::Builder::new().name(name).spawn(move || owner.run(&receiver, lock))?;
    Ok(sender)
}

impl Log for FileLog {
    fn open(&self, fence: Epoch) -> Result<Opened, OpenError> {
        let _opening = self.opening.lock();
        self.stop_for(fence)?;
        let recovery = Recovery::run(&self.dir)?;
        if fence.0 < recovery.epoch {
            return Err(OpenError::Fenced { held: Epoch(recovery.epoch), asked: fence });
        }
        self.start(recovery, fence)
    }

    fn read(&self, at: RecordRef) -> Result<Bytes, ReadError> {
        let live = self.running.lock().as_ref().map(|running| Arc::clone(&running.live));
        let live = live.ok_or(ReadError::Gone)?;
        loop {
            let place = live.lock().place(at.queue, at.seq).ok_or(ReadError::Gone)?;
            match self.dir.disk.open(&self.dir.segment_path(place.segment())) {
                Ok(file) => return read_body(&*file, place, at),
                // Moved between the two lines above, unless the file is gone for good.
                Err(error) => {
                    if live.lock().place(at.queue, at.seq) == Some(place) {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durability: Durability::Fsync,
            max_batch_bytes: MAX_BATCH_BYTES,
            preferred_batch_bytes: 256 << 10,
        }
    }
}

/// Reads the record at `place` and makes sure that it is the one asked for.
fn read_body(file: &dyn DiskFile, place: Place, at: RecordRef) -> Result<Bytes, ReadError> {
    // One read for most messages: their weight says how long they are, give or take an eighth.
    let guess = usize::try_from(place.bytes()).unwrap_or(0).min(1 << 20);
    let mut bytes = vec![0; RECORD_HEADER + guess + guess / 4];
    let read = read_full(file, &mut bytes, place.offset())?;
    bytes.truncate(read);
    let length = u32_at(&bytes, 4).ok_or(ReadError::Damaged)? as usize + RECORD_HEADER;
    if length > bytes.len() {
        if length > MAX_BATCH_BYTES {
            return Err(ReadError::Damaged);
        }
        bytes.resize(length, 0);
        let rest = place.offset() + read as u64;
        read_full(file, &mut bytes[read..], rest)?;
    }
    bytes.truncate(length);
    let record = RecordView::parse(&bytes).map_err(|_| ReadError::Damaged)?;
    let Some(Record::Enqueue { targets, body }) = record.decode() else {
        return Err(ReadError::Damaged);
    };
    if !targets.targets().any(|target| target == (at.queue, at.seq)) {
        return Err(ReadError::Damaged);
    }
    let start = bytes.len() - body.len();
    Ok(Bytes::from(bytes).slice(start..))
}

/// The writer's end of the thread.
struct FileWriter {
    requests: Sender<Request>,
    shared: Arc<Shared>,
    closed: bool,
}

impl FileWriter {
    fn ask(&self, make: impl FnOnce(crate::file::owner::Done) -> Request) -> AppendFuture {
        let (done, answer) = completion();
        // Without a thread the request is dropped, and with it `done`: that is the answer.
        self.requests.send(make(done));
        Box::pin(answered(answer, Arc::clone(&self.shared)))
    }
}

async fn answered(
    answer: Completion<Result<Lsn, AppendError>>,
    shared: Arc<Shared>,
) -> Result<Lsn, AppendError> {
    answer.await.unwrap_or_else(|| {
        if shared.fenced.load(Ordering::Acquire) {
            Err(AppendError::Fenced)
        } else {
            Err(AppendError::failed(&"its thread has ended"))
        }
    })
}

impl Writer for FileWriter {
    fn append(&mut self, batch: Batch) -> AppendFuture {
        let bytes = batch.len_bytes();
        if bytes > MAX_BATCH_BYTES {
            let error = AppendError::TooLarge { bytes, limit: MAX_BATCH_BYTES };
            return Box::pin(std::future::ready(Err(error)));
        }
        if batch.is_empty() {
            return self.checkpoint();
        }
        self.shared.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        let enqueues = batch.has_enqueues();
        let frame = Frame::new(batch.into_records());
        self.ask(|done| Request::Append { frame, enqueues, done })
    }

    fn checkpoint(&mut self) -> AppendFuture {
        self.ask(Request::Barrier)
    }

    fn trim(&mut self) -> AppendFuture {
        self.ask(Request::Trim)
    }

    fn pending_bytes(&self) -> usize {
        self.shared.pending_bytes.load(Ordering::Relaxed)
    }

    fn usage(&self) -> Usage {
        *self.shared.usage.lock()
    }

    fn close(mut self: Box<Self>) -> CloseFuture {
        self.closed = true;
        let answer = self.ask(Request::Close);
        Box::pin(async move { answer.await.map(drop) })
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if !self.closed && self.requests.send(Request::Stop) {
            self.shared.wait_ended();
        }
    }
}
