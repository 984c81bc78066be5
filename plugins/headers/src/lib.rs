//! The headers exchange type: a message goes where its headers are those of the binding's
//! arguments. The argument `x-match` says how: `all` (the default) or `any` of them must be there;
//! names that start with `x-` only count with `all-with-x` and `any-with-x`. A void argument asks
//! for the header whatever its value.

use std::fmt::Write;
use std::sync::Arc;

use leveret_plugin::collections::PMap;
use leveret_plugin::host::{Declaration, Failure};
use leveret_plugin::{Binding, Broker, ExchangeType, Message, Slots, Table, Value};

/// A headers exchange (AMQP 0-9-1, 3.1.3.4).
pub struct Headers;

/// What makes a binding what it is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    slot: u32,
    key: Arc<str>,
    arguments: Arc<[u8]>,
}

/// How the arguments of a binding are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Any one suffices.
    any: bool,
    /// Names that start with `x-` count.
    with_x: bool,
}

impl ExchangeType for Headers {
    const NAME: &'static str = "headers";
    type Table = PMap<Identity, Mode>;

    fn new(_: &str, _: &Declaration<'_>, _: &Broker) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn validate(&self, binding: &Binding<'_>) -> Result<(), Failure> {
        mode(binding.table()).map(|_| ())
    }

    fn bind(&self, table: &mut Self::Table, binding: &Binding<'_>) {
        if let Ok(mode) = mode(binding.table()) {
            table.insert(identity(binding), mode);
        }
    }

    fn unbind(&self, table: &mut Self::Table, binding: &Binding<'_>) {
        table.remove(&identity(binding));
    }

    fn route(&self, table: &Self::Table, message: &Message<'_>, slots: &mut Slots<'_>) {
        let headers = message.properties().headers();
        for (binding, mode) in table.iter() {
            if mode.matches(Table::new(&binding.arguments), headers) {
                slots.push(binding.slot);
            }
        }
    }
}

leveret_plugin::plugin! { name: "headers", exchanges: [Headers] }

fn identity(binding: &Binding<'_>) -> Identity {
    Identity { slot: binding.slot, key: binding.key.into(), arguments: binding.arguments.into() }
}

fn mode(arguments: Table<'_>) -> Result<Mode, Failure> {
    let mode = |any, with_x| Ok(Mode { any, with_x });
    match arguments.get("x-match") {
        None | Some(Value::Text(b"all")) => mode(false, false),
        Some(Value::Text(b"any")) => mode(true, false),
        Some(Value::Text(b"all-with-x")) => mode(false, true),
        Some(Value::Text(b"any-with-x")) => mode(true, true),
        Some(Value::Text(other)) => Err(Failure::refused(format!(
            "Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x",
            erlang(other)
        ))),
        Some(other) => Err(Failure::refused(format!(
            "Invalid x-match field type {} (value {}); expected longstr",
            other.type_name(),
            match other {
                Value::Binary(bytes) => erlang(bytes),
                _ => other.to_string(),
            }
        ))),
    }
}

/// Bytes as RabbitMQ writes them in its texts.
fn erlang(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        let text = String::from_utf8_lossy(bytes).replace('\\', "\\\\").replace('"', "\\\"");
        return format!("<<\"{text}\">>");
    }
    let mut numbers = String::new();
    for byte in bytes {
        let comma = if numbers.is_empty() { "" } else { "," };
        let _ = write!(numbers, "{comma}{byte}");
    }
    format!("<<{numbers}>>")
}

impl Mode {
    fn matches(self, arguments: Table<'_>, headers: Table<'_>) -> bool {
        let mut wanted = arguments.iter().filter(|(name, _)| self.counts(name));
        let there = |(name, value): (&[u8], Value<'_>)| {
            let header = headers.get(name);
            header.is_some_and(|header| value == Value::Void || value.same(&header))
        };
        if self.any { wanted.any(there) } else { wanted.all(there) }
    }

    fn counts(self, name: &[u8]) -> bool {
        name != b"x-match" && (self.with_x || !name.starts_with(b"x-"))
    }
}

#[cfg(test)]
mod tests;
