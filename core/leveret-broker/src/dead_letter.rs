//! What dead-lettering does to a message's properties: the history of its deaths in `x-death`, and
//! the rule that ends circles. Functions of property bytes; nothing here publishes.

use leveret_plugin::properties::{Properties, PropertiesEditor, Property, PropertyValue};
use leveret_plugin::table::{Array, ArrayBuilder, Table, TableBuilder};
use leveret_plugin::value::{Malformed, Value};

use crate::arguments::extra_keys;

const HISTORY: &str = "x-death";

/// Why a message was dead-lettered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its time was up.
    Expired,
    /// A consumer (or a transform) refused it.
    Rejected,
    /// The queue was full.
    MaxLength,
    /// It was delivered too often.
    DeliveryLimit,
}

impl Reason {
    /// As `x-death` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// One death of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Death<'a> {
    /// Queue that it leaves.
    pub queue: &'a str,
    /// Why.
    pub reason: Reason,
    /// Exchange that it had come through.
    pub exchange: &'a str,
    /// Routing key that it had come with.
    pub routing_key: &'a str,
    /// Whether the queue gives it another routing key, which then is the only one.
    pub key_replaced: bool,
    /// When, in seconds since 1970-01-01 UTC.
    pub time_secs: u64,
}

/// The properties of the dead letter, made from those of the message.
///
/// The death goes to the front of `x-death`, counted with earlier ones of the same queue and
/// reason. `expiration` goes away, so that the dead letter does not expire at once, and stays
/// readable as `original-expiration`. `BCC` is nobody's business and goes away; so does `CC` when
/// the routing key is replaced. Headers are in the order of their names, as RabbitMQ leaves them.
///
/// Properties that cannot be read come back as they are.
pub(crate) fn rewrite(properties: &[u8], death: &Death<'_>) -> Vec<u8> {
    try_rewrite(properties, death).unwrap_or_else(|_| properties.to_vec())
}

fn try_rewrite(bytes: &[u8], death: &Death<'_>) -> Result<Vec<u8>, Malformed> {
    let properties = Properties::view(bytes)?;
    let headers = headers_after(&properties, death)?;
    let mut editor = PropertiesEditor::from(properties);
    editor.remove(Property::Expiration)?;
    editor.set(Property::Headers, PropertyValue::Headers(&headers))?;
    Ok(editor.into_bytes())
}

fn headers_after(properties: &Properties<'_>, death: &Death<'_>) -> Result<Vec<u8>, Malformed> {
    let old = properties.headers();
    let history = history_after(properties, death)?;
    let mut pairs: Vec<(&[u8], Value<'_>)> = old.iter().collect();
    pairs.retain(|(name, _)| !is_dropped(name, death));
    if history_of(&old).is_none() {
        replace(&mut pairs, "x-first-death-exchange", text(death.exchange));
        replace(&mut pairs, "x-first-death-queue", text(death.queue));
        replace(&mut pairs, "x-first-death-reason", text(death.reason.name()));
    }
    replace(&mut pairs, "x-last-death-exchange", text(death.exchange));
    replace(&mut pairs, "x-last-death-queue", text(death.queue));
    replace(&mut pairs, "x-last-death-reason", text(death.reason.name()));
    replace(&mut pairs, HISTORY, Value::Array(history.array()));
    pairs.sort_by_key(|(name, _)| *name);
    encode(&pairs)
}

fn is_dropped(name: &[u8], death: &Death<'_>) -> bool {
    name == b"BCC" || (name == b"CC" && death.key_replaced)
}

fn replace<'a>(pairs: &mut Vec<(&'a [u8], Value<'a>)>, name: &'static str, value: Value<'a>) {
    pairs.retain(|(other, _)| *other != name.as_bytes());
    pairs.push((name.as_bytes(), value));
}

fn encode(pairs: &[(&[u8], Value<'_>)]) -> Result<Vec<u8>, Malformed> {
    let mut table = Vec::new();
    for (name, value) in pairs {
        let too_long = |_| Malformed { what: "field name too long", at: 0 };
        table.push(u8::try_from(name.len()).map_err(too_long)?);
        table.extend_from_slice(name);
        value.encode(&mut table);
    }
    Ok(table)
}

fn text(text: &str) -> Value<'_> {
    Value::Text(text.as_bytes())
}

/// Earlier deaths, the newest first; `None` if the message has not died before.
fn history_of<'a>(headers: &Table<'a>) -> Option<Array<'a>> {
    match headers.get(HISTORY)? {
        Value::Array(deaths) => Some(deaths),
        _ => None,
    }
}

/// The history with this death in front.
fn history_after(
    properties: &Properties<'_>,
    death: &Death<'_>,
) -> Result<ArrayBuilder, Malformed> {
    let earlier = history_of(&properties.headers()).unwrap_or_default();
    let same: Vec<Table<'_>> = earlier.iter().filter_map(|entry| same_as(entry, death)).collect();
    let newest = match same.first() {
        None => first_entry(properties, death)?,
        Some(entry) => counted_up(entry, same.len())?,
    };
    let mut history = ArrayBuilder::new();
    history.push(Value::Table(newest.table()));
    for entry in earlier.iter().filter(|entry| same_as(*entry, death).is_none()) {
        history.push(entry);
    }
    Ok(history)
}

/// The entry, if it is one for the same queue and reason.
fn same_as<'a>(entry: Value<'a>, death: &Death<'_>) -> Option<Table<'a>> {
    let Value::Table(entry) = entry else { return None };
    let same = entry.get("queue") == Some(text(death.queue))
        && entry.get("reason") == Some(text(death.reason.name()));
    same.then_some(entry)
}

fn first_entry(properties: &Properties<'_>, death: &Death<'_>) -> Result<TableBuilder, Malformed> {
    let mut keys = ArrayBuilder::new();
    keys.push(text(death.routing_key));
    let extra = extra_keys(&properties.headers()).unwrap_or_default();
    extra.shown().for_each(|key| keys.push(text(key)));
    let mut entry = TableBuilder::new();
    if let Some(expiration) = properties.raw(Property::Expiration) {
        entry.set("original-expiration", Value::Text(expiration))?;
    }
    entry.set("count", Value::I64(1))?;
    entry.set("reason", text(death.reason.name()))?;
    entry.set("queue", text(death.queue))?;
    entry.set("time", Value::Timestamp(death.time_secs))?;
    entry.set("exchange", text(death.exchange))?;
    entry.set("routing-keys", Value::Array(keys.array()))?;
    Ok(entry)
}

/// The entry with one death more; without a count it stands for `entries` of them.
fn counted_up(entry: &Table<'_>, entries: usize) -> Result<TableBuilder, Malformed> {
    let count = entry.get("count").and_then(|count| count.as_i64());
    let count = count.unwrap_or_else(|| i64::try_from(entries).unwrap_or(i64::MAX));
    let mut entry = TableBuilder::from(*entry);
    entry.set("count", Value::I64(count.saturating_add(1)))?;
    Ok(entry)
}

/// Whether a dead letter with these properties must not enter `queue`: it died there before, and
/// nobody has rejected it since, so that it would go round for ever.
pub(crate) fn is_cycle(properties: &[u8], queue: &str) -> bool {
    let Ok(properties) = Properties::view(properties) else { return false };
    let Some(deaths) = history_of(&properties.headers()) else { return false };
    for death in deaths.iter() {
        let Value::Table(death) = death else { return false };
        if death.get("reason") == Some(text(Reason::Rejected.name())) {
            return false;
        }
        if death.get("queue") == Some(text(queue)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
