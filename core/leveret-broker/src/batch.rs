//! The messages of one chunk of input on their way to queues: collected first, so that each queue
//! is locked once for all of them.

use std::cell::Cell;
use std::sync::Arc;

use leveret_plugin::host::Slot;
use leveret_protocol::{Publish, encode};
use leveret_store::{QueueId, Seq};

use crate::journal::{Record, Settlement, Ticket};
use crate::message::Message;
use crate::queue::Queue;

/// From this many queues on they are found by a map.
const LINEAR_QUEUES: usize = 16;

/// Where the bytes of a message are.
#[derive(Debug)]
pub(crate) enum Source<'b> {
    /// In the read buffer.
    Input(Publish<'b>),
    /// Kept already.
    Stored(Message),
}

impl<'b> Source<'b> {
    /// The same bytes once more.
    #[inline]
    pub(crate) fn share(&self) -> Self {
        match self {
            Self::Input(publish) => Self::Input(*publish),
            Self::Stored(message) => Self::Stored(message.clone()),
        }
    }
}

/// One message on its way.
#[derive(Debug)]
pub(crate) struct Pending<'b> {
    pub(crate) source: Source<'b>,
    pub(crate) channel: u16,
    pub(crate) mandatory: bool,
    pub(crate) persistent: bool,
    /// Its own time to live.
    pub(crate) expiration_ms: Option<u64>,
    /// Its number on a channel in confirm mode.
    pub(crate) confirm_tag: Option<u64>,
    /// Who waits for the log, if it is persistent and a confirm is due.
    pub(crate) ticket: Option<Box<Ticket>>,
    /// How many queues took it.
    pub(crate) taken: u32,
    /// Whether a queue refused it (x-overflow reject-publish), or routing failed.
    pub(crate) refused: bool,
    /// Whether its fate was decided before routing.
    pub(crate) settled: bool,
    /// Whether its confirm waits for the log.
    pub(crate) logged: bool,
    /// How many queues it goes to, and how many of them have asked for it.
    targets: u32,
    asked: u32,
    record: Option<Arc<Record>>,
}

impl<'b> Pending<'b> {
    pub(crate) fn new(source: Source<'b>, channel: u16, persistent: bool) -> Self {
        Self {
            source,
            channel,
            mandatory: false,
            persistent,
            expiration_ms: None,
            confirm_tag: None,
            ticket: None,
            taken: 0,
            refused: false,
            settled: false,
            logged: false,
            targets: 0,
            asked: 0,
            record: None,
        }
    }

    pub(crate) fn body_len(&self) -> usize {
        match &self.source {
            Source::Input(publish) => publish.body_len(),
            Source::Stored(message) => message.body_len(),
        }
    }

    /// The message for a queue that keeps it. The last queue gets it without sharing, unless the
    /// log wants it too.
    #[inline]
    pub(crate) fn message_for_queue(&mut self) -> Message {
        if self.targets > self.asked + 1 || self.record.is_some() {
            self.asked += 1;
            return self.message();
        }
        match std::mem::replace(&mut self.source, Source::Stored(Message::hole())) {
            Source::Input(publish) => Message::store(&publish, self.persistent),
            Source::Stored(message) => message,
        }
    }

    /// The message, kept from now on and shared by all who ask.
    pub(crate) fn message(&mut self) -> Message {
        if let Source::Input(publish) = &self.source {
            self.source = Source::Stored(Message::store(publish, self.persistent));
        }
        match &self.source {
            Source::Stored(message) => message.clone(),
            Source::Input(_) => Message::hole(),
        }
    }

    /// Writes the frames of a delivery without keeping the message.
    #[inline]
    pub(crate) fn write_delivery(
        &self,
        out: &mut Vec<u8>,
        channel: u16,
        consumer_tag: &str,
        delivery_tag: u64,
        frame_max: u32,
    ) {
        match &self.source {
            Source::Input(publish) => {
                let tag = delivery_tag;
                encode::deliver_publish(out, channel, consumer_tag, tag, false, publish, frame_max);
            }
            Source::Stored(message) => {
                let (tag, run) = (delivery_tag, message.run());
                encode::deliver(out, channel, consumer_tag, tag, false, &run, frame_max);
            }
        }
    }

