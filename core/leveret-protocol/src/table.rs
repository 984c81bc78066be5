//! Field tables (AMQP 0-9-1, section 4.2.5.5, in RabbitMQ's dialect) as raw bytes.
//!
//! A table is only ever looked at through [`check`], which walks it without recursion, and then
//! through [`pairs`] and [`find`]. "Pairs" means the table without its four length octets:
//!
//! ```text
//! +-----------------+-----+---------------+-----------------+-----+---------------+----
//! | shortstr key    | tag | value         | shortstr key    | tag | value         | ...
//! +-----------------+-----+---------------+-----------------+-----+---------------+----
//! ```
//! | tag | value | tag | value | tag | value |
//! |---|---|---|---|---|---|
//! | `t` | bool, 1 | `I` | i32 | `D` | decimal: scale u8, u32 |
//! | `b` | i8 | `i` | u32 | `S` | long string: u32, bytes |
//! | `B` | u8 | `l` `L` | i64 | `x` | bytes: u32, bytes |
//! | `s` | i16 | `f` | f32 | `A` | array: u32, values with tags |
//! | `u` | u16 | `d` | f64 | `F` | table: u32, pairs |
//! | `V` | nothing | `T` | u64 seconds | | |

use crate::cursor::{Cursor, ReadError};
use crate::limits::MAX_TABLE_DEPTH;

/// What is wrong with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A length points past the end of what holds it.
    #[error("field table ends too early")]
    UnexpectedEnd,
    /// A value's tag is none of those above.
    #[error("field table holds a value of unknown type {0}")]
    UnknownType(u8),
    /// Nested deeper than 32 levels.
    #[error("field table is nested deeper than {MAX_TABLE_DEPTH} levels")]
    TooDeep,
}

impl From<ReadError> for TableError {
    fn from(_: ReadError) -> Self {
        Self::UnexpectedEnd
    }
}

/// How a value's length is known.
enum Shape {
    Fixed(usize),
    Bytes,
    Nested { table: bool },
}

fn shape(tag: u8) -> Result<Shape, TableError> {
    Ok(match tag {
        b'V' => Shape::Fixed(0),
        b't' | b'b' | b'B' => Shape::Fixed(1),
        b's' | b'u' => Shape::Fixed(2),
        b'I' | b'i' | b'f' => Shape::Fixed(4),
        b'D' => Shape::Fixed(5),
        b'l' | b'L' | b'd' | b'T' => Shape::Fixed(8),
        b'S' | b'x' => Shape::Bytes,
        b'F' => Shape::Nested { table: true },
        b'A' => Shape::Nested { table: false },
        other => return Err(TableError::UnknownType(other)),
    })
}

/// One table or array that is being walked.
#[derive(Clone, Copy)]
struct Level {
    end: usize,
    table: bool,
}

/// Checks the pairs of a table: tags, lengths and depth. Never recurses, never allocates.
pub fn check(pairs: &[u8]) -> Result<(), TableError> {
    let mut open = [Level { end: pairs.len(), table: true }; MAX_TABLE_DEPTH];
    let mut depth = 1_usize;
    let mut at = 0;
    while let Some(level) = depth.checked_sub(1).and_then(|top| open.get(top)).copied() {
        if at == level.end {
            depth -= 1;
            continue;
        }
        let inside = pairs.get(at..level.end).ok_or(TableError::UnexpectedEnd)?;
        let mut cursor = Cursor::new(inside);
        if let Some(nested) = check_entry(&mut cursor, level.table)? {
            at = level.end - cursor.rest().len();
            let end = at + nested.end;
            *open.get_mut(depth).ok_or(TableError::TooDeep)? = Level { end, ..nested };
            depth += 1;
        } else {
            at = level.end - cursor.rest().len();
        }
    }
    Ok(())
}

/// Reads one entry; of a nested one only the length, returned as `end`, which lies inside.
fn check_entry(cursor: &mut Cursor<'_>, with_key: bool) -> Result<Option<Level>, TableError> {
    if with_key {
        cursor.short_bytes()?;
    }
    match shape(cursor.u8()?)? {
        Shape::Fixed(length) => cursor.take(length).map(|_| ())?,
        Shape::Bytes => cursor.long_bytes().map(|_| ())?,
        Shape::Nested { table } => {
            let end = cursor.u32()? as usize;
            if end > cursor.rest().len() {
                return Err(TableError::UnexpectedEnd);
            }
            return Ok(Some(Level { end, table }));
        }
    }
    Ok(None)
}

/// A value as it lies in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawValue<'a> {
    /// Type tag.
    pub tag: u8,
    /// The value's octets; of strings, arrays and tables without their length.
    pub bytes: &'a [u8],
}

impl<'a> RawValue<'a> {
    /// The text of a long string that is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        if self.tag == b'S' { std::str::from_utf8(self.bytes).ok() } else { None }
    }

    /// The pairs of a table.
    #[must_use]
    pub fn as_table(&self) -> Option<&'a [u8]> {
        (self.tag == b'F').then_some(self.bytes)
    }

    /// Whether this is the boolean `true`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.tag == b't' && self.bytes.iter().any(|octet| *octet != 0)
    }
}

