//! The consumers of one queue, and whose turn it is: strict by priority, round robin among equals.
//!
//! Only consumers that can take a message are in the rotation. One that runs out of credit or of
//! room in its connection's buffer leaves it, and is put back by the ack or the flush that helps.

use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;

use crate::outbound::Outbound;

/// Names one consumer of one queue, also after its place was given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConsumerKey {
    index: u32,
    id: u64,
}

/// What basic.consume asked for.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) tag: Arc<str>,
    pub(crate) channel: u16,
    pub(crate) outbound: Outbound,
    pub(crate) no_ack: bool,
    pub(crate) exclusive: bool,
    /// Most deliveries that may be unsettled; 0 is no limit.
    pub(crate) prefetch_count: u16,
    pub(crate) priority: i64,
}

#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) key: ConsumerKey,
    pub(crate) subscription: Subscription,
    unsettled: u32,
    in_rotation: bool,
}

impl Consumer {
    /// Whether its own prefetch lets another delivery through.
    #[inline]
    pub(crate) fn has_credit(&self) -> bool {
        let limit = self.subscription.prefetch_count;
        self.subscription.no_ack || limit == 0 || self.unsettled < u32::from(limit)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    all: Slab<Consumer>,
    /// Lines of consumers, the highest priority first; none is empty.
    rotation: Vec<(i64, VecDeque<u32>)>,
    next_id: u64,
}

impl Consumers {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.all.iter().map(|(_, consumer)| consumer)
    }

    pub(crate) fn has_exclusive(&self) -> bool {
        self.iter().any(|consumer| consumer.subscription.exclusive)
    }

    pub(crate) fn add(&mut self, subscription: Subscription) -> ConsumerKey {
        self.next_id += 1;
        let entry = self.all.vacant_entry();
        let key = ConsumerKey { index: entry.key() as u32, id: self.next_id };
        let priority = subscription.priority;
        entry.insert(Consumer { key, subscription, unsettled: 0, in_rotation: true });
        self.line_up(priority, key.index);
        key
    }

    pub(crate) fn remove(&mut self, key: ConsumerKey) -> Option<Consumer> {
        self.get(key)?;
        let consumer = self.all.try_remove(key.index as usize)?;
        if consumer.in_rotation {
            for (_, line) in &mut self.rotation {
                line.retain(|index| *index != key.index);
            }
            self.rotation.retain(|(_, line)| !line.is_empty());
        }
        Some(consumer)
    }

    /// Puts a consumer at the end of the line of its priority.
    fn line_up(&mut self, priority: i64, index: u32) {
        match self.rotation.binary_search_by(|(p, _)| priority.cmp(p)) {
            Ok(at) => self.rotation[at].1.push_back(index),
            Err(at) => self.rotation.insert(at, (priority, VecDeque::from([index]))),
        }
    }

    fn get(&self, key: ConsumerKey) -> Option<&Consumer> {
        self.all.get(key.index as usize).filter(|consumer| consumer.key == key)
    }

    fn get_mut(&mut self, key: ConsumerKey) -> Option<&mut Consumer> {
        self.all.get_mut(key.index as usize).filter(|consumer| consumer.key == key)
    }

    /// The consumer whose turn it is.
    #[inline]
    pub(crate) fn next(&self) -> Option<&Consumer> {
        let (_, line) = self.rotation.first()?;
        self.all.get(*line.front()? as usize)
    }

    /// The consumer whose turn it is has taken a message: it goes to the end of the line, or out
    /// of it if that was its last credit.
    #[inline]
    pub(crate) fn took(&mut self) {
        let Some((_, line)) = self.rotation.first_mut() else { return };
        let Some(&index) = line.front() else { return };
        let Some(consumer) = self.all.get_mut(index as usize) else { return };
        if !consumer.subscription.no_ack {
            consumer.unsettled += 1;
        }
        if !consumer.has_credit() {
            self.park();
        } else if line.len() > 1 {
            line.rotate_left(1);
        }
    }

    /// The consumer whose turn it is cannot take a message now.
    pub(crate) fn park(&mut self) {
        let Some((_, line)) = self.rotation.first_mut() else { return };
        let index = line.pop_front();
        if line.is_empty() {
            self.rotation.remove(0);
        }
        if let Some(consumer) = index.and_then(|index| self.all.get_mut(index as usize)) {
            consumer.in_rotation = false;
        }
    }

    /// `count` deliveries of the consumer are settled.
    #[inline]
    pub(crate) fn settled(&mut self, key: ConsumerKey, count: u32) {
        let Some(consumer) = self.get_mut(key) else { return };
        let was_blocked = !consumer.has_credit();
        consumer.unsettled = consumer.unsettled.saturating_sub(count);
        if was_blocked {
            self.resume(key);
        }
    }

    /// The consumer may be able to take messages again.
    pub(crate) fn resume(&mut self, key: ConsumerKey) {
        let Some(consumer) = self.get_mut(key) else { return };
        if consumer.in_rotation || !consumer.has_credit() {
            return;
        }
        consumer.in_rotation = true;
        let priority = consumer.subscription.priority;
        self.line_up(priority, key.index);
    }

    /// Takes all consumers out.
    pub(crate) fn drain(&mut self) -> Vec<Consumer> {
        self.rotation.clear();
        self.all.drain().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(
        consumers: &mut Consumers,
        tag: &str,
        prefetch_count: u16,
        priority: i64,
    ) -> ConsumerKey {
        consumers.add(Subscription {
            tag: tag.into(),
            channel: 1,
            outbound: Outbound::for_tests(),
            no_ack: false,
            exclusive: false,
            prefetch_count,
            priority,
        })
    }

    fn turns(consumers: &mut Consumers, count: usize) -> String {
        let mut order = String::new();
        for _ in 0..count {
            let Some(next) = consumers.next() else { break };
            order.push_str(&next.subscription.tag);
            consumers.took();
        }
        order
    }

    #[test]
    fn equals_take_turns_beginning_with_the_first() {
        let mut consumers = Consumers::default();
        add(&mut consumers, "a", 0, 0);
        add(&mut consumers, "b", 0, 0);
        assert_eq!(turns(&mut consumers, 6), "ababab");
    }

    #[test]
    fn a_higher_priority_takes_all_until_its_credit_is_used_up() {
        let mut consumers = Consumers::default();
        add(&mut consumers, "l", 0, -1);
        let high = add(&mut consumers, "h", 2, 5);
        assert_eq!(turns(&mut consumers, 4), "hhll");
        consumers.settled(high, 1);
        assert_eq!(turns(&mut consumers, 2), "hl");
    }

    #[test]
    fn a_removed_consumer_gets_no_turn_and_its_key_is_dead() {
        let mut consumers = Consumers::default();
        let a = add(&mut consumers, "a", 1, 0);
        add(&mut consumers, "b", 0, 0);
        assert!(consumers.remove(a).is_some());
        let c = add(&mut consumers, "c", 0, 0);
        assert_ne!(a, c);
        consumers.settled(a, 1);
        assert!(consumers.remove(a).is_none());
        assert_eq!(turns(&mut consumers, 4), "bcbc");
    }
}
