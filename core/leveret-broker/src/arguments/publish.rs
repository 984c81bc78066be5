//! What the broker itself reads of a published message: its expiration, and the headers that name
//! further routing keys.

use leveret_plugin::table::{Array, Table};
use leveret_plugin::value::Value;

use super::check::TIME_MAX_MS;
use super::term::Quoted;
use crate::error::Error;

/// The milliseconds of an `expiration` property: decimal digits, at most ten years.
///
/// # Errors
/// 406 with RabbitMQ's text if it is anything else.
pub fn expiration_ms(expiration: &[u8]) -> Result<u64, Error> {
    let refused = |why: String| {
        let expiration = String::from_utf8_lossy(expiration);
        Error::precondition(format!("invalid expiration '{expiration}': {why}"))
    };
    let (negative, unsigned) = match expiration {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let digits = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, leftover) = unsigned.split_at(digits);
    if digits.is_empty() {
        return Err(refused("no_integer".to_owned()));
    }
    if !leftover.is_empty() {
        return Err(refused(format!("{{leftover_string,{}}}", Quoted(leftover))));
    }
    match significant(digits).parse::<i64>() {
        Ok(0) => Ok(0),
        Ok(ms @ 1..=TIME_MAX_MS) if !negative => Ok(ms.unsigned_abs()),
        _ if negative => Err(refused(format!("{{value_negative,-{}}}", significant(digits)))),
        _ => Err(refused(format!("{{value_too_large,{}}}", significant(digits)))),
    }
}

/// Digits without zeros in front.
fn significant(digits: &[u8]) -> &str {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = &digits[zeros.min(digits.len() - 1)..];
    std::str::from_utf8(digits).unwrap_or_default()
}

/// The routing keys in the headers `CC` and `BCC`.
///
/// # Errors
/// 406 with RabbitMQ's text if one of them is no array. What is no string inside is passed over.
#[inline]
pub fn extra_keys<'a>(headers: &Table<'a>) -> Result<ExtraKeys<'a>, Error> {
    if headers.is_empty() {
        return Ok(ExtraKeys::default());
    }
    Ok(ExtraKeys { cc: keys(headers, "CC")?.unwrap_or_default(), bcc: keys(headers, "BCC")? })
}

/// Routing keys besides the one of basic.publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtraKeys<'a> {
    cc: Array<'a>,
    bcc: Option<Array<'a>>,
}

impl<'a> ExtraKeys<'a> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cc.is_empty() && self.bcc.is_none_or(|bcc| bcc.is_empty())
    }

    /// The header that no consumer may see, if there is one.
    pub fn hidden(&self) -> Option<Array<'a>> {
        self.bcc
    }

    /// Those that consumers may see.
    pub fn shown(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        texts(self.cc)
    }

    /// All of them: `CC`, then `BCC`.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        texts(self.cc).chain(texts(self.bcc.unwrap_or_default()))
    }
}

fn keys<'a>(headers: &Table<'a>, name: &str) -> Result<Option<Array<'a>>, Error> {
    match headers.get(name) {
        None => Ok(None),
        Some(Value::Array(keys)) => Ok(Some(keys)),
        Some(other) => Err(Error::precondition(format!(
            "invalid message: {{unacceptable_type_in_header,\"{name}\",{}}}",
            other.type_name()
        ))),
    }
}

fn texts<'a>(keys: Array<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    keys.iter().filter_map(|key| key.as_str())
}
