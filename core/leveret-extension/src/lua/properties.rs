//! `msg.properties`: the properties of the content header by their AMQP names with `_`.

use std::ffi::c_int;

use leveret_plugin::properties::{Property, PropertyValue};

use super::context::Context;
use super::message::{edit, field_name, properties};
use super::stack::{Kind, Stack};

pub(crate) const PROPERTIES: c_int = 103;

/// `msg.properties.name`
pub(crate) fn index(stack: &Stack) -> Result<c_int, String> {
    let context = Context::of(stack);
    let property = named(stack)?;
    context.forbid_if_pure("msg.properties")?;
    context.read(|message| {
        let list = properties(message)?;
        let value = list.raw(property).map(|bytes| match property {
            Property::DeliveryMode | Property::Priority | Property::Timestamp => {
                push_unsigned(stack, bytes);
            }
            _ => stack.push_bytes(bytes),
        });
        if value.is_none() {
            stack.push_nil();
        }
        Ok(1)
    })
}

fn push_unsigned(stack: &Stack, bytes: &[u8]) {
    let number = bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    match i64::try_from(number) {
        Ok(number) => stack.push_integer(number),
        Err(_) => stack.push_number(number as f64),
    }
}

/// `msg.properties.name = value`
pub(crate) fn assign(stack: &Stack) -> Result<c_int, String> {
    let context = Context::of(stack);
    let property = named(stack)?;
    if stack.kind(3) == Kind::Nil {
        return edit(context, |editor| editor.remove(property));
    }
    let value = match property {
        Property::DeliveryMode | Property::Priority => {
            PropertyValue::Octet(whole(stack, property, 255.0)? as u8)
        }
        Property::Timestamp => {
            PropertyValue::Timestamp(whole(stack, property, 9_007_199_254_740_992.0)? as u64)
        }
        _ => {
            let text = stack.bytes(3).filter(|_| stack.kind(3) == Kind::String);
            PropertyValue::Text(text.ok_or_else(|| wrong(stack, property, "a string"))?)
        }
    };
    edit(context, |editor| editor.set(property, value))
}

fn whole(stack: &Stack, property: Property, most: f64) -> Result<f64, String> {
    let number = if stack.kind(3) == Kind::Number { stack.number(3) } else { f64::NAN };
    if number.fract() == 0.0 && (0.0..=most).contains(&number) {
        return Ok(number);
    }
    Err(wrong(stack, property, &format!("a whole number from 0 to {most}")))
}

fn wrong(stack: &Stack, property: Property, expected: &str) -> String {
    format!("msg.properties.{} takes {expected}, not a {}", property.name(), stack.type_name(3))
}

fn named(stack: &Stack) -> Result<Property, String> {
    let name = field_name(stack, PROPERTIES, "properties")?;
    let name = std::str::from_utf8(name).unwrap_or_default();
    match Property::from_name(name) {
        Some(Property::Headers) => Err("headers are in msg.headers".into()),
        Some(property) => Ok(property),
        None => Err(format!("there is no property '{name}'")),
    }
}
