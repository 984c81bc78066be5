//! A persistent trie of topic patterns. Its match costs what matches, not what is bound.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::bag::SlotBag;
use super::hamt::Hamt;
use super::positions::Positions;
use crate::host::Slot;

/// Patterns of words separated by dots, where `*` stands for one word and `#` for any number of
/// words, also none; each leads to slots.
///
/// Matching walks the words of the key once down the trie. Behind a `#` it goes on with the set of
/// all places where that may have ended, so that every node is visited at most once per match and
/// patterns with many `#` cost no more than their length.
#[derive(Clone, Debug, Default)]
pub struct TopicTrie {
    root: Node,
    hasher: RandomState,
    patterns: usize,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// What patterns that end here lead to.
    slots: SlotBag,
    star: Option<Arc<Node>>,
    hash: Option<Arc<Node>>,
    words: Words,
}

#[derive(Clone, Debug)]
struct Words(Hamt<Arc<str>, Arc<Node>>);

impl Default for Words {
    fn default() -> Self {
        Self(Hamt::new())
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.slots.is_empty()
            && self.star.is_none()
            && self.hash.is_none()
            && self.words.0.len() == 0
    }
}

impl TopicTrie {
    /// An empty trie.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of bindings that were added and not removed.
    pub fn len(&self) -> usize {
        self.patterns
    }

    /// Whether nothing is bound.
    pub fn is_empty(&self) -> bool {
        self.patterns == 0
    }

    /// Binds a slot to a pattern; twice counts twice.
    pub fn add(&mut self, pattern: &str, slot: Slot) {
        let mut node = &mut self.root;
        for word in pattern_words(pattern) {
            node = child(node, word, &self.hasher);
        }
        node.slots.add(slot);
        self.patterns += 1;
    }

    /// Takes one binding of a slot back.
    pub fn remove(&mut self, pattern: &str, slot: Slot) {
        let words: Vec<&str> = pattern_words(pattern).collect();
        if remove(&mut self.root, &words, slot, &self.hasher) {
            self.patterns -= 1;
        }
    }

    /// Calls `found` with every slot bound to a pattern that matches `key`; a slot may come more
    /// than once. A key of more than 255 bytes, which AMQP has no form for, matches nothing.
    #[inline]
    pub fn matches(&self, key: &str, found: impl FnMut(Slot)) {
        if key.len() > KEY_LEN {
            return;
        }
        let mut key = Key::new(key);
        key.split(&self.hasher);
        let mut matcher = Matcher { key: &mut key, found };
        matcher.at(&self.root, 0);
    }
}

/// The words of a key or pattern; an empty one has none.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let count = if text.is_empty() { 0 } else { usize::MAX };
    text.split('.').take(count)
}

/// The words of a pattern, of consecutive `#` only one.
fn pattern_words(pattern: &str) -> impl Iterator<Item = &str> {
    let mut last = "";
    words(pattern).filter(move |word| {
        let again = *word == "#" && last == "#";
        last = word;
        !again
    })
}

fn child<'a>(node: &'a mut Node, word: &str, hasher: &RandomState) -> &'a mut Node {
    let next = match word {
        "*" => node.star.get_or_insert_default(),
        "#" => node.hash.get_or_insert_default(),
        _ => node.words.0.entry(
            hash_of(word.as_bytes(), hasher),
            |w| **w == *word,
            || (word.into(), Arc::default()),
        ),
    };
    Arc::make_mut(next)
}

/// Removes a binding below `node`, and the nodes that nothing needs any more. Says whether it was
/// there.
fn remove(node: &mut Node, words: &[&str], slot: Slot, hasher: &RandomState) -> bool {
    let Some((word, rest)) = words.split_first() else {
        let before = node.slots.count(slot);
        node.slots.remove(slot);
        return before > 0;
    };
    match *word {
        "*" => remove_below(&mut node.star, rest, slot, hasher),
        "#" => remove_below(&mut node.hash, rest, slot, hasher),
        _ => {
            let hash = hash_of(word.as_bytes(), hasher);
            let Some(next) = node.words.0.get_mut(hash, |w| **w == **word) else {
                return false;
            };
            let next = Arc::make_mut(next);
            let found = remove(next, rest, slot, hasher);
            if next.is_empty() {
                node.words.0.remove(hash, |w| **w == **word);
            }
            found
        }
    }
}

fn remove_below(
    place: &mut Option<Arc<Node>>,
    words: &[&str],
    slot: Slot,
    hasher: &RandomState,
) -> bool {
    let Some(next) = place else { return false };
    let next = Arc::make_mut(next);
    let found = remove(next, words, slot, hasher);
    if next.is_empty() {
        *place = None;
    }
    found
}

/// A routing key is a short string of AMQP.
const KEY_LEN: usize = 255;
/// Words of a key that lie on the stack; longer keys need the heap.
const INLINE: usize = 16;

/// Where a word stands in the key, and its hash.
#[derive(Clone, Copy, Default)]
struct Word {
    hash: u64,
    start: u8,
    end: u8,
}