/// The pairs of a table in order; ends early where the bytes are no table.
pub fn pairs(pairs: &[u8]) -> impl Iterator<Item = (&[u8], RawValue<'_>)> {
    let mut cursor = Cursor::new(pairs);
    std::iter::from_fn(move || next_pair(&mut cursor))
}

fn next_pair<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], RawValue<'a>)> {
    let key = cursor.short_bytes().ok()?;
    let tag = cursor.u8().ok()?;
    let bytes = match shape(tag).ok()? {
        Shape::Fixed(length) => cursor.take(length).ok()?,
        Shape::Bytes | Shape::Nested { .. } => cursor.long_bytes().ok()?,
    };
    Some((key, RawValue { tag, bytes }))
}

/// The first value with this key.
#[must_use]
pub fn find<'a>(table: &'a [u8], key: &str) -> Option<RawValue<'a>> {
    pairs(table).find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
}

/// Writes the pairs of a table, in the order of the calls.
///
/// Keys longer than 255 bytes are cut at a character's boundary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableBuilder {
    bytes: Vec<u8>,
}

impl TableBuilder {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a long string.
    #[must_use]
    pub fn text(self, key: &str, text: &str) -> Self {
        self.sized(key, b'S', text.as_bytes())
    }

    /// Adds a boolean.
    #[must_use]
    pub fn boolean(self, key: &str, value: bool) -> Self {
        self.raw(key, b't', &[u8::from(value)])
    }

    /// Adds a table.
    #[must_use]
    pub fn table(self, key: &str, table: &TableBuilder) -> Self {
        self.sized(key, b'F', &table.bytes)
    }

    fn sized(mut self, key: &str, tag: u8, bytes: &[u8]) -> Self {
        crate::content::push_short_str(&mut self.bytes, key);
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn raw(mut self, key: &str, tag: u8, bytes: &[u8]) -> Self {
        crate::content::push_short_str(&mut self.bytes, key);
        self.bytes.push(tag);
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The pairs.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nested_arrays(levels: usize) -> Vec<u8> {
        let value = (0..levels).fold(vec![b'V'], |inner, _| {
            let mut outer = vec![b'A'];
            outer.extend_from_slice(&(inner.len() as u32).to_be_bytes());
            outer.extend_from_slice(&inner);
            outer
        });
        [&[1, b'k'][..], &value].concat()
    }

    #[test]
    fn thirty_two_levels_pass_and_thirty_three_do_not() {
        assert_eq!(check(&nested_arrays(31)), Ok(()));
        assert_eq!(check(&nested_arrays(32)), Err(TableError::TooDeep));
        assert_eq!(check(&nested_arrays(5_000)), Err(TableError::TooDeep));
    }

    #[test]
    fn a_table_cut_anywhere_is_refused() {
        let inner = TableBuilder::new().boolean("yes", true).text("t", "x");
        let bytes = TableBuilder::new().table("inner", &inner).text("s", "text").into_bytes();
        let whole = TableBuilder::new().table("inner", &inner).into_bytes().len();
        assert_eq!(check(&bytes), Ok(()));
        for end in 1..bytes.len() {
            assert_eq!(check(&bytes[..end]).is_ok(), end == whole, "cut at {end}");
        }
    }

    #[test]
    fn an_inner_length_may_not_leave_its_own_table() {
        // The inner table claims three bytes of its parent's next pair.
        let bytes = [1, b'a', b'F', 0, 0, 0, 4, 1, b'b', b'S', 0, 0, 0, 0, 1];
        assert_eq!(check(&bytes), Err(TableError::UnexpectedEnd));
    }

    #[test]
    fn unknown_types_are_named() {
        assert_eq!(check(&[1, b'a', b'Z']), Err(TableError::UnknownType(b'Z')));
        assert_eq!(check(&[1, b'a', b'U', 0, 1]), Err(TableError::UnknownType(b'U')));
    }

    #[test]
    fn values_are_found_by_their_key() {
        let inner = TableBuilder::new().boolean("yes", true).boolean("no", false);
        let bytes = TableBuilder::new().table("inner", &inner).text("s", "text").into_bytes();
        let table = find(&bytes, "inner").and_then(|value| value.as_table()).expect("a table");
        assert!(find(table, "yes").expect("there").is_true());
        assert!(!find(table, "no").expect("there").is_true());
        assert_eq!(find(&bytes, "s").and_then(|value| value.as_str()), Some("text"));
        assert_eq!(find(&bytes, "yes"), None);
    }

    proptest! {
        #[test]
        fn pairs_of_a_checked_table_cover_it_exactly(
            bytes in prop::collection::vec(
                prop_oneof![Just(b'F'), Just(b'A'), Just(b'V'), Just(b'S'), 0..4u8], 0..60),
        ) {
            if check(&bytes).is_ok() {
                let again: Vec<u8> = pairs(&bytes).flat_map(|(key, value)| rewrite(key, value))
                    .collect();
                prop_assert_eq!(again, bytes);
            }
        }
    }

    fn rewrite(key: &[u8], value: RawValue<'_>) -> Vec<u8> {
        let mut out = vec![key.len() as u8];
        out.extend_from_slice(key);
        out.push(value.tag);
        if matches!(value.tag, b'S' | b'x' | b'A' | b'F') {
            out.extend_from_slice(&(value.bytes.len() as u32).to_be_bytes());
        }
        out.extend_from_slice(value.bytes);
        out
    }
}
