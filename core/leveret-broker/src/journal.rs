//! The bridge between queues and the log: what is written, when, and who is told.
//!
//! A persistent message that went to durable queues has one [`Record`], shared by its entries. It
//! waits here until a batch is made. What every queue has settled before that is never written;
//! what was written gets a settle in a later batch. One task makes the batches: while one is being
//! synced the next gathers, so there is no timer when a confirm waits; without one a batch waits
//! for a bounded time or size.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leveret_store::{AppendError, Batch, QueueId, Seq, Writer};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::{Notify, oneshot, watch};

use crate::message::Message;
use crate::outbound::Outbound;
use crate::work::Work;

/// More message bytes than this are not put into one batch.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// A publish that waits for its confirm.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) outbound: Outbound,
    pub(crate) channel: u16,
    /// Tells the channel from a later one of the same number.
    pub(crate) channel_id: u64,
    pub(crate) tag: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its queues are still being gathered.
    Gathering,
    /// Waits for a batch.
    Waiting,
    /// In a batch, or on disk.
    Written,
    /// Settled everywhere before it was written.
    Cancelled,
}

#[derive(Debug)]
struct RecordState {
    phase: Phase,
    targets: SmallVec<[(QueueId, Seq); 1]>,
    /// Delivered without acks before it was written: settled in the batch that writes it.
    delivered: SmallVec<[(QueueId, Seq); 1]>,
    ticket: Option<Ticket>,
}

impl RecordState {
    fn new(phase: Phase, ticket: Option<Ticket>) -> Mutex<Self> {
        let (targets, delivered) = (SmallVec::new(), SmallVec::new());
        Mutex::new(Self { phase, targets, delivered, ticket })
    }
}

/// One persistent message in the durable queues it went to.
#[derive(Debug)]
pub(crate) struct Record(Mutex<RecordState>);

/// How a message left a queue, as far as a waiting confirm is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// By a client's ack, a purge, a counted drop: that settles a confirm.
    Final,
    /// Handed to a consumer without acks: a waiting confirm still wants the log.
    Unacknowledged,
}

/// What is left to do after a settlement.
#[derive(Debug)]
pub(crate) enum Settled {
    /// Nothing.
    Done,
    /// The log must be told.
    Log,
    /// The log need not be told; this publish is settled.
    Confirm(Ticket),
}

impl Record {
    pub(crate) fn new(ticket: Option<Ticket>) -> Arc<Self> {
        Arc::new(Self(RecordState::new(Phase::Gathering, ticket)))
    }

    /// A message that was read from the log.
    pub(crate) fn recovered() -> Arc<Self> {
        Arc::new(Self(RecordState::new(Phase::Written, None)))
    }

    /// The message stands in `queue` under `seq`. Called before anybody can take it from there.
    pub(crate) fn add_target(&self, queue: QueueId, seq: Seq) {
        self.0.lock().targets.push((queue, seq));
    }

    /// The message has left `queue`.
    pub(crate) fn settle(&self, queue: QueueId, seq: Seq, how: Settlement) -> Settled {
        let mut state = self.0.lock();
        if state.phase == Phase::Written {
            return Settled::Log;
        }
        if how == Settlement::Unacknowledged && state.ticket.is_some() {
            state.delivered.push((queue, seq));
            return Settled::Done;
        }
        state.targets.retain(|target| *target != (queue, seq));
        if state.phase == Phase::Waiting && state.targets.is_empty() {
            state.phase = Phase::Cancelled;
            return state.ticket.take().map_or(Settled::Done, Settled::Confirm);
        }
        Settled::Done
    }

    /// All queues are known. `false` if they have all settled it already.
    fn seal(&self) -> Result<bool, Ticket> {
        let mut state = self.0.lock();
        if state.phase != Phase::Gathering {
            return Ok(false);
        }
        if !state.targets.is_empty() {
            state.phase = Phase::Waiting;
            return Ok(true);
        }
        state.phase = Phase::Cancelled;
        state.ticket.take().map_or(Ok(false), Err)
    }

