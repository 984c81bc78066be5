//! Field tables and arrays over raw bytes: views that decode only what is asked for, a check that
//! is bounded in depth and uses no recursion, and builders that leave untouched pairs as they are.

use std::fmt;

use crate::value::{MAX_DEPTH, Malformed, Value, fixed};

/// The pairs of a field table (AMQP 0-9-1, 4.2.5.5) without the length in front.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Table<'a>(&'a [u8]);

/// The values of a field array without the length in front.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Array<'a>(&'a [u8]);

impl<'a> Table<'a> {
    /// A view of bytes that were checked before. Of bytes that were not, what follows the first
    /// malformed pair is not seen.
    pub const fn new(pairs: &'a [u8]) -> Self {
        Self(pairs)
    }

    /// Checks all of `pairs`, nested tables and arrays too.
    pub fn parse(pairs: &'a [u8]) -> Result<Self, Malformed> {
        check(pairs, Kind::Table).map(|()| Self(pairs))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no pair.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the first pair with this name.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<Value<'a>> {
        let name = name.as_ref();
        let pair = self.pairs().find(|pair| pair.name == name)?;
        pair.value()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> + use<'a> {
        self.pairs().map_while(|pair| Some((pair.name, pair.value()?)))
    }

    fn pairs(&self) -> Pairs<'a> {
        Pairs { all: self.0, at: 0 }
    }
}

impl<'a> Array<'a> {
    /// A view of bytes that were checked before, as [`Table::new`].
    pub const fn new(values: &'a [u8]) -> Self {
        Self(values)
    }

    /// Checks all of `values`.
    pub fn parse(values: &'a [u8]) -> Result<Self, Malformed> {
        check(values, Kind::Array).map(|()| Self(values))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no value.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&tag, after) = rest.split_first()?;
            let (payload, next) = after.split_at_checked(payload_len(tag, after)?)?;
            rest = next;
            Value::read(tag, payload)
        })
    }
}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} bytes)", self.0.len())
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array({} bytes)", self.0.len())
    }
}

/// One pair that has not been decoded.
struct Pair<'a> {
    name: &'a [u8],
    tag: u8,
    payload: &'a [u8],
    /// Where it begins in the table.
    start: usize,
    /// Where the next one begins.
    end: usize,
}

impl<'a> Pair<'a> {
    fn value(&self) -> Option<Value<'a>> {
        Value::read(self.tag, self.payload)
    }
}

struct Pairs<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        let start = self.at;
        let (&length, rest) = self.all.get(start..)?.split_first()?;
        let (name, rest) = rest.split_at_checked(length.into())?;
        let (&tag, rest) = rest.split_first()?;
        let payload = rest.get(..payload_len(tag, rest)?)?;
        self.at = start + 2 + name.len() + payload.len();
        Some(Pair { name, tag, payload, start, end: self.at })
    }
}

