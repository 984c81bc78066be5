//! From an exchange to queues: through bindings between exchanges (each exchange once per message)
//! and alternate exchanges (where an exchange itself has no destination).

use std::sync::Arc;

use leveret_plugin::host::{Failure, Slot};
use leveret_plugin::message::Message;

use crate::exchange::{Destination, Exchange, Snapshot};
use crate::queue::Queue;
use crate::vhost::Vhost;

/// The exchanges that are still to be asked, and those that were.
#[derive(Default)]
pub(crate) struct Onward {
    next: Vec<Arc<Exchange>>,
    seen: Vec<usize>,
}

impl Onward {
    pub(crate) fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    fn pop_unseen(&mut self) -> Option<Arc<Exchange>> {
        while let Some(exchange) = self.next.pop() {
            let address = Arc::as_ptr(&exchange) as usize;
            if !self.seen.contains(&address) {
                self.seen.push(address);
                return Some(exchange);
            }
        }
        None
    }
}

/// Passes queues to `each` and remembers exchanges in `onward`. Whether there were any.
#[inline]
pub(crate) fn follow(
    snapshot: &Snapshot,
    slots: &[Slot],
    onward: &mut Onward,
    mut each: impl FnMut(&Arc<Queue>),
) -> bool {
    let mut found = false;
    for slot in slots {
        match snapshot.slots.get(*slot) {
            Some(Destination::Queue(queue)) => each(queue),
            Some(Destination::Exchange(exchange)) => onward.next.push(exchange.clone()),
            None => continue,
        }
        found = true;
    }
    found
}

/// Passes queues to `each` if there are queues only, and at least one. Whether that is so.
#[inline]
pub(crate) fn follow_queues(
    snapshot: &Snapshot,
    slots: &[Slot],
    each: impl FnMut(&Arc<Queue>),
) -> bool {
    let queue = |slot: &Slot| match snapshot.slots.get(*slot) {
        Some(Destination::Queue(queue)) => Some(queue),
        _ => None,
    };
    if slots.is_empty() || !slots.iter().all(|slot| queue(slot).is_some()) {
        return false;
    }
    slots.iter().filter_map(queue).for_each(each);
    true
}

/// What `exchange` itself does with a message under each of `keys`. Whether it has a destination.
pub(crate) fn visit(
    snapshot: &Snapshot,
    message: &Message<'_>,
    keys: &[&str],
    slots: &mut Vec<Slot>,
    onward: &mut Onward,
    mut each: impl FnMut(&Arc<Queue>),
) -> Result<bool, Failure> {
    let mut found = false;
    for key in keys {
        slots.clear();
        let message = Message { routing_key: key, ..*message };
        snapshot.table.route(&message, slots)?;
        found |= follow(snapshot, slots, onward, &mut each);
    }
    Ok(found)
}

/// Follows `onward` to its end.
pub(crate) fn go_on(
    vhost: &Vhost,
    message: &Message<'_>,
    keys: &[&str],
    slots: &mut Vec<Slot>,
    onward: &mut Onward,
    each: &mut dyn FnMut(&Arc<Queue>),
) -> Result<(), Failure> {
    while let Some(exchange) = onward.pop_unseen() {
        let Some(snapshot) = exchange.snapshot.load_full() else { continue };
        if !visit(&snapshot, message, keys, slots, onward, &mut *each)? {
            turn_to_alternate(vhost, &exchange, onward);
        }
    }
    Ok(())
}

/// `exchange` had no destination: its alternate exchange, if it exists, is asked instead.
pub(crate) fn turn_to_alternate(vhost: &Vhost, exchange: &Exchange, onward: &mut Onward) {
    let alternate = exchange.declared.arguments.alternate_exchange.as_ref();
    onward.next.extend(alternate.and_then(|name| vhost.exchange(name)));
}

/// Routes from the exchange `name` ("" is the default exchange) without a connection's caches, as
/// the broker itself does. An exchange that does not exist has no destinations.
pub(crate) fn route(
    vhost: &Vhost,
    name: &str,
    message: &Message<'_>,
    keys: &[&str],
    each: &mut dyn FnMut(&Arc<Queue>),
) -> Result<(), Failure> {
    if name.is_empty() {
        keys.iter().filter_map(|key| vhost.queue(key)).for_each(|queue| each(&queue));
        return Ok(());
    }
    let Some(exchange) = vhost.exchange(name) else { return Ok(()) };
    let mut onward = Onward::default();
    onward.next.push(exchange);
    go_on(vhost, message, keys, &mut Vec::new(), &mut onward, each)
}

impl Onward {
    /// Marks where routing began, so that a cycle does not lead back there.
    pub(crate) fn started_at(&mut self, exchange: &Arc<Exchange>) {
        self.seen.push(Arc::as_ptr(exchange) as usize);
    }
}
