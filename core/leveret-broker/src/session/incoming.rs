//! A message between the wire and its queues: as it lies in the input, or kept.

use leveret_plugin::properties::Properties;
use leveret_protocol::{OwnedPublish, Publish};

use crate::batch::Source;
use crate::message::Message;

/// A message on its way in.
#[derive(Debug)]
pub struct Incoming<'b> {
    pub(super) channel: u16,
    pub(super) mandatory: bool,
    pub(super) immediate: bool,
    pub(super) source: Source<'b>,
}

impl<'b> From<Publish<'b>> for Incoming<'b> {
    #[inline]
    fn from(publish: Publish<'b>) -> Self {
        Self {
            channel: publish.channel,
            mandatory: publish.mandatory,
            immediate: publish.immediate,
            source: Source::Input(publish),
        }
    }
}

impl From<OwnedPublish> for Incoming<'_> {
    fn from(publish: OwnedPublish) -> Self {
        Self {
            channel: publish.channel,
            mandatory: publish.mandatory,
            immediate: publish.immediate,
            source: Source::Stored(Message::from_owned(publish)),
        }
    }
}

impl Incoming<'_> {
    /// A message that waited for tx.commit.
    pub(super) fn stored(channel: u16, message: Message, mandatory: bool) -> Self {
        Self { channel, mandatory, immediate: false, source: Source::Stored(message) }
    }

    /// The channel it was published on.
    pub fn channel(&self) -> u16 {
        self.channel
    }

    /// The same, kept independently of the input.
    pub fn into_owned(mut self) -> Incoming<'static> {
        let message = match &mut self.source {
            Source::Input(publish) => Message::store(publish, is_persistent(publish.properties())),
            Source::Stored(message) => message.clone(),
        };
        Incoming {
            channel: self.channel,
            mandatory: self.mandatory,
            immediate: self.immediate,
            source: Source::Stored(message),
        }
    }

    pub(super) fn exchange(&self) -> &str {
        match &self.source {
            Source::Input(publish) => publish.exchange(),
            Source::Stored(message) => message.run().exchange(),
        }
    }

    pub(super) fn routing_key(&self) -> &str {
        match &self.source {
            Source::Input(publish) => publish.routing_key(),
            Source::Stored(message) => message.run().routing_key(),
        }
    }

    pub(super) fn properties(&self) -> &[u8] {
        match &self.source {
            Source::Input(publish) => publish.properties(),
            Source::Stored(message) => message.run().properties(),
        }
    }

    pub(super) fn body(&self) -> &[u8] {
        match &self.source {
            Source::Input(publish) => publish.body(),
            Source::Stored(message) => message.run().body(),
        }
    }

    /// Replaces parts of the message.
    pub(super) fn rewrite(&mut self, routing_key: &str, properties: &[u8], body: &[u8]) {
        let message = Message::build(self.exchange(), routing_key, properties, body);
        self.source = Source::Stored(message);
    }
}

fn is_persistent(properties: &[u8]) -> bool {
    Properties::view(properties).is_ok_and(|p| p.delivery_mode() == Some(2))
}

/// Whether there is no property at all, as in the cheapest messages.
#[inline]
pub(super) fn has_none(properties: &[u8]) -> bool {
    properties.len() <= 2
}