/// Bytes of the payload of a value with this type letter, whose first bytes are those of `rest`.
/// `None` for an unknown letter or a length that is cut off.
fn payload_len(tag: u8, rest: &[u8]) -> Option<usize> {
    Some(match tag {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'l' | b'L' | b'd' | b'T' => 8,
        b'S' | b'x' | b'F' | b'A' => {
            4usize.checked_add(u32::from_be_bytes(fixed(rest)?) as usize)?
        }
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    Array,
}

/// Checks one encoded value that fills `bytes`.
pub(crate) fn check_value(bytes: &[u8]) -> Result<(), Malformed> {
    let (&tag, rest) = bytes.split_first().ok_or(Malformed::new("missing field value", 0))?;
    if payload_len(tag, rest) != Some(rest.len()) {
        return Err(Malformed::new("field value of a wrong size or an unknown type", 0));
    }
    check(bytes, Kind::Array)
}

/// Walks `bytes` without recursion and stops at the first thing that is wrong.
fn check(bytes: &[u8], kind: Kind) -> Result<(), Malformed> {
    let mut open = [(bytes.len(), kind); MAX_DEPTH + 1];
    let mut depth = 0;
    let mut at = 0;
    loop {
        let (end, kind) = open[depth];
        if at == end {
            if depth == 0 {
                return Ok(());
            }
            depth -= 1;
            continue;
        }
        let (tag, payload, length) = next_value(&bytes[..end], at, kind)?;
        at = payload + length;
        if tag == b'F' || tag == b'A' {
            depth += 1;
            let kind = if tag == b'F' { Kind::Table } else { Kind::Array };
            let place = open.get_mut(depth).ok_or(Malformed::new("nested too deeply", payload))?;
            *place = (at, kind);
            at = payload + 4;
        }
    }
}

/// Type letter, start and length of the payload of the value (and its name) at `at`.
fn next_value(bytes: &[u8], at: usize, kind: Kind) -> Result<(u8, usize, usize), Malformed> {
    let mut tag_at = at;
    if kind == Kind::Table {
        let length = *bytes.get(at).ok_or(Malformed::new("missing field name", at))?;
        tag_at = at + 1 + usize::from(length);
    }
    let tag = *bytes.get(tag_at).ok_or(Malformed::new("missing field type", tag_at))?;
    let payload = tag_at + 1;
    let rest = bytes.get(payload..).unwrap_or(&[]);
    let length = payload_len(tag, rest)
        .ok_or(Malformed::new("unknown field type or missing length", tag_at))?;
    if length > rest.len() {
        return Err(Malformed::new("field value is cut off", payload));
    }
    Ok((tag, payload, length))
}

/// Makes a field table, or changes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableBuilder(Vec<u8>);

impl TableBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pair, or changes the first pair of that name where it stands and removes others.
    /// Fails if the name is longer than 255 bytes.
    pub fn set(&mut self, name: impl AsRef<[u8]>, value: Value<'_>) -> Result<(), Malformed> {
        let mut encoded = Vec::new();
        value.encode(&mut encoded);
        self.set_encoded(name.as_ref(), &encoded)
    }

    /// As [`Self::set`], with the value as it goes over the wire, type letter first.
    pub fn set_encoded(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let length =
            u8::try_from(name.len()).map_err(|_| Malformed::new("field name too long", 0))?;
        let place = self.remove(name).unwrap_or(self.0.len());
        let head = std::iter::once(length).chain(name.iter().copied());
        self.0.splice(place..place, head.chain(value.iter().copied()));
        Ok(())
    }

    /// Removes all pairs of that name; says where the first one began.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) -> Option<usize> {
        let name = name.as_ref();
        let mut first = None;
        while let Some(pair) = Table(&self.0).pairs().find(|pair| pair.name == name) {
            let (start, end) = (pair.start, pair.end);
            self.0.drain(start..end);
            first = first.or(Some(start));
        }
        first
    }

    /// The table as it stands.
    pub fn table(&self) -> Table<'_> {
        Table(&self.0)
    }

    /// The pairs, without the length in front.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl From<Table<'_>> for TableBuilder {
    fn from(table: Table<'_>) -> Self {
        Self(table.0.to_vec())
    }
}

impl<'a, N: AsRef<[u8]>> FromIterator<(N, Value<'a>)> for TableBuilder {
    /// Pairs with names that are too long are left out.
    fn from_iter<I: IntoIterator<Item = (N, Value<'a>)>>(pairs: I) -> Self {
        let mut builder = Self::new();
        for (name, value) in pairs {
            let _ = builder.set(name, value);
        }
        builder
    }
}

/// Makes a field array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrayBuilder(Vec<u8>);

impl ArrayBuilder {
    /// An empty array.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a value.
    pub fn push(&mut self, value: Value<'_>) {
        value.encode(&mut self.0);
    }

    /// The array as it stands.
    pub fn array(&self) -> Array<'_> {
        Array(&self.0)
    }

    /// The values, without the length in front.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
