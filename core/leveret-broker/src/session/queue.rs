//! queue.declare, delete, purge, bind and unbind.

use std::sync::Arc;

use leveret_plugin::host::{Permission, ResourceKind};
use leveret_protocol::encode;
use leveret_protocol::methods::{AMQPClass, queue as methods};

use super::channel::unexpected;
use super::{Session, without_line_breaks};
use crate::arguments::{QueueArguments, QueueProperties};
use crate::binding::{BindingKey, Target};
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::queue::{Declared, Queue};
use crate::saved::Changes;

impl Session {
    pub(super) async fn queue_method(
        &mut self,
        number: u16,
        method: methods::AMQPMethod,
        arguments: &[u8],
    ) -> Result<()> {
        use methods::AMQPMethod as Method;
        let (nowait, ok) = match method {
            Method::Declare(declare) => {
                let ok = self.declare_queue(number, &declare, arguments).await?;
                (declare.nowait, Method::DeclareOk(ok))
            }
            Method::Delete(delete) => return self.delete_queue(number, &delete).await,
            Method::Purge(purge) => {
                let message_count = self.purge(number, purge.queue.as_str()).await?;
                (purge.nowait, Method::PurgeOk(methods::PurgeOk { message_count }))
            }
            Method::Bind(bind) => {
                let (queue, exchange) = (bind.queue.as_str(), bind.exchange.as_str());
                let key = bind.routing_key.as_str();
                self.bind_queue(number, (queue, exchange, key), arguments, true).await?;
                (bind.nowait, Method::BindOk(methods::BindOk {}))
            }
            Method::Unbind(unbind) => {
                let (queue, exchange) = (unbind.queue.as_str(), unbind.exchange.as_str());
                let key = unbind.routing_key.as_str();
                self.bind_queue(number, (queue, exchange, key), arguments, false).await?;
                (false, Method::UnbindOk(methods::UnbindOk {}))
            }
            _ => return Err(unexpected()),
        };
        if !nowait {
            self.reply(number, AMQPClass::Queue(ok));
        }
        Ok(())
    }

    async fn declare_queue(
        &mut self,
        number: u16,
        declare: &methods::Declare,
        raw: &[u8],
    ) -> Result<methods::DeclareOk> {
        let name = without_line_breaks(declare.queue.as_str()).into_owned();
        if let Some(answer) = self.declare_reply_queue(&name) {
            let ok = answer?;
            self.channel(number)?.last_queue = Some(name.into());
            return Ok(ok);
        }
        let queue = if declare.passive {
            self.usable_queue(&name)?
        } else {
            self.declare_actively(&name, declare, raw).await?
        };
        queue.touch(self.broker.clock.now_ms());
        self.channel(number)?.last_queue = Some(queue.name().clone());
        let (messages, consumers) = queue.counts();
        Ok(methods::DeclareOk {
            queue: queue.name().as_ref().into(),
            message_count: messages as u32,
            consumer_count: consumers as u32,
        })
    }

    async fn declare_actively(
        &mut self,
        wanted: &str,
        declare: &methods::Declare,
        raw: &[u8],
    ) -> Result<Arc<Queue>> {
        let is_server_named = wanted.is_empty();
        if is_server_named {
            QueueArguments::check_server_named(raw)?;
        } else if wanted.starts_with("amq.") {
            return Err(Error::reserved_name("queue", wanted));
        }
        let name: Arc<str> = match is_server_named {
            true => self.broker.random_name("amq.gen-").into(),
            false => wanted.into(),
        };
        self.demand(ResourceKind::Queue, &name, Permission::Configure).await?;
        if let Some(queue) = self.vhost.queue(&name) {
            return self.assert_same_queue(queue, declare, raw);
        }
        let arguments = QueueArguments::parse(self.vhost.name(), &name, raw)?;
        let received =
            QueueProperties::declared(declare.durable, declare.exclusive, declare.auto_delete);
        arguments.check_properties(self.vhost.name(), &name, &received)?;
        if let Some(exchange) = arguments.dead_letter_exchange.clone() {
            self.demand(ResourceKind::Queue, &name, Permission::Read).await?;
            self.demand(ResourceKind::Exchange, &exchange, Permission::Write).await?;
        }
        for feature in arguments.later_features() {
            tracing::debug!(queue = &*name, argument = feature, "kept, without effect so far");
        }
        let (queue, changes) = self.create_queue(&name, declare, received.durable, arguments)?;
        self.save(changes).await?;
        Ok(queue)
    }

    /// Creates the queue, unless somebody else just did.
    fn create_queue(
        &mut self,
        name: &Arc<str>,
        declare: &methods::Declare,
        durable: bool,
        arguments: QueueArguments,
    ) -> Result<(Arc<Queue>, Changes)> {
        let mut changes = Changes::default();
        let structure = self.vhost.change();
        if let Some(queue) = self.vhost.queue(name) {
            let raw = arguments.raw().to_vec();
            return Ok((self.assert_same_queue(queue, declare, &raw)?, changes));
        }
        let declared = Declared {
            name: name.clone(),
            vhost: self.vhost.name().clone(),
            durable,
            owner: declare.exclusive.then_some(self.id),
            auto_delete: declare.auto_delete,
            arguments,
        };
        let queue = structure.add_queue(self.broker.new_queue(declared), &mut changes);
        drop(structure);
        queue.start(self.broker.clock.now_ms(), &mut self.work);
        if declare.exclusive {
            self.exclusive.push(name.clone());
        }
        self.finish_work();
        Ok((queue, changes))
    }

