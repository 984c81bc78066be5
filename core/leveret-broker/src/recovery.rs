//! What was there before the broker started: definitions first, then the messages of the log.

use std::collections::HashMap;
use std::sync::Arc;

use leveret_store::{QueueId, Recovered, RecoveredMessage};

use crate::arguments::{ExchangeArguments, QueueArguments};
use crate::binding::BindingKey;
use crate::broker::Broker;
use crate::definitions::{self, Definition, ExchangeDefinition, QueueDefinition};
use crate::exchange::{self, Destination};
use crate::journal::{PUBLISHED_BYTES, Record};
use crate::message::Message;
use crate::queue::{self, Queue};
use crate::ready::{Entry, NEVER};
use crate::saved::Changes;
use crate::vhost::Vhost;
use crate::work::Work;

/// Makes again what was stored: virtual hosts, exchanges, queues, then what binds them.
pub(crate) fn definitions(broker: &Arc<Broker>) {
    let stored = |prefix: &str| -> Vec<Definition> {
        let mut entries = broker.saved.meta().list(prefix);
        // In the order in which they were made: scripts see their bindings in it.
        entries.sort_by_key(|(_, revision, _)| *revision);
        entries.iter().filter_map(|(key, _, value)| decode(key, value)).collect()
    };
    for definition in stored(definitions::ALL_VHOSTS) {
        if let Definition::Vhost { name } = definition {
            broker.insert_vhost(&name);
        }
    }
    for definition in stored(definitions::ALL_EXCHANGES) {
        if let Definition::Exchange(exchange) = definition {
            restore_exchange(broker, exchange);
        }
    }
    for definition in stored(definitions::ALL_QUEUES) {
        if let Definition::Queue(queue) = definition {
            restore_queue(broker, queue);
        }
    }
    restore_bindings(broker, stored(definitions::ALL_BINDINGS));
}

fn decode(key: &str, value: &[u8]) -> Option<Definition> {
    Definition::decode(key, value)
        .inspect_err(|error| tracing::error!(key, %error, "a stored definition is left out"))
        .ok()
}

fn vhost_of(broker: &Broker, name: &str) -> Arc<Vhost> {
    broker.vhost(name).unwrap_or_else(|| broker.insert_vhost(name))
}

fn restore_exchange(broker: &Broker, stored: ExchangeDefinition) {
    let (vhost, name) = (stored.vhost, stored.name);
    let arguments = match ExchangeArguments::parse(&vhost, &name, &stored.arguments) {
        Ok(arguments) => arguments,
        Err(error) => return tracing::error!(exchange = &*name, %error, "left out"),
    };
    let host = vhost_of(broker, &vhost);
    let declared = exchange::Declared {
        name,
        vhost,
        kind: stored.kind,
        durable: true,
        auto_delete: stored.auto_delete,
        internal: stored.internal,
        arguments,
    };
    if let Some(exchange) = broker.make_exchange(declared) {
        host.change().add_exchange(exchange, &mut Changes::default());
    }
}

fn restore_queue(broker: &Broker, stored: QueueDefinition) {
    let (vhost, name) = (stored.vhost, stored.name);
    let arguments = match QueueArguments::parse(&vhost, &name, &stored.arguments) {
        Ok(arguments) => arguments,
        Err(error) => return tracing::error!(queue = &*name, %error, "left out"),
    };
    let host = vhost_of(broker, &vhost);
    let auto_delete = stored.auto_delete;
    let declared =
        queue::Declared { name, vhost, durable: true, owner: None, auto_delete, arguments };
    let queue = broker.new_queue_with_id(stored.id, declared);
    host.change().add_queue(queue, &mut Changes::default());
}

type Restored = HashMap<(Arc<str>, Arc<str>), Vec<(Destination, BindingKey)>>;

