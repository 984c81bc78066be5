//! Deliver transforms: they run here, on the consumer's own task and outside every lock, before
//! the frames of a delivery are written.

use leveret_plugin::message::{Message as View, MessageMut};
use leveret_protocol::encode;

use super::Session;
use crate::channel_state::Unsettled;
use crate::counters::Dropped;
use crate::inbox::Dealt;
use crate::message::Message;
use crate::queue::Outcome;
use crate::transform::Outcome as Verdict;

impl Session {
    /// Shows what was dealt to this connection to the transforms, and writes what they pass.
    pub fn drain_inbox(&mut self) {
        loop {
            let next = self.outbound.lock().inbox.pop_front();
            let Some(dealt) = next else { break };
            self.transform_delivery(dealt);
        }
        self.finish_work();
    }

    fn transform_delivery(&mut self, dealt: Dealt) {
        let run = dealt.entry.message.run();
        let view = View {
            vhost: self.vhost.name(),
            exchange: run.exchange(),
            routing_key: run.routing_key(),
            properties: run.properties(),
            body: run.body(),
            mandatory: false,
            redelivered: dealt.entry.redelivered,
            user: &self.identity.user,
            peer: Some(self.peer),
            queue: dealt.queue.name(),
        };
        let mut message = MessageMut::new(view);
        match dealt.queue.transforms.run(&mut message) {
            Verdict::Pass { changed: false } => self.write_delivery(dealt, None),
            Verdict::Pass { changed: true } => {
                let (key, exchange) = (&message.routing_key, run.exchange());
                let new = Message::build(exchange, key, &message.properties, &message.body);
                self.write_delivery(dealt, Some(&new));
            }
            Verdict::Drop(reason) => {
                tracing::debug!(queue = &**dealt.queue.name(), reason, "dropped at delivery");
                self.broker.counters.dropped(Dropped::Transform);
                self.settle_dealt(dealt, Outcome::Ack);
            }
            Verdict::Reject(_, reason) => {
                tracing::debug!(queue = &**dealt.queue.name(), reason, "rejected at delivery");
                self.settle_dealt(dealt, Outcome::Reject);
            }
        }
    }

    /// Writes the frames; the consumer sees `shown` if a transform changed the message, while the
    /// queue keeps what was published.
    fn write_delivery(&mut self, dealt: Dealt, shown: Option<&Message>) {
        let mut outbound = self.outbound.lock();
        let frame_max = outbound.frame_max;
        let Some((state, out)) = outbound.channel(dealt.channel) else {
            drop(outbound);
            return self.settle_dealt(dealt, Outcome::Return);
        };
        let tag = state.next_tag();
        let run = shown.unwrap_or(&dealt.entry.message).run();
        let redelivered = dealt.entry.redelivered;
        encode::deliver(out, dealt.channel, &dealt.tag, tag, redelivered, &run, frame_max);
        if dealt.no_ack {
            drop(outbound);
            return self.settle_dealt(dealt, Outcome::Delivered);
        }
        let Dealt { queue, consumer, entry, .. } = dealt;
        state.hold(Unsettled { tag, queue, consumer: Some(consumer), entry });
    }

    fn settle_dealt(&mut self, dealt: Dealt, outcome: Outcome) {
        let Dealt { queue, consumer, entry, .. } = dealt;
        let now_ms = self.broker.clock.now_ms();
        let consumer = Some(consumer);
        let mut one = vec![Unsettled { tag: 0, queue: queue.clone(), consumer, entry }];
        queue.settle(&mut one, outcome, now_ms, &mut self.work);
    }

    /// What was dealt to a channel that closes goes back untouched.
    pub(super) fn return_inbox(&mut self, number: u16) {
        let returned: Vec<Dealt> = {
            let mut outbound = self.outbound.lock();
            let (its, others) = std::mem::take(&mut outbound.inbox)
                .into_iter()
                .partition(|dealt| dealt.channel == number);
            outbound.inbox = others;
            Vec::from(its)
        };
        returned.into_iter().for_each(|dealt| self.settle_dealt(dealt, Outcome::Return));
        self.finish_work();
    }
}
