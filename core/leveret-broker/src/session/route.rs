//! Where a message goes: publish transforms, then the exchange's plugin, then what follows from its
//! answer. Here a message is routed.

use std::sync::Arc;

use leveret_plugin::host::{Failure, FailureKind};
use leveret_plugin::message::{Message as View, MessageMut};
use leveret_plugin::properties::{Properties, PropertiesEditor, Property};
use leveret_protocol::Publish;
use smallvec::SmallVec;

use super::Session;
use super::incoming::{Incoming, has_none};
use super::reply_to::token_of;
use super::targets::Target;
use crate::arguments::{expiration_ms, extra_keys};
use crate::batch::{Batch, Pending, Source};
use crate::counters::Dropped;
use crate::error::{Error, Result};
use crate::journal::Ticket;
use crate::message::Message;
use crate::queue::Queue;
use crate::route_cache::{Found, RouteCache};
use crate::router::{self, Onward};
use crate::transform::Outcome as Transformed;
use crate::vhost::Vhost;

/// What the broker itself needs to know of a message's properties.
#[derive(Default)]
struct Facts {
    persistent: bool,
    expiration_ms: Option<u64>,
}

impl Session {
    /// Routes a message that passed the checks, and puts it into the batch. `confirm_tag` is its
    /// number on a channel in confirm mode.
    pub(super) fn route<'b>(
        &mut self,
        batch: &mut Batch<'b>,
        mut incoming: Incoming<'b>,
        confirm_tag: Option<u64>,
    ) -> Result<()> {
        if !self.targets.transforms(incoming.exchange().is_empty()).is_empty()
            && !self.transform(batch, &mut incoming, confirm_tag)?
        {
            return Ok(());
        }
        let facts = facts(incoming.properties());
        let (number, mandatory) = (incoming.channel, incoming.mandatory);
        let kept = incoming.source.share();
        let parts = Parts::of(&kept);
        let source = hide_keys(parts).map_or(incoming.source, Source::Stored);
        let mut pending = Pending::new(source, number, facts.persistent);
        pending.mandatory = mandatory;
        self.add(batch, pending, &facts, confirm_tag);
        let place = self.targets.find(parts.exchange.as_bytes(), self.broker.users.epoch());
        self.find_queues(batch, place, parts)
    }

    /// As [`Self::route`] for a message in the input that no transform is concerned with: what most
    /// messages are. It is copied once, into the batch. `place` is that of its exchange.
    #[inline]
    pub(super) fn route_input<'b>(
        &mut self,
        batch: &mut Batch<'b>,
        publish: &Publish<'b>,
        place: Option<usize>,
        confirm_tag: Option<u64>,
    ) -> Result<()> {
        let facts = facts(publish.properties());
        let source = Source::Input(*publish);
        let mut pending = Pending::new(source, publish.channel, facts.persistent);
        pending.mandatory = publish.mandatory;
        self.add(batch, pending, &facts, confirm_tag);
        if has_none(publish.properties()) && self.find_known(batch, place, publish) {
            return Ok(());
        }
        self.find_queues(batch, place, Parts::of_input(publish))
    }

    #[inline(always)]
    fn add<'b>(
        &mut self,
        batch: &mut Batch<'b>,
        mut pending: Pending<'b>,
        facts: &Facts,
        confirm_tag: Option<u64>,
    ) {
        pending.expiration_ms = facts.expiration_ms;
        pending.confirm_tag = confirm_tag;
        if facts.persistent
            && let Some(tag) = confirm_tag
        {
            pending.ticket = self.ticket(pending.channel, tag);
        }
        batch.pendings.push(pending);
    }

    fn ticket(&mut self, number: u16, tag: u64) -> Option<Box<Ticket>> {
        let channel_id = self.channels.get_mut(number)?.id;
        let outbound = self.outbound.clone();
        Some(Box::new(Ticket { outbound, channel: number, channel_id, tag }))
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

    /// Finds the queues of the message added last if that takes no more than a look at what this
    /// connection has routed before. Whether it did.
    #[inline]
    fn find_known(
        &mut self,
        batch: &mut Batch<'_>,
        place: Option<usize>,
        publish: &Publish<'_>,
    ) -> bool {
        let key = publish.routing_key_bytes();
        let Some(place) = place else {
            let queue = self.targets.known_queue(key);
            return queue.map(|queue| batch.target(queue)).is_some();
        };
        let (target, cache) = self.targets.get(place);
        let Some(snapshot) = target.snapshot.load() else { return false };
        match cache.repeated(snapshot.id, key) {
            Some(slots) => router::follow_queues(snapshot, slots, |queue| batch.target(queue)),
            None => false,
        }
    }

    /// Finds the queues of the message added last.
    fn find_queues(
        &mut self,
        batch: &mut Batch<'_>,
        place: Option<usize>,
        parts: Parts<'_>,
    ) -> Result<()> {
        if !has_none(parts.properties)
            && let Ok(properties) = Properties::view(parts.properties)
            && let Ok(extra) = extra_keys(&properties.headers())
            && !extra.is_empty()
        {
            let keys: SmallVec<[&str; 4]> =
                std::iter::once(parts.routing_key).chain(extra.iter()).collect();
            return self.find_queues_under(batch, place, parts, &keys);
        }
        self.find_queues_under(batch, place, parts, &[parts.routing_key])
    }

    #[inline]
    fn find_queues_under(
        &mut self,
        batch: &mut Batch<'_>,
        place: Option<usize>,
        parts: Parts<'_>,
        keys: &[&str],
    ) -> Result<()> {
        let Some(place) = place else {
            if parts.exchange.is_empty() {
                self.find_by_name(batch, keys);
            }
            return Ok(());
        };
        let (vhost, user, peer) = (&self.vhost, &self.identity.user, self.peer);
        let view = || View {
            vhost: vhost.name(),
            exchange: parts.exchange,
            routing_key: parts.routing_key,
            properties: parts.properties,
            body: parts.body,
            mandatory: false,
            redelivered: false,
            user,
            peer: Some(peer),
            queue: "",
        };
        let (target, cache) = self.targets.get(place);
        let found = route_from(&self.vhost, target, cache, view, keys, batch);
        found.or_else(|failure| self.fail_route(batch, parts.exchange, &failure))
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
                    if let Some(queue) = self.targets.queue(&self.vhost, key.as_bytes()) {
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
        if let Some(pending) = batch.pendings.last_mut() {
            pending.settled = true;
        }
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
    }
}

/// What routing looks at.
#[derive(Clone, Copy)]
struct Parts<'s> {
    exchange: &'s str,
    routing_key: &'s str,
    properties: &'s [u8],
    body: &'s [u8],
}

