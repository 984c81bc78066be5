//! The messages of a queue that wait for a consumer, in the order of their sequence numbers.
//!
//! A requeued message goes back to its old place. A deadline takes a message out wherever it
//! stands: deadlines that grow with the sequence are found at the head; only those that do not
//! are kept in a heap besides.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use leveret_store::Seq;

use crate::journal::Record;
use crate::message::Message;

/// Without a deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// A message in one queue.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) seq: Seq,
    pub(crate) message: Message,
    /// When it expires, in milliseconds of the broker's clock; [`NEVER`] if it does not.
    pub(crate) deadline_ms: u64,
    /// Whether it was handed to somebody before.
    pub(crate) redelivered: bool,
    /// Its place in the log, if it is durable here.
    pub(crate) record: Option<Arc<Record>>,
}

impl Entry {
    fn is_hole(&self) -> bool {
        self.message.is_hole()
    }

    fn take(&mut self) -> Self {
        Self {
            seq: self.seq,
            message: std::mem::replace(&mut self.message, Message::hole()),
            deadline_ms: self.deadline_ms,
            redelivered: self.redelivered,
            record: self.record.take(),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// Ascending by `seq`; never a hole at the front.
    entries: VecDeque<Entry>,
    live: usize,
    bytes: u64,
    weight: u64,
    /// Deadlines that may be earlier than one before them; what is not here is later than all
    /// before it.
    early: BinaryHeap<Reverse<(u64, Seq)>>,
    /// Whether all deadlines are in `early`.
    all_early: bool,
    latest_deadline_ms: u64,
}

impl Ready {
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Bodies only, as x-max-length-bytes counts.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// About how much memory the messages take.
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    pub(crate) fn push_back(&mut self, entry: Entry) {
        self.account_for(&entry);
        let (seq, deadline_ms) = (entry.seq, entry.deadline_ms);
        self.entries.push_back(entry);
        if deadline_ms < self.latest_deadline_ms {
            self.early.push(Reverse((deadline_ms, seq)));
            self.tidy_deadlines();
        } else {
            self.latest_deadline_ms = deadline_ms;
        }
    }

    fn account_for(&mut self, entry: &Entry) {
        self.live += 1;
        self.bytes += entry.message.body_len() as u64;
        self.weight += entry.message.weight();
    }

    fn discount(&mut self, entry: &Entry) {
        self.live -= 1;
        self.bytes -= entry.message.body_len() as u64;
        self.weight -= entry.message.weight();
    }

    pub(crate) fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.discount(&entry);
        self.drop_holes();
        if self.entries.is_empty() {
            self.forget_deadlines();
        }
        Some(entry)
    }

    fn drop_holes(&mut self) {
        while self.entries.front().is_some_and(Entry::is_hole) {
            self.entries.pop_front();
        }
    }

    fn forget_deadlines(&mut self) {
        self.early.clear();
        self.all_early = false;
        self.latest_deadline_ms = 0;
    }

    /// Puts messages back where they were. `returned` ascends by `seq`.
    pub(crate) fn put_back(&mut self, returned: Vec<Entry>) {
        let Some(last) = returned.last() else { return };
        let latest_ms = returned.iter().map(|entry| entry.deadline_ms).max().unwrap_or(0);
        let front = self.entries.front();
        let before_all = front.is_none_or(|front| last.seq < front.seq);
        for entry in &returned {
            self.account_for(entry);
            if entry.deadline_ms != NEVER {
                self.early.push(Reverse((entry.deadline_ms, entry.seq)));
            }
        }
        let in_order = if before_all {
            let in_order = self.entries.front().is_none_or(|front| latest_ms <= front.deadline_ms);
            returned.into_iter().rev().for_each(|entry| self.entries.push_front(entry));
            in_order
        } else {
            self.merge(returned)
        };
        self.latest_deadline_ms = self.latest_deadline_ms.max(latest_ms);
        if !in_order {
            self.expect_all_early();
        }
        self.tidy_deadlines();
    }

    /// Whether nothing came to stand before what expires earlier.
    fn merge(&mut self, returned: Vec<Entry>) -> bool {
        let mut merged = VecDeque::with_capacity(self.entries.len() + returned.len());
        let mut returned = returned.into_iter().peekable();
        let mut in_order = true;
        for entry in self.entries.drain(..).filter(|entry| !entry.is_hole()) {
            while let Some(earlier) = returned.next_if(|r| r.seq < entry.seq) {
                in_order &= earlier.deadline_ms <= entry.deadline_ms;
                merged.push_back(earlier);
            }
            merged.push_back(entry);
        }
        merged.extend(returned);
        self.entries = merged;
        in_order
    }

    /// From here on until it is empty, the order of the messages says nothing of their deadlines.
    fn expect_all_early(&mut self) {
        if !std::mem::replace(&mut self.all_early, true) {
            self.latest_deadline_ms = NEVER;
            let finite = self.entries.iter().filter(|e| e.deadline_ms != NEVER && !e.is_hole());
            self.early = finite.map(|entry| Reverse((entry.deadline_ms, entry.seq))).collect();
        }
    }

    /// When the next message expires; it may be gone by then.
    pub(crate) fn next_deadline_ms(&self) -> u64 {
        let head = self.entries.front().map_or(NEVER, |entry| entry.deadline_ms);
        self.early.peek().map_or(head, |Reverse((early, _))| head.min(*early))
    }

    /// Takes out what has expired by `now_ms`.
    pub(crate) fn expire(&mut self, now_ms: u64, mut each: impl FnMut(Entry)) {
        while self.entries.front().is_some_and(|entry| entry.deadline_ms <= now_ms) {
            if let Some(entry) = self.pop_front() {
                each(entry);
            }
        }
        while let Some(&Reverse((deadline_ms, seq))) = self.early.peek() {
            if deadline_ms > now_ms {
                break;
            }
            self.early.pop();
            if let Some(entry) = self.remove(seq) {
                each(entry);
            }
        }
        self.tidy();
    }

    /// Takes out the message `seq`, wherever it stands.
    fn remove(&mut self, seq: Seq) -> Option<Entry> {
        let index = self.entries.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        let place = &mut self.entries[index];
        if place.is_hole() {
            return None;
        }
        let entry = place.take();
        self.discount(&entry);
        self.drop_holes();
        Some(entry)
    }

    /// Keeps holes and outdated deadlines fewer than messages.
    fn tidy(&mut self) {
        if self.entries.len() > 2 * self.live + 1024 {
            self.entries.retain(|entry| !entry.is_hole());
        }
        self.tidy_deadlines();
    }

    fn tidy_deadlines(&mut self) {
        if self.early.len() <= 2 * self.live + 1024 {
            return;
        }
        let mut early = std::mem::take(&mut self.early).into_vec();
        early.sort_unstable();
        early.dedup();
        early.retain(|Reverse((_, seq))| {
            let index = self.entries.binary_search_by_key(seq, |entry| entry.seq);
            index.is_ok_and(|index| !self.entries[index].is_hole())
        });
        self.early = early.into();
    }

    /// All messages, oldest first; nothing is left.
    pub(crate) fn drain(&mut self) -> Vec<Entry> {
        self.forget_deadlines();
        (self.live, self.bytes, self.weight) = (0, 0, 0);
        std::mem::take(&mut self.entries).into_iter().filter(|entry| !entry.is_hole()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(seq: Seq, deadline_ms: u64) -> Entry {
        let message = Message::for_tests("", "key", b"body");
        Entry { seq, message, deadline_ms, redelivered: false, record: None }
    }

    fn order(ready: &mut Ready) -> Vec<Seq> {
        std::iter::from_fn(|| ready.pop_front()).map(|entry| entry.seq).collect()
    }

    #[test]
    fn a_returned_message_goes_back_to_its_place() {
        let mut ready = Ready::default();
        (1..=5).for_each(|seq| ready.push_back(entry(seq, NEVER)));
        let (one, two) = (ready.pop_front().unwrap(), ready.pop_front().unwrap());
        ready.put_back(vec![two]);
        assert_eq!(ready.entries.front().unwrap().seq, 2);
        ready.put_back(vec![one]);
        assert_eq!(order(&mut ready), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_short_deadline_does_not_wait_for_a_long_one_before_it() {
        let mut ready = Ready::default();
        ready.push_back(entry(1, 1000));
        ready.push_back(entry(2, 10));
        ready.push_back(entry(3, NEVER));
        assert_eq!(ready.next_deadline_ms(), 10);
        let mut expired = Vec::new();
        ready.expire(10, |entry| expired.push(entry.seq));
        assert_eq!(expired, [2]);
        assert_eq!(ready.len(), 2);
        assert_eq!(order(&mut ready), [1, 3]);
    }

    #[test]
    fn what_returns_before_a_short_deadline_does_not_hide_it() {
        let mut ready = Ready::default();
        ready.push_back(entry(1, NEVER));
        let one = ready.pop_front().unwrap();
        ready.push_back(entry(2, 25));
        ready.put_back(vec![one]);
        let mut expired = Vec::new();
        ready.expire(25, |entry| expired.push(entry.seq));
        assert_eq!(expired, [2]);
    }

    #[test]
    fn returning_the_same_message_again_and_again_takes_no_memory() {
        let mut ready = Ready::default();
        ready.push_back(entry(1, 30));
        ready.push_back(entry(2, 20));
        for _ in 0..5000 {
            let one = ready.pop_front().unwrap();
            ready.put_back(vec![one]);
        }
        assert!(ready.early.len() < 1100);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_sorted_list(steps in prop::collection::vec((0u8..4, 0u64..100), 1..200)) {
            let mut ready = Ready::default();
            let mut model: Vec<(Seq, u64)> = Vec::new();
            let mut out: Vec<Entry> = Vec::new();
            let (mut seq, mut now) = (0, 0);
            for (step, value) in steps {
                match step {
                    0 => {
                        seq += 1;
                        let deadline = if value % 3 == 0 { NEVER } else { now + value };
                        ready.push_back(entry(seq, deadline));
                        model.push((seq, deadline));
                    }
                    1 => {
                        let popped = ready.pop_front();
                        let expected = (!model.is_empty()).then(|| model.remove(0));
                        prop_assert_eq!(popped.as_ref().map(|e| e.seq), expected.map(|e| e.0));
                        out.extend(popped);
                    }
                    2 => {
                        now += value / 4;
                        let mut gone = Vec::new();
                        ready.expire(now, |e| gone.push(e.seq));
                        gone.sort_unstable();
                        let due: Vec<Seq> =
                            model.iter().filter(|e| e.1 <= now).map(|e| e.0).collect();
                        model.retain(|e| e.1 > now);
                        prop_assert_eq!(gone, due);
                    }
                    _ => {
                        out.sort_by_key(|e| e.seq);
                        model.extend(out.iter().map(|e| (e.seq, e.deadline_ms)));
                        model.sort_unstable();
                        ready.put_back(std::mem::take(&mut out));
                    }
                }
                prop_assert_eq!(ready.len(), model.len());
                prop_assert_eq!(ready.bytes(), 4 * model.len() as u64);
            }
            let rest: Vec<Seq> = model.iter().map(|e| e.0).collect();
            prop_assert_eq!(order(&mut ready), rest);
        }
    }
}
