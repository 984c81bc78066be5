//! basic.publish: the checks in RabbitMQ's order, routing, and what happens at the end of a chunk.

use std::sync::Arc;

use leveret_plugin::host::{Failure, FailureKind, Permission, ResourceKind};
use leveret_plugin::message::{Message as View, MessageMut};
use leveret_plugin::properties::{Properties, PropertiesEditor, Property, PropertyValue};
use leveret_protocol::{OwnedPublish, Publish, Reply, ReplyCode, encode};
use smallvec::SmallVec;

use super::Session;
use super::channel::Mode;
use super::reply_to::{REPLY_TO, token_of};
use super::targets::Target;
use crate::arguments::{expiration_ms, extra_keys};
use crate::auth::{AccessRequest, ActionRequest, Answer};
use crate::batch::{Batch, Pending, Source};
use crate::counters::Dropped;
use crate::error::{Error, Result};
use crate::journal::Ticket;
use crate::message::Message;
use crate::route_cache::{Found, RouteCache};
use crate::router::{self, Onward};
use crate::transform::Outcome as Transformed;

/// A message on its way in.
#[derive(Debug)]
pub struct Incoming<'b> {
    channel: u16,
    mandatory: bool,
    immediate: bool,
    source: Source<'b>,
}

/// Why a publish did not go through.
pub enum Refused {
    /// It was refused.
    Error(Error),
    /// Somebody who takes time must be asked first; then publish the same again.
    Ask {
        /// The message, kept.
        incoming: Box<Incoming<'static>>,
        /// The question.
        request: Box<AccessRequest>,
    },
}

/// Why an exchange may not be published to.
enum Denied {
    Error(Error),
    Ask(Box<AccessRequest>),
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
            Source::Input(publish) => Message::store(publish, is_persistent(publish.properties)),
            Source::Stored(message) => message.clone(),
        };
        Incoming {
            channel: self.channel,
            mandatory: self.mandatory,
            immediate: self.immediate,
            source: Source::Stored(message),
        }
    }

    fn exchange(&self) -> &str {
        match &self.source {
            Source::Input(publish) => publish.exchange,
            Source::Stored(message) => message.run().exchange(),
        }
    }

    fn routing_key(&self) -> &str {
        match &self.source {
            Source::Input(publish) => publish.routing_key,
            Source::Stored(message) => message.run().routing_key(),
        }
    }

    fn properties(&self) -> &[u8] {
        match &self.source {
            Source::Input(publish) => publish.properties,
            Source::Stored(message) => message.run().properties(),
        }
    }

    fn body(&self) -> &[u8] {
        match &self.source {
            Source::Input(publish) => publish.body,
            Source::Stored(message) => message.run().body(),
        }
    }

    /// Replaces parts of the message.
    fn rewrite(&mut self, routing_key: &str, properties: &[u8], body: &[u8]) {
        let message = Message::build(self.exchange(), routing_key, properties, body);
        self.source = Source::Stored(message);
    }
}

fn is_persistent(properties: &[u8]) -> bool {
    Properties::view(properties).is_ok_and(|p| p.delivery_mode() == Some(2))
}

/// Whether there is no property at all, as in the cheapest messages.
#[inline]
fn has_none(properties: &[u8]) -> bool {
    properties.len() <= 2
}

/// What the broker itself needs to know of a message's properties.
#[derive(Default)]
struct Facts {
    persistent: bool,
    expiration_ms: Option<u64>,
    asks_for_replies: bool,
}

