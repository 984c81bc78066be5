//! The properties of a content header of class basic (AMQP 0-9-1, 4.2.6.1): a view that allocates
//! nothing, and an editor.

use crate::table::{Table, TableBuilder};
use crate::value::{Malformed, Value, encode_long, fixed};

/// The properties of class basic in the order in which they are written; the number is also the
/// distance of the property's flag from the highest bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Property {
    /// MIME type.
    ContentType = 0,
    /// MIME content encoding.
    ContentEncoding = 1,
    /// Table of headers.
    Headers = 2,
    /// 1: transient, 2: persistent.
    DeliveryMode = 3,
    /// 0 to 255.
    Priority = 4,
    /// Id of the request that this answers.
    CorrelationId = 5,
    /// Where to send answers.
    ReplyTo = 6,
    /// Milliseconds to live, in decimal digits.
    Expiration = 7,
    /// Id of the message.
    MessageId = 8,
    /// Seconds since 1970-01-01 UTC.
    Timestamp = 9,
    /// Name of the type of message.
    Type = 10,
    /// User who published it.
    UserId = 11,
    /// Program that published it.
    AppId = 12,
    /// Deprecated by the specification, carried all the same.
    ClusterId = 13,
}

/// How many there are.
const COUNT: usize = 14;

impl Property {
    /// All of them, in the order of the wire.
    pub const ALL: [Self; COUNT] = [
        Self::ContentType,
        Self::ContentEncoding,
        Self::Headers,
        Self::DeliveryMode,
        Self::Priority,
        Self::CorrelationId,
        Self::ReplyTo,
        Self::Expiration,
        Self::MessageId,
        Self::Timestamp,
        Self::Type,
        Self::UserId,
        Self::AppId,
        Self::ClusterId,
    ];

    /// AMQP's name with `_`, such as `content_type`.
    pub const fn name(self) -> &'static str {
        const NAMES: [&str; COUNT] = [
            "content_type",
            "content_encoding",
            "headers",
            "delivery_mode",
            "priority",
            "correlation_id",
            "reply_to",
            "expiration",
            "message_id",
            "timestamp",
            "type",
            "user_id",
            "app_id",
            "cluster_id",
        ];
        NAMES[self as usize]
    }

    /// The property with this [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|property| property.name() == name)
    }

    const fn flag(self) -> u16 {
        0x8000 >> self as u8
    }

    /// Bytes of the property at the start of `rest`.
    fn len(self, rest: &[u8]) -> Option<usize> {
        Some(match self {
            Self::Headers => 4usize.checked_add(u32::from_be_bytes(fixed(rest)?) as usize)?,
            Self::DeliveryMode | Self::Priority => 1,
            Self::Timestamp => 8,
            _ => 1 + usize::from(*rest.first()?),
        })
    }
}

/// A property list: flags and values, as on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Properties<'a> {
    bytes: &'a [u8],
    flags: u16,
    /// Where each property that is there begins.
    starts: [u32; COUNT],
}

