//! What a script sees of a message: one userdata per VM whose fields are read when asked for.

use std::borrow::Cow;
use std::ffi::c_int;

use leveret_plugin::message::Message;
use leveret_plugin::properties::{Properties, PropertiesEditor};
use leveret_plugin::value::Value;

use super::context::Context;
use super::stack::{Kind, Stack};
use super::value;

pub(crate) const MESSAGE: c_int = 101;
pub(crate) const HEADERS: c_int = 102;
pub(crate) const CONNECTION: c_int = 104;

/// Longest short string, in bytes.
const SHORT: usize = 255;

/// `msg.field`
pub(crate) fn index(stack: &Stack) -> Result<c_int, String> {
    let context = Context::of(stack);
    let name = field_name(stack, MESSAGE, "message")?;
    match name {
        b"routing_key" | b"exchange" | b"vhost" => {}
        _ if context.pure.get() => {
            context.forbid(&format!("msg.{}", String::from_utf8_lossy(name)))?;
        }
        _ => {}
    }
    match name {
        b"headers" => stack.push_kept(context.kept().headers),
        b"properties" => stack.push_kept(context.kept().properties),
        _ if is_method(stack, context) => {}
        _ => context.read(|message| push_field(stack, message, name))?,
    }
    Ok(1)
}

/// Pushes the method that the second argument names, if there is one.
fn is_method(stack: &Stack, context: &Context) -> bool {
    stack.push_kept(context.kept().methods);
    stack.copy(2);
    stack.get_pair(-2);
    let found = stack.kind(-1) != Kind::Nil;
    if !found {
        stack.pop(2);
    }
    found
}

fn push_field(stack: &Stack, message: &Message<'_>, name: &[u8]) -> Result<(), String> {
    match name {
        b"routing_key" => stack.push_bytes(message.routing_key.as_bytes()),
        b"exchange" => stack.push_bytes(message.exchange.as_bytes()),
        b"vhost" => stack.push_bytes(message.vhost.as_bytes()),
        b"body_size" => stack.push_number(message.body.len() as f64),
        b"mandatory" => stack.push_bool(message.mandatory),
        b"redelivered" => stack.push_bool(message.redelivered),
        _ => return push_connection_field(stack, message, name, "msg"),
    }
    Ok(())
}

/// The fields that `msg` shares with the connection.
fn push_connection_field(
    stack: &Stack,
    message: &Message<'_>,
    name: &[u8],
    of: &str,
) -> Result<(), String> {
    match name {
        b"user" => stack.push_bytes(message.user.as_bytes()),
        b"vhost" => stack.push_bytes(message.vhost.as_bytes()),
        b"queue" if message.queue.is_empty() => stack.push_nil(),
        b"queue" => stack.push_bytes(message.queue.as_bytes()),
        b"peer" => match message.peer {
            Some(peer) => stack.push_bytes(peer.to_string().as_bytes()),
            None => stack.push_nil(),
        },
        _ => return Err(format!("{of} has no field '{}'", String::from_utf8_lossy(name))),
    }
    Ok(())
}

/// `conn.field`
pub(crate) fn connection_index(stack: &Stack) -> Result<c_int, String> {
    let context = Context::of(stack);
    let name = field_name(stack, CONNECTION, "connection")?;
    context.forbid_if_pure("the connection")?;
    context.read(|message| push_connection_field(stack, message, name, "the connection"))?;
    Ok(1)
}

/// `msg.field = value`
pub(crate) fn assign(stack: &Stack) -> Result<c_int, String> {
    let name = field_name(stack, MESSAGE, "message")?;
    let name = String::from_utf8_lossy(name);
    Err(format!(
        "msg.{name} cannot be assigned; there are msg:set_body, msg:set_routing_key, \
                 msg.headers and msg.properties"
    ))
}

/// `msg:body()`
pub(crate) fn body(stack: &Stack) -> Result<c_int, String> {
    let context = of_message(stack, "msg:body()")?;
    context.read(|message| {
        stack.push_bytes(message.body);
        Ok(1)
    })
}