    /// Puts it into `batch`, unless that is no longer needed. Returns who waits for it.
    fn write(
        &self,
        batch: &mut Batch,
        message: &Message,
        published_wall_ms: u64,
    ) -> Option<Ticket> {
        let mut state = self.0.lock();
        if state.phase != Phase::Waiting {
            return None;
        }
        state.phase = Phase::Written;
        batch.enqueue(&state.targets, &[&published_wall_ms.to_be_bytes(), message.bytes()]);
        state.delivered.iter().for_each(|(queue, seq)| batch.settle(*queue, *seq, *seq));
        (state.targets, state.delivered) = (SmallVec::new(), SmallVec::new());
        state.ticket.take()
    }

    fn has_ticket(&self) -> bool {
        self.0.lock().ticket.is_some()
    }
}

#[derive(Debug)]
struct Enqueue {
    record: Arc<Record>,
    message: Message,
    published_wall_ms: u64,
}

/// What waits for the next batch.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    enqueues: Vec<Enqueue>,
    settles: Vec<(QueueId, Seq)>,
    forgets: Vec<QueueId>,
    flushes: Vec<oneshot::Sender<()>>,
    bytes: usize,
    urgent: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.enqueues.is_empty() && self.settles.is_empty() && self.forgets.is_empty()
    }

    /// The message goes to the log, once all queues are known. `published_wall_ms` is when it came.
    pub(crate) fn enqueue(
        &mut self,
        record: &Arc<Record>,
        message: &Message,
        published_wall_ms: u64,
        confirms: &mut Vec<Ticket>,
    ) {
        match record.seal() {
            Ok(true) => {}
            Ok(false) => return,
            Err(ticket) => return confirms.push(ticket),
        }
        self.urgent |= record.has_ticket();
        self.bytes += message.bytes().len();
        let (record, message) = (record.clone(), message.clone());
        self.enqueues.push(Enqueue { record, message, published_wall_ms });
    }

    /// What goes into the next batch: everything, or, where that is too much for one, the oldest
    /// messages. Settles wait for the last batch: one may stand for a message that was moved, and
    /// must not come before what replaces it.
    fn take_portion(&mut self) -> Self {
        if self.bytes <= BATCH_BYTES_MAX {
            return std::mem::take(self);
        }
        let (mut bytes, mut count) = (0, 0);
        while bytes < BATCH_BYTES_MAX / 2 && count < self.enqueues.len() {
            bytes += self.enqueues[count].message.bytes().len();
            count += 1;
        }
        self.bytes -= bytes;
        self.urgent = true;
        Self { enqueues: self.enqueues.drain(..count).collect(), bytes, ..Self::default() }
    }

    pub(crate) fn settle(&mut self, queue: QueueId, seq: Seq) {
        self.settles.push((queue, seq));
    }

    /// Nothing of `queue` is needed any more.
    pub(crate) fn forget(&mut self, queue: QueueId) {
        self.forgets.push(queue);
        self.urgent = true;
    }
}

/// See the module.
pub(crate) struct Journal {
    pending: Mutex<Pending>,
    arrived: Notify,
    stop: AtomicBool,
    flush_interval: Duration,
    flush_bytes: usize,
    failed: watch::Sender<Option<AppendError>>,
}

impl Journal {
    pub(crate) fn new(flush_interval: Duration, flush_bytes: usize) -> Self {
        Self {
            pending: Mutex::default(),
            arrived: Notify::new(),
            stop: AtomicBool::new(false),
            flush_interval,
            flush_bytes,
            failed: watch::Sender::new(None),
        }
    }

    /// Changes what waits. All that one call adds goes into one batch.
    pub(crate) fn add(&self, change: impl FnOnce(&mut Pending)) {
        let wake = {
            let mut pending = self.pending.lock();
            let (was_empty, was_urgent) = (pending.is_empty(), pending.urgent);
            change(&mut pending);
            (was_empty && !pending.is_empty())
                || (pending.urgent && !was_urgent)
                || pending.bytes >= self.flush_bytes
        };
        if wake {
            self.arrived.notify_one();
        }
    }

