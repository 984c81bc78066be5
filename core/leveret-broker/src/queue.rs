//! A queue: an ordered list of messages, its consumers, and the rules by which they meet.
//!
//! Messages are dealt under the queue's lock, one at a time, in rotation among the consumers that
//! can take one. An unsettled message lives in its consumer's channel; the queue only counts it.

mod deal;
mod settle;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use leveret_store::{QueueId, Seq};
use parking_lot::Mutex;

use crate::arguments::QueueArguments;
use crate::consumer::{Consumer, ConsumerKey, Consumers, Subscription};
use crate::dead_letter::Reason;
use crate::error::{Error, Result};
use crate::journal::Settlement;
use crate::outbound::OutboundState;
use crate::ready::{Entry, NEVER, Ready};
use crate::transform::TransformChain;
use crate::work::Work;

pub(crate) use settle::Outcome;

/// How long a queue counts as moving after it delivered or settled something.
const MOVING_MS: u64 = 10;

/// What a queue was declared as.
#[derive(Debug)]
pub struct Declared {
    /// Name.
    pub name: Arc<str>,
    /// Virtual host.
    pub vhost: Arc<str>,
    /// Whether the definition survives a restart.
    pub durable: bool,
    /// The connection it belongs to.
    pub owner: Option<u64>,
    /// Whether it goes with its last consumer.
    pub auto_delete: bool,
    /// Arguments.
    pub arguments: QueueArguments,
}

/// See the module.
pub struct Queue {
    pub(crate) id: QueueId,
    pub(crate) declared: Declared,
    pub(crate) transforms: TransformChain,
    state: Mutex<QueueState>,
    closed: AtomicBool,
}

#[derive(Debug)]
struct QueueState {
    ready: Ready,
    consumers: Consumers,
    last_seq: Seq,
    unsettled: usize,
    last_moved_ms: u64,
    /// Since when nobody has used it, for x-expires.
    last_used_ms: u64,
    /// When the timer is due that has been set.
    timer_ms: u64,
    had_consumer: bool,
    closed: bool,
    held_back: Vec<Waker>,
    /// Publishers are held back while more than this waits here and it moves.
    moving_bytes: u64,
}

/// What became of a queue's consumers and messages when it was closed.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) messages: usize,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({:?} in {:?})", self.declared.name, self.declared.vhost)
    }
}

impl Queue {
    pub(crate) fn new(
        id: QueueId,
        declared: Declared,
        transforms: TransformChain,
        moving_bytes: u64,
        now_ms: u64,
    ) -> Self {
        let state = QueueState {
            ready: Ready::default(),
            consumers: Consumers::default(),
            last_seq: 0,
            unsettled: 0,
            last_moved_ms: 0,
            last_used_ms: now_ms,
            timer_ms: NEVER,
            had_consumer: false,
            closed: false,
            held_back: Vec::new(),
            moving_bytes,
        };
        Self { id, declared, transforms, state: Mutex::new(state), closed: AtomicBool::new(false) }
    }

