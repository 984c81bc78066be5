//! An exchange: its bindings, and the snapshot that routes.
//!
//! The broker owns the bindings; a plugin's table is derived from them. Whoever binds makes a new
//! snapshot and publishes it; whoever routes reads the one that is current, without a lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use leveret_plugin::host::{self, Failure, Table};
use parking_lot::Mutex;

use crate::arguments::ExchangeArguments;
use crate::binding::{BindingKey, Bindings, Target};
use crate::queue::Queue;
use crate::slots::Slots;

/// Where a binding leads.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    Queue(Arc<Queue>),
    Exchange(Arc<Exchange>),
}

impl Destination {
    pub(crate) fn target(&self) -> Target {
        match self {
            Self::Queue(queue) => Target { to_exchange: false, name: queue.name().clone() },
            Self::Exchange(exchange) => {
                Target { to_exchange: true, name: exchange.declared.name.clone() }
            }
        }
    }
}

/// What an exchange was declared as.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Name.
    pub name: Arc<str>,
    /// Virtual host.
    pub vhost: Arc<str>,
    /// Name of its type.
    pub kind: Arc<str>,
    /// Whether the definition survives a restart.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
    /// Whether clients may not publish to it.
    pub internal: bool,
    /// Arguments, with the alternate exchange.
    pub arguments: ExchangeArguments,
}

/// What routes: never changed, only replaced.
pub(crate) struct Snapshot {
    /// Unique among all snapshots of all exchanges.
    pub(crate) id: u64,
    pub(crate) table: Box<dyn Table>,
    pub(crate) slots: Slots<Destination>,
    /// Whether the answer depends on the routing key alone.
    pub(crate) pure: bool,
}

/// See the module.
pub struct Exchange {
    pub(crate) declared: Declared,
    /// Nothing if its type's plugin is missing: then it refuses publishes.
    behaviour: Option<Arc<dyn host::Exchange>>,
    bindings: Mutex<Bindings>,
    pub(crate) snapshot: ArcSwapOption<Snapshot>,
    deleted: AtomicBool,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({:?} in {:?})", self.declared.name, self.declared.vhost)
    }
}

/// What is left after bindings were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// There was no such binding.
    Nothing,
    /// Removed; others are left, or the exchange stays anyway.
    Some,
    /// Removed the last one of an auto-delete exchange.
    Last,
}

impl Exchange {
    /// An exchange without bindings. `behaviour` is `None` if the type is not known.
    pub(crate) fn new(
        declared: Declared,
        behaviour: Option<Arc<dyn host::Exchange>>,
    ) -> Result<Self, Failure> {
        let exchange = Self {
            declared,
            behaviour,
            bindings: Mutex::default(),
            snapshot: ArcSwapOption::empty(),
            deleted: AtomicBool::new(false),
        };
        if let Some(behaviour) = &exchange.behaviour {
            exchange.publish(behaviour.build(&[])?, Slots::default());
        }
        Ok(exchange)
    }

    /// What it was declared as.
    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    /// Whether it was deleted.
    #[inline]
    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }

    /// How many bindings lead from it.
    pub fn binding_count(&self) -> usize {
        self.bindings.lock().len()
    }

    /// All bindings, oldest first.
    pub fn bindings(&self) -> Vec<BindingKey> {
        self.bindings.lock().iter().map(|(_, key)| key.clone()).collect()
    }

    fn publish(&self, table: Box<dyn Table>, slots: Slots<Destination>) {
        static LAST_ID: AtomicU64 = AtomicU64::new(0);
        let id = LAST_ID.fetch_add(1, Ordering::Relaxed) + 1;
        let pure = self.behaviour.as_ref().is_some_and(|behaviour| behaviour.is_pure());
        self.snapshot.store(Some(Arc::new(Snapshot { id, table, slots, pure })));
    }

    /// Adds a binding. Whether it is new. A refusal's text is meant for the client.
    pub(crate) fn bind(&self, destination: Destination, key: BindingKey) -> Result<bool, Failure> {
        let mut bindings = self.bindings.lock();
        if bindings.contains(&key) {
            return Ok(false);
        }
        let Some((behaviour, current)) = self.behaviour.as_ref().zip(self.snapshot.load_full())
        else {
            return Err(Failure::error(self.missing()));
        };
        let mut slots = current.slots.clone();
        let slot = bindings.slot_of(&key.target).unwrap_or_else(|| slots.push(destination));
        let binding = key.view(slot);
        behaviour.validate(&binding)?;
        let mut table = current.table.fork()?;
        table.bind(&binding)?;
        bindings.add(key, slot);
        self.publish(table, slots);
        Ok(true)
    }

    /// Adds many bindings at once, when the broker starts.
    pub(crate) fn restore(&self, restored: Vec<(Destination, BindingKey)>) -> Result<(), Failure> {
        let mut bindings = self.bindings.lock();
        let mut slots = Slots::default();
        for (destination, key) in restored {
            let slot = bindings.slot_of(&key.target).unwrap_or_else(|| slots.push(destination));
            bindings.add(key, slot);
        }
        let Some(behaviour) = &self.behaviour else { return Ok(()) };
        let views: Vec<_> = bindings.iter().map(|(slot, key)| key.view(slot)).collect();
        self.publish(behaviour.build(&views)?, slots);
        Ok(())
    }

    /// Removes one binding.
    pub(crate) fn unbind(&self, key: &BindingKey) -> Result<Removed, Failure> {
        self.remove(|bindings| bindings.find(key).into_iter().collect())
    }

    /// Removes all bindings to `target`; they are returned.
    pub(crate) fn unbind_all(
        &self,
        target: &Target,
    ) -> Result<(Removed, Vec<BindingKey>), Failure> {
        let mut gone = Vec::new();
        let removed = self.remove(|bindings| {
            let found = bindings.to(target);
            gone.extend(found.iter().map(|(_, key)| key.clone()));
            found
        })?;
        Ok((removed, gone))
    }

    fn remove(
        &self,
        choose: impl FnOnce(&Bindings) -> Vec<(host::Slot, BindingKey)>,
    ) -> Result<Removed, Failure> {
        let mut bindings = self.bindings.lock();
        let chosen = choose(&bindings);
        if chosen.is_empty() {
            return Ok(Removed::Nothing);
        }
        let current = self.snapshot.load_full();
        let mut next = match &current {
            Some(current) => Some((current.table.fork()?, current.slots.clone())),
            None => None,
        };
        for (slot, key) in &chosen {
            let unused = bindings.remove(key);
            if let Some((table, slots)) = &mut next {
                table.unbind(&key.view(*slot))?;
                if unused {
                    slots.clear(*slot);
                }
            }
        }
        if let Some((table, slots)) = next {
            self.publish(table, slots);
        }
        let last = self.declared.auto_delete && bindings.len() == 0;
        Ok(if last { Removed::Last } else { Removed::Some })
    }

    /// Why it cannot route.
    pub(crate) fn missing(&self) -> String {
        format!("exchange type {} not found", self.declared.kind)
    }
}