impl<'a> Properties<'a> {
    /// Checks all of `bytes`, the headers too.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let properties = Self::view(bytes)?;
        if let Some(headers) = properties.raw(Property::Headers) {
            Table::parse(headers)?;
        }
        Ok(properties)
    }

    /// Finds the properties in bytes whose headers were checked before, and checks the rest.
    #[inline]
    pub fn view(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let flags = fixed(bytes).map(u16::from_be_bytes);
        let flags = flags.ok_or(Malformed::new("missing property flags", 0))?;
        if flags & 3 != 0 {
            return Err(Malformed::new("unknown property flags", 0));
        }
        let mut starts = [0; COUNT];
        let mut at = 2;
        let mut left = flags;
        while left != 0 {
            let index = left.leading_zeros() as usize;
            left &= !(0x8000 >> index);
            starts[index] = at as u32;
            let rest = bytes.get(at..).unwrap_or(&[]);
            let length = Property::ALL[index].len(rest).filter(|length| *length <= rest.len());
            at += length.ok_or(Malformed::new("property is cut off", at))?;
        }
        if at != bytes.len() || u32::try_from(at).is_err() {
            return Err(Malformed::new("bytes after the last property", at));
        }
        Ok(Self { bytes, flags, starts })
    }

    /// No property at all.
    pub const fn empty() -> Properties<'static> {
        Properties { bytes: &[0, 0], flags: 0, starts: [0; COUNT] }
    }

    /// Flags and values, as on the wire.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the property is there.
    pub const fn has(&self, property: Property) -> bool {
        self.flags & property.flag() != 0
    }

    /// The value without its length: the bytes of a short string, the pairs of the headers, the
    /// octets of a number.
    #[inline]
    pub fn raw(&self, property: Property) -> Option<&'a [u8]> {
        if !self.has(property) {
            return None;
        }
        let rest = self.bytes.get(self.starts[property as usize] as usize..)?;
        let value = rest.get(..property.len(rest)?)?;
        match property {
            Property::Headers => value.get(4..),
            Property::DeliveryMode | Property::Priority | Property::Timestamp => Some(value),
            _ => value.get(1..),
        }
    }

    /// A short string, if it is there and UTF-8.
    pub fn text(&self, property: Property) -> Option<&'a str> {
        std::str::from_utf8(self.raw(property)?).ok()
    }

    fn octet(&self, property: Property) -> Option<u8> {
        self.raw(property)?.first().copied()
    }

    /// The headers; an empty table if there are none.
    pub fn headers(&self) -> Table<'a> {
        self.raw(Property::Headers).map_or(Table::new(&[]), Table::new)
    }

    /// The value of one header.
    pub fn header(&self, name: impl AsRef<[u8]>) -> Option<Value<'a>> {
        self.headers().get(name)
    }

    /// MIME type.
    pub fn content_type(&self) -> Option<&'a str> {
        self.text(Property::ContentType)
    }

    /// MIME content encoding.
    pub fn content_encoding(&self) -> Option<&'a str> {
        self.text(Property::ContentEncoding)
    }

    /// 1: transient, 2: persistent.
    pub fn delivery_mode(&self) -> Option<u8> {
        self.octet(Property::DeliveryMode)
    }

    /// Priority.
    pub fn priority(&self) -> Option<u8> {
        self.octet(Property::Priority)
    }

    /// Id of the request that this answers.
    pub fn correlation_id(&self) -> Option<&'a str> {
        self.text(Property::CorrelationId)
    }

    /// Where to send answers.
    pub fn reply_to(&self) -> Option<&'a str> {
        self.text(Property::ReplyTo)
    }

    /// Milliseconds to live, in decimal digits.
    pub fn expiration(&self) -> Option<&'a str> {
        self.text(Property::Expiration)
    }

    /// Id of the message.
    pub fn message_id(&self) -> Option<&'a str> {
        self.text(Property::MessageId)
    }

    /// Seconds since 1970-01-01 UTC.
    pub fn timestamp(&self) -> Option<u64> {
        self.raw(Property::Timestamp).and_then(fixed).map(u64::from_be_bytes)
    }

    /// Name of the type of message (`type` in AMQP).
    pub fn type_name(&self) -> Option<&'a str> {
        self.text(Property::Type)
    }

    /// User who published it.
    pub fn user_id(&self) -> Option<&'a str> {
        self.text(Property::UserId)
    }

    /// Program that published it.
    pub fn app_id(&self) -> Option<&'a str> {
        self.text(Property::AppId)
    }

    /// Deprecated by the specification.
    pub fn cluster_id(&self) -> Option<&'a str> {
        self.text(Property::ClusterId)
    }
}

