//! A virtual host: its exchanges and queues by name, and every change to which of them exist.
//!
//! Changes are made one at a time, under one lock; whoever only routes does not take it.

use std::collections::HashMap;
use std::sync::Arc;

use leveret_plugin::host::{Failure, FailureKind};
use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::binding::{BindingKey, Target};
use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::exchange::{Destination, Exchange, Removed};
use crate::queue::Queue;
use crate::saved::Changes;
use crate::work::Work;

/// See the module.
pub struct Vhost {
    name: Arc<str>,
    exchanges: RwLock<HashMap<Arc<str>, Arc<Exchange>>>,
    queues: RwLock<HashMap<Arc<str>, Arc<Queue>>>,
    structure: Mutex<()>,
}

/// The right to change which exchanges, queues and bindings exist.
pub(crate) struct Structure<'v> {
    vhost: &'v Vhost,
    _guard: MutexGuard<'v, ()>,
}

impl Vhost {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            exchanges: RwLock::default(),
            queues: RwLock::default(),
            structure: Mutex::new(()),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The exchange of this name; the default exchange is none.
    pub fn exchange(&self, name: &str) -> Option<Arc<Exchange>> {
        self.exchanges.read().get(name).cloned()
    }

    /// The queue of this name.
    pub fn queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.queues.read().get(name).cloned()
    }

    /// All queues.
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        self.queues.read().values().cloned().collect()
    }

    /// All exchanges.
    pub fn exchanges(&self) -> Vec<Arc<Exchange>> {
        self.exchanges.read().values().cloned().collect()
    }

    /// The exchange of this name, or the refusal that says there is none.
    pub(crate) fn find_exchange(&self, name: &str) -> Result<Arc<Exchange>> {
        self.exchange(name).ok_or_else(|| Error::exchange_not_found(&self.name, name))
    }

    /// The queue of this name, or the refusal that says there is none.
    pub(crate) fn find_queue(&self, name: &str) -> Result<Arc<Queue>> {
        self.queue(name).ok_or_else(|| Error::queue_not_found(&self.name, name))
    }

    /// Waits for the right to change the structure.
    pub(crate) fn change(&self) -> Structure<'_> {
        Structure { vhost: self, _guard: self.structure.lock() }
    }
}

/// What the deletion of a queue left to do for its caller.
#[derive(Debug)]
pub(crate) struct Deleted {
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) messages: usize,
}

impl Structure<'_> {
    pub(crate) fn add_exchange(&self, exchange: Exchange, changes: &mut Changes) -> Arc<Exchange> {
        let exchange = Arc::new(exchange);
        let name = exchange.declared.name.clone();
        if exchange.declared.durable {
            changes.save(&exchange.definition());
        }
        self.vhost.exchanges.write().insert(name, exchange.clone());
        exchange
    }

    pub(crate) fn add_queue(&self, queue: Queue, changes: &mut Changes) -> Arc<Queue> {
        let queue = Arc::new(queue);
        if queue.declared.durable {
            changes.save(&queue.definition());
        }
        self.vhost.queues.write().insert(queue.name().clone(), queue.clone());
        queue
    }

    /// Binds; a binding that exists already is left as it is.
    pub(crate) fn bind(
        &self,
        source: &Arc<Exchange>,
        destination: Destination,
        key: BindingKey,
        changes: &mut Changes,
    ) -> Result<()> {
        let durable = source.declared.durable && is_durable(&destination);
        let definition = durable.then(|| key.definition(&source.declared));
        let added = source
            .bind(destination, key)
            .map_err(|failure| refusal(&self.vhost.name, source, &failure))?;
        if added && let Some(definition) = definition {
            changes.save(&definition);
        }
        Ok(())
    }

    /// Unbinds. The source goes too if it is auto-delete and that was its last binding.
    pub(crate) fn unbind(
        &self,
        source: &Arc<Exchange>,
        key: &BindingKey,
        changes: &mut Changes,
    ) -> Result<()> {
        let removed =
            source.unbind(key).map_err(|failure| refusal(&self.vhost.name, source, &failure))?;
        if removed != Removed::Nothing {
            changes.forget(&key.definition(&source.declared));
        }
        if removed == Removed::Last {
            self.delete_exchange(source, changes);
        }
        Ok(())
    }

    /// Deletes an exchange and all bindings from and to it.
    pub(crate) fn delete_exchange(&self, exchange: &Arc<Exchange>, changes: &mut Changes) {
        let declared = &exchange.declared;
        if self.vhost.exchanges.write().remove(&declared.name).is_none() {
            return;
        }
        exchange.mark_deleted();
        exchange.bindings().iter().for_each(|key| changes.forget(&key.definition(declared)));
        exchange.snapshot.store(None);
        changes.forget(&exchange.definition());
        self.unbind_all(&Target { to_exchange: true, name: declared.name.clone() }, changes);
    }

    /// Deletes a queue if `check`, given its numbers of messages and consumers, allows it.
    pub(crate) fn delete_queue(
        &self,
        queue: &Arc<Queue>,
        changes: &mut Changes,
        work: &mut Work,
        check: impl FnOnce(usize, usize) -> Result<()>,
    ) -> Result<Deleted> {
        if queue.is_closed() {
            return Ok(Deleted { consumers: Vec::new(), messages: 0 });
        }
        let remains = queue.close(work, check)?;
        self.vhost.queues.write().remove(queue.name());
        self.unbind_all(&Target { to_exchange: false, name: queue.name().clone() }, changes);
        if queue.declared.durable {
            changes.forget(&queue.definition());
            changes.forget_messages(queue.id);
        }
        Ok(Deleted { consumers: remains.consumers, messages: remains.messages })
    }

    fn unbind_all(&self, target: &Target, changes: &mut Changes) {
        for exchange in self.vhost.exchanges() {
            match exchange.unbind_all(target) {
                Ok((removed, keys)) => {
                    let declared = &exchange.declared;
                    keys.iter().for_each(|key| changes.forget(&key.definition(declared)));
                    if removed == Removed::Last {
                        self.delete_exchange(&exchange, changes);
                    }
                }
                Err(failure) => tracing::error!(
                    exchange = &*exchange.declared.name, %failure, "bindings could not be removed"
                ),
            }
        }
    }
}

fn is_durable(destination: &Destination) -> bool {
    match destination {
        Destination::Queue(queue) => queue.declared.durable,
        Destination::Exchange(exchange) => exchange.declared.durable,
    }
}

/// What a client is told when a plugin did not take a binding.
pub(crate) fn refusal(vhost: &str, exchange: &Exchange, failure: &Failure) -> Error {
    match failure.kind {
        FailureKind::Refused => Error::precondition(&failure.text),
        _ => Error::cannot_route(vhost, &exchange.declared.name, &failure.text),
    }
}
