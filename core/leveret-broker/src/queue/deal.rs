//! Messages come in and go out: enqueue, hand over, deal.

use std::sync::Arc;

use leveret_protocol::encode;

use super::{Queue, QueueState};
use crate::arguments::Overflow;
use crate::batch::Pending;
use crate::channel_state::Unsettled;
use crate::dead_letter::Reason;
use crate::inbox::Dealt;
use crate::journal::{Record, Settlement};
use crate::outbound::OutboundGuard;
use crate::ready::{Entry, NEVER};
use crate::work::Work;

/// The outbound side that is locked at the moment; kept from one message to the next.
#[derive(Default)]
struct Held(Option<OutboundGuard>);

impl Held {
    /// Lets go of it, and remembers to wake its task.
    fn release(&mut self, work: &mut Work) {
        if let Some(mut guard) = self.0.take()
            && guard.has_work()
        {
            work.wakers.extend(guard.take_waker());
        }
    }
}

impl Queue {
    /// Takes in those of `pendings` that `order` names. Whether publishers should be held back.
    pub(crate) fn enqueue(
        self: &Arc<Self>,
        pendings: &mut [Pending<'_>],
        order: &[u32],
        now_ms: u64,
        work: &mut Work,
    ) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        let mut held = Held::default();
        for index in order {
            if let Some(pending) = pendings.get_mut(*index as usize) {
                state.take_in(self, pending, now_ms, &mut held, work);
            }
        }
        state.deal_holding(self, now_ms, &mut held, work);
        state.expire(self, now_ms, work);
        state.set_timer(self, now_ms, work);
        state.is_crowded(now_ms)
    }
}

impl QueueState {
    #[inline]
    fn take_in(
        &mut self,
        queue: &Arc<Queue>,
        pending: &mut Pending<'_>,
        now_ms: u64,
        held: &mut Held,
        work: &mut Work,
    ) {
        let direct = self.ready.is_empty() && queue.transforms.is_empty();
        if direct && self.find_taker(queue, held, work) {
            self.last_moved_ms = now_ms;
            return self.hand_over(queue, pending, now_ms, held);
        }
        self.keep(queue, pending, now_ms, work);
    }

    /// Finds a consumer that can take a message, makes it the next in turn and holds its lock.
    #[inline]
    fn find_taker(&mut self, queue: &Arc<Queue>, held: &mut Held, work: &mut Work) -> bool {
        while let Some(consumer) = self.consumers.next() {
            let subscription = &consumer.subscription;
            if !held.0.as_ref().is_some_and(|guard| subscription.outbound.is_locked_by(guard)) {
                held.release(work);
                held.0 = Some(subscription.outbound.lock_owned());
            }
            let Some(guard) = &mut held.0 else { return false };
            if !guard.has_room() {
                guard.starve(queue, consumer.key);
            } else if let Some((channel, _)) = guard.channel(subscription.channel) {
                if subscription.no_ack || channel.has_credit() {
                    return true;
                }
                channel.block(queue, consumer.key);
            }
            self.consumers.park();
        }
        false
    }

    /// Gives a message that has just come to the consumer whose turn it is.
    fn hand_over(
        &mut self,
        queue: &Arc<Queue>,
        pending: &mut Pending<'_>,
        now_ms: u64,
        held: &mut Held,
    ) {
        let Some((consumer, guard)) = self.consumers.next().zip(held.0.as_mut()) else { return };
        let subscription = &consumer.subscription;
        let frame_max = guard.frame_max;
        let Some((channel, out)) = guard.channel(subscription.channel) else { return };
        let tag = channel.next_tag();
        pending.write_delivery(out, subscription.channel, &subscription.tag, tag, frame_max);
        pending.taken += 1;
        if subscription.no_ack {
            if pending.wants_log(queue) {
                self.last_seq += 1;
                pending.delivered(queue.id, self.last_seq);
            }
        } else {
            self.last_seq += 1;
            self.unsettled += 1;
            let record = pending.record_in(queue, self.last_seq);
            let deadline_ms = deadline_ms(queue, pending.expiration_ms, now_ms);
            let message = pending.message_for_queue();
            let entry =
                Entry { seq: self.last_seq, message, deadline_ms, redelivered: false, record };
            let consumer = Some(consumer.key);
            channel.hold(Unsettled { tag, queue: queue.clone(), consumer, entry });
        }
        self.consumers.took();
    }