    /// Resolves when everything added so far is durable.
    pub(crate) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, waits) = oneshot::channel();
        {
            let mut pending = self.pending.lock();
            pending.flushes.push(done);
            pending.urgent = true;
        }
        self.arrived.notify_one();
        waits
    }

    /// Resolves when the log has failed: from then on nothing is confirmed.
    pub(crate) fn failure(&self) -> watch::Receiver<Option<AppendError>> {
        self.failed.subscribe()
    }

    /// Lets [`Self::run`] end after one more batch.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.arrived.notify_one();
    }

    /// Makes and appends batches until [`Self::stop`]. `definitions` resolves when all definitions
    /// made before the call are durable, because a confirmed message must find its queue.
    pub(crate) async fn run<F>(&self, mut writer: Box<dyn Writer>, definitions: impl Fn() -> F)
    where
        F: Future<Output = ()>,
    {
        loop {
            let stopping = self.wait_for_work().await;
            let pending = self.pending.lock().take_portion();
            let (batch, tickets) = make_batch(&pending);
            if !batch.is_empty() {
                let defined = definitions();
                if let Err(error) = writer.append(batch).await {
                    self.fail(error);
                    return;
                }
                defined.await;
            }
            Work::confirm(&tickets);
            for done in pending.flushes {
                // Whoever asked may be gone.
                let _ = done.send(());
            }
            if stopping && self.pending.lock().is_empty() {
                break;
            }
        }
        if let Err(error) = writer.close().await {
            tracing::error!(%error, "the log could not be closed");
        }
    }

    fn fail(&self, error: AppendError) {
        tracing::error!(%error, "the log has failed: nothing more is confirmed");
        self.failed.send_replace(Some(error));
    }

    /// Waits for something urgent, for much, or for the interval to pass. Whether to stop.
    async fn wait_for_work(&self) -> bool {
        loop {
            if self.stop.load(Ordering::Acquire) {
                return true;
            }
            let (empty, due) = {
                let pending = self.pending.lock();
                (pending.is_empty(), pending.urgent || pending.bytes >= self.flush_bytes)
            };
            if due {
                return false;
            }
            let arrived = self.arrived.notified();
            if empty {
                arrived.await;
            } else if tokio::time::timeout(self.flush_interval, arrived).await.is_err() {
                return false;
            }
        }
    }
}

fn make_batch(pending: &Pending) -> (Batch, Vec<Ticket>) {
    let mut batch = Batch::new();
    let tickets = pending
        .enqueues
        .iter()
        .filter_map(|e| e.record.write(&mut batch, &e.message, e.published_wall_ms))
        .collect();
    let mut settles = pending.settles.clone();
    settles.sort_unstable();
    for range in settles.chunk_by(|a, b| a.0 == b.0 && a.1 + 1 == b.1) {
        batch.settle(range[0].0, range[0].1, range[range.len() - 1].1);
    }
    pending.forgets.iter().for_each(|queue| batch.forget(*queue));
    (batch, tickets)
}

/// What a message in the log begins with: when it was published, by the wall clock.
pub(crate) const PUBLISHED_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_for_one_batch_is_taken_in_portions_and_settles_come_last() {
        let mut pending = Pending::default();
        let message = Message::for_tests("", "key", &vec![7; 1 << 20]);
        for seq in 0..100 {
            let record = Record::new(None);
            record.add_target(QueueId(1), seq);
            pending.enqueue(&record, &message, 0, &mut Vec::new());
        }
        pending.settle(QueueId(2), 9);
        let portions: Vec<(usize, usize)> =
            std::iter::from_fn(|| (!pending.is_empty()).then(|| pending.take_portion()))
                .map(|portion| (portion.enqueues.len(), portion.settles.len()))
                .collect();
        assert_eq!(portions.iter().map(|(enqueues, _)| enqueues).sum::<usize>(), 100);
        assert!(portions.len() > 1);
        let settles: Vec<usize> = portions.iter().map(|(_, settles)| *settles).collect();
        assert_eq!(settles.iter().rposition(|n| *n == 1), Some(portions.len() - 1));
    }

    #[test]
    fn what_every_queue_settled_before_it_was_written_is_not_written() {
        let record = Record::new(None);
        record.add_target(QueueId(1), 5);
        let mut pending = Pending::default();
        pending.enqueue(&record, &Message::for_tests("", "k", b"x"), 0, &mut Vec::new());
        assert!(matches!(record.settle(QueueId(1), 5, Settlement::Final), Settled::Done));
        assert!(make_batch(&pending).0.is_empty());
    }
}
