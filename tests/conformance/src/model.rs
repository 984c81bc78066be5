//! The matcher that tries everything: slow, short, and written without a look at the plugins.

use std::collections::BTreeSet;

use leveret_plugin::host::Slot;
use leveret_plugin::table::TableBuilder;
use leveret_plugin::value::Value;

/// The four types of AMQP 0-9-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Equal keys.
    Direct,
    /// Everything.
    Fanout,
    /// Patterns of words.
    Topic,
    /// Header values.
    Headers,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Direct, Self::Fanout, Self::Topic, Self::Headers];

    /// The name that clients declare.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }

    /// Whether routing depends on the routing key and the bindings only.
    pub(crate) const fn is_pure(self) -> bool {
        !matches!(self, Self::Headers)
    }
}

/// A value of a header or argument.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Byte(i8),
    Int(i32),
    Long(i64),
    Double(f64),
    Text(String),
    Bool(bool),
    Void,
}

impl Scalar {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Byte(v) => Value::I8(*v),
            Self::Int(v) => Value::I32(*v),
            Self::Long(v) => Value::I64(*v),
            Self::Double(v) => Value::F64(*v),
            Self::Text(v) => Value::Text(v.as_bytes()),
            Self::Bool(v) => Value::Bool(*v),
            Self::Void => Value::Void,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Byte(v) => Some((*v).into()),
            Self::Int(v) => Some((*v).into()),
            Self::Long(v) => Some(*v as f64),
            Self::Double(v) => Some(*v),
            _ => None,
        }
    }

    fn equals(&self, other: &Self) -> bool {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a == b,
            _ => self == other,
        }
    }
}

/// Names and values.
pub(crate) type Fields = Vec<(String, Scalar)>;

/// The pairs as they go over the wire.
pub(crate) fn encode(fields: &Fields) -> Vec<u8> {
    let pairs = fields.iter().map(|(name, value)| (name, value.value()));
    pairs.collect::<TableBuilder>().into_bytes()
}

/// A binding.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) slot: Slot,
    pub(crate) key: String,
    pub(crate) arguments: Fields,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) key: String,
    pub(crate) headers: Fields,
}

/// The slots that should take the message.
pub(crate) fn expected(kind: Kind, bound: &[Bound], sent: &Sent) -> BTreeSet<Slot> {
    bound.iter().filter(|one| matches(kind, one, sent)).map(|one| one.slot).collect()
}

fn matches(kind: Kind, bound: &Bound, sent: &Sent) -> bool {
    match kind {
        Kind::Direct => bound.key == sent.key,
        Kind::Fanout => true,
        Kind::Topic => words_match(&words(&bound.key), &words(&sent.key)),
        Kind::Headers => headers_match(&bound.arguments, &sent.headers),
    }
}

fn words(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('.').collect() }
}

fn words_match(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], rest) => rest.is_empty(),
        (["#", pattern @ ..], _) => {
            (0..=key.len()).any(|taken| words_match(pattern, &key[taken..]))
        }
        ([_, ..], []) => false,
        ([word, pattern @ ..], [first, key @ ..]) => {
            (*word == "*" || word == first) && words_match(pattern, key)
        }
    }
}

fn headers_match(arguments: &Fields, headers: &Fields) -> bool {
    let mode = arguments.iter().find(|(name, _)| name == "x-match");
    let mode = mode.map_or("all", |(_, mode)| match mode {
        Scalar::Text(mode) => mode,
        _ => "all",
    });
    let with_x = mode.ends_with("-with-x");
    let mut wanted = arguments
        .iter()
        .filter(|(name, _)| name != "x-match")
        .filter(|(name, _)| with_x || !name.starts_with("x-"));
    let there = |(name, value): &(String, Scalar)| {
        let header = headers.iter().find(|(other, _)| other == name);
        header.is_some_and(|(_, header)| *value == Scalar::Void || value.equals(header))
    };
    if mode.starts_with("any") { wanted.any(there) } else { wanted.all(there) }
}