    /// Keeps a message that nobody can take now.
    fn keep(
        &mut self,
        queue: &Arc<Queue>,
        pending: &mut Pending<'_>,
        now_ms: u64,
        work: &mut Work,
    ) {
        let arguments = &queue.declared.arguments;
        if arguments.overflow != Overflow::DropHead && self.is_full(queue, pending.body_len()) {
            pending.refused = true;
            if arguments.overflow == Overflow::RejectPublishDlx {
                let entry = Entry {
                    seq: 0,
                    message: pending.message(),
                    deadline_ms: NEVER,
                    redelivered: false,
                    record: None,
                };
                work.die(queue, entry, Reason::MaxLength);
            }
            return;
        }
        pending.taken += 1;
        self.last_seq += 1;
        let record = pending.record_in(queue, self.last_seq);
        let deadline_ms = deadline_ms(queue, pending.expiration_ms, now_ms);
        let message = pending.message_for_queue();
        let seq = self.last_seq;
        self.ready.push_back(Entry { seq, message, deadline_ms, redelivered: false, record });
        self.drop_head(queue, work);
    }

    /// Whether one more message would be too many.
    fn is_full(&self, queue: &Queue, body_len: usize) -> bool {
        let arguments = &queue.declared.arguments;
        let (length, bytes) = (self.ready.len() as u64, self.ready.bytes());
        arguments.max_length.is_some_and(|max| length + 1 > max)
            || arguments.max_length_bytes.is_some_and(|max| bytes + body_len as u64 > max)
    }

    /// Drops the oldest messages until the rest is within the limits.
    pub(super) fn drop_head(&mut self, queue: &Arc<Queue>, work: &mut Work) {
        let arguments = &queue.declared.arguments;
        while arguments.max_length.is_some_and(|max| self.ready.len() as u64 > max)
            || arguments.max_length_bytes.is_some_and(|max| self.ready.bytes() > max)
        {
            let Some(entry) = self.ready.pop_front() else { break };
            work.die(queue, entry, Reason::MaxLength);
        }
    }

    /// Deals until nobody can take a message, or none is left.
    pub(super) fn deal(&mut self, queue: &Arc<Queue>, now_ms: u64, work: &mut Work) {
        let mut held = Held::default();
        self.deal_holding(queue, now_ms, &mut held, work);
        self.set_timer(queue, now_ms, work);
    }

    fn deal_holding(&mut self, queue: &Arc<Queue>, now_ms: u64, held: &mut Held, work: &mut Work) {
        if !self.ready.is_empty() {
            self.expire(queue, now_ms, work);
        }
        while !self.ready.is_empty() && self.find_taker(queue, held, work) {
            self.last_moved_ms = now_ms;
            self.deliver(queue, held, work);
        }
        held.release(work);
        if !self.held_back.is_empty() && self.ready.weight() < self.moving_bytes / 2 {
            work.wakers.append(&mut self.held_back);
        }
    }

    /// Gives the head to the consumer whose turn it is.
    fn deliver(&mut self, queue: &Arc<Queue>, held: &mut Held, work: &mut Work) {
        let Some((consumer, guard)) = self.consumers.next().zip(held.0.as_mut()) else { return };
        let subscription = &consumer.subscription;
        if !queue.transforms.is_empty() {
            if let Some(entry) = self.ready.pop_front() {
                let consumer = consumer.key;
                let (channel, tag) = (subscription.channel, subscription.tag.clone());
                let (queue, no_ack) = (queue.clone(), subscription.no_ack);
                self.unsettled += 1;
                guard.inbox.push_back(Dealt { queue, consumer, channel, tag, no_ack, entry });
            }
            return self.consumers.took();
        }
        let frame_max = guard.frame_max;
        let Some((channel, out)) = guard.channel(subscription.channel) else { return };
        let Some(entry) = self.ready.pop_front() else { return };
        let tag = channel.next_tag();
        let run = entry.message.run();
        let (number, name) = (subscription.channel, &subscription.tag);
        encode::deliver(out, number, name, tag, entry.redelivered, &run, frame_max);
        if subscription.no_ack {
            work.settle(queue.id, &entry, Settlement::Unacknowledged);
        } else {
            self.unsettled += 1;
            let consumer = Some(consumer.key);
            channel.hold(Unsettled { tag, queue: queue.clone(), consumer, entry });
        }
        self.consumers.took();
    }
}

/// When a message that comes now expires: the earlier of its own limit and the queue's.
fn deadline_ms(queue: &Queue, expiration_ms: Option<u64>, now_ms: u64) -> u64 {
    queue.time_to_live_ms(expiration_ms).map_or(NEVER, |ttl_ms| now_ms.saturating_add(ttl_ms))
}

impl Pending<'_> {
    /// The record of this message, if `queue` keeps it durably; `seq` is its place there.
    fn record_in(&mut self, queue: &Queue, seq: u64) -> Option<Arc<Record>> {
        if !(queue.declared.durable && self.persistent) {
            return None;
        }
        let record = self.record().clone();
        record.add_target(queue.id, seq);
        Some(record)
    }

    /// Whether the log must have it although it is delivered without acks: a confirm waits.
    fn wants_log(&self, queue: &Queue) -> bool {
        queue.declared.durable && self.persistent && self.ticket.is_some()
    }
}
