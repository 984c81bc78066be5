//! Channels: opening, closing, confirm mode, flow.

use std::sync::Arc;

use leveret_protocol::methods::{AMQPClass, channel, confirm};

use super::Session;
use super::tx::Transaction;
use crate::channel_state::ChannelState;
use crate::confirm::Confirms;
use crate::error::{Error, Result};
use crate::queue::Outcome;

/// What a channel is switched to.
#[derive(Debug)]
pub(super) enum Mode {
    Plain,
    /// Publishes are confirmed; the number of the last one.
    Confirm(u64),
    /// Publishes and acks wait for tx.commit.
    Tx(Box<Transaction>),
}

/// The part of a channel that only its connection touches.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: u64,
    pub(super) mode: Mode,
    /// For consumers still to come.
    pub(super) prefetch_count: u16,
    /// What an empty queue name stands for.
    pub(super) last_queue: Option<Arc<str>>,
    /// The token under which replies reach it, if it consumes from amq.rabbitmq.reply-to.
    pub(super) reply_token: Option<String>,
}

impl Session {
    /// A channel was opened.
    pub fn channel_open(&mut self, number: u16) {
        let id = self.broker.next_id();
        let channel = Channel {
            id,
            mode: Mode::Plain,
            prefetch_count: 0,
            last_queue: None,
            reply_token: None,
        };
        self.channels.insert(number, channel);
        self.outbound.lock().channels.insert(number, ChannelState::new(id));
    }

    /// A channel is closed, by whomever: its consumers go, what is unsettled returns.
    pub fn channel_close(&mut self, number: u16) {
        self.finish_acks();
        self.stop_consuming(number);
        let Some(channel) = self.channels.remove(number) else { return };
        self.forget_reply_token(&channel);
        let state = self.outbound.lock().channels.remove(number);
        let mut unsettled = Vec::new();
        if let Mode::Tx(transaction) = channel.mode {
            unsettled.extend(transaction.into_unsettled());
        }
        if let Some(mut state) = state {
            state.settle_all(&mut unsettled);
        }
        self.settle(unsettled, Outcome::Requeue);
    }

    /// Removes all consumers of a channel, so that nothing more is dealt to it.
    pub(super) fn stop_consuming(&mut self, number: u16) {
        let consumers = match self.outbound.lock().channels.get_mut(number) {
            Some(state) => std::mem::take(&mut state.consumers),
            None => return,
        };
        for (_, (queue, key)) in consumers {
            self.unsubscribe(&queue, key);
        }
        self.return_inbox(number);
    }

    pub(super) fn confirm_method(
        &mut self,
        number: u16,
        method: confirm::AMQPMethod,
    ) -> Result<()> {
        let confirm::AMQPMethod::Select(select) = method else { return Err(unexpected()) };
        let channel = self.channel(number)?;
        match channel.mode {
            Mode::Tx(_) => {
                return Err(Error::precondition("cannot switch from tx to confirm mode"));
            }
            Mode::Confirm(_) => {}
            Mode::Plain => {
                channel.mode = Mode::Confirm(0);
                if let Some((state, _)) = self.outbound.lock().channel(number) {
                    state.confirms = Some(Box::new(Confirms::new()));
                }
            }
        }
        if !select.nowait {
            let ok = confirm::AMQPMethod::SelectOk(confirm::SelectOk {});
            self.reply(number, AMQPClass::Confirm(ok));
        }
        Ok(())
    }

    pub(super) fn channel_method(
        &mut self,
        number: u16,
        method: channel::AMQPMethod,
    ) -> Result<()> {
        let channel::AMQPMethod::Flow(flow) = method else { return Err(unexpected()) };
        if !flow.active {
            return Err(Error::not_implemented("active=false"));
        }
        let ok = channel::AMQPMethod::FlowOk(channel::FlowOk { active: true });
        self.reply(number, AMQPClass::Channel(ok));
        Ok(())
    }
}

/// A method that only a server sends; the protocol machine lets none of these through.
pub(super) fn unexpected() -> Error {
    Error::not_allowed("a method that only a server sends")
}
