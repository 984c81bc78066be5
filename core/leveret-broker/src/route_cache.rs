//! What a pure exchange answered for a routing key, remembered by one connection.
//!
//! Bounded, filled when a key is seen for the second time, and off while it misses. Only the
//! plugin's slots are kept: what becomes of them is worked out for each message.

use std::hash::BuildHasher;

use leveret_plugin::host::Slot;
use smallvec::SmallVec;

/// After this many look-ups the hits are counted.
const SAMPLE: u32 = 256;
/// The cache is switched off below this share of hits ...
const HITS_MIN: u32 = SAMPLE / 4;
/// ... for this many look-ups.
const PAUSE: u32 = 4096;

/// A routing key, and what the plugin answered.
type Answer = (Box<[u8]>, SmallVec<[Slot; 4]>);

#[derive(Debug)]
struct Place {
    hash: u64,
    snapshot: u64,
    /// Nothing until the key is seen again.
    answer: Option<Answer>,
}

impl Place {
    #[inline]
    fn answers(&self, snapshot: u64, key: &[u8]) -> bool {
        self.snapshot == snapshot && self.answer.as_ref().is_some_and(|(k, _)| **k == *key)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct RouteCache {
    places: Vec<Option<Place>>,
    places_max: usize,
    hasher: foldhash::fast::RandomState,
    lookups: u32,
    hits: u32,
    paused: u32,
    /// The place that was hit last: publishers mostly repeat a key.
    last: usize,
}

/// What a look-up found.
pub(crate) enum Found<'c> {
    /// The plugin's answer.
    Slots(&'c [Slot]),
    /// Nothing; offer the answer under this hash if there is one.
    Nothing(Option<u64>),
}

impl RouteCache {
    /// A cache of at most `places_max` keys; 0 switches it off.
    pub(crate) fn new(places_max: usize) -> Self {
        Self {
            places: Vec::new(),
            places_max,
            hasher: foldhash::fast::RandomState::default(),
            lookups: 0,
            hits: 0,
            paused: 0,
            last: 0,
        }
    }

    /// The answer for the key that was asked for last, if it is this one.
    #[inline]
    pub(crate) fn repeated(&self, snapshot: u64, key: &[u8]) -> Option<&[Slot]> {
        match self.places.get(self.last)?.as_ref()? {
            Place { snapshot: s, answer: Some((k, slots)), .. }
                if *s == snapshot && **k == *key =>
            {
                Some(slots)
            }
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get(&mut self, snapshot: u64, key: &[u8]) -> Found<'_> {
        let known = |place: &Place| place.answers(snapshot, key);
        if self.paused > 0 || self.places_max == 0 {
            self.paused = self.paused.saturating_sub(1);
            return Found::Nothing(None);
        }
        self.count();
        let hash = self.hasher.hash_one(key);
        if self.places.is_empty() {
            self.places.resize_with(self.places_max, || None);
        }
        let index = (hash % self.places.len() as u64) as usize;
        if !self.places[index].as_ref().is_some_and(known) {
            return Found::Nothing(Some(hash));
        }
        self.hits += 1;
        self.last = index;
        self.answer(index)
    }

    #[inline]
    fn answer(&self, index: usize) -> Found<'_> {
        match self.places.get(index) {
            Some(Some(Place { answer: Some((_, slots)), .. })) => Found::Slots(slots),
            _ => Found::Nothing(None),
        }
    }

    fn count(&mut self) {
        self.lookups += 1;
        if self.lookups == SAMPLE {
            if self.hits < HITS_MIN {
                self.paused = PAUSE;
            }
            (self.lookups, self.hits) = (0, 0);
        }
    }

    /// Offers an answer after [`Self::get`] found none.
    pub(crate) fn offer(&mut self, snapshot: u64, hash: u64, key: &[u8], slots: &[Slot]) {
        let index = (hash % self.places.len().max(1) as u64) as usize;
        let Some(place) = self.places.get_mut(index) else { return };
        let seen = place.as_ref().is_some_and(|p| p.hash == hash && p.snapshot == snapshot);
        let answer = seen.then(|| (key.into(), SmallVec::from_slice(slots)));
        *place = Some(Place { hash, snapshot, answer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(cache: &mut RouteCache, snapshot: u64, key: &str, answer: &[Slot]) -> bool {
        match cache.get(snapshot, key.as_bytes()) {
            Found::Slots(slots) => {
                assert_eq!(slots, answer);
                true
            }
            Found::Nothing(hash) => {
                if let Some(hash) = hash {
                    cache.offer(snapshot, hash, key.as_bytes(), answer);
                }
                false
            }
        }
    }

    #[test]
    fn a_key_is_kept_from_its_second_use_until_the_bindings_change() {
        let mut cache = RouteCache::new(16);
        assert_eq!([1, 2, 3].map(|_| ask(&mut cache, 1, "a", &[7])), [false, false, true]);
        assert_eq!([1, 2, 3].map(|_| ask(&mut cache, 2, "a", &[8])), [false, false, true]);
    }

    #[test]
    fn keys_that_never_come_back_switch_it_off_and_it_comes_on_again() {
        let mut cache = RouteCache::new(16);
        for n in 0..SAMPLE {
            ask(&mut cache, 1, &n.to_string(), &[]);
        }
        assert!(matches!(cache.get(1, b"x"), Found::Nothing(None)));
        for _ in 0..PAUSE {
            ask(&mut cache, 1, "x", &[1]);
        }
        ask(&mut cache, 1, "x", &[1]);
        assert!(ask(&mut cache, 1, "x", &[1]));
    }
}
