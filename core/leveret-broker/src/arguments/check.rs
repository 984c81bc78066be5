//! Checks of single argument values, and what is wrong with them as RabbitMQ says it: as Erlang
//! prints a term.

use std::fmt;

use leveret_plugin::table::Table;
use leveret_plugin::value::Value;

use super::term::Quoted;

/// The longest time to live: ten years.
pub(crate) const TIME_MAX_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;

/// The longest short string.
const NAME_MAX_BYTES: usize = 255;

/// What is wrong with a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadValue {
    /// A tagged value such as `{value_negative,-1}`.
    Number(&'static str, i64),
    /// Another type than expected: `{unacceptable_type,longstr}`.
    Type(&'static str),
    /// A name such as `invalid_overflow`.
    Name(&'static str),
    /// A sentence, printed in quotes.
    Text(String),
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(what, number) => write!(f, "{{{what},{number}}}"),
            Self::Type(name) => write!(f, "{{unacceptable_type,{name}}}"),
            Self::Name(name) => f.write_str(name),
            Self::Text(text) => Quoted(text.as_bytes()).fmt(f),
        }
    }
}

/// The result of a check.
pub(crate) type Checked = Result<(), BadValue>;

/// A check of one argument; the table is there for arguments that need another one.
pub(crate) type Check = fn(&Value<'_>, &Table<'_>) -> Checked;

/// An integer of any width.
pub(crate) fn integer(value: &Value<'_>, _: &Table<'_>) -> Checked {
    number(value).map(drop)
}

/// An integer that is not negative.
pub(crate) fn natural(value: &Value<'_>, _: &Table<'_>) -> Checked {
    natural_number(value).map(drop)
}

/// An integer above zero.
pub(crate) fn positive(value: &Value<'_>, _: &Table<'_>) -> Checked {
    match natural_number(value)? {
        0 => Err(BadValue::Number("value_zero", 0)),
        _ => Ok(()),
    }
}

/// Milliseconds, from 0 to ten years.
pub(crate) fn time_to_live(value: &Value<'_>, _: &Table<'_>) -> Checked {
    time(number(value)?)
}

/// Milliseconds, from 1 to ten years.
pub(crate) fn expiry(value: &Value<'_>, _: &Table<'_>) -> Checked {
    match number(value)? {
        0 => Err(BadValue::Number("value_zero", 0)),
        ms => time(ms),
    }
}

/// An integer from 0 to 255.
pub(crate) fn octet(value: &Value<'_>, _: &Table<'_>) -> Checked {
    match natural_number(value)? {
        0..=255 => Ok(()),
        greater => Err(BadValue::Number("max_value_exceeded", greater)),
    }
}

/// A truth value.
pub(crate) fn boolean(value: &Value<'_>, _: &Table<'_>) -> Checked {
    value.as_bool().map(drop).ok_or(BadValue::Type(value.type_name()))
}

/// The name of an exchange.
pub(crate) fn name(value: &Value<'_>, _: &Table<'_>) -> Checked {
    short_text(value).map(drop)
}

/// The routing key of dead letters, which needs an exchange for them.
pub(crate) fn dead_letter_key(value: &Value<'_>, arguments: &Table<'_>) -> Checked {
    short_text(value)?;
    match arguments.get("x-dead-letter-exchange") {
        None => Err(BadValue::Name("routing_key_but_no_dlx_defined")),
        Some(_) => Ok(()),
    }
}

/// How dead letters are published.
pub(crate) fn dead_letter_strategy(value: &Value<'_>, _: &Table<'_>) -> Checked {
    one_of(value, &["at-most-once", "at-least-once"], "invalid_dlx_strategy")
}

/// What happens to a message too many.
pub(crate) fn overflow(value: &Value<'_>, _: &Table<'_>) -> Checked {
    one_of(value, &["drop-head", "reject-publish", "reject-publish-dlx"], "invalid_overflow")
}

/// Where a queue's leader is to be.
pub(crate) fn leader_locator(value: &Value<'_>, _: &Table<'_>) -> Checked {
    let known = ["client-local", "balanced", "random", "least-leaders"];
    one_of(value, &known, "invalid_queue_locator_arg")
}

/// Whether messages are kept on disk rather than in memory.
pub(crate) fn queue_mode(value: &Value<'_>, _: &Table<'_>) -> Checked {
    match string(value)? {
        b"default" | b"lazy" => Ok(()),
        other => Err(unsupported("queue mode", &lossy(other))),
    }
}

/// How a classic queue is stored.
pub(crate) fn queue_version(value: &Value<'_>, _: &Table<'_>) -> Checked {
    match natural_number(value)? {
        1 | 2 => Ok(()),
        other => Err(unsupported("queue version", &other.to_string())),
    }
}

/// The type of a queue.
pub(crate) fn queue_type(value: &Value<'_>, _: &Table<'_>) -> Checked {
    match string(value)? {
        b"classic" | b"quorum" | b"stream" => Ok(()),
        other => Err(unsupported("queue type", &lossy(other))),
    }
}

/// Anything.
pub(crate) fn anything(_: &Value<'_>, _: &Table<'_>) -> Checked {
    Ok(())
}

/// Whether milliseconds are neither negative nor more than ten years.
pub(crate) fn time(ms: i64) -> Checked {
    match ms {
        ..0 => Err(BadValue::Number("value_negative", ms)),
        0..=TIME_MAX_MS => Ok(()),
        _ => Err(BadValue::Number("value_too_large", ms)),
    }
}

fn number(value: &Value<'_>) -> Result<i64, BadValue> {
    let expected = || BadValue::Text(format!("expected integer, got {}", value.type_name()));
    value.as_i64().ok_or_else(expected)
}

fn natural_number(value: &Value<'_>) -> Result<i64, BadValue> {
    match number(value)? {
        negative @ ..0 => Err(BadValue::Number("value_negative", negative)),
        natural => Ok(natural),
    }
}

fn string<'a>(value: &Value<'a>) -> Result<&'a [u8], BadValue> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(BadValue::Type(other.type_name())),
    }
}

fn short_text<'a>(value: &Value<'a>) -> Result<&'a str, BadValue> {
    let text = string(value)?;
    if text.len() > NAME_MAX_BYTES {
        return Err(BadValue::Text(format!("longer than {NAME_MAX_BYTES} bytes")));
    }
    std::str::from_utf8(text).map_err(|_| BadValue::Name("invalid_utf8"))
}

fn one_of(value: &Value<'_>, known: &[&str], otherwise: &'static str) -> Checked {
    let text = string(value)?;
    if known.iter().any(|known| known.as_bytes() == text) {
        return Ok(());
    }
    Err(BadValue::Name(otherwise))
}

fn unsupported(what: &str, value: &str) -> BadValue {
    BadValue::Text(format!("unsupported {what} '{value}'"))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
