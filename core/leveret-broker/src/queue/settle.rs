//! Deliveries come back: acknowledged, requeued or rejected.

use std::sync::Arc;

use super::{Queue, QueueState};
use crate::arguments::Overflow;
use crate::channel_state::Unsettled;
use crate::dead_letter::Reason;
use crate::journal::Settlement;
use crate::ready::Entry;
use crate::work::Work;

/// What a client, or the end of its channel, says about deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Consumed.
    Ack,
    /// Back to where it was, to be delivered again.
    Requeue,
    /// Not wanted: dead-lettered or dropped.
    Reject,
    /// Written to a consumer without acks.
    Delivered,
    /// Back to where it was; nobody has seen it.
    Return,
}

impl Queue {
    /// Settles deliveries of this queue. `unsettled` is emptied, and is in the order of delivery.
    pub(crate) fn settle(
        self: &Arc<Self>,
        unsettled: &mut Vec<Unsettled>,
        outcome: Outcome,
        now_ms: u64,
        work: &mut Work,
    ) {
        let mut state = self.state.lock();
        state.release_credit(unsettled);
        state.last_moved_ms = now_ms;
        match outcome {
            Outcome::Ack => {
                unsettled.iter().for_each(|u| work.settle(self.id, &u.entry, Settlement::Final));
            }
            Outcome::Reject => {
                unsettled.drain(..).for_each(|u| work.die(self, u.entry, Reason::Rejected));
            }
            Outcome::Delivered => unsettled.iter().for_each(|u| {
                work.settle(self.id, &u.entry, Settlement::Unacknowledged);
            }),
            Outcome::Requeue | Outcome::Return => {
                state.put_back(self, unsettled, outcome == Outcome::Requeue, work);
            }
        }
        if !state.closed {
            state.deal(self, now_ms, work);
        }
        drop(state);
        unsettled.clear();
    }
}

impl QueueState {
    fn release_credit(&mut self, unsettled: &[Unsettled]) {
        self.unsettled = self.unsettled.saturating_sub(unsettled.len());
        for run in unsettled.chunk_by(|a, b| a.consumer == b.consumer) {
            if let Some(consumer) = run[0].consumer {
                self.consumers.settled(consumer, run.len() as u32);
            }
        }
    }

    fn put_back(
        &mut self,
        queue: &Arc<Queue>,
        unsettled: &mut Vec<Unsettled>,
        seen: bool,
        work: &mut Work,
    ) {
        if self.closed {
            unsettled.iter().for_each(|u| work.settle(queue.id, &u.entry, Settlement::Final));
            return;
        }
        let mut entries: Vec<Entry> = unsettled
            .drain(..)
            .map(|Unsettled { entry, .. }| Entry {
                redelivered: entry.redelivered || seen,
                ..entry
            })
            .collect();
        entries.sort_unstable_by_key(|entry| entry.seq);
        self.ready.put_back(entries);
        if queue.declared.arguments.overflow == Overflow::DropHead {
            self.drop_head(queue, work);
        }
    }
}
