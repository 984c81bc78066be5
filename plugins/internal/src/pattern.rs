//! Patterns of permissions: regular expressions that match anywhere in a name, as in RabbitMQ, but
//! in linear time and bounded memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

/// Compiled size that a pattern may have, in bytes.
const SIZE_LIMIT: usize = 1 << 20;
/// How many compiled patterns are kept.
const CAPACITY: usize = 1024;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// Matches every name.
    Everything,
    /// Matches the empty name only.
    Nothing,
    Regex(Arc<Regex>),
    /// Cannot be compiled, so it matches nothing; the text says why.
    Broken(Arc<str>),
}

impl Pattern {
    fn compile(text: &str) -> Self {
        match text {
            ".*" | "^.*" | ".*$" | "^.*$" => Self::Everything,
            "" | "^$" => Self::Nothing,
            _ => match regex(text) {
                Ok(regex) => Self::Regex(Arc::new(regex)),
                Err(error) => Self::Broken(error.into()),
            },
        }
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing => name.is_empty(),
            Self::Regex(regex) => regex.is_match(name),
            Self::Broken(_) => false,
        }
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text).size_limit(SIZE_LIMIT).dfa_size_limit(SIZE_LIMIT).build();
    built.map_err(|error| error.to_string())
}

/// Whether a pattern of a permission can be used, and if not, why.
pub fn check_pattern(text: &str) -> Result<(), String> {
    match Pattern::compile(text) {
        Pattern::Broken(error) => Err(error.as_ref().to_owned()),
        _ => Ok(()),
    }
}

/// Compiled patterns by their text.
#[derive(Debug, Default)]
pub(crate) struct Patterns(Mutex<HashMap<String, Pattern>>);

impl Patterns {
    pub(crate) fn get(&self, text: &str) -> Pattern {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned();
        known.unwrap_or_else(|| self.add(text))
    }

    fn add(&self, text: &str) -> Pattern {
        let pattern = Pattern::compile(text);
        let mut patterns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if patterns.len() >= CAPACITY {
            patterns.clear();
        }
        patterns.insert(text.to_owned(), pattern.clone());
        pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_anywhere_unless_anchored() {
        let cases = [
            ("a", "bab", true),
            ("^a", "bab", false),
            ("^a.*$", "abc", true),
            (".*", "", true),
            ("", "", true),
            ("", "a", false),
            ("^$", "a", false),
            ("^(amq\\.gen.*|amq\\.default)$", "amq.default", true),
            ("^(amq\\.gen.*|amq\\.default)$", "amq.topic", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Pattern::compile(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_broken_pattern_matches_nothing() {
        for pattern in ["(", "(?=a)", "(\\w{1000}){1000}"] {
            assert!(check_pattern(pattern).is_err(), "{pattern}");
            assert!(!Pattern::compile(pattern).matches("a"));
        }
        assert_eq!(check_pattern("^a|b$"), Ok(()));
    }

    #[test]
    fn the_cache_is_bounded() {
        let patterns = Patterns::default();
        for n in 0..CAPACITY + 10 {
            assert!(patterns.get(&format!("^{n}$")).matches(&n.to_string()));
        }
        assert!(patterns.0.lock().unwrap().len() <= CAPACITY);
    }
}
