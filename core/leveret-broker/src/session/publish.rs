//! basic.publish: who may publish what to where, checked in RabbitMQ's order. Where a message goes
//! is in `route.rs`, how it gets there in `flush.rs`.

use std::pin::Pin;

use leveret_plugin::host::{Permission, ResourceKind};
use leveret_plugin::properties::{Properties, PropertiesEditor, Property, PropertyValue};
use leveret_protocol::Publish;

use super::Session;
use super::channel::Mode;
use super::incoming::{Incoming, has_none};
use super::reply_to::REPLY_TO;
use crate::arguments::{expiration_ms, extra_keys};
use crate::auth::{ActionRequest, Answer};
use crate::batch::{Batch, Source};
use crate::error::{Error, Result};

/// Why a publish did not go through.
pub enum Refused {
    /// It was refused.
    Error(Error),
    /// Somebody who takes time was asked first: wait for it with [`Session::wait_for`], then
    /// publish the same again.
    Ask {
        /// The message, kept.
        incoming: Box<Incoming<'static>>,
        /// The question.
        question: Box<Question>,
    },
}

/// Whether the user may write to an exchange: asked, and not answered yet.
pub struct Question {
    /// As permissions name it.
    exchange: Box<str>,
    /// The state of users and permissions in which it was asked.
    epoch: u64,
    answer: Pin<Box<dyn Future<Output = bool> + Send>>,
}

/// Why an exchange may not be published to.
enum Denied {
    Error(Error),
    Ask(Box<Question>),
}

impl Denied {
    #[cold]
    fn refuse(self, incoming: Incoming<'_>) -> Refused {
        match self {
            Self::Error(error) => Refused::Error(error),
            Self::Ask(question) => {
                Refused::Ask { incoming: Box::new(incoming.into_owned()), question }
            }
        }
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Session {
    /// Takes in one message that lies in the input. It reaches its queues with the next
    /// [`Self::flush`].
    #[inline]
    pub fn publish_input<'b>(
        &mut self,
        batch: &mut Batch<'b>,
        publish: &Publish<'b>,
    ) -> Result<(), Refused> {
        let name = publish.exchange_bytes();
        let is_default = name.is_empty();
        if publish.immediate {
            return self.publish(batch, Incoming::from(*publish));
        }
        let place = match self.admit(name) {
            Ok(place) => place,
            Err(denied) => return Err(denied.refuse(Incoming::from(*publish))),
        };
        if !self.targets.transforms(is_default).is_empty() {
            return self.publish(batch, Incoming::from(*publish));
        }
        let is_changed =
            !has_none(publish.properties()) && self.check_properties(publish.properties())?;
        let confirm = match &mut self.channel(publish.channel)?.mode {
            _ if is_changed => return self.publish(batch, Incoming::from(*publish)),
            Mode::Plain => None,
            Mode::Confirm(last) => {
                *last += 1;
                Some(*last)
            }
            Mode::Tx(_) => return self.publish(batch, Incoming::from(*publish)),
        };
        Ok(self.route_input(batch, publish, place, confirm)?)
    }

    /// Takes in one message. It reaches its queues with the next [`Self::flush`].
    pub fn publish<'b>(
        &mut self,
        batch: &mut Batch<'b>,
        mut incoming: Incoming<'b>,
    ) -> Result<(), Refused> {
        if incoming.immediate {
            return Err(Error::not_implemented("immediate=true").into());
        }
        if let Err(denied) = self.admit(incoming.exchange().as_bytes()) {
            return Err(denied.refuse(incoming));
        }
        let number = incoming.channel;
        if !has_none(incoming.properties()) && self.check_properties(incoming.properties())? {
            self.rewrite_reply_to(&mut incoming)?;
        }
        let confirm = match &mut self.channel(number)?.mode {
            Mode::Plain => None,
            Mode::Confirm(last) => {
                *last += 1;
                Some(*last)
            }
            Mode::Tx(transaction) => {
                let incoming = incoming.into_owned();
                if let Source::Stored(message) = incoming.source {
                    transaction.publish(message, incoming.mandatory);
                }
                return Ok(());
            }
        };
        Ok(self.route(batch, incoming, confirm)?)
    }

