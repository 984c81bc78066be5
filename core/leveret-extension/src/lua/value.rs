//! Field values of AMQP as Lua values, and back.
//!
//! Integers up to 2^53 are numbers, larger ones `integer` values, so that no digit is lost. Going
//! out, a whole number becomes a 32-bit or 64-bit integer and any other a double.

use std::ffi::c_int;

use leveret_plugin::table::{Array, ArrayBuilder, Table, TableBuilder};
use leveret_plugin::value::{MAX_DEPTH, Value};

use super::guard::check_time;
use super::stack::{Kind, Stack};

/// Pushes a field value.
pub(crate) fn push(stack: &Stack, value: Value<'_>) {
    match value {
        Value::Bool(truth) => stack.push_bool(truth),
        Value::Text(bytes) | Value::Binary(bytes) => stack.push_bytes(bytes),
        Value::Timestamp(secs) => match i64::try_from(secs) {
            Ok(secs) => stack.push_integer(secs),
            Err(_) => stack.push_number(secs as f64),
        },
        Value::Decimal { scale, value } => {
            stack.push_number(f64::from(value) / 10f64.powi(scale.into()));
        }
        Value::Table(table) => push_table(stack, table),
        Value::Array(array) => push_array(stack, array),
        Value::Void => stack.push_null(),
        number => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => stack.push_integer(integer),
            (None, float) => stack.push_number(float.unwrap_or(f64::NAN)),
        },
    }
}

/// Pushes a field table as a table.
pub(crate) fn push_table(stack: &Stack, table: Table<'_>) {
    stack.reserve(4);
    stack.new_table(0, 4);
    let place = stack.top();
    for (name, value) in table.iter() {
        stack.push_bytes(name);
        push(stack, value);
        stack.set_pair(place);
    }
}

fn push_array(stack: &Stack, array: Array<'_>) {
    stack.reserve(4);
    stack.new_table(4, 0);
    let table = stack.top();
    for (index, value) in array.iter().enumerate() {
        push(stack, value);
        stack.set_at(table, index + 1);
    }
}

/// Encodes the value at `index`, type letter first.
pub(crate) fn encode(stack: &Stack, index: c_int) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    encode_to(stack, index, MAX_DEPTH, &mut out)?;
    Ok(out)
}

fn encode_to(stack: &Stack, index: c_int, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
    match stack.kind(index) {
        Kind::Bool => Value::Bool(stack.boolean(index)).encode(out),
        Kind::Number => number(stack.number(index)).encode(out),
        Kind::Integer => Value::I64(stack.integer(index)).encode(out),
        Kind::String => Value::Text(stack.bytes(index).unwrap_or_default()).encode(out),
        Kind::Buffer => Value::Binary(stack.bytes(index).unwrap_or_default()).encode(out),
        Kind::Light if stack.is_null(index) => Value::Void.encode(out),
        Kind::Table if depth == 0 => return Err("nested too deeply for a header".into()),
        Kind::Table if stack.length(index) > 0 => encode_array(stack, index, depth, out)?,
        Kind::Table => encode_table(stack, index, depth, out)?,
        _ => return Err(format!("a {} cannot be a header", stack.type_name(index))),
    }
    Ok(())
}

/// A whole number in the smaller of the integer types clients use, or a double.
fn number(number: f64) -> Value<'static> {
    let integer = number as i64;
    if integer as f64 != number || integer == i64::MAX {
        return Value::F64(number);
    }
    i32::try_from(integer).map_or(Value::I64(integer), Value::I32)
}

fn encode_array(
    stack: &Stack,
    index: c_int,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    stack.reserve(4);
    let mut array = ArrayBuilder::new();
    for place in 1..=stack.length(index) {
        stack.get_at(index, place);
        let mut one = Vec::new();
        encode_to(stack, stack.top(), depth - 1, &mut one)?;
        stack.pop(1);
        array.push(Value::parse(&one).map_err(|e| e.to_string())?);
    }
    Value::Array(array.array()).encode(out);
    Ok(())
}

fn encode_table(
    stack: &Stack,
    index: c_int,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    stack.reserve(6);
    let mut table = TableBuilder::new();
    stack.push_nil();
    while stack.next(index) {
        check_time(stack);
        let top = stack.top();
        if stack.kind(top - 1) != Kind::String {
            return Err(format!("a {} cannot name a header", stack.type_name(top - 1)));
        }
        let mut one = Vec::new();
        encode_to(stack, top, depth - 1, &mut one)?;
        let name = stack.bytes(top - 1).unwrap_or_default();
        table.set_encoded(name, &one).map_err(|e| e.to_string())?;
        stack.pop(1);
    }
    Value::Table(table.table()).encode(out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_take_the_smallest_type_clients_use() {
        assert_eq!(number(5.0), Value::I32(5));
        assert_eq!(number(-2_147_483_649.0), Value::I64(-2_147_483_649));
        assert_eq!(number(0.5), Value::F64(0.5));
        assert_eq!(number(1e300), Value::F64(1e300));
        assert!(matches!(number(f64::NAN), Value::F64(n) if n.is_nan()));
    }
}