/// `msg:body_buffer()`
pub(crate) fn body_buffer(stack: &Stack) -> Result<c_int, String> {
    let context = of_message(stack, "msg:body_buffer()")?;
    context.read(|message| {
        stack.push_buffer(message.body);
        Ok(1)
    })
}

/// `msg:set_body(text)`
pub(crate) fn set_body(stack: &Stack) -> Result<c_int, String> {
    let context = of_message(stack, "msg:set_body()")?;
    let body = stack.bytes(2).ok_or("msg:set_body takes a string or a buffer")?;
    context.change(|message| {
        message.body = Cow::Owned(body.to_vec());
        Ok(0)
    })
}

/// `msg:set_routing_key(key)`
pub(crate) fn set_routing_key(stack: &Stack) -> Result<c_int, String> {
    let context = of_message(stack, "msg:set_routing_key()")?;
    let key = stack.bytes(2).filter(|key| key.len() <= SHORT);
    let key = key.and_then(|key| std::str::from_utf8(key).ok());
    let key = key.ok_or("a routing key is a string of at most 255 bytes of UTF-8")?;
    context.change(|message| {
        message.routing_key = Cow::Owned(key.to_owned());
        Ok(0)
    })
}

/// `msg.headers[name]`
pub(crate) fn header(stack: &Stack) -> Result<c_int, String> {
    let context = Context::of(stack);
    let name = field_name(stack, HEADERS, "headers")?;
    context.forbid_if_pure("msg.headers")?;
    context.read(|message| {
        let found = properties(message)?.header(name);
        found.map_or_else(|| stack.push_nil(), |found| value::push(stack, found));
        Ok(1)
    })
}

/// `msg.headers[name] = value`
pub(crate) fn set_header(stack: &Stack) -> Result<c_int, String> {
    let context = Context::of(stack);
    let name = field_name(stack, HEADERS, "headers")?;
    let new = match stack.kind(3) {
        Kind::Nil => None,
        _ => Some(value::encode(stack, 3)?),
    };
    edit(context, |editor| match &new {
        None => editor.remove_header(name),
        Some(new) => editor.set_header(name, Value::parse(new)?),
    })
}

/// `for name, value in msg.headers do`
pub(crate) fn iterate_headers(stack: &Stack) -> Result<c_int, String> {
    let context = Context::of(stack);
    if !stack.has_tag(1, HEADERS) {
        return Err("headers expected".into());
    }
    context.forbid_if_pure("msg.headers")?;
    stack.push_kept(context.kept().next);
    context.read(|message| {
        value::push_table(stack, properties(message)?.headers());
        stack.push_nil();
        Ok(3)
    })
}

/// Changes the properties of the message at hand.
pub(crate) fn edit(
    context: &Context,
    change: impl FnOnce(&mut PropertiesEditor) -> Result<(), leveret_plugin::value::Malformed>,
) -> Result<c_int, String> {
    context.change(|message| {
        let old = Properties::view(&message.properties).map_err(|e| e.to_string())?;
        let mut editor = PropertiesEditor::from(old);
        change(&mut editor).map_err(|e| e.to_string())?;
        message.properties = Cow::Owned(editor.into_bytes());
        Ok(0)
    })
}

pub(crate) fn properties<'m>(message: &Message<'m>) -> Result<Properties<'m>, String> {
    Properties::view(message.properties).map_err(|e| format!("malformed properties: {e}"))
}

/// The second argument of `__index` and `__newindex`, of a userdata with `tag`.
pub(crate) fn field_name<'s>(stack: &'s Stack, tag: c_int, of: &str) -> Result<&'s [u8], String> {
    if !stack.has_tag(1, tag) {
        return Err(format!("{of} expected, got {}", stack.type_name(1)));
    }
    match stack.kind(2) {
        Kind::String => Ok(stack.bytes(2).unwrap_or_default()),
        _ => Err(format!("a field of {of} is named by a string, not by a {}", stack.type_name(2))),
    }
}

fn of_message<'s>(stack: &'s Stack, method: &str) -> Result<&'s Context, String> {
    let context = Context::of(stack);
    if !stack.has_tag(1, MESSAGE) {
        return Err(format!("{method} must be called on a message, with a colon"));
    }
    context.forbid_if_pure(method)?;
    Ok(context)
}
