//! One task that wakes queues when a message or the queue itself expires. There is one timer per
//! queue, not one per message.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::broker::Broker;
use crate::queue::Queue;
use crate::work::Work;

/// How far ahead the task sleeps at most.
const SLEEP_MS_MAX: u64 = 60_000;

struct Timer {
    at_ms: u64,
    queue: Weak<Queue>,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.at_ms == other.at_ms
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    /// The earliest is the greatest, because the heap gives out the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at_ms.cmp(&self.at_ms)
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Timers {
    heap: Mutex<BinaryHeap<Timer>>,
    earlier: Notify,
}

impl Timers {
    /// Wakes `queue` at `at_ms` of the broker's clock.
    pub(crate) fn add(&self, at_ms: u64, queue: &Arc<Queue>) {
        let is_first = {
            let mut heap = self.heap.lock();
            let is_first = heap.peek().is_none_or(|first| at_ms < first.at_ms);
            heap.push(Timer { at_ms, queue: Arc::downgrade(queue) });
            is_first
        };
        if is_first {
            self.earlier.notify_one();
        }
    }

    fn pop_due(&self, now_ms: u64) -> Option<Timer> {
        let mut heap = self.heap.lock();
        if heap.peek()?.at_ms > now_ms {
            return None;
        }
        heap.pop()
    }

    fn sleep_ms(&self, now_ms: u64) -> u64 {
        let next = self.heap.lock().peek().map_or(u64::MAX, |timer| timer.at_ms);
        next.saturating_sub(now_ms).min(SLEEP_MS_MAX)
    }
}

/// Runs until it is dropped.
pub(crate) async fn run(broker: Arc<Broker>) {
    loop {
        run_due(&broker);
        let sleep = Duration::from_millis(broker.timers.sleep_ms(broker.clock.now_ms()));
        let _ = tokio::time::timeout(sleep, broker.timers.earlier.notified()).await;
    }
}

fn run_due(broker: &Arc<Broker>) {
    let now_ms = broker.clock.now_ms();
    while let Some(timer) = broker.timers.pop_due(now_ms) {
        let Some(queue) = timer.queue.upgrade() else { continue };
        let mut work = Work::default();
        if queue.on_timer(now_ms, &mut work) {
            broker.delete_expired(&queue, &mut work);
        }
        work.finish(broker);
    }
}
