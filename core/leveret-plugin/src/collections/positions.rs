//! Sets of places in a routing key: where a pattern with `#` may have got to.

/// Words of the longest routing key (255 octets, all of them dots), and one place behind them.
const PLACES: usize = 257;
const CHUNKS: usize = PLACES.div_ceil(64);

/// A set of places from 0 to 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Positions([u64; CHUNKS]);

impl Positions {
    pub(super) const EMPTY: Self = Self([0; CHUNKS]);

    /// All places from `first` to `last`.
    pub(super) fn range(first: usize, last: usize) -> Self {
        let mut set = Self::EMPTY;
        for (index, chunk) in set.0.iter_mut().enumerate() {
            let base = index * 64;
            let from = first.max(base);
            let to = (last + 1).min(base + 64);
            if from < to {
                *chunk = (u64::MAX >> (64 - (to - from))) << (from - base);
            }
        }
        set
    }

    pub(super) fn insert(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    pub(super) fn remove(&mut self, place: usize) {
        self.0[place / 64] &= !(1 << (place % 64));
    }

    pub(super) fn contains(&self, place: usize) -> bool {
        self.0[place / 64] & (1 << (place % 64)) != 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|chunk| *chunk == 0)
    }

    /// Every place one further; 256 has none.
    pub(super) fn advanced(&self) -> Self {
        let mut set = Self::EMPTY;
        let mut carry = 0;
        for (to, from) in set.0.iter_mut().zip(self.0) {
            *to = (from << 1) | carry;
            carry = from >> 63;
        }
        set
    }

    pub(super) fn first(&self) -> Option<usize> {
        let index = self.0.iter().position(|chunk| *chunk != 0)?;
        Some(index * 64 + self.0[index].trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(mut set: Positions) -> Vec<usize> {
        let take_first = || {
            let first = set.first()?;
            set.remove(first);
            Some(first)
        };
        std::iter::from_fn(take_first).collect()
    }

    #[test]
    fn ranges_hold_what_they_say() {
        for (first, last) in
            [(0, 0), (0, 256), (3, 63), (63, 64), (64, 127), (100, 256), (256, 256)]
        {
            let set = Positions::range(first, last);
            assert!(places(set).into_iter().eq(first..=last), "{first} {last}");
            let ahead = places(set.advanced()).into_iter().filter(|place| *place <= 256);
            assert!(ahead.eq(first + 1..=(last + 1).min(256)), "{first} {last}");
        }
    }

    #[test]
    fn places_come_and_go() {
        let mut set = Positions::EMPTY;
        assert!(set.is_empty());
        set.insert(200);
        assert!(set.contains(200) && !set.contains(199));
        set.remove(200);
        assert!(set.is_empty());
    }
}
