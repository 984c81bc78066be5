//! The broker as a whole: virtual hosts, users, plugins, the log, and what runs in the background.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leveret_plugin::host::{Auth, Declaration, ExchangeType, Transform};
use leveret_protocol::ReplyCode;
use leveret_store::{AppendError, Log, Meta, OpenError, Opened, QueueId, Writer};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::arguments::ExchangeArguments;
use crate::auth::AuthChain;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::exchange::{Declared, Exchange};
use crate::journal::Journal;
use crate::queue::{self, Queue};
use crate::recovery;
use crate::saved::{Changes, Saved};
use crate::session::{Requesters, cancel_consumers};
use crate::timers::Timers;
use crate::transform::{Attachment, Transforms};
use crate::users::Users;
use crate::vhost::Vhost;
use crate::work::Work;

/// Limits that the broker itself keeps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Consumers on one channel; 0 is no limit.
    pub consumers_per_channel: u32,
    /// Routing keys that a connection remembers the answer of a pure exchange for.
    pub routing_cache_keys: usize,
    /// A publisher to a moving queue waits a moment while more than this is in it.
    pub queue_moving_bytes: u64,
    /// How long a persistent message may wait for the log when no confirm waits for it.
    pub flush_interval: Duration,
    /// How many bytes of such messages may wait.
    pub flush_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            consumers_per_channel: 0,
            routing_cache_keys: 1024,
            queue_moving_bytes: 1 << 20,
            flush_interval: Duration::from_millis(100),
            flush_bytes: 4 << 20,
        }
    }
}

/// In which of its versions the broker does as RabbitMQ.
#[derive(Clone, Copy, Debug)]
pub struct Compatibility {
    /// What declaring an exchange of an unknown type is answered with: 406 closes the channel, 503
    /// (before 3.13) the connection.
    pub unknown_exchange_type: ReplyCode,
}

impl Default for Compatibility {
    fn default() -> Self {
        Self { unknown_exchange_type: ReplyCode::PreconditionFailed }
    }
}

/// What the broker is made of.
pub struct Parts {
    /// Where messages are kept.
    pub log: Arc<dyn Log>,
    /// The epoch of the lease on them.
    pub epoch: leveret_store::Epoch,
    /// Where definitions are kept.
    pub meta: Arc<dyn Meta>,
    /// Whether some of them could not be read: then messages of queues that are not among them are
    /// kept.
    pub definitions_damaged: bool,
    /// The exchange types that clients may declare.
    pub exchange_types: Vec<Arc<dyn ExchangeType>>,
    /// Transforms, in the order in which they run.
    pub transforms: Vec<Arc<dyn Transform>>,
    /// Who authenticates and authorises, in the order in which they are asked.
    pub auth: Vec<Arc<dyn Auth>>,
    /// Time limit of the whole auth chain.
    pub auth_timeout: Duration,
    /// Users and their permissions.
    pub users: Arc<Users>,
    /// Virtual hosts that exist from the start.
    pub vhosts: Vec<String>,
    /// Time.
    pub clock: Clock,
    /// Limits.
    pub limits: Limits,
    /// Where versions of RabbitMQ differ.
    pub compatibility: Compatibility,
}

/// See the module.
pub struct Broker {
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) compatibility: Compatibility,
    pub(crate) users: Arc<Users>,
    pub(crate) auth: AuthChain,
    pub(crate) transforms: Transforms,
    pub(crate) journal: Journal,
    pub(crate) saved: Saved,
    pub(crate) timers: Timers,
    pub(crate) counters: Counters,
    pub(crate) requesters: Requesters,
    exchange_types: HashMap<String, Arc<dyn ExchangeType>>,
    vhosts: RwLock<HashMap<Arc<str>, Arc<Vhost>>>,
    writer: Mutex<Option<Box<dyn Writer>>>,
    last_id: AtomicU64,
}

impl Broker {
    /// Recovers what the log and the metadata store hold. Blocks while it reads.
    pub fn open(parts: Parts) -> Result<Arc<Self>, OpenError> {
        let Opened { writer, recovered } = parts.log.open(parts.epoch)?;
        let limits = parts.limits;
        let by_name = |kind: Arc<dyn ExchangeType>| (kind.name().to_owned(), kind);
        let broker = Arc::new(Self {
            // Ids of queues are never used again, not even by another run of the broker.
            last_id: AtomicU64::new(parts.clock.wall_ms() << 20),
            clock: parts.clock,
            limits,
            compatibility: parts.compatibility,
            users: parts.users,
            auth: AuthChain::new(parts.auth, parts.auth_timeout),
            transforms: transforms(parts.transforms),
            journal: Journal::new(limits.flush_interval, limits.flush_bytes),
            saved: Saved::new(parts.meta),
            timers: Timers::default(),
            counters: Counters::default(),
            requesters: Requesters::default(),
            exchange_types: parts.exchange_types.into_iter().map(by_name).collect(),
            vhosts: RwLock::default(),
            writer: Mutex::new(Some(writer)),
        });
        recovery::definitions(&broker);
        parts.vhosts.iter().for_each(|name| broker.add_vhost(name));
        recovery::messages(&broker, recovered, parts.definitions_damaged);
        Ok(broker)
    }

    /// What must run in the background: the log's task and the timers. Ends when the log has
    /// stopped.
    pub async fn run(self: Arc<Self>) {
        let Some(writer) = self.writer.lock().take() else { return };
        let timers = tokio::spawn(crate::timers::run(self.clone()));
        self.journal.run(writer, || self.saved.barrier()).await;
        timers.abort();
    }