    /// What the log knows it by.
    pub(crate) fn record(&mut self) -> &Arc<Record> {
        let ticket = &mut self.ticket;
        self.record.get_or_insert_with(|| Record::new(ticket.take().map(|ticket| *ticket)))
    }

    /// It went to a consumer without acks from a durable queue, and a confirm waits for the log.
    pub(crate) fn delivered(&mut self, queue: QueueId, seq: Seq) {
        let record = self.record();
        record.add_target(queue, seq);
        record.settle(queue, seq, Settlement::Unacknowledged);
    }

    pub(crate) fn take_record(&mut self) -> Option<Arc<Record>> {
        self.record.take()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Batch<'b> {
    pub(crate) pendings: Vec<Pending<'b>>,
    pub(crate) queues: Vec<Arc<Queue>>,
    /// For each queue the messages that go there.
    pub(crate) orders: Vec<Vec<u32>>,
    /// What a plugin's `route` pushes its answer to.
    pub(crate) slots: Vec<Slot>,
    by_address: hashbrown::HashMap<usize, u32, foldhash::fast::RandomState>,
    last: usize,
}

thread_local! {
    static SPARE: Cell<Option<Batch<'static>>> = const { Cell::new(None) };
}

impl<'b> Batch<'b> {
    /// An empty batch with the memory of the last one of this thread.
    pub fn take() -> Self {
        SPARE.take().unwrap_or_default().recycled()
    }

    /// Gives the memory back.
    pub fn give_back(self) {
        SPARE.set(Some(self.recycled()));
    }

    /// The same allocations, for another input: nothing borrowed is left in them.
    fn recycled<'c>(mut self) -> Batch<'c> {
        self.clear();
        Batch {
            pendings: self.pendings.into_iter().map(|_| unreachable!("cleared")).collect(),
            queues: self.queues,
            orders: self.orders,
            slots: self.slots,
            by_address: self.by_address,
            last: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pendings.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.pendings.clear();
        self.queues.clear();
        self.orders.iter_mut().for_each(Vec::clear);
        self.by_address.clear();
        self.last = 0;
    }

    /// The message added last goes to `queue`, once.
    #[inline]
    pub(crate) fn target(&mut self, queue: &Arc<Queue>) {
        let pending = (self.pendings.len() - 1) as u32;
        let index = self.index_of(queue);
        let order = &mut self.orders[index];
        if order.last() != Some(&pending) {
            order.push(pending);
            self.pendings[pending as usize].targets += 1;
        }
    }

    fn index_of(&mut self, queue: &Arc<Queue>) -> usize {
        let is = |index: usize| self.queues.get(index).is_some_and(|q| Arc::ptr_eq(q, queue));
        // Messages of one connection mostly take the same queues in the same order.
        if is(self.last) {
            return self.last;
        }
        if is(self.last + 1) {
            self.last += 1;
            return self.last;
        }
        self.last = self.find(queue).unwrap_or_else(|| self.add(queue));
        self.last
    }

    fn find(&self, queue: &Arc<Queue>) -> Option<usize> {
        if self.queues.len() <= LINEAR_QUEUES {
            return self.queues.iter().position(|q| Arc::ptr_eq(q, queue));
        }
        self.by_address.get(&(Arc::as_ptr(queue) as usize)).map(|index| *index as usize)
    }

    fn add(&mut self, queue: &Arc<Queue>) -> usize {
        let index = self.queues.len();
        self.queues.push(queue.clone());
        if self.orders.len() < self.queues.len() {
            self.orders.push(Vec::new());
        }
        if index == LINEAR_QUEUES {
            let addresses = self.queues.iter().map(|queue| Arc::as_ptr(queue) as usize);
            self.by_address.extend(addresses.zip(0u32..));
        } else if index > LINEAR_QUEUES {
            self.by_address.insert(Arc::as_ptr(queue) as usize, index as u32);
        }
        index
    }
}
