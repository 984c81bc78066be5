//! What a change to a queue leaves to do once its lock is released: wake consumers, tell the log,
//! confirm publishes, set timers, dead-letter. Doing it may leave more; it ends because a message
//! does not enter a queue again that its death list names.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use leveret_store::{QueueId, Seq};

use crate::broker::Broker;
use crate::dead_letter::Reason;
use crate::journal::{Settled, Settlement, Ticket};
use crate::queue::Queue;
use crate::ready::Entry;

/// A message that left its queue without being consumed.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) queue: Arc<Queue>,
    pub(crate) entry: Entry,
    pub(crate) reason: Reason,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) wakers: Vec<Waker>,
    pub(crate) dead: VecDeque<Dead>,
    pub(crate) settled: Vec<(QueueId, Seq)>,
    pub(crate) confirms: Vec<Ticket>,
    pub(crate) timers: Vec<(u64, Arc<Queue>)>,
}

impl Work {
    /// `entry` has left `queue` for good.
    #[inline]
    pub(crate) fn settle(&mut self, queue: QueueId, entry: &Entry, how: Settlement) {
        let Some(record) = &entry.record else { return };
        match record.settle(queue, entry.seq, how) {
            Settled::Done => {}
            Settled::Log => self.settled.push((queue, entry.seq)),
            Settled::Confirm(ticket) => self.confirms.push(ticket),
        }
    }

    pub(crate) fn die(&mut self, queue: &Arc<Queue>, entry: Entry, reason: Reason) {
        self.dead.push_back(Dead { queue: queue.clone(), entry, reason });
    }

    /// Does all of it. No lock may be held.
    #[inline]
    pub(crate) fn finish(&mut self, broker: &Broker) {
        self.wakers.drain(..).for_each(Waker::wake);
        if self.dead.is_empty()
            && self.settled.is_empty()
            && self.confirms.is_empty()
            && self.timers.is_empty()
        {
            return;
        }
        self.finish_rest(broker);
    }

    #[cold]
    fn finish_rest(&mut self, broker: &Broker) {
        loop {
            if !self.settled.is_empty() {
                let settled = std::mem::take(&mut self.settled);
                broker.journal.add(|pending| {
                    settled.iter().for_each(|(queue, seq)| pending.settle(*queue, *seq));
                });
            }
            Self::confirm(&std::mem::take(&mut self.confirms));
            self.timers.drain(..).for_each(|(at_ms, queue)| broker.timers.add(at_ms, &queue));
            self.wakers.drain(..).for_each(Waker::wake);
            let Some(dead) = self.dead.pop_front() else { break };
            crate::grave::bury(broker, dead, self);
        }
    }

    /// Acknowledges publishes to their publishers.
    pub(crate) fn confirm(tickets: &[Ticket]) {
        let same =
            |a: &Ticket, b: &Ticket| a.channel_id == b.channel_id && a.outbound.is(&b.outbound);
        for run in tickets.chunk_by(same) {
            let first = &run[0];
            first.outbound.confirm(first.channel, first.channel_id, run.iter().map(|t| t.tag));
        }
    }
}
