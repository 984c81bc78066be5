//! Which messages are live, and in which segment each is: 16 bytes for each message and queue.
//!
//! It follows the log: records are applied in the order they are in it, at recovery and while
//! the log is written.

use std::collections::{BTreeMap, HashMap, VecDeque};

use foldhash::fast::RandomState;

use crate::ids::{QueueId, Seq};

/// A place in the log, packed: 26 bits of segment number, 30 of offset in the segment, 8 of weight.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Place(u64);

/// Segment numbers are below this.
pub(crate) const MAX_SEGMENT: u64 = 1 << 26;
/// Offsets of records are below this.
pub(crate) const MAX_OFFSET: u64 = 1 << 30;

impl Place {
    /// No place: what a settled message leaves behind until its entry is removed. Weight 0 at
    /// offset 0 is no message's place, for a file begins with its header.
    const NONE: Self = Self(0);

    /// `bytes` are remembered with a precision of about an eighth, rounded down.
    pub(crate) fn new(segment: u64, offset: u64, bytes: u64) -> Self {
        Self(segment << 38 | (offset & (MAX_OFFSET - 1)) << 8 | u64::from(weigh(bytes)))
    }

    pub(crate) fn segment(self) -> u64 {
        self.0 >> 38
    }

    pub(crate) fn offset(self) -> u64 {
        self.0 >> 8 & (MAX_OFFSET - 1)
    }

    /// About as many bytes as were given.
    pub(crate) fn bytes(self) -> u64 {
        let weight = self.0 & 0xff;
        let (exponent, mantissa) = (weight >> 3, weight & 7);
        if exponent == 0 { mantissa } else { (8 + mantissa) << (exponent - 1) }
    }
}

/// A number as five bits of exponent and three of mantissa.
fn weigh(bytes: u64) -> u8 {
    let bytes = bytes.min((1 << 33) - 1);
    let exponent = bytes.checked_ilog2().unwrap_or(0).saturating_sub(2);
    let mantissa = if exponent == 0 { bytes } else { bytes >> (exponent - 1) & 7 };
    u8::try_from(u64::from(exponent) << 3 | mantissa).unwrap_or(u8::MAX)
}

#[derive(Copy, Clone, Debug)]
struct Entry {
    seq: Seq,
    place: Place,
}

/// The messages of one queue in the order of their positions.
#[derive(Default, Debug)]
struct Held {
    entries: VecDeque<Entry>,
    /// Entries in the middle that are settled.
    dead: usize,
    /// Of live messages only, and only where it is not zero.
    delivered: BTreeMap<Seq, u32>,
}

/// What is in use of a segment.
#[derive(Copy, Clone, Default, Debug)]
pub(crate) struct SegmentUse {
    /// Live messages, once for each queue.
    pub(crate) live: u64,
    /// About as many bytes as those need.
    pub(crate) live_bytes: u64,
}

/// Everything that is live.
#[derive(Default, Debug)]
pub(crate) struct Liveness {
    queues: HashMap<QueueId, Held, RandomState>,
    segments: HashMap<u64, SegmentUse, RandomState>,
    total: SegmentUse,
}

impl Liveness {
    /// `queue` holds a message at `place`. If it holds it already, this is where it is now.
    pub(crate) fn insert(&mut self, queue: QueueId, seq: Seq, place: Place) {
        let held = self.queues.entry(queue).or_default();
        let before = held.insert(Entry { seq, place });
        add(&mut self.segments, &mut self.total, place);
        if let Some(before) = before {
            subtract(&mut self.segments, &mut self.total, before);
        }
    }

    /// `queue` no longer holds what is from `first` to `last`.
    pub(crate) fn settle(&mut self, queue: QueueId, first: Seq, last: Seq) {
        let Some(held) = self.queues.get_mut(&queue) else { return };
        held.settle(first, last, |place| subtract(&mut self.segments, &mut self.total, place));
        if held.entries.is_empty() {
            self.queues.remove(&queue);
        }
    }

    pub(crate) fn forget(&mut self, queue: QueueId) {
        self.settle(queue, 0, Seq::MAX);
    }

    pub(crate) fn set_delivered(&mut self, queue: QueueId, seq: Seq, count: u32) {
        let Some(held) = self.queues.get_mut(&queue) else { return };
        if count == 0 {
            held.delivered.remove(&seq);
        } else if held.get(seq).is_some() {
            held.delivered.insert(seq, count);
        }
    }

    pub(crate) fn delivered(&self, queue: QueueId, seq: Seq) -> u32 {
        let held = self.queues.get(&queue);
        held.and_then(|held| held.delivered.get(&seq)).copied().unwrap_or_default()
    }

    /// Where a live message is.
    pub(crate) fn place(&self, queue: QueueId, seq: Seq) -> Option<Place> {
        self.queues.get(&queue)?.get(seq)
    }

    /// Whether `queue`'s message is live and this is where it is.
    pub(crate) fn is_at(&self, queue: QueueId, seq: Seq, segment: u64, offset: u64) -> bool {
        self.place(queue, seq)
            .is_some_and(|place| place.segment() == segment && place.offset() == offset)
    }

    pub(crate) fn segment(&self, segment: u64) -> SegmentUse {
        self.segments.get(&segment).copied().unwrap_or_default()
    }

    pub(crate) fn total(&self) -> SegmentUse {
        self.total
    }
}

type Segments = HashMap<u64, SegmentUse, RandomState>;

fn add(segments: &mut Segments, total: &mut SegmentUse, place: Place) {
    for sum in [segments.entry(place.segment()).or_default(), total] {
        sum.live += 1;
        sum.live_bytes += place.bytes();
    }
}

