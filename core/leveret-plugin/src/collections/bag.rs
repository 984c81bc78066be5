//! The slots that one key leads to, counted, so that two bindings of one destination do not end
//! with the first.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::hamt::Hamt;
use crate::host::Slot;

/// Above this many different slots they lie in a tree, so that a change stays cheap.
const FEW: usize = 64;

/// A set of slots, each with the number of bindings that put it there.
#[derive(Clone, Debug, Default)]
pub struct SlotBag(Repr);

#[derive(Clone, Debug, Default)]
enum Repr {
    #[default]
    Empty,
    One(Slot, u32),
    Few(Arc<Vec<(Slot, u32)>>),
    Many(Arc<Hamt<Slot, u32>>),
}

impl SlotBag {
    /// Whether there is no slot.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Repr::Empty)
    }

    /// Number of different slots.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Empty => 0,
            Repr::One(..) => 1,
            Repr::Few(slots) => slots.len(),
            Repr::Many(slots) => slots.len(),
        }
    }

    /// How many bindings put this slot there.
    pub fn count(&self, slot: Slot) -> u32 {
        let counted = match &self.0 {
            Repr::Empty => None,
            Repr::One(only, count) => (*only == slot).then_some(*count),
            Repr::Few(slots) => slots.iter().find(|(s, _)| *s == slot).map(|(_, count)| *count),
            Repr::Many(slots) => slots.get(hash(slot), |s| *s == slot).copied(),
        };
        counted.unwrap_or(0)
    }

    /// Counts one more binding of the slot.
    pub fn add(&mut self, slot: Slot) {
        match &mut self.0 {
            Repr::Empty => self.0 = Repr::One(slot, 1),
            Repr::One(only, count) if *only == slot => *count += 1,
            Repr::One(only, count) => {
                self.0 = Repr::Few(Arc::new(vec![(*only, *count), (slot, 1)]));
            }
            Repr::Few(slots) => {
                let slots = Arc::make_mut(slots);
                match slots.iter_mut().find(|(other, _)| *other == slot) {
                    Some((_, count)) => *count += 1,
                    None => slots.push((slot, 1)),
                }
                if slots.len() > FEW {
                    self.0 = Repr::Many(Arc::new(tree(slots)));
                }
            }
            Repr::Many(slots) => {
                *Arc::make_mut(slots).entry(hash(slot), |s| *s == slot, || (slot, 0)) += 1;
            }
        }
    }

    /// Counts one binding less; the slot goes with its last one.
    pub fn remove(&mut self, slot: Slot) {
        match &mut self.0 {
            Repr::Empty => {}
            Repr::One(only, count) => {
                if *only == slot {
                    *count -= 1;
                    if *count == 0 {
                        self.0 = Repr::Empty;
                    }
                }
            }
            Repr::Few(slots) => {
                let slots = Arc::make_mut(slots);
                let Some(place) = slots.iter().position(|(other, _)| *other == slot) else {
                    return;
                };
                slots[place].1 -= 1;
                if slots[place].1 == 0 {
                    slots.remove(place);
                }
                self.shrink();
            }
            Repr::Many(slots) => {
                let slots = Arc::make_mut(slots);
                let left = slots.get_mut(hash(slot), |s| *s == slot).map(|count| {
                    *count -= 1;
                    *count
                });
                if left == Some(0) {
                    slots.remove(hash(slot), |s| *s == slot);
                }
                self.shrink();
            }
        }
    }

    /// The different slots.
    pub fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(self.len());
        self.each(|slot| slots.push(slot));
        slots
    }

    /// Calls `visit` with each different slot.
    #[inline]
    pub fn each(&self, mut visit: impl FnMut(Slot)) {
        match &self.0 {
            Repr::Empty => {}
            Repr::One(slot, _) => visit(*slot),
            Repr::Few(slots) => slots.iter().for_each(|(slot, _)| visit(*slot)),
            Repr::Many(slots) => slots.iter().for_each(|(slot, _)| visit(*slot)),
        }
    }

    fn shrink(&mut self) {
        match &self.0 {
            Repr::Few(slots) => match slots[..] {
                [] => self.0 = Repr::Empty,
                [(slot, count)] => self.0 = Repr::One(slot, count),
                _ => {}
            },
            Repr::Many(slots) if slots.len() <= FEW / 2 => {
                let few = slots.iter().map(|(slot, count)| (*slot, *count)).collect();
                self.0 = Repr::Few(Arc::new(few));
            }
            _ => {}
        }
    }
}

fn hash(slot: Slot) -> u64 {
    // Slots are dense numbers that the broker chose: nobody can make them collide.
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write_u32(slot);
    hasher.finish()
}

fn tree(slots: &[(Slot, u32)]) -> Hamt<Slot, u32> {
    let mut tree = Hamt::new();
    for (slot, count) in slots {
        tree.entry(hash(*slot), |s| s == slot, || (*slot, *count));
    }
    tree
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_slot_goes_with_its_last_binding(
            steps in prop::collection::vec((0..90u32, prop::bool::weighted(0.6)), 0..400),
        ) {
            let mut bag = SlotBag::default();
            let mut model = BTreeMap::<u32, u32>::new();
            for (slot, add) in steps {
                let before = bag.clone();
                let count = model.entry(slot).or_default();
                if add {
                    bag.add(slot);
                    *count += 1;
                } else {
                    bag.remove(slot);
                    *count = count.saturating_sub(1);
                }
                let changed = before.len() != bag.len();
                model.retain(|_, count| *count > 0);
                let mut slots = bag.slots();
                slots.sort_unstable();
                prop_assert_eq!(&slots, &model.keys().copied().collect::<Vec<_>>());
                prop_assert_eq!(bag.len(), model.len());
                prop_assert_eq!(bag.is_empty(), model.is_empty());
                prop_assert!(changed || before.slots().len() == slots.len());
            }
        }
    }
}