    /// Whether the exchange exists and the user may publish to it; its place among the targets, or
    /// none for the default exchange.
    #[inline]
    fn admit(&mut self, name: &[u8]) -> Result<Option<usize>, Denied> {
        let epoch = self.broker.users.epoch();
        if name.is_empty() && self.targets.default_epoch == Some(epoch) {
            return Ok(None);
        }
        match self.targets.find(name, epoch) {
            Some(place) => Ok(Some(place)),
            None => self.admit_first(std::str::from_utf8(name).unwrap_or_default(), epoch),
        }
    }

    #[cold]
    fn admit_first(&mut self, name: &str, epoch: u64) -> Result<Option<usize>, Denied> {
        let resource = if name.is_empty() { "amq.default" } else { name };
        let kind = ResourceKind::Exchange;
        if !self.permissions.allows(epoch, kind, resource, Permission::Write) {
            let action = ActionRequest::Resource {
                kind,
                name: resource.into(),
                permission: Permission::Write,
            };
            let request = self.access(action);
            match self.broker.auth.try_authorise(&request.as_access()) {
                Answer::Now(true) => {
                    self.permissions.remember(epoch, kind, resource, Permission::Write);
                }
                Answer::Now(false) => {
                    return Err(self.access_refused(kind, resource, Permission::Write).into());
                }
                Answer::Later(answer) => {
                    let question = Question { exchange: resource.into(), epoch, answer };
                    return Err(Denied::Ask(Box::new(question)));
                }
            }
        }
        if name.is_empty() {
            self.targets.default_epoch = Some(epoch);
            return Ok(None);
        }
        let exchange = self.vhost.find_exchange(name)?;
        if exchange.declared.internal {
            return Err(Error::internal_exchange(self.vhost.name(), name).into());
        }
        let transforms = self.broker.transforms.load().publish_transforms_for(name);
        Ok(Some(self.targets.add(exchange, transforms, epoch)))
    }

    /// Waits for the answer, after [`Refused::Ask`]. Then publish again.
    pub async fn wait_for(&mut self, question: Question) -> Result<()> {
        let Question { exchange, epoch, answer } = question;
        let (kind, permission) = (ResourceKind::Exchange, Permission::Write);
        if !answer.await {
            return Err(self.access_refused(kind, &exchange, permission));
        }
        self.permissions.remember(epoch, kind, &exchange, permission);
        Ok(())
    }

    /// Refuses what the broker itself cannot accept. Whether it has to change the message: one that
    /// asks for replies to a consumer without a queue, or has a header that nobody may see.
    fn check_properties(&self, bytes: &[u8]) -> Result<bool> {
        let Ok(properties) = Properties::view(bytes) else { return Ok(false) };
        if let Some(text) = properties.raw(Property::Expiration) {
            expiration_ms(text)?;
        }
        let hides = extra_keys(&properties.headers())?.hidden().is_some();
        if let Some(user) = properties.user_id()
            && *user != *self.identity.user
            && !self.identity.has_tag("impersonator")
        {
            let actual = &self.identity.user;
            return Err(Error::precondition(format!(
                "user_id property set to '{user}' but authenticated user was '{actual}'"
            )));
        }
        Ok(hides || properties.reply_to() == Some(REPLY_TO))
    }

    fn rewrite_reply_to(&mut self, incoming: &mut Incoming<'_>) -> Result<()> {
        let malformed = |_| Error::internal("malformed properties");
        let properties = Properties::view(incoming.properties()).map_err(malformed)?;
        if properties.reply_to() != Some(REPLY_TO) {
            return Ok(());
        }
        let address = self.reply_address(incoming.channel)?;
        let mut editor = PropertiesEditor::from(properties);
        let address = PropertyValue::Text(address.as_bytes());
        editor.set(Property::ReplyTo, address).map_err(malformed)?;
        let (key, body) = (incoming.routing_key().to_owned(), incoming.body().to_owned());
        incoming.rewrite(&key, editor.as_bytes(), &body);
        Ok(())
    }
}