fn subtract(segments: &mut Segments, total: &mut SegmentUse, place: Place) {
    let Some(segment) = segments.get_mut(&place.segment()) else { return };
    for sum in [&mut *segment, total] {
        sum.live -= 1;
        sum.live_bytes -= place.bytes();
    }
    if segment.live == 0 {
        segments.remove(&place.segment());
    }
}

impl Held {
    fn insert(&mut self, entry: Entry) -> Option<Place> {
        if self.entries.back().is_none_or(|last| last.seq < entry.seq) {
            self.entries.push_back(entry);
            return None;
        }
        let at = self.lower_bound(entry.seq);
        match self.entries.get_mut(at).filter(|there| there.seq == entry.seq) {
            Some(there) => {
                let before = std::mem::replace(&mut there.place, entry.place);
                self.dead -= usize::from(before == Place::NONE);
                (before != Place::NONE).then_some(before)
            }
            None => {
                self.entries.insert(at, entry);
                None
            }
        }
    }

    fn get(&self, seq: Seq) -> Option<Place> {
        let entry = self.entries.get(self.lower_bound(seq))?;
        (entry.seq == seq && entry.place != Place::NONE).then_some(entry.place)
    }

    fn settle(&mut self, first: Seq, last: Seq, mut each: impl FnMut(Place)) {
        let from = self.lower_bound(first);
        for entry in self.entries.range_mut(from..).take_while(|entry| entry.seq <= last) {
            let place = std::mem::replace(&mut entry.place, Place::NONE);
            if place != Place::NONE {
                self.dead += 1;
                each(place);
            }
        }
        self.undeliver(first, last);
        self.shrink();
    }

    fn undeliver(&mut self, first: Seq, last: Seq) {
        if first > last {
            return;
        }
        while let Some((&seq, _)) = self.delivered.range(first..=last).next() {
            self.delivered.remove(&seq);
        }
    }

    /// Removes settled entries from both ends, and from the middle when they are the most.
    fn shrink(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.place == Place::NONE) {
            self.entries.pop_front();
            self.dead -= 1;
        }
        while self.entries.back().is_some_and(|entry| entry.place == Place::NONE) {
            self.entries.pop_back();
            self.dead -= 1;
        }
        if self.dead > 32 && self.dead > self.entries.len() / 2 {
            self.entries.retain(|entry| entry.place != Place::NONE);
            self.dead = 0;
        }
        if self.entries.capacity() > 64 && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    fn lower_bound(&self, seq: Seq) -> usize {
        // Almost always the front: queues are settled in order.
        match self.entries.front() {
            Some(front) if front.seq < seq => self.entries.partition_point(|e| e.seq < seq),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_place_keeps_segment_and_offset_exactly_and_bytes_to_an_eighth() {
        for bytes in (0..64).chain([1000, 1024, 65_535, 16 << 20, 256 << 20]) {
            let place = Place::new(MAX_SEGMENT - 1, MAX_OFFSET - 1, bytes);
            assert_eq!((place.segment(), place.offset()), (MAX_SEGMENT - 1, MAX_OFFSET - 1));
            assert!(place.bytes() <= bytes && place.bytes() >= bytes - bytes / 8, "{bytes}");
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64, Seq, u64),
        Settle(u64, Seq, Seq),
        Delivered(u64, Seq, u32),
        Forget(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let (queue, seq) = (0..3_u64, 0..200_u64);
        prop_oneof![
            6 => (queue.clone(), seq.clone(), 1..5_u64).prop_map(|(q, s, g)| Step::Insert(q, s, g)),
            3 => (queue.clone(), seq.clone(), 0..40_u64)
                .prop_map(|(q, s, n)| Step::Settle(q, s, s + n)),
            1 => (queue.clone(), seq, 0..3_u32).prop_map(|(q, s, n)| Step::Delivered(q, s, n)),
            1 => queue.prop_map(Step::Forget),
        ]
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_map_holds(steps in prop::collection::vec(step(), 0..400)) {
            let mut live = Liveness::default();
            let mut model = BTreeMap::<(u64, Seq), (u64, u32)>::new();
            for step in steps {
                match step {
                    Step::Insert(q, s, segment) => {
                        live.insert(QueueId(q), s, Place::new(segment, 64 + s, 100));
                        let count = model.get(&(q, s)).map_or(0, |held| held.1);
                        model.insert((q, s), (segment, count));
                    }
                    Step::Settle(q, first, last) => {
                        live.settle(QueueId(q), first, last);
                        model.retain(|&(mq, ms), _| mq != q || ms < first || ms > last);
                    }
                    Step::Delivered(q, s, count) => {
                        live.set_delivered(QueueId(q), s, count);
                        model.entry((q, s)).and_modify(|held| held.1 = count);
                    }
                    Step::Forget(q) => {
                        live.forget(QueueId(q));
                        model.retain(|&(mq, _), _| mq != q);
                    }
                }
            }
            prop_assert_eq!(live.total().live, model.len() as u64);
            for q in 0..3 {
                for s in 0..240 {
                    let place = live.place(QueueId(q), s).map(Place::segment);
                    prop_assert_eq!(place, model.get(&(q, s)).map(|held| held.0));
                    let count = model.get(&(q, s)).map_or(0, |held| held.1);
                    prop_assert_eq!(live.delivered(QueueId(q), s), count);
                }
            }
            for segment in 1..5 {
                let in_it = model.values().filter(|held| held.0 == segment).count() as u64;
                prop_assert_eq!(live.segment(segment).live, in_it);
            }
        }
    }
}
