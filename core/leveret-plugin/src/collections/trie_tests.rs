//! The trie against a matcher that tries everything, and patterns made to be slow.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn split(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('.').collect() }
}

fn naive(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((&"#", rest)), None) => naive(rest, key),
        (Some((&"#", rest)), Some((_, later))) => naive(rest, key) || naive(pattern, later),
        (Some(_), None) => false,
        (Some((word, rest)), Some((first, later))) => {
            (*word == "*" || word == first) && naive(rest, later)
        }
    }
}

fn found(trie: &TopicTrie, key: &str) -> BTreeSet<Slot> {
    let mut slots = BTreeSet::new();
    trie.matches(key, |slot| {
        slots.insert(slot);
    });
    slots
}

fn text(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(words), 0..7).prop_map(|words| words.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    text(&["a", "b", "c", "", "*", "#", "#"])
}

proptest! {
    #[test]
    fn it_matches_what_the_naive_matcher_matches(
        steps in prop::collection::vec((pattern(), 0..6u32, prop::bool::weighted(0.7)), 1..40),
        keys in prop::collection::vec(text(&["a", "b", "c", "d", ""]), 1..12),
    ) {
        let mut trie = TopicTrie::new();
        let mut bound: Vec<(String, u32)> = Vec::new();
        for (pattern, slot, add) in steps {
            let before = (trie.clone(), bound.clone());
            if add {
                trie.add(&pattern, slot);
                bound.push((pattern, slot));
            } else if let Some(place) = bound.iter().position(|other| other.1 == slot) {
                let (pattern, slot) = bound.remove(place);
                trie.remove(&pattern, slot);
            } else {
                trie.remove(&pattern, 99);
            }
            for (trie, bound) in [before, (trie.clone(), bound.clone())] {
                prop_assert_eq!(trie.len(), bound.len());
                for key in &keys {
                    let expected = bound
                        .iter()
                        .filter(|(pattern, _)| naive(&split(pattern), &split(key)))
                        .map(|(_, slot)| *slot)
                        .collect();
                    prop_assert_eq!(found(&trie, key), expected, "{} in {:?}", key, &bound);
                }
            }
        }
        for (pattern, slot) in bound {
            trie.remove(&pattern, slot);
        }
        prop_assert!(trie.root.is_empty());
    }
}

#[test]
fn empty_words_count_and_an_empty_key_has_none() {
    let cases = [
        ("*", "", false),
        ("#", "", true),
        ("", "", true),
        ("*.*", ".", true),
        ("a.*.c", "a..c", true),
        ("#.b", "b", true),
        ("a.#", "a", true),
        ("a.#.#.b", "a.b", true),
        ("*", "a.b", false),
    ];
    for (pattern, key, expected) in cases {
        let mut trie = TopicTrie::new();
        trie.add(pattern, 1);
        assert_eq!(!found(&trie, key).is_empty(), expected, "{pattern} on {key}");
    }
}

#[test]
fn hostile_patterns_stay_cheap() {
    let mut trie = TopicTrie::new();
    for length in 1..60 {
        trie.add(&"#.a".repeat(length).replace("a#", "a.#"), length as u32);
        trie.add(&["#.*"; 60][..length].join("."), 1000 + length as u32);
    }
    let keys = [["a"; 128].join("."), ["b"; 128].join("."), ".".repeat(255)];
    let started = Instant::now();
    for key in &keys {
        let mut slots = 0;
        trie.matches(key, |_| slots += 1);
        assert!(slots >= 59, "{slots}");
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn a_long_key_matches_like_a_short_one() {
    let mut trie = TopicTrie::new();
    let key: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    trie.add(&key.join("."), 1);
    trie.add("#.58.*", 2);
    trie.add("0.#.59", 3);
    trie.add("0.#.30.#.29.#", 4);
    assert_eq!(found(&trie, &key.join(".")), BTreeSet::from([1, 2, 3]));
}

#[test]
fn a_key_that_amqp_cannot_express_matches_nothing() {
    let mut trie = TopicTrie::new();
    trie.add("#", 1);
    trie.add("#.a.#", 2);
    assert_eq!(found(&trie, &["a"; 128].join(".")), BTreeSet::from([1, 2]));
    assert_eq!(found(&trie, &["a"; 129].join(".")), BTreeSet::new());
}
