//! `leveret.json`: JSON to Lua values and back, without losing a digit of an integer.
//!
//! Values are built on the stack of the VM, so that its memory limit holds for them.

use std::ffi::c_int;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::context::Context;
use super::guard::check_time;
use super::stack::{EXACT, Kind, Stack};

/// How deep a value may be nested.
const MAX_DEPTH: usize = 128;
/// Longest text that `encode` makes, in bytes.
const MAX_TEXT: usize = 64 << 20;

/// `leveret.json.decode(text)`: the value, or nil and why not.
pub(crate) fn decode(stack: &Stack) -> Result<c_int, String> {
    let text = stack.bytes(1).ok_or_else(|| {
        format!("leveret.json.decode takes a string or a buffer, not a {}", stack.type_name(1))
    })?;
    let top = stack.top();
    let array = Context::of(stack).kept().array;
    let mut input = serde_json::Deserializer::from_slice(text);
    let read = Push { stack, array }.deserialize(&mut input).and_then(|()| input.end());
    match read {
        Ok(()) => Ok(1),
        Err(error) => {
            stack.pop(stack.top() - top);
            stack.push_nil();
            stack.push_bytes(error.to_string().as_bytes());
            Ok(2)
        }
    }
}

/// Pushes what it reads.
#[derive(Clone, Copy)]
struct Push<'s> {
    stack: &'s Stack,
    array: c_int,
}

impl<'de> DeserializeSeed<'de> for Push<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        check_time(self.stack);
        self.stack.reserve(4);
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Push<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.stack.push_null();
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.stack.push_bool(value);
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.stack.push_integer(value);
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.stack.push_integer(value),
            Err(_) => self.stack.push_number(value as f64),
        }
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.stack.push_number(value);
        Ok(())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.stack.push_bytes(value.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.stack.new_table(0, 0);
        let table = self.stack.top();
        let mut place = 1;
        while items.next_element_seed(self)?.is_some() {
            self.stack.set_at(table, place);
            place += 1;
        }
        self.stack.push_kept(self.array);
        self.stack.set_metatable(table);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        self.stack.new_table(0, 0);
        let table = self.stack.top();
        while pairs.next_key_seed(self)?.is_some() {
            pairs.next_value_seed(self)?;
            self.stack.set_pair(table);
        }
        Ok(())
    }
}

/// `leveret.json.encode(value)`
pub(crate) fn encode(stack: &Stack) -> Result<c_int, String> {
    let mut out = Vec::new();
    let array = Context::of(stack).kept().array;
    write(stack, 1, array, MAX_DEPTH, &mut out)?;
    stack.push_bytes(&out);
    Ok(1)
}

fn write(
    stack: &Stack,
    index: c_int,
    array: c_int,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    check_time(stack);
    if out.len() > MAX_TEXT {
        return Err(format!("JSON text longer than {MAX_TEXT} bytes"));
    }
    match stack.kind(index) {
        Kind::Nil => out.extend_from_slice(b"null"),
        Kind::Light if stack.is_null(index) => out.extend_from_slice(b"null"),
        Kind::Bool if stack.boolean(index) => out.extend_from_slice(b"true"),
        Kind::Bool => out.extend_from_slice(b"false"),
        Kind::Number => write_number(stack.number(index), out)?,
        Kind::Integer => out.extend_from_slice(stack.integer(index).to_string().as_bytes()),
        Kind::String => write_text(stack.bytes(index).unwrap_or_default(), out)?,
        Kind::Table if depth == 0 => return Err("nested too deeply for JSON, or a cycle".into()),
        Kind::Table if stack.length(index) > 0 || stack.has_metatable(index, array) => {
            write_array(stack, index, array, depth, out)?;
        }
        Kind::Table => write_object(stack, index, array, depth, out)?,
        _ => return Err(format!("a {} cannot be JSON", stack.type_name(index))),
    }
    Ok(())
}

fn write_number(number: f64, out: &mut Vec<u8>) -> Result<(), String> {
    if !number.is_finite() {
        return Err(format!("{number} cannot be JSON"));
    }
    let text = if number.fract() == 0.0 && number.abs() <= EXACT as f64 {
        (number as i64).to_string()
    } else {
        serde_json::to_string(&number).map_err(|e| e.to_string())?
    };
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn write_text(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| "a string that is no UTF-8 cannot be JSON")?;
    serde_json::to_writer(out, text).map_err(|e| e.to_string())
}

fn write_array(
    stack: &Stack,
    index: c_int,
    array: c_int,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    stack.reserve(6);
    out.push(b'[');
    for place in 1..=stack.length(index) {
        if place > 1 {
            out.push(b',');
        }
        stack.get_at(index, place);
        write(stack, stack.top(), array, depth - 1, out)?;
        stack.pop(1);
    }
    out.push(b']');
    Ok(())
}

fn write_object(
    stack: &Stack,
    index: c_int,
    array: c_int,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    stack.reserve(8);
    out.push(b'{');
    let start = out.len();
    stack.push_nil();
    while stack.next(index) {
        let top = stack.top();
        if stack.kind(top - 1) != Kind::String {
            return Err(format!("a {} cannot be a key in JSON", stack.type_name(top - 1)));
        }
        if out.len() > start {
            out.push(b',');
        }
        write_text(stack.bytes(top - 1).unwrap_or_default(), out)?;
        out.push(b':');
        write(stack, top, array, depth - 1, out)?;
        stack.pop(1);
    }
    out.push(b'}');
    Ok(())
}

/// `leveret.json.array(table)`: marks a table that is an array even when it is empty.
pub(crate) fn array(stack: &Stack) -> Result<c_int, String> {
    if stack.top() == 0 {
        stack.new_table(0, 0);
    }
    if stack.kind(1) != Kind::Table {
        return Err(format!("leveret.json.array takes a table, not a {}", stack.type_name(1)));
    }
    stack.push_kept(Context::of(stack).kept().array);
    stack.set_metatable(1);
    stack.copy(1);
    Ok(1)
}

/// Pushes a configuration value; tables are read-only.
pub(crate) fn push(stack: &Stack, value: &serde_json::Value, array: c_int) -> Result<(), String> {
    Push { stack, array }.deserialize(value).map_err(|e| e.to_string())
}