impl<'s> Parts<'s> {
    #[inline]
    fn of_input(publish: &Publish<'s>) -> Self {
        Self {
            exchange: publish.exchange(),
            routing_key: publish.routing_key(),
            properties: publish.properties(),
            body: publish.body(),
        }
    }

    fn of(source: &'s Source<'_>) -> Self {
        match source {
            Source::Input(publish) => Self::of_input(publish),
            Source::Stored(message) => {
                let run = message.run();
                let (exchange, routing_key) = (run.exchange(), run.routing_key());
                Self { exchange, routing_key, properties: run.properties(), body: run.body() }
            }
        }
    }
}

/// The message without the header BCC, if it has one.
fn hide_keys(parts: Parts<'_>) -> Option<Message> {
    let Parts { exchange, routing_key, properties, body } = parts;
    if has_none(properties) {
        return None;
    }
    let properties = Properties::view(properties).ok()?;
    let keys = extra_keys(&properties.headers()).ok()?.hidden()?;
    let mut editor = PropertiesEditor::from(properties);
    editor.remove_header("BCC").ok()?;
    Some(Message::build(exchange, routing_key, editor.as_bytes(), body).hiding(keys))
}

/// Routes from an exchange that the connection knows.
#[inline]
fn route_from<'v>(
    vhost: &Vhost,
    target: &mut Target,
    cache: &mut RouteCache,
    view: impl Fn() -> View<'v>,
    keys: &[&str],
    batch: &mut Batch<'_>,
) -> Result<(), Failure> {
    let Some(snapshot) = target.snapshot.load() else {
        return Err(Failure::refused(target.exchange.missing()));
    };
    let mut onward = Onward::default();
    let mut slots = std::mem::take(&mut batch.slots);
    let mut each = |queue: &Arc<Queue>| batch.target(queue);
    let single = snapshot.pure && keys.len() == 1;
    let found = match if single {
        cache.get(snapshot.id, keys[0].as_bytes())
    } else {
        Found::Nothing(None)
    } {
        Found::Slots(known) => Ok(router::follow(snapshot, known, &mut onward, &mut each)),
        Found::Nothing(hash) => {
            let found = router::visit(snapshot, &view(), keys, &mut slots, &mut onward, &mut each);
            if let (Some(hash), Ok(_)) = (hash, &found) {
                cache.offer(snapshot.id, hash, keys[0].as_bytes(), &slots);
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
        router::go_on(vhost, &view(), keys, &mut slots, &mut onward, &mut each)
    });
    batch.slots = slots;
    done
}