    /// Lets [`Self::run`] end once everything is on disk.
    pub fn stop(&self) {
        self.journal.stop();
    }

    /// Changes to an error when the log has failed; nothing is confirmed from then on.
    pub fn failure(&self) -> watch::Receiver<Option<AppendError>> {
        self.journal.failure()
    }

    /// Who may log in.
    pub fn auth(&self) -> &AuthChain {
        &self.auth
    }

    /// What was dropped.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Time as the broker sees it.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The virtual host of this name.
    pub fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.vhosts.read().get(name).cloned()
    }

    /// All virtual hosts.
    pub fn vhosts(&self) -> Vec<Arc<Vhost>> {
        self.vhosts.read().values().cloned().collect()
    }

    pub(crate) fn exchange_type(&self, name: &str) -> Option<&Arc<dyn ExchangeType>> {
        self.exchange_types.get(name)
    }

    /// A number that was not given out before.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// `prefix` and 22 characters that nobody can guess, as RabbitMQ names things.
    pub(crate) fn random_name(&self, prefix: &str) -> String {
        crate::random::name(prefix)
    }

    pub(crate) fn new_queue(&self, declared: queue::Declared) -> Queue {
        self.new_queue_with_id(QueueId(self.next_id()), declared)
    }

    pub(crate) fn new_queue_with_id(&self, id: QueueId, declared: queue::Declared) -> Queue {
        let transforms = self.transforms.load().deliver_transforms_for(&declared.name);
        let moving_bytes = self.limits.queue_moving_bytes;
        Queue::new(id, declared, transforms, moving_bytes, self.clock.now_ms())
    }

    /// Creates a virtual host with the exchanges that every one has.
    fn add_vhost(&self, name: &str) {
        let vhost = match self.vhost(name) {
            Some(vhost) => vhost,
            None => self.insert_vhost(name),
        };
        let mut changes = Changes::default();
        for (exchange, kind, internal) in PREDECLARED {
            self.predeclare(&vhost, exchange, kind, *internal, &mut changes);
        }
        drop(self.saved.apply(&self.journal, changes));
    }

    pub(crate) fn insert_vhost(&self, name: &str) -> Arc<Vhost> {
        let vhost = Arc::new(Vhost::new(name.into()));
        self.vhosts.write().insert(vhost.name().clone(), vhost.clone());
        vhost
    }

    fn predeclare(
        &self,
        vhost: &Vhost,
        name: &str,
        kind: &str,
        internal: bool,
        changes: &mut Changes,
    ) {
        if vhost.exchange(name).is_some() {
            return;
        }
        let declared = Declared {
            name: name.into(),
            vhost: vhost.name().clone(),
            kind: kind.into(),
            durable: true,
            auto_delete: false,
            internal,
            arguments: ExchangeArguments::default(),
        };
        if let Some(exchange) = self.make_exchange(declared) {
            vhost.change().add_exchange(exchange, changes);
        }
    }

    /// An exchange as it was declared, without its bindings. If its type is not there (any more),
    /// it exists and refuses publishes.
    pub(crate) fn make_exchange(&self, declared: Declared) -> Option<Exchange> {
        let name = declared.name.clone();
        let declaration = Declaration {
            vhost: &declared.vhost,
            exchange: &name,
            arguments: declared.arguments.raw(),
        };
        let kind = self.exchange_type(&declared.kind);
        let behaviour = match kind.map(|kind| kind.create(&declaration)).transpose() {
            Ok(behaviour) => behaviour,
            Err(failure) => {
                tracing::error!(exchange = &*name, %failure, "exchange kept, but it cannot route");
                None
            }
        };
        if kind.is_none() {
            let kind = &*declared.kind;
            tracing::warn!(exchange = &*name, kind, "exchange kept, but its type is not loaded");
        }
        Exchange::new(declared, behaviour)
            .inspect_err(|failure| tracing::error!(exchange = &*name, %failure, "exchange lost"))
            .ok()
    }

    /// Deletes a queue that goes by itself; nobody waits for that to be durable.
    pub(crate) fn delete_queue(&self, vhost: &Vhost, queue: &Arc<Queue>, work: &mut Work) {
        let mut changes = Changes::default();
        let deleted = vhost.change().delete_queue(queue, &mut changes, work, |_, _| Ok(()));
        drop(self.saved.apply(&self.journal, changes));
        if let Ok(deleted) = deleted {
            cancel_consumers(&deleted.consumers);
        }
    }

    /// Deletes a queue whose x-expires is over.
    pub(crate) fn delete_expired(&self, queue: &Arc<Queue>, work: &mut Work) {
        if let Some(vhost) = self.vhost(&queue.declared.vhost) {
            self.delete_queue(&vhost, queue, work);
        }
    }
}

fn transforms(configured: Vec<Arc<dyn Transform>>) -> Transforms {
    let transforms = Transforms::new();
    transforms.update(|list| {
        list.extend(configured.into_iter().map(|transform| Attachment::new(transform, 0)));
    });
    transforms
}

/// Name, type and whether it is internal.
const PREDECLARED: &[(&str, &str, bool)] = &[
    ("amq.direct", "direct", false),
    ("amq.fanout", "fanout", false),
    ("amq.topic", "topic", false),
    ("amq.headers", "headers", false),
    ("amq.match", "headers", false),
    ("amq.rabbitmq.trace", "topic", true),
];