/// A routing key in words, hashed once.
struct Key<'a> {
    text: &'a [u8],
    inline: [Word; INLINE],
    heap: Vec<Word>,
    len: usize,
    /// For each word the next place of the same word, or the number of words. Made when needed,
    /// and for long keys only: in a short one, looking is faster.
    next_same: Vec<usize>,
}

impl<'a> Key<'a> {
    /// `text` has at most [`KEY_LEN`] bytes.
    #[inline]
    fn new(text: &'a str) -> Self {
        let inline = [Word::default(); INLINE];
        Self { text: text.as_bytes(), inline, heap: Vec::new(), len: 0, next_same: Vec::new() }
    }

    #[inline]
    fn split(&mut self, hasher: &RandomState) {
        let mut start = 0;
        for (end, byte) in self.text.iter().enumerate() {
            if *byte == b'.' {
                self.push(start, end, hasher);
                start = end + 1;
            }
        }
        if !self.text.is_empty() {
            self.push(start, self.text.len(), hasher);
        }
    }

    #[inline]
    fn push(&mut self, start: usize, end: usize, hasher: &RandomState) {
        let hash = hash_of(&self.text[start..end], hasher);
        let word = Word { hash, start: start as u8, end: end as u8 };
        match self.inline.get_mut(self.len) {
            Some(place) => *place = word,
            None => {
                if self.heap.is_empty() {
                    self.heap.extend_from_slice(&self.inline);
                }
                self.heap.push(word);
            }
        }
        self.len += 1;
    }

    #[inline]
    fn word(&self, place: usize) -> &Word {
        if self.heap.is_empty() { &self.inline[place] } else { &self.heap[place] }
    }

    #[inline]
    fn text(&self, word: &Word) -> &[u8] {
        &self.text[word.start.into()..word.end.into()]
    }

    /// What is below `words` for the word at `place`.
    #[inline]
    fn child<'n>(&self, words: &'n Words, place: usize) -> Option<&'n Node> {
        let word = self.word(place);
        let text = self.text(word);
        words.0.get(word.hash, |w| w.as_bytes() == text).map(|node| &**node)
    }

    /// Fills `next_same`.
    fn link(&mut self) {
        if self.len > INLINE && self.next_same.is_empty() {
            self.next_same = (0..self.len).map(|place| self.find_same(place)).collect();
        }
    }

    /// The next place of the word at `place`, or the number of words.
    fn next_same(&self, place: usize) -> usize {
        self.next_same.get(place).copied().unwrap_or_else(|| self.find_same(place))
    }

    fn find_same(&self, place: usize) -> usize {
        let word = self.word(place);
        let is_same = |other: &Word| other.hash == word.hash && self.text(other) == self.text(word);
        (place + 1..self.len).find(|other| is_same(self.word(*other))).unwrap_or(self.len)
    }
}

#[inline]
fn hash_of(word: &[u8], hasher: &RandomState) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(word);
    hasher.finish()
}

struct Matcher<'k, 'a, F> {
    key: &'k mut Key<'a>,
    found: F,
}

impl<F: FnMut(Slot)> Matcher<'_, '_, F> {
    /// `place` words were consumed on the only way to `node`.
    fn at(&mut self, node: &Node, place: usize) {
        if let Some(next) = &node.hash {
            self.behind_hash(next, place);
        }
        if place == self.key.len {
            node.slots.each(&mut self.found);
            return;
        }
        if let Some(next) = self.key.child(&node.words, place) {
            self.at(next, place + 1);
        }
        if let Some(next) = &node.star {
            self.at(next, place + 1);
        }
    }

    /// `node` follows a `#` that began at `place`, and may have ended anywhere from there.
    fn behind_hash(&mut self, node: &Node, place: usize) {
        if node.star.is_none() && node.words.0.len() == 0 {
            node.slots.each(&mut self.found);
            return;
        }
        self.key.link();
        self.somewhere(node, Positions::range(place, self.key.len));
    }

    /// `node` may have been reached with any number of words consumed that is in `places`.
    fn somewhere(&mut self, node: &Node, mut places: Positions) {
        let end = self.key.len;
        if places.contains(end) {
            node.slots.each(&mut self.found);
        }
        if let (Some(next), Some(first)) = (&node.hash, places.first()) {
            self.somewhere(next, Positions::range(first, end));
        }
        places.remove(end);
        if places.is_empty() {
            return;
        }
        if let Some(next) = &node.star {
            self.somewhere(next, places.advanced());
        }
        if node.words.0.len() > 0 {
            self.words_somewhere(node, places);
        }
    }

    /// Takes each word at `places` once, with all the places where it stands.
    fn words_somewhere(&mut self, node: &Node, mut places: Positions) {
        while let Some(first) = places.first() {
            let mut behind = Positions::EMPTY;
            let mut place = first;
            while place < self.key.len {
                if places.contains(place) {
                    places.remove(place);
                    behind.insert(place + 1);
                }
                place = self.key.next_same(place);
            }
            if let Some(next) = self.key.child(&node.words, first) {
                self.somewhere(next, behind);
            }
        }
    }
}

#[cfg(test)]
#[path = "trie_tests.rs"]
mod tests;
