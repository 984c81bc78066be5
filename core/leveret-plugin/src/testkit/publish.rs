//! Messages for tests.

use crate::message::Message;
use crate::properties::{PropertiesEditor, Property, PropertyValue};
use crate::value::Value;

/// A message that is made step by step.
#[derive(Clone, Debug)]
pub struct Publish {
    key: String,
    properties: PropertiesEditor,
    body: Vec<u8>,
}

impl Publish {
    /// A message with this routing key, without properties and body.
    pub fn key(key: &str) -> Self {
        Self { key: key.to_owned(), properties: PropertiesEditor::new(), body: Vec::new() }
    }

    /// Adds a header.
    ///
    /// # Panics
    /// If the name is longer than 255 bytes.
    #[must_use]
    pub fn header(mut self, name: &str, value: Value<'_>) -> Self {
        self.properties.set_header(name, value).expect("a header that fits");
        self
    }

    /// Sets a property.
    ///
    /// # Panics
    /// If the value is of a wrong type or too long.
    #[must_use]
    pub fn property(mut self, property: Property, value: PropertyValue<'_>) -> Self {
        self.properties.set(property, value).expect("a property of the right type");
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The message as an extension sees it: published by `guest` in `/` to an exchange `test`.
    pub fn message(&self) -> Message<'_> {
        Message {
            vhost: "/",
            exchange: "test",
            routing_key: &self.key,
            properties: self.properties.as_bytes(),
            body: &self.body,
            mandatory: false,
            redelivered: false,
            user: "guest",
            peer: None,
            queue: "",
        }
    }
}
