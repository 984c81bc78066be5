//! What clients say about deliveries: ack, nack, reject, recover; and basic.get.

use std::sync::Arc;

use leveret_protocol::encode;

use super::Session;
use super::channel::Mode;
use crate::channel_state::Unsettled;
use crate::error::{Error, Result};
use crate::queue::{Outcome, Queue};

impl Session {
    /// basic.ack. Takes effect at the end of the chunk of input.
    pub fn ack(&mut self, channel: u16, tag: u64, multiple: bool) -> Result<()> {
        if matches!(self.channel(channel)?.mode, Mode::Tx(_)) {
            return self.settle_in_tx(channel, tag, multiple, Outcome::Ack);
        }
        let mut acked = std::mem::take(&mut self.acked);
        let taken = self.take_unsettled(channel, tag, multiple, &mut acked);
        self.acked = acked;
        taken
    }

    /// basic.nack and basic.reject.
    pub fn reject(&mut self, channel: u16, tag: u64, multiple: bool, requeue: bool) -> Result<()> {
        let outcome = if requeue { Outcome::Requeue } else { Outcome::Reject };
        if matches!(self.channel(channel)?.mode, Mode::Tx(_)) {
            return self.settle_in_tx(channel, tag, multiple, outcome);
        }
        self.finish_acks();
        let mut unsettled = Vec::new();
        self.take_unsettled(channel, tag, multiple, &mut unsettled)?;
        self.settle(unsettled, outcome);
        Ok(())
    }

    /// Takes deliveries out of a channel; those that waited for its limit are resumed.
    pub(super) fn take_unsettled(
        &mut self,
        number: u16,
        tag: u64,
        multiple: bool,
        out: &mut Vec<Unsettled>,
    ) -> Result<()> {
        let mut outbound = self.outbound.lock();
        let Some(state) = outbound.channels.get_mut(number) else { return Ok(()) };
        state.settle(tag, multiple, out).ok_or_else(|| Error::unknown_delivery_tag(tag))
    }

    /// Settles what was acknowledged so far.
    pub(super) fn finish_acks(&mut self) {
        if !self.acked.is_empty() {
            let mut acked = std::mem::take(&mut self.acked);
            self.settle_by_queue(&mut acked, Outcome::Ack);
            self.acked = acked;
            self.finish_work();
        }
    }

    /// Settles deliveries, whichever queues they came from.
    pub(super) fn settle(&mut self, mut unsettled: Vec<Unsettled>, outcome: Outcome) {
        self.settle_by_queue(&mut unsettled, outcome);
        self.finish_work();
    }

    fn settle_by_queue(&mut self, unsettled: &mut Vec<Unsettled>, outcome: Outcome) {
        let now_ms = self.broker.clock.now_ms();
        while let Some(first) = unsettled.first() {
            let queue = first.queue.clone();
            if unsettled.iter().all(|u| Arc::ptr_eq(&u.queue, &queue)) {
                queue.settle(unsettled, outcome, now_ms, &mut self.work);
                break;
            }
            let is_its = |u: &mut Unsettled| Arc::ptr_eq(&u.queue, &queue);
            let mut its: Vec<Unsettled> = unsettled.extract_if(.., is_its).collect();
            queue.settle(&mut its, outcome, now_ms, &mut self.work);
        }
        self.resume_blocked(now_ms);
    }

    /// Consumers that waited for their channel's limit may have room now.
    fn resume_blocked(&mut self, now_ms: u64) {
        let mut blocked = Vec::new();
        for state in self.outbound.lock().channels.values_mut() {
            blocked.append(&mut state.unblock());
        }
        blocked.into_iter().for_each(|(queue, key)| queue.resume(key, now_ms, &mut self.work));
    }

    /// basic.recover with requeue.
    pub(super) fn recover(&mut self, number: u16) {
        self.finish_acks();
        let mut unsettled = Vec::new();
        if let Some(state) = self.outbound.lock().channels.get_mut(number) {
            state.settle_all(&mut unsettled);
        }
        self.settle(unsettled, Outcome::Requeue);
    }

    /// basic.get: takes a message and writes the answer.
    pub(super) fn answer_get(&mut self, number: u16, queue: &Arc<Queue>, no_ack: bool) {
        let now_ms = self.broker.clock.now_ms();
        let got = queue.get(no_ack, now_ms, &mut self.work);
        {
            let mut outbound = self.outbound.lock();
            let frame_max = outbound.frame_max;
            let Some((state, out)) = outbound.channel(number) else { return };
            match got {
                None => encode::get_empty(out, number),
                Some((entry, left)) => {
                    let tag = state.next_tag();
                    let run = entry.message.run();
                    encode::get_ok(
                        out,
                        number,
                        tag,
                        entry.redelivered,
                        left as u32,
                        &run,
                        frame_max,
                    );
                    if !no_ack {
                        let queue = queue.clone();
                        state.hold(Unsettled { tag, queue, consumer: None, entry });
                    }
                }
            }
        }
        self.finish_work();
    }
}
