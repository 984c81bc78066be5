//! A persistent hash map.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

use super::hamt::Hamt;

/// A hash map whose clone shares everything and whose changes copy O(log n) entries where they are
/// shared. Keys and values should be cheap to clone: an `Arc<str>` rather than a `String`.
#[derive(Clone)]
pub struct PMap<K, V> {
    tree: Hamt<K, V>,
    hasher: RandomState,
}

impl<K, V> PMap<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self { tree: Hamt::new(), hasher: RandomState::default() }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.tree.iter()
    }

    /// All values, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The value of a key.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.tree.get(self.hasher.hash_one(key), |k| k.borrow() == key)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> PMap<K, V> {
    /// Sets the value of a key.
    pub fn insert(&mut self, key: K, value: V) {
        let hash = self.hasher.hash_one(&key);
        match self.tree.get_mut(hash, |k| *k == key) {
            Some(old) => *old = value,
            None => self.tree.add(hash, key, value),
        }
    }

    /// The value of a key, to be changed; both are made first if they are not there.
    pub fn entry<Q>(&mut self, key: &Q, default: impl FnOnce() -> (K, V)) -> &mut V
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        self.tree.entry(hash, |k| k.borrow() == key, default)
    }

    /// The value of a key that is there, to be changed.
    pub fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.tree.get_mut(self.hasher.hash_one(key), |k| k.borrow() == key)
    }

    /// Removes a key and gives its value.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.tree.remove(self.hasher.hash_one(key), |k| k.borrow() == key)
    }
}

impl<K, V> Default for PMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for PMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::hash::Hasher;

    use proptest::prelude::*;

    use super::*;

    /// A key whose hash says little, so that entries collide at every level.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Poor(u16);

    impl Hash for Poor {
        fn hash<H: Hasher>(&self, state: &mut H) {
            (self.0 & 3).hash(state);
        }
    }

    fn check<K: Hash + Eq + Copy + Ord + fmt::Debug>(steps: &[(K, Option<u8>)]) {
        let mut map = PMap::new();
        let mut model = HashMap::new();
        let mut past = Vec::new();
        for (key, value) in steps {
            past.push((map.clone(), model.clone()));
            match value {
                Some(value) => {
                    map.insert(*key, *value);
                    model.insert(*key, *value);
                }
                None => assert_eq!(map.remove(key), model.remove(key)),
            }
        }
        past.push((map, model));
        for (map, model) in past {
            assert_eq!(map.len(), model.len());
            for (key, _) in steps {
                assert_eq!(map.get(key), model.get(key));
            }
            let mut entries: Vec<_> = map.iter().map(|(k, v)| (*k, *v)).collect();
            let mut expected: Vec<_> = model.into_iter().collect();
            entries.sort();
            expected.sort();
            assert_eq!(entries, expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_a_map_and_its_clones_stay_as_they_were(
            steps in prop::collection::vec((0..60u16, any::<Option<u8>>()), 0..150),
        ) {
            check(&steps);
            let poor: Vec<_> = steps.iter().map(|(k, v)| (Poor(*k), *v)).collect();
            check(&poor);
        }
    }

    #[test]
    fn entry_makes_and_changes() {
        let mut map: PMap<String, u32> = PMap::new();
        *map.entry("a", || ("a".to_owned(), 1)) += 1;
        *map.entry("a", || unreachable!()) += 1;
        assert_eq!(map.get("a"), Some(&3));
    }
}
