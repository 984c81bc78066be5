//! Methods and contents as bytes: what the raw client writes and takes apart.
//!
//! It shares no code with the broker's own protocol crate, so that a mistake there shows.

use leveret_plugin::properties::{PropertiesEditor, Property, PropertyValue};
use leveret_plugin::table::TableBuilder;
pub(crate) use leveret_plugin::value::Value;

/// Class and method.
pub(crate) type Id = (u16, u16);

/// Arguments of a method on their way out.
#[derive(Clone, Default)]
pub(crate) struct Arguments(pub(crate) Vec<u8>);

impl Arguments {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn octet(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn short(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn long(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn longlong(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.push(u8::try_from(text.len()).expect("a short string"));
        self.0.extend(text.as_bytes());
        self
    }

    pub(crate) fn long_text(mut self, text: &str) -> Self {
        self.0.extend((text.len() as u32).to_be_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    pub(crate) fn table(mut self, pairs: &[(&str, Value<'_>)]) -> Self {
        let bytes = table(pairs).into_bytes();
        self.0.extend((bytes.len() as u32).to_be_bytes());
        self.0.extend(bytes);
        self
    }
}

pub(crate) fn table(pairs: &[(&str, Value<'_>)]) -> TableBuilder {
    pairs.iter().copied().collect()
}

/// A text as a field value.
pub(crate) fn text(text: &str) -> Value<'_> {
    Value::Text(text.as_bytes())
}

/// Reads arguments from the front.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    pub(crate) fn octet(&mut self) -> u8 {
        self.bytes(1)[0]
    }

    pub(crate) fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.bytes(2).try_into().expect("two bytes"))
    }

    pub(crate) fn long(&mut self) -> u32 {
        u32::from_be_bytes(self.bytes(4).try_into().expect("four bytes"))
    }

    pub(crate) fn longlong(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes(8).try_into().expect("eight bytes"))
    }

    pub(crate) fn text(&mut self) -> String {
        let length = self.octet().into();
        String::from_utf8_lossy(self.bytes(length)).into_owned()
    }
}

/// A message to publish.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) properties: PropertiesEditor,
    pub(crate) body: Vec<u8>,
    pub(crate) mandatory: bool,
}

impl Message {
    pub(crate) fn new(body: impl AsRef<[u8]>) -> Self {
        let properties = PropertiesEditor::new();
        Self { properties, body: body.as_ref().to_vec(), mandatory: false }
    }

    pub(crate) fn persistent(body: impl AsRef<[u8]>) -> Self {
        Self::new(body).with(Property::DeliveryMode, PropertyValue::Octet(2))
    }

    pub(crate) fn with(mut self, property: Property, value: PropertyValue<'_>) -> Self {
        self.properties.set(property, value).expect("a property that fits");
        self
    }

    /// Lives for `ms` milliseconds.
    pub(crate) fn ttl(self, ms: u32) -> Self {
        self.with(Property::Expiration, PropertyValue::Text(ms.to_string().as_bytes()))
    }

    pub(crate) fn header(mut self, name: &str, value: Value<'_>) -> Self {
        self.properties.set_header(name, value).expect("a header that fits");
        self
    }

    pub(crate) fn mandatory(mut self) -> Self {
        self.mandatory = true;
        self
    }
}

impl From<&str> for Message {
    fn from(body: &str) -> Self {
        Self::new(body)
    }
}

/// One frame.
pub(crate) fn frame(out: &mut Vec<u8>, kind: u8, channel: u16, payload: &[u8]) {
    out.push(kind);
    out.extend(channel.to_be_bytes());
    out.extend((payload.len() as u32).to_be_bytes());
    out.extend(payload);
    out.push(0xCE);
}

/// A method frame.
pub(crate) fn method(out: &mut Vec<u8>, channel: u16, id: Id, arguments: &Arguments) {
    let payload = Arguments::new().short(id.0).short(id.1);
    frame(out, 1, channel, &[payload.0, arguments.0.clone()].concat());
}

/// Header and body of a message, the body in frames of at most 128 KiB.
pub(crate) fn content(out: &mut Vec<u8>, channel: u16, message: &Message) {
    let properties = message.properties.as_bytes();
    let header = Arguments::new().short(60).short(0).longlong(message.body.len() as u64);
    frame(out, 2, channel, &[&header.0, properties].concat());
    message.body.chunks(131_064).for_each(|part| frame(out, 3, channel, part));
}
