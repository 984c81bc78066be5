//! One connection as the broker sees it: its user, its virtual host, its channels and what they
//! may do. Knows no socket; frames go to the [`Outbound`] side.

mod basic;
mod channel;
mod exchange;
mod flush;
mod inbox;
mod incoming;
mod publish;
mod queue;
mod reply_to;
mod route;
mod settle;
mod targets;
mod tx;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use leveret_plugin::host::{Permission, ResourceKind};
use leveret_protocol::methods::AMQPClass;

use crate::auth::{AccessRequest, ActionRequest, Identity, LoginAttempt, PermissionCache};
use crate::broker::Broker;
use crate::channel_map::ChannelMap;
use crate::channel_state::Unsettled;
use crate::error::{Error, Result};
use crate::outbound::Outbound;
use crate::queue::Queue;
use crate::saved::Changes;
use crate::vhost::Vhost;
use crate::work::Work;

pub use incoming::Incoming;
pub use publish::{Question, Refused};
pub(crate) use queue::cancel_consumers;
pub(crate) use reply_to::Requesters;

use channel::Channel;
use targets::Targets;

/// See the module.
pub struct Session {
    broker: Arc<Broker>,
    vhost: Arc<Vhost>,
    identity: Identity,
    peer: IpAddr,
    id: u64,
    outbound: Outbound,
    channels: ChannelMap<Channel>,
    /// Names of the queues that go with this connection.
    exclusive: Vec<Arc<str>>,
    permissions: PermissionCache,
    targets: Targets,
    /// Deliveries acknowledged in this chunk of input.
    acked: Vec<Unsettled>,
    /// A queue that wants its publishers to wait a moment.
    crowded: Option<Arc<Queue>>,
    work: Work,
}

impl Session {
    /// Opens `vhost` for somebody who has logged in. `id` is unique among connections.
    pub async fn open(
        broker: Arc<Broker>,
        identity: Identity,
        peer: IpAddr,
        vhost: &str,
        outbound: Outbound,
    ) -> Result<Self> {
        let vhost = broker.vhost(vhost).ok_or_else(|| Error::vhost_not_found(vhost))?;
        let request = AccessRequest {
            user: identity.user.clone(),
            vhost: vhost.name().clone(),
            peer,
            action: ActionRequest::Access,
        };
        if !broker.auth.authorise(request).await {
            return Err(Error::vhost_refused(vhost.name(), &identity.user));
        }
        let default_transforms = broker.transforms.load().publish_transforms_for("");
        let targets = Targets::new(broker.limits.routing_cache_keys, default_transforms);
        Ok(Self {
            id: broker.next_id(),
            broker,
            vhost,
            identity,
            peer,
            outbound,
            channels: ChannelMap::default(),
            exclusive: Vec::new(),
            permissions: PermissionCache::new(),
            targets,
            acked: Vec::new(),
            crowded: None,
            work: Work::default(),
        })
    }

    /// Name of the user.
    pub fn user(&self) -> &str {
        &self.identity.user
    }

    /// Name of the virtual host.
    pub fn vhost_name(&self) -> &str {
        self.vhost.name()
    }

    /// Handles any method but basic.publish, ack, nack and reject. `arguments` are the pairs of
    /// its table. The answer is written to the outbound side.
    pub async fn method(
        &mut self,
        channel: u16,
        method: AMQPClass,
        arguments: &[u8],
    ) -> Result<()> {
        match method {
            AMQPClass::Exchange(method) => self.exchange_method(channel, method, arguments).await,
            AMQPClass::Queue(method) => self.queue_method(channel, method, arguments).await,
            AMQPClass::Basic(method) => self.basic_method(channel, method, arguments).await,
            AMQPClass::Tx(method) => self.tx_method(channel, method).await,
            AMQPClass::Confirm(method) => self.confirm_method(channel, method),
            AMQPClass::Channel(method) => self.channel_method(channel, method),
            AMQPClass::Access(_) => {
                self.reply(channel, AMQPClass::Access(request_ok()));
                Ok(())
            }
            AMQPClass::Connection(_) => Err(Error::internal("a connection method on a channel")),
        }
    }

    /// connection.update-secret: logs in again unless logins last, and checks the virtual host
    /// again.
    pub async fn update_secret(&mut self, secret: &[u8]) -> Result<()> {
        let refused = || Error::not_allowed("New secret was refused by one of the backends");
        if !self.broker.auth.is_lasting(&self.identity) {
            self.identity = self.log_in_again(secret).await.ok_or_else(refused)?;
        }
        self.permissions.clear();
        let access = self.access(ActionRequest::Access);
        if !self.broker.auth.authorise(access).await {
            return Err(refused());
        }
        Ok(())
    }

