//! Where messages go that leave a queue unconsumed: to its dead-letter exchange, or out of being,
//! counted.

use leveret_plugin::message::Message as View;
use leveret_plugin::properties::Properties;

use crate::arguments::{expiration_ms, extra_keys};
use crate::batch::{Batch, Pending, Source};
use crate::broker::Broker;
use crate::counters::Dropped;
use crate::dead_letter::{self, Death, Reason};
use crate::journal::{Settled, Settlement};
use crate::message::Message;
use crate::queue::Queue;
use crate::ready::Entry;
use crate::router;
use crate::work::{Dead, Work};

/// Deals with one dead message; what that leaves to do is added to `work`.
pub(crate) fn bury(broker: &Broker, dead: Dead, work: &mut Work) {
    let Dead { queue, entry, reason } = dead;
    let arguments = &queue.declared.arguments;
    let Some(exchange) = arguments.dead_letter_exchange.clone() else {
        broker.counters.dropped(Dropped::from(reason));
        return work.settle(queue.id, &entry, Settlement::Final);
    };
    let batch = dead_letter(broker, &queue, &entry, reason, &exchange);
    if batch.queues.is_empty() {
        broker.counters.dropped(Dropped::DeadLetterUnroutable);
    }
    move_to(broker, &queue, &entry, batch, work);
}

/// The dead message as its dead-letter exchange sends it on, with the queues that it goes to.
fn dead_letter(
    broker: &Broker,
    queue: &Queue,
    entry: &Entry,
    reason: Reason,
    exchange: &str,
) -> Batch<'static> {
    let run = entry.message.run();
    let new_key = queue.declared.arguments.dead_letter_routing_key.as_deref();
    let properties = dead_letter::rewrite(
        run.properties(),
        &Death {
            queue: queue.name(),
            reason,
            exchange: run.exchange(),
            routing_key: run.routing_key(),
            time_secs: broker.clock.wall_secs(),
            key_replaced: new_key.is_some(),
        },
    );
    let headers = Properties::view(run.properties()).map(|old| old.headers()).unwrap_or_default();
    let extra = extra_keys(&headers).unwrap_or_default();
    let mut keys = vec![new_key.unwrap_or(run.routing_key())];
    if new_key.is_none() {
        keys.extend(extra.iter().chain(entry.message.hidden_keys()));
    }
    let message = Message::build(exchange, keys[0], &properties, run.body());
    let mut pending = Pending::new(Source::Stored(message), 0, entry.message.is_persistent());
    let expiration = Properties::view(&properties).ok().and_then(|p| p.expiration());
    pending.expiration_ms = expiration.and_then(|text| expiration_ms(text.as_bytes()).ok());
    let mut batch = Batch::default();
    batch.pendings.push(pending);
    let view = view(queue, exchange, keys[0], &properties, run.body());
    let Some(vhost) = broker.vhost(&queue.declared.vhost) else { return batch };
    let routed = router::route(&vhost, exchange, &view, &keys, &mut |target| {
        if !dead_letter::is_cycle(&properties, target.name()) {
            batch.target(target);
        }
    });
    if let Err(failure) = routed {
        tracing::warn!(queue = &**queue.name(), exchange, %failure, "dead-lettering failed");
    }
    batch
}

fn view<'a>(
    queue: &'a Queue,
    exchange: &'a str,
    routing_key: &'a str,
    properties: &'a [u8],
    body: &'a [u8],
) -> View<'a> {
    View {
        vhost: &queue.declared.vhost,
        exchange,
        routing_key,
        properties,
        body,
        mandatory: false,
        redelivered: false,
        user: "",
        peer: None,
        queue: "",
    }
}

/// Enqueues what replaces the dead message, and settles that in the same batch of the log.
fn move_to(broker: &Broker, from: &Queue, entry: &Entry, mut batch: Batch<'_>, work: &mut Work) {
    let now_ms = broker.clock.now_ms();
    for (queue, order) in batch.queues.iter().zip(&batch.orders) {
        queue.enqueue(&mut batch.pendings, order, now_ms, work);
    }
    let settled = entry
        .record
        .as_ref()
        .map_or(Settled::Done, |record| record.settle(from.id, entry.seq, Settlement::Final));
    let Some(pending) = batch.pendings.first_mut() else { return };
    let record = pending.take_record();
    let message = pending.message();
    broker.journal.add(|log| {
        if matches!(settled, Settled::Log) {
            log.settle(from.id, entry.seq);
        }
        if let Some(record) = record {
            log.enqueue(&record, &message, broker.clock.wall_ms(), &mut work.confirms);
        }
    });
    if let Settled::Confirm(ticket) = settled {
        work.confirms.push(ticket);
    }
}
