//! A hash array mapped trie: the tree under [`PMap`](super::PMap) and
//! [`TopicTrie`](super::TopicTrie). It knows hashes, not hashers.

use std::sync::Arc;

/// Bits of the hash that choose a child.
const BITS: u32 = 5;
/// Bits of a hash; below that, entries whose hashes are equal lie in one list.
const HASH_BITS: u32 = 64;

/// A map from hash and key to value. `Clone` shares everything.
#[derive(Clone, Debug)]
pub(super) struct Hamt<K, V> {
    root: Node<K, V>,
    len: usize,
}

/// One level: a child for each bit that is set, in the order of the bits. At the deepest level
/// `bitmap` is unused and all children are entries.
#[derive(Clone, Debug)]
struct Node<K, V> {
    bitmap: u32,
    children: Vec<Child<K, V>>,
}

#[derive(Clone, Debug)]
enum Child<K, V> {
    Entry(u64, K, V),
    Node(Arc<Node<K, V>>),
}

impl<K, V> Hamt<K, V> {
    pub(super) const fn new() -> Self {
        Self { root: Node::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<&V> {
        let mut node = &self.root;
        let mut shift = 0;
        while shift < HASH_BITS {
            let bit = bit(hash, shift);
            if node.bitmap & bit == 0 {
                return None;
            }
            match &node.children[node.place(bit)] {
                Child::Entry(h, k, v) => return (*h == hash && is_key(k)).then_some(v),
                Child::Node(next) => node = next,
            }
            shift += BITS;
        }
        node.children.iter().find_map(|child| child.entry(&is_key))
    }

    /// All entries, in no particular order.
    pub(super) fn iter(&self) -> Iter<'_, K, V> {
        Iter { stack: Vec::new(), current: self.root.children.iter() }
    }
}

impl<K: Clone, V: Clone> Hamt<K, V> {
    /// The value of a key, made by `default` if there was none.
    pub(super) fn entry(
        &mut self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        default: impl FnOnce() -> (K, V),
    ) -> &mut V {
        let found = self.get(hash, &is_key).is_some();
        if !found {
            let (key, value) = default();
            self.add(hash, key, value);
        }
        self.root.get_mut(hash, 0, &is_key).expect("it was found or has just been inserted")
    }

    /// Adds a key that is not there.
    pub(super) fn add(&mut self, hash: u64, key: K, value: V) {
        self.root.insert(hash, 0, Child::Entry(hash, key, value));
        self.len += 1;
    }

    /// The value of a key that is there.
    pub(super) fn get_mut(&mut self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<&mut V> {
        self.get(hash, &is_key)?;
        self.root.get_mut(hash, 0, &is_key)
    }

    pub(super) fn remove(&mut self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<V> {
        self.get(hash, &is_key)?;
        self.len -= 1;
        self.root.remove(hash, 0, &is_key)
    }
}

fn bit(hash: u64, shift: u32) -> u32 {
    1 << ((hash >> shift) & 31)
}

impl<K, V> Child<K, V> {
    fn entry(&self, is_key: &impl Fn(&K) -> bool) -> Option<&V> {
        match self {
            Self::Entry(_, k, v) if is_key(k) => Some(v),
            _ => None,
        }
    }
}

impl<K, V> Node<K, V> {
    const fn new() -> Self {
        Self { bitmap: 0, children: Vec::new() }
    }

    #[inline]
    fn place(&self, bit: u32) -> usize {
        (self.bitmap & (bit - 1)).count_ones() as usize
    }

    fn position(&self, is_key: &impl Fn(&K) -> bool) -> Option<usize> {
        self.children.iter().position(|child| child.entry(is_key).is_some())
    }
}

impl<K: Clone, V: Clone> Node<K, V> {
    /// Adds an entry whose key is not there.
    fn insert(&mut self, hash: u64, shift: u32, entry: Child<K, V>) {
        if shift >= HASH_BITS {
            self.children.push(entry);
            return;
        }
        let bit = bit(hash, shift);
        let place = self.place(bit);
        if self.bitmap & bit == 0 {
            self.bitmap |= bit;
            self.children.reserve_exact(1);
            self.children.insert(place, entry);
            return;
        }
        let child = &mut self.children[place];
        if let Child::Entry(other, ..) = child {
            let other = *other;
            let down = Child::Node(Arc::new(Self::new()));
            let displaced = std::mem::replace(child, down);
            child.node_mut().expect("just put there").insert(other, shift + BITS, displaced);
        }
        if let Some(node) = child.node_mut() {
            node.insert(hash, shift + BITS, entry);
        }
    }

    fn get_mut(&mut self, hash: u64, shift: u32, is_key: &impl Fn(&K) -> bool) -> Option<&mut V> {
        let place =
            if shift < HASH_BITS { self.place(bit(hash, shift)) } else { self.position(is_key)? };
        match self.children.get_mut(place)? {
            Child::Entry(_, _, v) => Some(v),
            Child::Node(node) => Arc::make_mut(node).get_mut(hash, shift + BITS, is_key),
        }
    }

    /// Removes an entry whose key is there, and levels that have become superfluous.
    fn remove(&mut self, hash: u64, shift: u32, is_key: &impl Fn(&K) -> bool) -> Option<V> {
        let (bit, place) = if shift < HASH_BITS {
            let bit = bit(hash, shift);
            (bit, self.place(bit))
        } else {
            (0, self.position(is_key)?)
        };
        let child = self.children.get_mut(place)?;
        if let Some(node) = child.node_mut() {
            let value = node.remove(hash, shift + BITS, is_key);
            if let [Child::Entry(..)] = node.children[..] {
                *child = node.children.pop()?;
            }
            return value;
        }
        self.bitmap &= !bit;
        match self.children.remove(place) {
            Child::Entry(_, _, v) => Some(v),
            Child::Node(_) => None,
        }
    }
}

impl<K: Clone, V: Clone> Child<K, V> {
    fn node_mut(&mut self) -> Option<&mut Node<K, V>> {
        match self {
            Self::Entry(..) => None,
            Self::Node(node) => Some(Arc::make_mut(node)),
        }
    }
}

/// Walks all entries.
pub(super) struct Iter<'a, K, V> {
    stack: Vec<std::slice::Iter<'a, Child<K, V>>>,
    current: std::slice::Iter<'a, Child<K, V>>,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.current.next() {
                Some(Child::Entry(_, k, v)) => return Some((k, v)),
                Some(Child::Node(node)) => {
                    let outer = std::mem::replace(&mut self.current, node.children.iter());
                    self.stack.push(outer);
                }
                None => self.current = self.stack.pop()?,
            }
        }
    }
}