    /// What it was declared as.
    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.declared.name
    }

    /// Whether it was deleted.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Messages ready, and consumers.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.ready.len(), state.consumers.len())
    }

    /// Deliveries and gets that wait for an ack.
    pub fn unsettled(&self) -> usize {
        self.state.lock().unsettled
    }

    /// It was declared again, or asked for with passive.
    pub(crate) fn touch(&self, now_ms: u64) {
        self.state.lock().last_used_ms = now_ms;
    }

    /// Puts messages back that were read from the log, ascending by `seq`.
    pub(crate) fn recover(&self, entries: Vec<Entry>) {
        let mut state = self.state.lock();
        state.last_seq = entries.last().map_or(0, |entry| entry.seq);
        state.ready.put_back(entries);
    }

    /// How long a message lives here that has this expiration of its own.
    pub(crate) fn time_to_live_ms(&self, expiration_ms: Option<u64>) -> Option<u64> {
        let own = expiration_ms.into_iter();
        own.chain(self.declared.arguments.message_ttl_ms).min()
    }

    /// Removes all ready messages.
    pub(crate) fn purge(&self, work: &mut Work) -> usize {
        let purged = self.state.lock().ready.drain();
        purged.iter().for_each(|entry| work.settle(self.id, entry, Settlement::Final));
        purged.len()
    }

    /// Adds a consumer. `announce` writes consume-ok, before the first delivery.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        subscription: Subscription,
        now_ms: u64,
        work: &mut Work,
        announce: impl FnOnce(&mut OutboundState, ConsumerKey),
    ) -> Result<()> {
        let mut state = self.state.lock();
        let Declared { vhost, name, .. } = &self.declared;
        if state.closed {
            return Err(Error::queue_not_found(vhost, name));
        }
        let alone = subscription.exclusive && !state.consumers.is_empty();
        if alone || state.consumers.has_exclusive() {
            return Err(Error::queue_in_exclusive_use(vhost, name));
        }
        let outbound = subscription.outbound.clone();
        let key = state.consumers.add(subscription);
        announce(&mut outbound.lock(), key);
        state.had_consumer = true;
        state.deal(self, now_ms, work);
        Ok(())
    }

    /// Removes a consumer. Whether the queue is to be deleted with it.
    pub(crate) fn unsubscribe(&self, key: ConsumerKey, now_ms: u64) -> bool {
        let mut state = self.state.lock();
        state.last_used_ms = now_ms;
        state.consumers.remove(key);
        self.declared.auto_delete && state.had_consumer && state.consumers.is_empty()
    }

    /// A consumer that waited for room or for its channel may have it now.
    pub(crate) fn resume(self: &Arc<Self>, key: ConsumerKey, now_ms: u64, work: &mut Work) {
        let mut state = self.state.lock();
        state.consumers.resume(key);
        state.deal(self, now_ms, work);
    }

    /// Takes the message at the head and says how many are left.
    pub(crate) fn get(
        self: &Arc<Self>,
        no_ack: bool,
        now_ms: u64,
        work: &mut Work,
    ) -> Option<(Entry, usize)> {
        let mut state = self.state.lock();
        state.last_used_ms = now_ms;
        state.expire(self, now_ms, work);
        let entry = state.ready.pop_front()?;
        state.last_moved_ms = now_ms;
        if no_ack {
            work.settle(self.id, &entry, Settlement::Unacknowledged);
        } else {
            state.unsettled += 1;
        }
        Some((entry, state.ready.len()))
    }

    /// Closes the queue if `check` allows it: no message enters or leaves from now on.
    pub(crate) fn close(
        &self,
        work: &mut Work,
        check: impl FnOnce(usize, usize) -> Result<()>,
    ) -> Result<Remains> {
        let (consumers, messages, held_back) = {
            let mut state = self.state.lock();
            check(state.ready.len(), state.consumers.len())?;
            state.closed = true;
            self.closed.store(true, Ordering::Release);
            let held_back = std::mem::take(&mut state.held_back);
            (state.consumers.drain(), state.ready.drain(), held_back)
        };
        work.wakers.extend(held_back);
        messages.iter().for_each(|entry| work.settle(self.id, entry, Settlement::Final));
        Ok(Remains { consumers, messages: messages.len() })
    }

    /// The timer is due. Whether the queue itself has expired.
    pub(crate) fn on_timer(self: &Arc<Self>, now_ms: u64, work: &mut Work) -> bool {
        let mut state = self.state.lock();
        state.timer_ms = NEVER;
        if state.closed {
            return false;
        }
        if state.expiry_ms(self).is_some_and(|at_ms| at_ms <= now_ms) {
            return true;
        }
        state.expire(self, now_ms, work);
        state.set_timer(self, now_ms, work);
        false
    }

    /// Sets the first timer of a new or recovered queue.
    pub(crate) fn start(self: &Arc<Self>, now_ms: u64, work: &mut Work) {
        let mut state = self.state.lock();
        state.expire(self, now_ms, work);
        state.set_timer(self, now_ms, work);
    }

    /// Whether a publisher to it should wait a moment; if so, `waker` is woken when it need not
    /// any more.
    pub fn holds_back(&self, now_ms: u64, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        let wait = state.is_crowded(now_ms);
        if wait {
            state.held_back.push(waker.clone());
        }
        wait
    }
}

impl QueueState {
    /// Whether more waits than a moving queue should hold.
    fn is_crowded(&self, now_ms: u64) -> bool {
        self.ready.weight() > self.moving_bytes
            && !self.closed
            && !self.consumers.is_empty()
            && now_ms < self.last_moved_ms + MOVING_MS
    }

    fn expire(&mut self, queue: &Arc<Queue>, now_ms: u64, work: &mut Work) {
        if self.ready.next_deadline_ms() <= now_ms {
            self.ready.expire(now_ms, |entry| work.die(queue, entry, Reason::Expired));
        }
    }

    /// When the queue itself expires if nobody uses it until then.
    fn expiry_ms(&self, queue: &Queue) -> Option<u64> {
        let expires_ms = queue.declared.arguments.expires_ms?;
        self.consumers.is_empty().then_some(self.last_used_ms + expires_ms)
    }

    /// Asks for a timer if something expires before the one that is set.
    fn set_timer(&mut self, queue: &Arc<Queue>, now_ms: u64, work: &mut Work) {
        let message = self.ready.next_deadline_ms();
        let itself = match queue.declared.arguments.expires_ms {
            Some(expires_ms) => self.expiry_ms(queue).unwrap_or(now_ms + expires_ms),
            None => NEVER,
        };
        let at_ms = message.min(itself);
        if at_ms < self.timer_ms {
            self.timer_ms = at_ms;
            work.timers.push((at_ms, queue.clone()));
        }
    }
}