impl Session {
    /// Takes in one message. It reaches its queues with the next [`Self::flush`].
    pub fn publish<'b>(
        &mut self,
        batch: &mut Batch<'b>,
        mut incoming: Incoming<'b>,
    ) -> Result<(), Refused> {
        if incoming.immediate {
            return Err(Error::not_implemented("immediate=true").into());
        }
        match self.admit(incoming.exchange()) {
            Ok(()) => {}
            Err(Denied::Error(error)) => return Err(error.into()),
            Err(Denied::Ask(request)) => {
                let incoming = Box::new(incoming.into_owned());
                return Err(Refused::Ask { incoming, request });
            }
        }
        let number = incoming.channel;
        if !has_none(incoming.properties()) {
            let facts = self.check_properties(incoming.properties())?;
            if facts.asks_for_replies {
                self.rewrite_reply_to(&mut incoming)?;
            }
        }
        if let Mode::Tx(transaction) = &mut self.channel(number)?.mode {
            let incoming = incoming.into_owned();
            if let Source::Stored(message) = incoming.source {
                transaction.publish(message, incoming.mandatory);
            }
            return Ok(());
        }
        Ok(self.route(batch, incoming)?)
    }

    /// Whether the exchange exists and the user may publish to it.
    #[inline]
    fn admit(&mut self, name: &str) -> Result<(), Denied> {
        let epoch = self.broker.users.epoch();
        let known = match name.is_empty() {
            true => self.targets.default_epoch == Some(epoch),
            false => self.targets.find(name, epoch).is_some(),
        };
        if known { Ok(()) } else { self.admit_first(name, epoch) }
    }

    #[cold]
    fn admit_first(&mut self, name: &str, epoch: u64) -> Result<(), Denied> {
        let resource = if name.is_empty() { "amq.default" } else { name };
        let kind = ResourceKind::Exchange;
        if !self.permissions.allows(epoch, kind, resource, Permission::Write) {
            let action =
                ActionRequest::Resource { kind, name: resource.into(), permission: Permission::Write };
            let request = self.access(action);
            match self.broker.auth.try_authorise(&request.as_access()) {
                Answer::Now(true) => {
                    self.permissions.remember(epoch, kind, resource, Permission::Write);
                }
                Answer::Now(false) => {
                    return Err(self.access_refused(kind, resource, Permission::Write).into());
                }
                Answer::Later(_) => return Err(Denied::Ask(Box::new(request))),
            }
        }
        if name.is_empty() {
            self.targets.default_epoch = Some(epoch);
            return Ok(());
        }
        let exchange = self.vhost.find_exchange(name)?;
        if exchange.declared.internal {
            return Err(Error::internal_exchange(self.vhost.name(), name).into());
        }
        let transforms = self.broker.transforms.load().publish_transforms_for(name);
        self.targets.add(exchange, transforms, epoch);
        Ok(())
    }

    /// Asks who takes time, after [`Refused::Ask`]. Then publish again.
    pub async fn ask(&mut self, request: AccessRequest) -> Result<()> {
        let epoch = self.broker.users.epoch();
        let ActionRequest::Resource { kind, name, permission } = request.action.clone() else {
            return Ok(());
        };
        if !self.broker.auth.authorise(request).await {
            return Err(self.access_refused(kind, &name, permission));
        }
        self.permissions.remember(epoch, kind, &name, permission);
        Ok(())
    }

    fn check_properties(&self, bytes: &[u8]) -> Result<Facts> {
        let Ok(properties) = Properties::view(bytes) else { return Ok(Facts::default()) };
        let asks_for_replies = properties.reply_to() == Some(REPLY_TO);
        if let Some(text) = properties.raw(Property::Expiration) {
            expiration_ms(text)?;
        }
        extra_keys(&properties.headers())?;
        if let Some(user) = properties.user_id()
            && *user != *self.identity.user
            && !self.identity.has_tag("impersonator")
        {
            let actual = &self.identity.user;
            return Err(Error::precondition(format!(
                "user_id property set to '{user}' but authenticated user was '{actual}'"
            )));
        }
        Ok(Facts { asks_for_replies, ..Facts::default() })
    }

    fn rewrite_reply_to(&mut self, incoming: &mut Incoming<'_>) -> Result<()> {
        let address = self.reply_address(incoming.channel)?;
        let malformed = |_| Error::internal("malformed properties");
        let properties = Properties::view(incoming.properties()).map_err(malformed)?;
        let mut editor = PropertiesEditor::from(properties);
        let address = PropertyValue::Text(address.as_bytes());
        editor.set(Property::ReplyTo, address).map_err(malformed)?;
        let (key, body) = (incoming.routing_key().to_owned(), incoming.body().to_owned());
        incoming.rewrite(&key, editor.as_bytes(), &body);
        Ok(())
    }

    /// Routes a message that passed the checks, and puts it into the batch.
    pub(super) fn route<'b>(
        &mut self,
        batch: &mut Batch<'b>,
        mut incoming: Incoming<'b>,
    ) -> Result<()> {
        let confirm_tag = self.number_publish(incoming.channel);
        if !self.targets.transforms(incoming.exchange().is_empty()).is_empty()
            && !self.transform(batch, &mut incoming, confirm_tag)?
        {
            return Ok(());
        }
        let facts = facts(incoming.properties());
        let (number, mandatory) = (incoming.channel, incoming.mandatory);
        let mut pending = Pending::new(incoming.source, number, facts.persistent);
        pending.mandatory = mandatory;
        pending.expiration_ms = facts.expiration_ms;
        pending.confirm_tag = confirm_tag;
        if facts.persistent && let Some(tag) = confirm_tag {
            pending.ticket = self.ticket(number, tag);
        }
        batch.pendings.push(pending);
        self.find_queues(batch)
    }

    fn number_publish(&mut self, number: u16) -> Option<u64> {
        match self.channels.get_mut(&number).map(|channel| &mut channel.mode) {
            Some(Mode::Confirm(last)) => {
                *last += 1;
                Some(*last)
            }
            _ => None,
        }
    }

    fn ticket(&self, number: u16, tag: u64) -> Option<Ticket> {
        let channel_id = self.channels.get(&number)?.id;
        Some(Ticket { outbound: self.outbound.clone(), channel: number, channel_id, tag })
    }

    /// Runs the publish transforms. Whether the message goes on.
    #[cold]
    fn transform<'b>(
        &mut self,
        batch: &mut Batch<'b>,
        incoming: &mut Incoming<'b>,
        confirm_tag: Option<u64>,
    ) -> Result<bool> {
        let view = View {
            vhost: self.vhost.name(),
            exchange: incoming.exchange(),
            routing_key: incoming.routing_key(),
            properties: incoming.properties(),
            body: incoming.body(),
            mandatory: incoming.mandatory,
            redelivered: false,
            user: &self.identity.user,
            peer: Some(self.peer),
            queue: "",
        };
        let transforms = self.targets.transforms(view.exchange.is_empty());
        if !transforms.concerns(&view) {
            return Ok(true);
        }
        let mut message = MessageMut::new(view);
        match transforms.run(&mut message) {
            Transformed::Pass { changed: false } => Ok(true),
            Transformed::Pass { changed: true } => {
                let MessageMut { routing_key, properties, body, .. } = message;
                let new = Message::build(view.exchange, &routing_key, &properties, &body);
                incoming.source = Source::Stored(new);
                Ok(true)
            }
            Transformed::Drop(_) => {
                self.broker.counters.dropped(Dropped::Transform);
                batch.pendings.push(settled_pending(incoming.channel, confirm_tag, false));
                Ok(false)
            }
            Transformed::Reject(code, text) => {
                if confirm_tag.is_none() {
                    return Err(Error::rejected(code, text));
                }
                batch.pendings.push(settled_pending(incoming.channel, confirm_tag, true));
                Ok(false)
            }
        }
    }

    /// Finds the queues of the message added last.
    #[inline]
    fn find_queues(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let Some(pending) = batch.pendings.last() else { return Ok(()) };
        let (exchange, key, properties, _) = parts(&pending.source);
        if exchange.is_empty() && has_none(properties) && token_of(key).is_none() {
            if let Some(queue) = self.targets.queue(&self.vhost, key) {
                batch.target(queue);
            }
            return Ok(());
        }
        let source = pending.source.share();
        self.find_queues_of(batch, &source)
    }

    fn find_queues_of(&mut self, batch: &mut Batch<'_>, source: &Source<'_>) -> Result<()> {
        let (exchange, key, properties, body) = parts(source);
        let mut keys: SmallVec<[&str; 4]> = SmallVec::new();
        keys.push(key);
        if !has_none(properties)
            && let Ok(properties) = Properties::view(properties)
            && let Ok(extra) = extra_keys(&properties.headers())
        {
            keys.extend(extra.iter());
        }
        if exchange.is_empty() {
            self.find_by_name(batch, &keys);
            return Ok(());
        }
        let view = View {
            vhost: self.vhost.name(),
            exchange,
            routing_key: key,
            properties,
            body,
            mandatory: false,
            redelivered: false,
            user: &self.identity.user,
            peer: Some(self.peer),
            queue: "",
        };
        let epoch = self.broker.users.epoch();
        let Some(place) = self.targets.find(exchange, epoch) else { return Ok(()) };
        let (target, cache) = self.targets.get(place);
        let found = route_from(&self.vhost, target, cache, &view, &keys, batch);
        found.or_else(|failure| self.fail_route(batch, exchange, &failure))
    }

    /// The default exchange: each key names a queue, or a requester that waits for replies.
    fn find_by_name(&mut self, batch: &mut Batch<'_>, keys: &[&str]) {
        for key in keys {
            match token_of(key) {
                Some(token) => {
                    if let Some(pending) = batch.pendings.last_mut()
                        && self.broker.requesters.deliver(token, pending)
                    {
                        pending.taken += 1;
                    }
                }
                None => {
                    if let Some(queue) = self.targets.queue(&self.vhost, key) {
                        batch.target(queue);
                    }
                }
            }
        }
    }

    /// A publish that could not be routed costs itself: a nack, or its connection.
    fn fail_route(
        &mut self,
        batch: &mut Batch<'_>,
        exchange: &str,
        failure: &Failure,
    ) -> Result<()> {
        tracing::warn!(exchange, %failure, "a message could not be routed");
        self.broker.counters.dropped(Dropped::RouteFailed);
        if failure.kind == FailureKind::Refused {
            return Err(Error::cannot_route(self.vhost.name(), exchange, &failure.text));
        }
        match batch.pendings.last_mut() {
            Some(pending) if pending.confirm_tag.is_some() => {
                pending.refused = true;
                Ok(())
            }
            _ => Err(Error::internal(&failure.text)),
        }
    }

    /// The end of a chunk of input: its messages reach their queues, its acks take effect.
    pub fn flush(&mut self, batch: &mut Batch<'_>) {
        self.finish_acks();
        if !batch.is_empty() {
            self.flush_messages(batch);
        }
    }

    /// Whether a queue refused one of the messages.
    pub(super) fn flush_messages(&mut self, batch: &mut Batch<'_>) -> bool {
        let now_ms = self.broker.clock.now_ms();
        self.issue_confirms(batch);
        for (queue, order) in batch.queues.iter().zip(&batch.orders) {
            if queue.enqueue(&mut batch.pendings, order, now_ms, &mut self.work) {
                self.crowded = Some(queue.clone());
            }
        }
        self.log_messages(batch);
        self.answer(batch);
        let refused = batch.pendings.iter().any(|pending| pending.refused);
        batch.clear();
        self.finish_work();
        refused
    }

    /// Tells the channels which confirms are due, before anybody can settle them.
    fn issue_confirms(&mut self, batch: &Batch<'_>) {
        let mut outbound = None;
        for pending in &batch.pendings {
            let Some(tag) = pending.confirm_tag else { continue };
            let outbound = outbound.get_or_insert_with(|| self.outbound.lock());
            if let Some((state, _)) = outbound.channel(pending.channel)
                && let Some(confirms) = &mut state.confirms
            {
                confirms.issue(tag);
            }
        }
    }

    /// Hands persistent messages that durable queues took to the log.
    fn log_messages(&mut self, batch: &mut Batch<'_>) {
        let wall_ms = self.broker.clock.wall_ms();
        let mut records: Vec<(Arc<crate::journal::Record>, Message)> = Vec::new();
        for pending in &mut batch.pendings {
            if let Some(record) = pending.take_record() {
                records.push((record, pending.message()));
                pending.logged = true;
            }
        }
        if records.is_empty() {
            return;
        }
        let confirms = &mut self.work.confirms;
        self.broker.journal.add(|log| {
            records.iter().for_each(|(record, message)| {
                log.enqueue(record, message, wall_ms, confirms);
            });
        });
    }

    /// Returns what was mandatory and went nowhere, then confirms what does not wait for the log.
    fn answer(&mut self, batch: &mut Batch<'_>) {
        let mut outbound = None;
        let mut confirmed: SmallVec<[u16; 4]> = SmallVec::new();
        for pending in &mut batch.pendings {
            let unroutable = pending.taken == 0 && !pending.refused && !pending.settled;
            if pending.confirm_tag.is_none() && !unroutable {
                continue;
            }
            if unroutable && !pending.mandatory {
                self.broker.counters.dropped(Dropped::Unroutable);
            }
            let outbound = outbound.get_or_insert_with(|| self.outbound.lock());
            let frame_max = outbound.frame_max;
            let number = pending.channel;
            let Some((state, out)) = outbound.channel(number) else { continue };
            if unroutable && pending.mandatory {
                let reply = Reply::bare(ReplyCode::NoRoute, (60, 40));
                encode::return_(out, number, &reply, &pending.message().run(), frame_max);
            }
            let Some((tag, confirms)) = pending.confirm_tag.zip(state.confirms.as_mut()) else {
                continue;
            };
            if pending.refused {
                confirms.refuse(tag, number, out);
            } else if !pending.logged {
                confirms.settle(tag);
            }
            if confirmed.last() != Some(&number) {
                confirmed.push(number);
            }
        }
        let Some(mut outbound) = outbound else { return };
        for number in confirmed {
            if let Some((state, out)) = outbound.channel(number)
                && let Some(confirms) = &mut state.confirms
            {
                confirms.write(number, out);
            }
        }
    }
}

