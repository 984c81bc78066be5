//! The end of a chunk of input: its messages reach their queues and the log, then their publisher
//! is answered.

use std::sync::Arc;

use leveret_protocol::{Reply, ReplyCode, encode};
use smallvec::SmallVec;

use super::Session;
use crate::batch::Batch;
use crate::counters::Dropped;
use crate::journal::Record;
use crate::message::Message;

impl Session {
    /// The end of a chunk of input: its messages reach their queues, its acks take effect.
    pub fn flush(&mut self, batch: &mut Batch<'_>) {
        self.finish_acks();
        if !batch.is_empty() {
            self.flush_messages(batch);
        }
    }

    /// Whether a queue refused one of the messages.
    pub(super) fn flush_messages(&mut self, batch: &mut Batch<'_>) -> bool {
        let now_ms = self.broker.clock.now_ms();
        self.issue_confirms(batch);
        for (queue, order) in batch.queues.iter().zip(&batch.orders) {
            if queue.enqueue(&mut batch.pendings, order, now_ms, &mut self.work) {
                self.crowded = Some(queue.clone());
            }
        }
        self.log_messages(batch);
        self.answer(batch);
        let refused = batch.pendings.iter().any(|pending| pending.refused);
        batch.clear();
        self.finish_work();
        refused
    }

    /// Tells the channels which confirms are due, before anybody can settle them.
    fn issue_confirms(&mut self, batch: &Batch<'_>) {
        let mut outbound = None;
        for pending in &batch.pendings {
            let Some(tag) = pending.confirm_tag else { continue };
            let outbound = outbound.get_or_insert_with(|| self.outbound.lock());
            if let Some((state, _)) = outbound.channel(pending.channel)
                && let Some(confirms) = &mut state.confirms
            {
                confirms.issue(tag);
            }
        }
    }

    /// Hands persistent messages that durable queues took to the log.
    fn log_messages(&mut self, batch: &mut Batch<'_>) {
        let wall_ms = self.broker.clock.wall_ms();
        let mut records: Vec<(Arc<Record>, Message)> = Vec::new();
        for pending in &mut batch.pendings {
            if let Some(record) = pending.take_record() {
                records.push((record, pending.message()));
                pending.logged = true;
            }
        }
        if records.is_empty() {
            return;
        }
        let confirms = &mut self.work.confirms;
        self.broker.journal.add(|log| {
            records.iter().for_each(|(record, message)| {
                log.enqueue(record, message, wall_ms, confirms);
            });
        });
    }

    /// Returns what was mandatory and went nowhere, then confirms what does not wait for the log.
    fn answer(&mut self, batch: &mut Batch<'_>) {
        let mut outbound = None;
        let mut confirmed: SmallVec<[u16; 4]> = SmallVec::new();
        for pending in &mut batch.pendings {
            let unroutable = pending.taken == 0 && !pending.refused && !pending.settled;
            if pending.confirm_tag.is_none() && !unroutable {
                continue;
            }
            if unroutable && !pending.mandatory {
                self.broker.counters.dropped(Dropped::Unroutable);
            }
            let outbound = outbound.get_or_insert_with(|| self.outbound.lock());
            let frame_max = outbound.frame_max;
            let number = pending.channel;
            let Some((state, out)) = outbound.channel(number) else { continue };
            if unroutable && pending.mandatory {
                let reply = Reply::bare(ReplyCode::NoRoute, (60, 40));
                encode::return_(out, number, &reply, &pending.message().run(), frame_max);
            }
            let Some((tag, confirms)) = pending.confirm_tag.zip(state.confirms.as_mut()) else {
                continue;
            };
            if pending.refused {
                confirms.refuse(tag, number, out);
            } else if !pending.logged {
                confirms.settle(tag);
            }
            if confirmed.last() != Some(&number) {
                confirmed.push(number);
            }
        }
        let Some(mut outbound) = outbound else { return };
        for number in confirmed {
            if let Some((state, out)) = outbound.channel(number)
                && let Some(confirms) = &mut state.confirms
            {
                confirms.write(number, out);
            }
        }
    }
}
