//! Whether two declarations of one queue or exchange say the same.

use leveret_plugin::table::Table;
use leveret_plugin::value::Value;

use super::term::Term;
use crate::error::{Error, exchange_in, queue_in};

/// How a queue was declared, besides its arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueProperties {
    /// Whether it outlives the broker.
    pub durable: bool,
    /// Whether it belongs to one connection and ends with it.
    pub exclusive: bool,
    /// Whether it ends with its last consumer.
    pub auto_delete: bool,
}

impl QueueProperties {
    /// What a declaration means: an exclusive queue ends with its connection, so it is never
    /// durable, whatever the client said.
    pub fn declared(durable: bool, exclusive: bool, auto_delete: bool) -> Self {
        Self { durable: durable && !exclusive, exclusive, auto_delete }
    }

    /// Compares with another declaration of the same queue; whether it is exclusive is not
    /// compared here.
    ///
    /// # Errors
    /// 406 that names the first property that differs.
    pub fn assert_equivalent(
        &self,
        vhost: &str,
        queue: &str,
        received: &Self,
    ) -> Result<(), Error> {
        let what = || queue_in(vhost, queue);
        assert_same("durable", what, received.durable, self.durable)?;
        assert_same("auto_delete", what, received.auto_delete, self.auto_delete)
    }
}

/// How an exchange was declared, besides its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeProperties<'a> {
    /// The name of its type, such as `topic`.
    pub kind: &'a str,
    /// Whether it outlives the broker.
    pub durable: bool,
    /// Whether it ends with its last binding.
    pub auto_delete: bool,
    /// Whether clients may not publish to it.
    pub internal: bool,
}

impl ExchangeProperties<'_> {
    /// Compares with another declaration of the same exchange.
    ///
    /// # Errors
    /// 406 that names the first property that differs.
    pub fn assert_equivalent(
        &self,
        vhost: &str,
        exchange: &str,
        received: &ExchangeProperties<'_>,
    ) -> Result<(), Error> {
        let what = || exchange_in(vhost, exchange);
        assert_same("type", what, received.kind, self.kind)?;
        assert_same("durable", what, received.durable, self.durable)?;
        assert_same("auto_delete", what, received.auto_delete, self.auto_delete)?;
        assert_same("internal", what, received.internal, self.internal)
    }
}

fn assert_same<T: Copy + PartialEq + std::fmt::Display>(
    property: &str,
    what: impl Fn() -> String,
    received: T,
    current: T,
) -> Result<(), Error> {
    if received == current {
        return Ok(());
    }
    let (received, current) = (format!("'{received}'"), format!("'{current}'"));
    Err(Error::inequivalent(property, &what(), &received, &current))
}

/// Compares the arguments with these names.
pub(crate) fn assert_arguments(
    what: impl Fn() -> String,
    names: &[&str],
    current: &Table<'_>,
    received: &Table<'_>,
) -> Result<(), Error> {
    if current.as_bytes() == received.as_bytes() {
        return Ok(());
    }
    for name in names {
        let (current, received) = (current.get(name), received.get(name));
        if !equivalent(name, current, received) {
            let (received, current) = in_words(received, current);
            return Err(Error::inequivalent(name, &what(), &received, &current));
        }
    }
    Ok(())
}

/// `classic` is what a queue is that does not say.
fn equivalent(name: &str, current: Option<Value<'_>>, received: Option<Value<'_>>) -> bool {
    match (current, received) {
        (None, None) => true,
        (Some(current), Some(received)) => same(&current, &received),
        (Some(one), None) | (None, Some(one)) => {
            name == "x-queue-type" && one == Value::Text(b"classic")
        }
    }
}

/// Equal by value, but an integer is not a float.
fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    a.as_f64().is_some() == b.as_f64().is_some() && a.same(b)
}

/// How RabbitMQ shows two different values: with their types only if one is missing.
fn in_words(received: Option<Value<'_>>, current: Option<Value<'_>>) -> (String, String) {
    match (received, current) {
        (Some(received), Some(current)) => {
            (format!("'{}'", Term(received)), format!("'{}'", Term(current)))
        }
        (received, current) => (with_type(received), with_type(current)),
    }
}

fn with_type(value: Option<Value<'_>>) -> String {
    match value {
        None => "none".to_owned(),
        Some(value) => format!("the value '{}' of type '{}'", Term(value), value.type_name()),
    }
}