    fn assert_same_queue(
        &self,
        queue: Arc<Queue>,
        declare: &methods::Declare,
        raw: &[u8],
    ) -> Result<Arc<Queue>> {
        let Declared { name, vhost, owner, .. } = &queue.declared;
        let is_mine = *owner == Some(self.id);
        if (owner.is_some() && !is_mine) || owner.is_some() != declare.exclusive {
            return Err(Error::queue_locked(vhost, name));
        }
        let (exclusive, auto_delete) = (declare.exclusive, declare.auto_delete);
        let received = QueueProperties::declared(declare.durable, exclusive, auto_delete);
        let current = QueueProperties {
            durable: queue.declared.durable,
            exclusive: owner.is_some(),
            auto_delete: queue.declared.auto_delete,
        };
        current.assert_equivalent(vhost, name, &received)?;
        queue.declared.arguments.assert_equivalent(vhost, name, raw)?;
        Ok(queue)
    }

    async fn delete_queue(&mut self, number: u16, delete: &methods::Delete) -> Result<()> {
        let name = self.queue_name(number, delete.queue.as_str())?;
        self.demand(ResourceKind::Queue, &name, Permission::Configure).await?;
        self.finish_acks();
        let mut changes = Changes::default();
        let mut deleted = None;
        if let Some(queue) = self.vhost.queue(&name) {
            self.usable_queue(&name)?;
            let vhost = self.vhost.name().clone();
            let check = |messages: usize, consumers: usize| {
                if delete.if_unused && consumers > 0 {
                    return Err(Error::queue_in_use(&vhost, &name));
                }
                if delete.if_empty && messages > 0 {
                    return Err(Error::queue_not_empty(&vhost, &name));
                }
                Ok(())
            };
            let structure = self.vhost.change();
            let done = structure.delete_queue(&queue, &mut changes, &mut self.work, check)?;
            deleted = Some((queue, done));
        }
        self.save(changes).await?;
        let messages = deleted.as_ref().map_or(0, |(_, deleted)| deleted.messages);
        if !delete.nowait {
            let ok = methods::DeleteOk { message_count: messages as u32 };
            self.reply(number, AMQPClass::Queue(methods::AMQPMethod::DeleteOk(ok)));
        }
        if let Some((queue, deleted)) = deleted {
            self.forget_exclusive(&queue);
            cancel_consumers(&deleted.consumers);
        }
        self.finish_work();
        Ok(())
    }

    fn forget_exclusive(&mut self, queue: &Queue) {
        self.exclusive.retain(|name| *name != *queue.name());
    }

    /// Deletes a queue that goes with its last consumer or with its connection.
    pub(super) fn delete_unconditionally(&mut self, queue: &Arc<Queue>) {
        self.broker.delete_queue(&self.vhost, queue, &mut self.work);
        self.forget_exclusive(queue);
    }

    async fn purge(&mut self, number: u16, name: &str) -> Result<u32> {
        let name = self.queue_name(number, name)?;
        self.demand(ResourceKind::Queue, &name, Permission::Read).await?;
        let queue = self.usable_queue(&name)?;
        let purged = queue.purge(&mut self.work);
        self.finish_work();
        Ok(purged as u32)
    }

    async fn bind_queue(
        &mut self,
        number: u16,
        (queue, exchange, key): (&str, &str, &str),
        arguments: &[u8],
        bind: bool,
    ) -> Result<()> {
        let name = self.queue_name(number, queue)?;
        let exchange: Arc<str> = without_line_breaks(exchange).into();
        self.demand(ResourceKind::Queue, &name, Permission::Write).await?;
        if exchange.is_empty() {
            return Err(Error::default_exchange());
        }
        self.demand(ResourceKind::Exchange, &exchange, Permission::Read).await?;
        // An empty queue name and an empty key: the queue is bound under its own name.
        let key = if queue.is_empty() && key.is_empty() { &*name } else { key };
        let target = Target { to_exchange: false, name: name.clone() };
        let key = BindingKey::new(target, key, arguments);
        let is_bound = |source: Arc<Exchange>| source.bindings().contains(&key);
        if !bind
            && let Err(locked) = self.usable_queue(&name)
            && self.vhost.exchange(&exchange).is_some_and(is_bound)
        {
            return Err(locked);
        }
        self.change_binding(&exchange, &key, bind).await
    }
}

/// Tells the clients of these consumers that their queue is gone.
pub(crate) fn cancel_consumers(consumers: &[Consumer]) {
    for consumer in consumers {
        let subscription = &consumer.subscription;
        let number = subscription.channel;
        let waker = {
            let mut outbound = subscription.outbound.lock();
            let notify = outbound.consumer_cancel_notify;
            let Some((state, out)) = outbound.channel(number) else { continue };
            let is_its =
                state.consumers.get(&subscription.tag).is_some_and(|c| c.1 == consumer.key);
            if !is_its {
                continue;
            }
            state.consumers.remove(&subscription.tag);
            if notify {
                encode::basic_cancel(out, number, &subscription.tag);
            }
            outbound.take_waker()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