fn restore_bindings(broker: &Broker, stored: Vec<Definition>) {
    let mut by_source: Restored = HashMap::new();
    for definition in stored {
        let Definition::Binding(binding) = definition else { continue };
        let Some(vhost) = broker.vhost(&binding.vhost) else { continue };
        let destination = match binding.to_exchange {
            true => vhost.exchange(&binding.destination).map(Destination::Exchange),
            false => vhost.queue(&binding.destination).map(Destination::Queue),
        };
        let Some(destination) = destination else { continue };
        let key = BindingKey::new(destination.target(), &binding.key, &binding.arguments);
        by_source.entry((binding.vhost, binding.source)).or_default().push((destination, key));
    }
    for ((vhost, source), bindings) in by_source {
        let exchange = broker.vhost(&vhost).and_then(|vhost| vhost.exchange(&source));
        let Some(exchange) = exchange else { continue };
        if let Err(failure) = exchange.restore(bindings) {
            tracing::error!(exchange = &*source, %failure, "its bindings could not be restored");
        }
    }
}

/// Puts the messages of the log back into their queues. Those of queues that do not exist any more
/// are forgotten, unless `keep_orphans`.
pub(crate) fn messages(broker: &Arc<Broker>, recovered: Recovered, keep_orphans: bool) {
    let queues: HashMap<QueueId, Arc<Queue>> = broker
        .vhosts()
        .iter()
        .flat_map(|vhost| vhost.queues())
        .map(|queue| (queue.id, queue))
        .collect();
    let report = &recovered.report;
    if report.is_damaged() || report.torn_bytes > 0 {
        tracing::warn!(?report, "the log was not closed cleanly, or is damaged");
    }
    let times = Times { now_ms: broker.clock.now_ms(), wall_ms: broker.clock.wall_ms() };
    let mut by_queue: HashMap<QueueId, Vec<Entry>> = HashMap::new();
    let mut orphans: Vec<QueueId> = Vec::new();
    for message in recovered.messages {
        let record = Record::recovered();
        for target in &message.targets {
            let Some(queue) = queues.get(&target.queue) else {
                orphans.push(target.queue);
                continue;
            };
            let redelivered = target.delivered > 0 || !recovered.clean;
            let entry = entry(queue, &message, target.seq, redelivered, &record, times);
            by_queue.entry(target.queue).or_default().push(entry);
        }
    }
    for (id, mut entries) in by_queue {
        entries.sort_unstable_by_key(|entry| entry.seq);
        if let Some(queue) = queues.get(&id) {
            queue.recover(entries);
        }
    }
    orphans.sort_unstable();
    orphans.dedup();
    if keep_orphans {
        report_orphans(&orphans);
    } else {
        forget(broker, &orphans);
    }
    start(broker, queues.values());
}

#[derive(Clone, Copy)]
struct Times {
    now_ms: u64,
    wall_ms: u64,
}

fn entry(
    queue: &Queue,
    recovered: &RecoveredMessage,
    seq: u64,
    redelivered: bool,
    record: &Arc<Record>,
    times: Times,
) -> Entry {
    let bytes = &recovered.bytes;
    let at = bytes.len().min(PUBLISHED_BYTES);
    let published_ms = bytes[..at].try_into().map_or(0, u64::from_be_bytes);
    let message = Message::from_run(bytes.slice(at..));
    let age_ms = times.wall_ms.saturating_sub(published_ms);
    let deadline_ms = match queue.time_to_live_ms(message.expiration_ms()) {
        Some(ttl_ms) => (times.now_ms + ttl_ms).saturating_sub(age_ms),
        None => NEVER,
    };
    Entry { seq, message, deadline_ms, redelivered, record: Some(record.clone()) }
}

fn report_orphans(orphans: &[QueueId]) {
    tracing::error!(
        "definitions are damaged: what could not be read of them is lost, and the messages of {} \
         queues without a definition stay in the log until the next start; copy the data directory \
         before that to keep them",
        orphans.len()
    );
}

fn forget(broker: &Broker, orphans: &[QueueId]) {
    if !orphans.is_empty() {
        broker.journal.add(|log| orphans.iter().for_each(|queue| log.forget(*queue)));
    }
}

fn start<'q>(broker: &Broker, queues: impl Iterator<Item = &'q Arc<Queue>>) {
    let mut work = Work::default();
    let now_ms = broker.clock.now_ms();
    queues.for_each(|queue| queue.start(now_ms, &mut work));
    work.finish(broker);
}