    async fn log_in_again(&self, secret: &[u8]) -> Option<Identity> {
        let attempt = LoginAttempt {
            mechanism: "PLAIN".into(),
            user: self.identity.user.to_string(),
            password: secret.to_vec(),
            peer: self.peer,
        };
        let user = &*self.identity.user;
        let login = self.broker.auth.authenticate(attempt).await;
        login.inspect_err(|reason| tracing::warn!(user, %reason, "new secret refused")).ok()
    }

    /// Ends the session: everything unsettled returns to its queue, exclusive queues are deleted.
    pub fn close(&mut self) {
        self.finish_acks();
        let numbers = self.channels.numbers();
        numbers.iter().for_each(|number| self.stop_consuming(*number));
        numbers.iter().for_each(|number| self.channel_close(*number));
        self.outbound.lock().close();
        for name in std::mem::take(&mut self.exclusive) {
            if let Some(queue) = self.vhost.queue(&name)
                && queue.declared.owner == Some(self.id)
            {
                self.delete_unconditionally(&queue);
            }
        }
        self.finish_work();
    }

    /// The bytes taken from the outbound side have been sent.
    pub fn sent(&mut self) {
        let starved = self.outbound.lock().sent();
        let now_ms = self.broker.clock.now_ms();
        starved.into_iter().for_each(|(queue, key)| queue.resume(key, now_ms, &mut self.work));
        self.finish_work();
    }

    /// A queue that this connection filled faster than it moves, if there was one since the last
    /// call.
    pub fn take_crowded(&mut self) -> Option<Arc<Queue>> {
        self.crowded.take()
    }

    fn finish_work(&mut self) {
        self.work.finish(&self.broker);
    }

    fn channel(&mut self, number: u16) -> Result<&mut Channel> {
        self.channels.get_mut(number).ok_or_else(|| Error::internal("no such channel"))
    }

    #[expect(clippy::needless_pass_by_value, reason = "a method is made where it is sent")]
    fn reply(&self, channel: u16, method: AMQPClass) {
        self.outbound.send(|out| leveret_protocol::encode::method(out, channel, &method));
    }

    fn access(&self, action: ActionRequest) -> AccessRequest {
        AccessRequest {
            user: self.identity.user.clone(),
            vhost: self.vhost.name().clone(),
            peer: self.peer,
            action,
        }
    }

    /// Refuses unless the user has this permission.
    async fn demand(
        &mut self,
        kind: ResourceKind,
        name: &str,
        permission: Permission,
    ) -> Result<()> {
        let epoch = self.broker.users.epoch();
        let name = if name.is_empty() { "amq.default" } else { name };
        if self.permissions.allows(epoch, kind, name, permission) {
            return Ok(());
        }
        let action = ActionRequest::Resource { kind, name: name.into(), permission };
        let access = self.access(action);
        if !self.broker.auth.authorise(access).await {
            return Err(self.access_refused(kind, name, permission));
        }
        self.permissions.remember(epoch, kind, name, permission);
        Ok(())
    }

    fn access_refused(&self, kind: ResourceKind, name: &str, permission: Permission) -> Error {
        let what = match kind {
            ResourceKind::Exchange => crate::error::exchange_in(self.vhost.name(), name),
            ResourceKind::Queue => crate::error::queue_in(self.vhost.name(), name),
        };
        Error::access_refused(permission_name(permission), &what, &self.identity.user)
    }

    /// Waits until `changes` are durable, if there are any.
    async fn save(&mut self, changes: Changes) -> Result<()> {
        let stored = self.broker.saved.apply(&self.broker.journal, changes);
        stored.await.map_err(|error| Error::internal(format!("definition not stored: {error}")))
    }
}

fn request_ok() -> leveret_protocol::methods::access::AMQPMethod {
    use leveret_protocol::methods::access::{AMQPMethod, RequestOk};
    AMQPMethod::RequestOk(RequestOk {})
}

fn permission_name(permission: Permission) -> &'static str {
    match permission {
        Permission::Configure => "configure",
        Permission::Write => "write",
        Permission::Read => "read",
    }
}

/// Names lose their line breaks, as RabbitMQ strips them.
fn without_line_breaks(name: &str) -> Cow<'_, str> {
    if name.contains(['\r', '\n']) {
        return Cow::Owned(name.replace(['\r', '\n'], ""));
    }
    Cow::Borrowed(name)
}