/// A publish that ends before routing: dropped, or refused.
fn settled_pending<'b>(channel: u16, confirm_tag: Option<u64>, refused: bool) -> Pending<'b> {
    let mut pending = Pending::new(Source::Stored(Message::hole()), channel, false);
    pending.confirm_tag = confirm_tag;
    pending.refused = refused;
    pending.settled = true;
    pending
}

#[inline]
fn facts(bytes: &[u8]) -> Facts {
    if has_none(bytes) {
        return Facts::default();
    }
    let Ok(properties) = Properties::view(bytes) else { return Facts::default() };
    let expiration = properties.raw(Property::Expiration);
    Facts {
        persistent: properties.delivery_mode() == Some(2),
        expiration_ms: expiration.and_then(|text| expiration_ms(text).ok()),
        asks_for_replies: false,
    }
}

fn parts<'s>(source: &'s Source<'_>) -> (&'s str, &'s str, &'s [u8], &'s [u8]) {
    match source {
        Source::Input(publish) => {
            (publish.exchange, publish.routing_key, publish.properties, publish.body)
        }
        Source::Stored(message) => {
            let run = message.run();
            (run.exchange(), run.routing_key(), run.properties(), run.body())
        }
    }
}

/// Routes from an exchange that the connection knows.
#[inline]
fn route_from(
    vhost: &crate::vhost::Vhost,
    target: &mut Target,
    cache: &mut RouteCache,
    view: &View<'_>,
    keys: &[&str],
    batch: &mut Batch<'_>,
) -> Result<(), Failure> {
    let Some(snapshot) = target.snapshot.load() else {
        return Err(Failure::refused(target.exchange.missing()));
    };
    let mut onward = Onward::default();
    let mut slots = std::mem::take(&mut batch.slots);
    let mut each = |queue: &Arc<crate::queue::Queue>| batch.target(queue);
    let single = snapshot.pure && keys.len() == 1;
    let found = match if single { cache.get(snapshot.id, keys[0]) } else { Found::Nothing(None) } {
        Found::Slots(known) => Ok(router::follow(snapshot, known, &mut onward, &mut each)),
        Found::Nothing(hash) => {
            let found = router::visit(snapshot, view, keys, &mut slots, &mut onward, &mut each);
            if let (Some(hash), Ok(_)) = (hash, &found) {
                cache.offer(snapshot.id, hash, keys[0], &slots);
            }
            found
        }
    };
    let done = found.and_then(|found| {
        if !found {
            router::turn_to_alternate(vhost, &target.exchange, &mut onward);
        }
        if onward.is_empty() {
            return Ok(());
        }
        onward.started_at(&target.exchange);
        router::go_on(vhost, view, keys, &mut slots, &mut onward, &mut each)
    });
    batch.slots = slots;
    done
}