/// The value of a property, as given to [`PropertiesEditor::set`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyValue<'a> {
    /// For short strings; at most 255 bytes.
    Text(&'a [u8]),
    /// For delivery_mode and priority.
    Octet(u8),
    /// For timestamp: seconds since 1970-01-01 UTC.
    Timestamp(u64),
    /// For headers: pairs of a field table.
    Headers(&'a [u8]),
}

/// Changes a property list; what is not touched stays byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertiesEditor(Vec<u8>);

impl PropertiesEditor {
    /// Starts from no property.
    pub fn new() -> Self {
        Self(vec![0, 0])
    }

    /// Adds or replaces a property. Fails if the value is of another type or too long.
    pub fn set(&mut self, property: Property, value: PropertyValue<'_>) -> Result<(), Malformed> {
        let encoded = encode(property, value)?;
        self.put(property, Some(&encoded))
    }

    /// Removes a property, if it is there.
    pub fn remove(&mut self, property: Property) -> Result<(), Malformed> {
        self.put(property, None)
    }

    /// Adds or replaces a header.
    pub fn set_header(
        &mut self,
        name: impl AsRef<[u8]>,
        value: Value<'_>,
    ) -> Result<(), Malformed> {
        let mut headers = TableBuilder::from(Properties::view(&self.0)?.headers());
        headers.set(name, value)?;
        self.set(Property::Headers, PropertyValue::Headers(headers.table().as_bytes()))
    }

    /// Removes a header, if it is there. An empty table stays behind.
    pub fn remove_header(&mut self, name: impl AsRef<[u8]>) -> Result<(), Malformed> {
        let mut headers = TableBuilder::from(Properties::view(&self.0)?.headers());
        match headers.remove(name) {
            None => Ok(()),
            Some(_) => {
                self.set(Property::Headers, PropertyValue::Headers(headers.table().as_bytes()))
            }
        }
    }

    /// The list as it stands.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The list as it stands.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn put(&mut self, property: Property, value: Option<&[u8]>) -> Result<(), Malformed> {
        let old = Properties::view(&self.0)?;
        let flags = old.flags & !property.flag();
        let (start, end) = place(&old, property);
        self.0.splice(start..end, value.unwrap_or_default().iter().copied());
        let flags = if value.is_some() { flags | property.flag() } else { flags };
        self.0[..2].copy_from_slice(&flags.to_be_bytes());
        Ok(())
    }
}

impl Default for PropertiesEditor {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Properties<'_>> for PropertiesEditor {
    fn from(properties: Properties<'_>) -> Self {
        Self(properties.bytes.to_vec())
    }
}

/// Where a property begins and ends in the list; an empty range where it would be, if it is not.
fn place(list: &Properties<'_>, property: Property) -> (usize, usize) {
    let start = Property::ALL
        .into_iter()
        .filter(|later| *later as u8 >= property as u8 && list.has(*later))
        .map(|later| list.starts[later as usize] as usize)
        .next()
        .unwrap_or(list.bytes.len());
    let length = if list.has(property) { property.len(&list.bytes[start..]) } else { None };
    (start, start + length.unwrap_or(0))
}

fn encode(property: Property, value: PropertyValue<'_>) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::new();
    match (property, value) {
        (Property::Headers, PropertyValue::Headers(pairs)) => {
            Table::parse(pairs)?;
            encode_long(pairs, &mut out);
        }
        (Property::DeliveryMode | Property::Priority, PropertyValue::Octet(octet)) => {
            out.push(octet);
        }
        (Property::Timestamp, PropertyValue::Timestamp(secs)) => out.extend(secs.to_be_bytes()),
        (
            Property::Headers | Property::DeliveryMode | Property::Priority | Property::Timestamp,
            _,
        ) => return Err(Malformed::new("property value of a wrong type", 0)),
        (_, PropertyValue::Text(text)) => {
            let length = u8::try_from(text.len());
            out.push(length.map_err(|_| Malformed::new("property longer than 255 bytes", 0))?);
            out.extend_from_slice(text);
        }
        _ => return Err(Malformed::new("property value of a wrong type", 0)),
    }
    Ok(out)
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
