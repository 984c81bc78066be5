//! A log that keeps only what is live.

use std::{
    collections::{BTreeMap, HashMap},
    future::ready,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    batch::Batch,
    error::{AppendError, OpenError, ReadError},
    ids::{Epoch, Lsn, QueueId, RecordRef, Seq},
    log::{
        AppendFuture, Capabilities, CloseFuture, Durability, Log, Opened, Recovered,
        RecoveredMessage, RecoveredTarget, RecoveryReport, Usage, Writer,
    },
    record::{FRAME_HEADER, Record, RecordView},
};

/// Largest batch taken: as the file engine does.
const MAX_BATCH_BYTES: usize = 256 << 20;

/// The log; clones of the pointer are the same log.
#[derive(Clone, Default)]
pub(crate) struct MemoryLog(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    epoch: Epoch,
    /// Counts the writers given out: only the newest may append.
    openings: u64,
    clean: bool,
    lsn: Lsn,
    bodies: BTreeMap<u64, Body>,
    next_body: u64,
    queues: HashMap<QueueId, BTreeMap<Seq, Place>>,
    written_bytes: u64,
}

struct Body {
    bytes: Bytes,
    targets: Vec<(QueueId, Seq)>,
    live: usize,
}

#[derive(Copy, Clone)]
struct Place {
    body: u64,
    delivered: u32,
}

impl State {
    fn append(&mut self, batch: Batch) -> Lsn {
        let (bytes, ..) = batch.into_records().finish();
        self.written_bytes += bytes.len() as u64;
        let mut rest = bytes.get(FRAME_HEADER..).unwrap_or_default();
        while let Some(record) = RecordView::trust(rest) {
            rest = rest.get(record.len()..).unwrap_or_default();
            if let Some(record) = record.decode() {
                self.apply(record);
            }
        }
        self.lsn.0 += 1;
        self.lsn
    }

    fn apply(&mut self, record: Record<'_>) {
        match record {
            Record::Enqueue { targets, body } => {
                self.enqueue(targets.targets().collect(), Bytes::copy_from_slice(body));
            }
            Record::Settle(ranges) => {
                ranges.ranges().for_each(|(queue, first, last)| self.settle(queue, first, last));
            }
            Record::Delivered(counts) => {
                counts.counts().for_each(|(queue, seq, count)| self.delivered(queue, seq, count));
            }
            Record::Forget(queues) => queues.queues().for_each(|queue| {
                self.settle(queue, 0, Seq::MAX);
                self.queues.remove(&queue);
            }),
            _ => {}
        }
    }

    fn enqueue(&mut self, targets: Vec<(QueueId, Seq)>, bytes: Bytes) {
        let body = self.next_body;
        self.next_body += 1;
        for (queue, seq) in &targets {
            self.settle(*queue, *seq, *seq);
            let place = Place { body, delivered: 0 };
            self.queues.entry(*queue).or_default().insert(*seq, place);
        }
        let live = targets.len();
        self.bodies.insert(body, Body { bytes, targets, live });
    }

    fn settle(&mut self, queue: QueueId, first: Seq, last: Seq) {
        let Some(held) = self.queues.get_mut(&queue) else { return };
        if first > last {
            return;
        }
        while let Some((&seq, &place)) = held.range(first..=last).next() {
            held.remove(&seq);
            let Some(body) = self.bodies.get_mut(&place.body) else { continue };
            body.live = body.live.saturating_sub(1);
            if body.live == 0 {
                self.bodies.remove(&place.body);
            }
        }
    }

    fn delivered(&mut self, queue: QueueId, seq: Seq, count: u32) {
        if let Some(place) = self.queues.get_mut(&queue).and_then(|held| held.get_mut(&seq)) {
            place.delivered = count;
        }
    }

    fn messages(&self) -> Vec<RecoveredMessage> {
        let messages = self.bodies.iter().map(|(id, body)| {
            let targets = body.targets.iter().filter_map(|&(queue, seq)| {
                let place = self.queues.get(&queue)?.get(&seq).filter(|at| at.body == *id)?;
                Some(RecoveredTarget { queue, seq, delivered: place.delivered })
            });
            RecoveredMessage { bytes: body.bytes.clone(), targets: targets.collect() }
        });
        messages.collect()
    }

    fn usage(&self) -> Usage {
        let live_bytes = self.bodies.values().map(|body| body.bytes.len() as u64).sum();
        Usage {
            live_messages: self.queues.values().map(|held| held.len() as u64).sum(),
            live_bytes,
            disk_bytes: 0,
            segments: 0,
            written_bytes: self.written_bytes,
            moved_bytes: 0,
            syncs: 0,
        }
    }
}

impl Log for MemoryLog {
    fn open(&self, fence: Epoch) -> Result<Opened, OpenError> {
        let mut state = self.0.lock();
        if fence < state.epoch {
            return Err(OpenError::Fenced { held: state.epoch, asked: fence });
        }
        state.epoch = fence;
        let clean = std::mem::take(&mut state.clean) || state.openings == 0;
        let report =
            RecoveryReport { live_messages: state.usage().live_messages, ..Default::default() };
        let messages = Box::new(state.messages().into_iter());
        state.openings += 1;
        let writer = Box::new(MemoryWriter { log: self.clone(), opening: state.openings });
        Ok(Opened { writer, recovered: Recovered { clean, messages, report } })
    }

    fn read(&self, at: RecordRef) -> Result<Bytes, ReadError> {
        let state = self.0.lock();
        let place = state.queues.get(&at.queue).and_then(|held| held.get(&at.seq));
        let body = place.and_then(|place| state.bodies.get(&place.body));
        body.map(|body| body.bytes.clone()).ok_or(ReadError::Gone)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durability: Durability::None,
            max_batch_bytes: MAX_BATCH_BYTES,
            preferred_batch_bytes: 256 << 10,
        }
    }
}

struct MemoryWriter {
    log: MemoryLog,
    opening: u64,
}

impl MemoryWriter {
    fn with_state<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T, AppendError> {
        let mut state = self.log.0.lock();
        if state.openings != self.opening {
            return Err(AppendError::Fenced);
        }
        Ok(act(&mut state))
    }
}

impl Writer for MemoryWriter {
    fn append(&mut self, batch: Batch) -> AppendFuture {
        let bytes = batch.len_bytes();
        if bytes > MAX_BATCH_BYTES {
            return Box::pin(ready(Err(AppendError::TooLarge { bytes, limit: MAX_BATCH_BYTES })));
        }
        Box::pin(ready(self.with_state(|state| state.append(batch))))
    }

    fn checkpoint(&mut self) -> AppendFuture {
        Box::pin(ready(self.with_state(|state| state.lsn)))
    }

    fn trim(&mut self) -> AppendFuture {
        self.checkpoint()
    }

    fn pending_bytes(&self) -> usize {
        0
    }

    fn usage(&self) -> Usage {
        self.log.0.lock().usage()
    }

    fn close(self: Box<Self>) -> CloseFuture {
        Box::pin(ready(self.with_state(|state| state.clean = true)))
    }
}
