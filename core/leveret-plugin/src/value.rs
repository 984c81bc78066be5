//! Field values: the types that AMQP 0-9-1 tables may hold, as RabbitMQ writes them (which differs
//! from the specification: `s` is a signed 16-bit integer and `L` a signed 64-bit one).
//!
//! A [`Value`] borrows from the bytes it was read from; nested tables and arrays stay raw.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use crate::table::{Array, Table};

/// How deep tables and arrays may be nested.
pub const MAX_DEPTH: usize = 32;

/// Bytes that are no field table, value or property list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub what: &'static str,
    /// Where, in bytes from the start of what was being read.
    pub at: usize,
}

impl Malformed {
    pub(crate) const fn new(what: &'static str, at: usize) -> Self {
        Self { what, at }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for Malformed {}

/// A field value (AMQP 0-9-1, 4.2.5.5, with RabbitMQ's type letters).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`, also read from `L`
    I64(i64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`: `value` with the point `scale` digits from the right.
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// The digits.
        value: u32,
    },
    /// `S`: a long string, any bytes.
    Text(&'a [u8]),
    /// `x`: a byte array.
    Binary(&'a [u8]),
    /// `T`: seconds since 1970-01-01 UTC.
    Timestamp(u64),
    /// `F`
    Table(Table<'a>),
    /// `A`
    Array(Array<'a>),
    /// `V`
    Void,
}

impl<'a> Value<'a> {
    /// Reads a value from its type letter and its payload, which must have the right size.
    pub(crate) fn read(tag: u8, payload: &'a [u8]) -> Option<Self> {
        Some(match tag {
            b't' => Self::Bool(u8::from_be_bytes(fixed(payload)?) != 0),
            b'b' => Self::I8(i8::from_be_bytes(fixed(payload)?)),
            b'B' => Self::U8(u8::from_be_bytes(fixed(payload)?)),
            b's' => Self::I16(i16::from_be_bytes(fixed(payload)?)),
            b'u' => Self::U16(u16::from_be_bytes(fixed(payload)?)),
            b'I' => Self::I32(i32::from_be_bytes(fixed(payload)?)),
            b'i' => Self::U32(u32::from_be_bytes(fixed(payload)?)),
            b'l' | b'L' => Self::I64(i64::from_be_bytes(fixed(payload)?)),
            b'f' => Self::F32(f32::from_be_bytes(fixed(payload)?)),
            b'd' => Self::F64(f64::from_be_bytes(fixed(payload)?)),
            b'T' => Self::Timestamp(u64::from_be_bytes(fixed(payload)?)),
            b'D' => Self::Decimal {
                scale: *payload.first()?,
                value: u32::from_be_bytes(fixed(payload.get(1..)?)?),
            },
            b'S' => Self::Text(payload.get(4..)?),
            b'x' => Self::Binary(payload.get(4..)?),
            b'F' => Self::Table(Table::new(payload.get(4..)?)),
            b'A' => Self::Array(Array::new(payload.get(4..)?)),
            b'V' => Self::Void,
            _ => return None,
        })
    }

    /// Reads one encoded value, type letter first, and checks what is nested in it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        crate::table::check_value(bytes)?;
        bytes
            .split_first()
            .and_then(|(&tag, payload)| Self::read(tag, payload))
            .ok_or(Malformed::new("no field value", 0))
    }

    /// The letter that says which type it is.
    pub fn tag(&self) -> u8 {
        match self {
            Self::Bool(_) => b't',
            Self::I8(_) => b'b',
            Self::U8(_) => b'B',
            Self::I16(_) => b's',
            Self::U16(_) => b'u',
            Self::I32(_) => b'I',
            Self::U32(_) => b'i',
            Self::I64(_) => b'l',
            Self::F32(_) => b'f',
            Self::F64(_) => b'd',
            Self::Decimal { .. } => b'D',
            Self::Text(_) => b'S',
            Self::Binary(_) => b'x',
            Self::Timestamp(_) => b'T',
            Self::Table(_) => b'F',
            Self::Array(_) => b'A',
            Self::Void => b'V',
        }
    }

    /// The name RabbitMQ has for the type in its texts, such as `longstr`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::I8(_) => "byte",
            Self::U8(_) => "unsignedbyte",
            Self::I16(_) => "short",
            Self::U16(_) => "unsignedshort",
            Self::I32(_) => "signedint",
            Self::U32(_) => "unsignedint",
            Self::I64(_) => "long",
            Self::F32(_) => "float",
            Self::F64(_) => "double",
            Self::Decimal { .. } => "decimal",
            Self::Text(_) => "longstr",
            Self::Binary(_) => "binary",
            Self::Timestamp(_) => "timestamp",
            Self::Table(_) => "table",
            Self::Array(_) => "array",
            Self::Void => "void",
        }
    }

    /// Appends the value to `out`, type letter first.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        match *self {
            Self::Bool(v) => out.push(u8::from(v)),
            Self::I8(v) => out.extend(v.to_be_bytes()),
            Self::U8(v) => out.push(v),
            Self::I16(v) => out.extend(v.to_be_bytes()),
            Self::U16(v) => out.extend(v.to_be_bytes()),
            Self::I32(v) => out.extend(v.to_be_bytes()),
            Self::U32(v) => out.extend(v.to_be_bytes()),
            Self::I64(v) => out.extend(v.to_be_bytes()),
            Self::F32(v) => out.extend(v.to_be_bytes()),
            Self::F64(v) => out.extend(v.to_be_bytes()),
            Self::Timestamp(v) => out.extend(v.to_be_bytes()),
            Self::Decimal { scale, value } => {
                out.push(scale);
                out.extend(value.to_be_bytes());
            }
            Self::Text(v) | Self::Binary(v) => encode_long(v, out),
            Self::Table(v) => encode_long(v.as_bytes(), out),
            Self::Array(v) => encode_long(v.as_bytes(), out),
            Self::Void => {}
        }
    }

    /// The text of a long string, if it is one and UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// The value of any of the integer types.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::I8(v) => Some(v.into()),
            Self::U8(v) => Some(v.into()),
            Self::I16(v) => Some(v.into()),
            Self::U16(v) => Some(v.into()),
            Self::I32(v) => Some(v.into()),
            Self::U32(v) => Some(v.into()),
            Self::I64(v) => Some(v),
            _ => None,
        }
    }

    /// Either kind of float.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(v) => Some(v.into()),
            Self::F64(v) => Some(v),
            _ => None,
        }
    }

    /// A truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(v) => Some(v),
            _ => None,
        }
    }

    /// Whether two values are equal whatever their types: integers, floats and timestamps by their
    /// number, strings and byte arrays by their bytes, tables and arrays by theirs; a number never
    /// equals a string.
    pub fn same(&self, other: &Value<'_>) -> bool {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.equals(&b),
            (None, None) => self.same_otherwise(other),
            _ => false,
        }
    }

    fn same_otherwise(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Text(a) | Self::Binary(a), Value::Text(b) | Value::Binary(b)) => a == b,
            (Self::Table(a), Value::Table(b)) => a.as_bytes() == b.as_bytes(),
            (Self::Array(a), Value::Array(b)) => a.as_bytes() == b.as_bytes(),
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Decimal { scale, value }, Value::Decimal { scale: s, value: v }) => {
                scale == s && value == v
            }
            (Self::Void, Value::Void) => true,
            _ => false,
        }
    }

    fn number(&self) -> Option<Number> {
        match *self {
            Self::Timestamp(v) => Some(Number::Integer(v.into())),
            _ => self
                .as_i64()
                .map(|v| Number::Integer(v.into()))
                .or_else(|| self.as_f64().map(Number::Float)),
        }
    }
}

/// A number of any of the numeric types.
enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b) == Some(Ordering::Equal),
            (Self::Integer(i), Self::Float(f)) | (Self::Float(f), Self::Integer(i)) => {
                f.trunc() == *f && f.abs() < 1e30 && *f as i128 == *i
            }
        }
    }
}

/// Shown as RabbitMQ shows values in its texts: strings as they are, other types by their number.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(v) => v.fmt(f),
            Self::I8(v) => v.fmt(f),
            Self::U8(v) => v.fmt(f),
            Self::I16(v) => v.fmt(f),
            Self::U16(v) => v.fmt(f),
            Self::I32(v) => v.fmt(f),
            Self::U32(v) => v.fmt(f),
            Self::I64(v) => v.fmt(f),
            Self::F32(v) => write!(f, "{v:?}"),
            Self::F64(v) => write!(f, "{v:?}"),
            Self::Timestamp(v) => v.fmt(f),
            Self::Decimal { scale, value } => write!(f, "{{{scale},{value}}}"),
            Self::Text(v) | Self::Binary(v) => text(v).fmt(f),
            Self::Table(_) | Self::Array(_) => f.write_str("[...]"),
            Self::Void => f.write_str("undefined"),
        }
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The first `N` bytes.
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}

/// Appends `bytes` with a 32-bit length in front.
pub(crate) fn encode_long(bytes: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(&bytes[..length as usize]);
}
