//! Messages and bindings as extensions see them: borrowed, and read only where asked.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::host::Slot;
use crate::properties::Properties;
use crate::table::Table;
use crate::value::Value;

/// A message on its way, borrowed for one call. Nothing is decoded until it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Virtual host.
    pub vhost: &'a str,
    /// Exchange that the message was published to.
    pub exchange: &'a str,
    /// Routing key.
    pub routing_key: &'a str,
    /// Property flags and property list of the content header, as on the wire (AMQP 0-9-1, 4.2.6.1).
    pub properties: &'a [u8],
    /// The whole body.
    pub body: &'a [u8],
    /// Whether basic.publish said mandatory.
    pub mandatory: bool,
    /// Whether this is a redelivery (deliver only).
    pub redelivered: bool,
    /// User of the connection: the publisher's, or the consumer's at delivery.
    pub user: &'a str,
    /// Peer address of that connection, where there is one.
    pub peer: Option<IpAddr>,
    /// Queue that it is delivered from (deliver only), else empty.
    pub queue: &'a str,
}

impl<'a> Message<'a> {
    /// The properties, to be read one by one; none at all if they are malformed.
    pub fn properties(&self) -> Properties<'a> {
        Properties::view(self.properties).unwrap_or(Properties::empty())
    }

    /// The value of one header.
    pub fn header(&self, name: impl AsRef<[u8]>) -> Option<Value<'a>> {
        self.properties().header(name)
    }
}

/// A message that a transform may change; what it leaves alone is not copied.
#[derive(Clone, Debug)]
pub struct MessageMut<'a> {
    /// The message as it came.
    pub original: Message<'a>,
    /// Routing key, used for routing at publish and shown to the consumer at delivery.
    pub routing_key: Cow<'a, str>,
    /// Property flags and list.
    pub properties: Cow<'a, [u8]>,
    /// Body.
    pub body: Cow<'a, [u8]>,
}

impl<'a> MessageMut<'a> {
    /// A message that nobody has changed yet.
    pub fn new(original: Message<'a>) -> Self {
        Self {
            original,
            routing_key: Cow::Borrowed(original.routing_key),
            properties: Cow::Borrowed(original.properties),
            body: Cow::Borrowed(original.body),
        }
    }

    /// Whether anything was replaced.
    pub fn is_changed(&self) -> bool {
        matches!(self.routing_key, Cow::Owned(_))
            || matches!(self.properties, Cow::Owned(_))
            || matches!(self.body, Cow::Owned(_))
    }

    /// The message as it stands now.
    pub fn view(&self) -> Message<'_> {
        Message {
            routing_key: &self.routing_key,
            properties: &self.properties,
            body: &self.body,
            ..self.original
        }
    }
}

/// A binding, borrowed for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The number to push when a message is for this destination.
    pub slot: Slot,
    /// Binding key.
    pub key: &'a str,
    /// Binding arguments: the pairs of a field table without the length in front.
    pub arguments: &'a [u8],
    /// Name of the queue or exchange that is bound.
    pub destination: &'a str,
    /// Whether the destination is an exchange.
    pub to_exchange: bool,
}

impl<'a> Binding<'a> {
    /// The arguments, to be read one by one.
    pub const fn table(&self) -> Table<'a> {
        Table::new(self.arguments)
    }
}
