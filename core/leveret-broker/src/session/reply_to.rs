//! Direct reply-to: a consumer without a queue. A request that names amq.rabbitmq.reply-to gets
//! an unguessable address in its place; a publish to that address goes straight to the requester.

use std::collections::HashMap;

use leveret_protocol::encode;
use leveret_protocol::methods::{basic, queue};
use parking_lot::RwLock;

use super::Session;
use super::basic::consume_ok;
use super::channel::Channel;
use crate::batch::Pending;
use crate::error::{Error, Result};
use crate::outbound::Outbound;

/// The queue name that stands for replies to this channel.
pub(super) const REPLY_TO: &str = "amq.rabbitmq.reply-to";
const ADDRESS_PREFIX: &str = "amq.rabbitmq.reply-to.";

#[derive(Debug)]
struct Requester {
    outbound: Outbound,
    channel: u16,
    channel_id: u64,
    tag: String,
}

/// Who waits for replies, by the secret part of the address.
#[derive(Debug, Default)]
pub(crate) struct Requesters(RwLock<HashMap<String, Requester>>);

impl Requesters {
    /// Delivers a reply. `false` if nobody waits under this address.
    pub(crate) fn deliver(&self, token: &str, pending: &Pending<'_>) -> bool {
        let requesters = self.0.read();
        let Some(requester) = requesters.get(token) else { return false };
        let waker = {
            let mut outbound = requester.outbound.lock();
            let frame_max = outbound.frame_max;
            let Some((state, out)) = outbound.channel(requester.channel) else { return false };
            if state.id != requester.channel_id {
                return false;
            }
            let tag = state.next_tag();
            pending.write_delivery(out, requester.channel, &requester.tag, tag, frame_max);
            outbound.take_waker()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    fn is_waiting(&self, token: &str) -> bool {
        self.0.read().contains_key(token)
    }
}

/// The secret part of a reply address.
pub(super) fn token_of(routing_key: &str) -> Option<&str> {
    routing_key.strip_prefix(ADDRESS_PREFIX)
}

impl Session {
    pub(super) fn consume_replies(&mut self, number: u16, consume: &basic::Consume) -> Result<()> {
        if !consume.no_ack {
            return Err(Error::precondition("reply consumer cannot acknowledge"));
        }
        if self.channel(number)?.reply_token.is_some() {
            return Err(Error::precondition("reply consumer already set"));
        }
        let tag = self.consumer_tag(number, consume.consumer_tag.as_str())?;
        let token = self.broker.random_name("");
        let channel = self.channel(number)?;
        channel.reply_token = Some(token.clone());
        let requester = Requester {
            channel: number,
            channel_id: channel.id,
            tag: tag.to_string(),
            outbound: self.outbound.clone(),
        };
        if !consume.nowait {
            self.outbound.send(|out| encode::method(out, number, &consume_ok(&tag)));
        }
        self.broker.requesters.0.write().insert(token, requester);
        Ok(())
    }

    /// Cancels the reply consumer of a channel if it has this tag.
    pub(super) fn cancel_replies(&mut self, number: u16, tag: &str) {
        let Ok(channel) = self.channel(number) else { return };
        let Some(token) = channel.reply_token.clone() else { return };
        let is_its = self.broker.requesters.0.read().get(&token).is_some_and(|r| r.tag == tag);
        if is_its {
            self.broker.requesters.0.write().remove(&token);
            if let Ok(channel) = self.channel(number) {
                channel.reply_token = None;
            }
        }
    }

    pub(super) fn forget_reply_token(&self, channel: &Channel) {
        if let Some(token) = &channel.reply_token {
            self.broker.requesters.0.write().remove(token);
        }
    }

    /// The address that takes the place of amq.rabbitmq.reply-to in a request.
    pub(super) fn reply_address(&mut self, number: u16) -> Result<String> {
        match &self.channel(number)?.reply_token {
            Some(token) => Ok(format!("{ADDRESS_PREFIX}{token}")),
            None => Err(Error::precondition("fast reply consumer does not exist")),
        }
    }

    /// queue.declare on a reply address asks whether the requester is still there.
    pub(super) fn declare_reply_queue(&self, name: &str) -> Option<Result<queue::DeclareOk>> {
        let is_own = name == REPLY_TO;
        let token = token_of(name);
        if !is_own && token.is_none() {
            return None;
        }
        let waits = is_own || token.is_some_and(|token| self.broker.requesters.is_waiting(token));
        if !waits {
            return Some(Err(Error::queue_not_found(self.vhost.name(), name)));
        }
        Some(Ok(queue::DeclareOk { queue: name.into(), message_count: 0, consumer_count: 1 }))
    }
}
