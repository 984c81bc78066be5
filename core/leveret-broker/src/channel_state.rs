//! The part of a channel that queues and the log touch: delivery tags, what is unsettled, confirms.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::confirm::Confirms;
use crate::consumer::ConsumerKey;
use crate::queue::Queue;
use crate::ready::Entry;

/// A delivery that waits for its ack.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) tag: u64,
    pub(crate) queue: Arc<Queue>,
    /// Nobody, for basic.get.
    pub(crate) consumer: Option<ConsumerKey>,
    pub(crate) entry: Entry,
}

/// See the module. Guarded by the lock of the connection's outbound side.
#[derive(Debug)]
pub(crate) struct ChannelState {
    /// Tells this channel from an earlier one of the same number.
    pub(crate) id: u64,
    last_tag: u64,
    /// Ascending by tag; what was settled out of order leaves a hole until the front is reached.
    unsettled: VecDeque<(u64, Option<Unsettled>)>,
    live: usize,
    /// basic.qos global=true: a limit for all consumers of the channel; 0 is none.
    pub(crate) prefetch_count: u16,
    /// Unsettled deliveries that count for that limit.
    counted: u32,
    /// Consumers that wait for that limit.
    blocked: Vec<(Arc<Queue>, ConsumerKey)>,
    pub(crate) confirms: Option<Box<Confirms>>,
    pub(crate) consumers:
        hashbrown::HashMap<Arc<str>, (Arc<Queue>, ConsumerKey), foldhash::fast::RandomState>,
}

impl ChannelState {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            last_tag: 0,
            unsettled: VecDeque::new(),
            live: 0,
            prefetch_count: 0,
            counted: 0,
            blocked: Vec::new(),
            confirms: None,
            consumers: hashbrown::HashMap::default(),
        }
    }

    /// The tag of the next delivery.
    #[inline]
    pub(crate) fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// Whether the channel's own limit lets another delivery through.
    #[inline]
    pub(crate) fn has_credit(&self) -> bool {
        self.prefetch_count == 0 || self.counted < u32::from(self.prefetch_count)
    }

    /// `consumer` waits for the channel's limit.
    pub(crate) fn block(&mut self, queue: &Arc<Queue>, consumer: ConsumerKey) {
        self.blocked.push((queue.clone(), consumer));
    }

    /// Those who waited for the channel's limit, if it lets something through now.
    pub(crate) fn unblock(&mut self) -> Vec<(Arc<Queue>, ConsumerKey)> {
        if self.has_credit() { std::mem::take(&mut self.blocked) } else { Vec::new() }
    }

    /// Remembers a delivery until it is settled.
    #[inline]
    pub(crate) fn hold(&mut self, unsettled: Unsettled) {
        self.live += 1;
        self.counted += u32::from(unsettled.consumer.is_some());
        self.unsettled.push_back((unsettled.tag, Some(unsettled)));
    }

    /// Takes out the delivery `tag`, or with `multiple` all up to it (0: all), oldest first.
    /// `None` if that tag is not outstanding.
    pub(crate) fn settle(
        &mut self,
        tag: u64,
        multiple: bool,
        out: &mut Vec<Unsettled>,
    ) -> Option<()> {
        if multiple && tag == 0 {
            self.settle_all(out);
            return Some(());
        }
        let before = out.len();
        let index = self.unsettled.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
        self.unsettled[index].1.as_ref()?;
        if multiple {
            out.extend(self.unsettled.drain(..=index).filter_map(|(_, held)| held));
        } else {
            out.extend(self.unsettled[index].1.take());
        }
        self.settled(&out[before..]);
        Some(())
    }

    /// Takes out all deliveries, oldest first.
    pub(crate) fn settle_all(&mut self, out: &mut Vec<Unsettled>) {
        let before = out.len();
        out.extend(self.unsettled.drain(..).filter_map(|(_, held)| held));
        self.settled(&out[before..]);
    }

    fn settled(&mut self, settled: &[Unsettled]) {
        self.live -= settled.len();
        self.counted -= settled.iter().filter(|held| held.consumer.is_some()).count() as u32;
        while self.unsettled.front().is_some_and(|(_, held)| held.is_none()) {
            self.unsettled.pop_front();
        }
        if self.unsettled.len() > 2 * self.live + 1024 {
            self.unsettled.retain(|(_, held)| held.is_some());
        }
    }

    /// Puts back what [`Self::settle`] took, under its old tags (tx.rollback).
    pub(crate) fn restore(&mut self, held: Vec<Unsettled>) {
        self.live += held.len();
        self.counted += held.iter().filter(|held| held.consumer.is_some()).count() as u32;
        self.unsettled.extend(held.into_iter().map(|held| (held.tag, Some(held))));
        self.unsettled.make_contiguous().sort_by_key(|(tag, _)| *tag);
    }
}
