//! Consuming: qos, consume, cancel, get, recover.

use std::sync::Arc;

use leveret_plugin::host::{Permission, ResourceKind};
use leveret_protocol::encode;
use leveret_protocol::methods::{AMQPClass, basic};

use super::channel::unexpected;
use super::reply_to::REPLY_TO;
use super::{Session, without_line_breaks};
use crate::arguments::ConsumerArguments;
use crate::consumer::{ConsumerKey, Subscription};
use crate::error::{Error, Result};
use crate::outbound::OutboundState;
use crate::queue::Queue;

impl Session {
    pub(super) async fn basic_method(
        &mut self,
        number: u16,
        method: basic::AMQPMethod,
        arguments: &[u8],
    ) -> Result<()> {
        use basic::AMQPMethod as Method;
        match method {
            Method::Qos(qos) => self.qos(number, &qos),
            Method::Consume(consume) => self.consume(number, consume, arguments).await,
            Method::Cancel(cancel) => self.cancel(number, cancel),
            Method::Get(get) => self.get(number, &get).await,
            Method::Recover(recover) => {
                self.recover_checked(number, recover.requeue)?;
                self.reply(number, AMQPClass::Basic(Method::RecoverOk(basic::RecoverOk {})));
                Ok(())
            }
            Method::RecoverAsync(recover) => self.recover_checked(number, recover.requeue),
            _ => Err(unexpected()),
        }
    }

    fn recover_checked(&mut self, number: u16, requeue: bool) -> Result<()> {
        if !requeue {
            return Err(Error::not_implemented("requeue=false"));
        }
        self.recover(number);
        Ok(())
    }

    fn qos(&mut self, number: u16, qos: &basic::Qos) -> Result<()> {
        if qos.global {
            self.finish_acks();
            if let Some((state, _)) = self.outbound.lock().channel(number) {
                state.prefetch_count = qos.prefetch_count;
            }
            self.settle(Vec::new(), crate::queue::Outcome::Ack);
        } else {
            self.channel(number)?.prefetch_count = qos.prefetch_count;
        }
        self.reply(number, AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {})));
        Ok(())
    }

    async fn consume(
        &mut self,
        number: u16,
        consume: basic::Consume,
        arguments: &[u8],
    ) -> Result<()> {
        if consume.queue.as_str() == REPLY_TO {
            return self.consume_replies(number, &consume);
        }
        let name = self.queue_name(number, consume.queue.as_str())?;
        self.demand(ResourceKind::Queue, &name, Permission::Read).await?;
        let tag = self.consumer_tag(number, consume.consumer_tag.as_str())?;
        let queue = self.usable_queue(&name)?;
        let kind = queue.declared.arguments.queue_type;
        let parsed = ConsumerArguments::parse(self.vhost.name(), &name, kind, arguments)?;
        let subscription = Subscription {
            tag: tag.clone(),
            channel: number,
            outbound: self.outbound.clone(),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            prefetch_count: self.channel(number)?.prefetch_count,
            priority: parsed.priority,
        };
        let now_ms = self.broker.clock.now_ms();
        let announce = |outbound: &mut OutboundState, key: ConsumerKey| {
            let Some((state, out)) = outbound.channel(number) else { return };
            state.consumers.insert(tag.clone(), (queue.clone(), key));
            if !consume.nowait {
                encode::method(out, number, &consume_ok(&tag));
            }
        };
        queue.subscribe(subscription, now_ms, &mut self.work, announce)?;
        self.finish_work();
        Ok(())
    }

    /// The tag of a new consumer; a server-made one if the client gave none.
    pub(super) fn consumer_tag(&mut self, number: u16, wanted: &str) -> Result<Arc<str>> {
        if wanted.is_empty() {
            return Ok(self.broker.random_name("amq.ctag-").into());
        }
        let mut outbound = self.outbound.lock();
        let Some((state, _)) = outbound.channel(number) else { return Ok(wanted.into()) };
        if state.consumers.contains_key(wanted) {
            return Err(Error::consumer_tag_reused(wanted));
        }
        let limit = self.broker.limits.consumers_per_channel;
        if limit > 0 && state.consumers.len() >= limit as usize {
            let text = format!("reached maximum ({limit}) of consumers per channel");
            return Err(Error::not_allowed(text));
        }
        Ok(wanted.into())
    }

    fn cancel(&mut self, number: u16, cancel: basic::Cancel) -> Result<()> {
        let tag = cancel.consumer_tag;
        self.finish_acks();
        let found = match self.outbound.lock().channels.get_mut(number) {
            Some(state) => state.consumers.remove(tag.as_str()),
            None => None,
        };
        match found {
            Some((queue, key)) => self.unsubscribe(&queue, key),
            None => self.cancel_replies(number, tag.as_str()),
        }
        if !cancel.nowait {
            let ok = basic::AMQPMethod::CancelOk(basic::CancelOk { consumer_tag: tag });
            self.reply(number, AMQPClass::Basic(ok));
        }
        Ok(())
    }

    /// Removes a consumer, and its queue if it was to go with its last one.
    pub(super) fn unsubscribe(&mut self, queue: &Arc<Queue>, key: ConsumerKey) {
        let now_ms = self.broker.clock.now_ms();
        if queue.unsubscribe(key, now_ms) {
            self.delete_unconditionally(queue);
        } else {
            queue.start(now_ms, &mut self.work);
        }
        self.finish_work();
    }

    async fn get(&mut self, number: u16, get: &basic::Get) -> Result<()> {
        let name = self.queue_name(number, get.queue.as_str())?;
        self.demand(ResourceKind::Queue, &name, Permission::Read).await?;
        let queue = self.usable_queue(&name)?;
        self.finish_acks();
        self.answer_get(number, &queue, get.no_ack);
        Ok(())
    }

    /// The queue that a method means: an empty name is the last one declared on the channel.
    pub(super) fn queue_name(&mut self, number: u16, name: &str) -> Result<Arc<str>> {
        if !name.is_empty() {
            return Ok(without_line_breaks(name).into());
        }
        self.channel(number)?.last_queue.clone().ok_or_else(Error::no_previous_queue)
    }

    /// The queue, if it exists and is not another connection's.
    pub(super) fn usable_queue(&self, name: &str) -> Result<Arc<Queue>> {
        let queue = self.vhost.find_queue(name)?;
        if queue.declared.owner.is_some_and(|owner| owner != self.id) {
            return Err(Error::queue_locked(self.vhost.name(), name));
        }
        Ok(queue)
    }
}

pub(super) fn consume_ok(tag: &str) -> AMQPClass {
    let ok = basic::ConsumeOk { consumer_tag: tag.into() };
    AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok))
}
