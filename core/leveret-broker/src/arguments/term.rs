//! Values as Erlang prints terms: that is how they stand in RabbitMQ's texts.

use std::fmt::{self, Display, Write};

use leveret_plugin::value::{MAX_DEPTH, Value};

/// A field value. A string is shown bare on the outside and as a binary inside of others.
pub(crate) struct Term<'a>(pub(crate) Value<'a>);

impl Display for Term<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Text(_) | Value::Binary(_) => self.0.fmt(f),
            _ => term(&self.0, MAX_DEPTH, f),
        }
    }
}

fn term(value: &Value<'_>, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Table(_) | Value::Array(_) if depth == 0 => f.write_str("..."),
        Value::Table(table) => list(table.iter(), f, |(name, value), f| {
            write!(f, "{{{},{},", Binary(name), value.type_name())?;
            term(&value, depth - 1, f)?;
            f.write_char('}')
        }),
        Value::Array(array) => list(array.iter(), f, |value, f| {
            write!(f, "{{{},", value.type_name())?;
            term(&value, depth - 1, f)?;
            f.write_char('}')
        }),
        Value::Text(bytes) | Value::Binary(bytes) => Binary(bytes).fmt(f),
        other => other.fmt(f),
    }
}

fn list<T>(
    items: impl Iterator<Item = T>,
    f: &mut fmt::Formatter<'_>,
    mut write: impl FnMut(T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    f.write_char('[')?;
    for (index, item) in items.enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        write(item, f)?;
    }
    f.write_char(']')
}

/// Bytes as a binary.
struct Binary<'a>(&'a [u8]);

impl Display for Binary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<<")?;
        match printable(self.0) {
            Some(text) => quote(text, f)?,
            None => numbers(self.0, f)?,
        }
        f.write_str(">>")
    }
}

/// Bytes as a list of characters: in quotes, or as numbers where they cannot be.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match printable(self.0) {
            Some(text) => quote(text, f),
            None => {
                f.write_char('[')?;
                numbers(self.0, f)?;
                f.write_char(']')
            }
        }
    }
}

fn printable(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_printable))
}

fn is_printable(c: char) -> bool {
    !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\x08' | '\x0b' | '\x0c' | '\x1b')
}

fn quote(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\""),
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            '\x08' => f.write_str("\\b"),
            '\x0b' => f.write_str("\\v"),
            '\x0c' => f.write_str("\\f"),
            '\x1b' => f.write_str("\\e"),
            other => f.write_char(other),
        }?;
    }
    f.write_char('"')
}

fn numbers(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, byte) in bytes.iter().enumerate() {
        write!(f, "{}{byte}", if index == 0 { "" } else { "," })?;
    }
    Ok(())
}
