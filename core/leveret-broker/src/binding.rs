//! The bindings of one exchange, in the order in which they were made.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use leveret_plugin::host::Slot;
use leveret_plugin::message::Binding;
use leveret_plugin::table::Table;

/// The destination of a binding by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Whether it is an exchange; otherwise it is a queue.
    pub to_exchange: bool,
    /// Its name.
    pub name: Arc<str>,
}

/// What tells a binding of an exchange from its others: destination, key and arguments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BindingKey {
    /// Where it leads.
    pub target: Target,
    /// Binding key.
    pub key: Arc<str>,
    /// Arguments, ordered by name: the pairs of a field table.
    pub arguments: Arc<[u8]>,
}

impl BindingKey {
    /// A binding with arguments as a client sent them.
    pub(crate) fn new(target: Target, key: &str, arguments: &[u8]) -> Self {
        Self { target, key: key.into(), arguments: ordered(arguments).into() }
    }

    /// The same as plugins see it.
    pub(crate) fn view(&self, slot: Slot) -> Binding<'_> {
        Binding {
            slot,
            key: &self.key,
            arguments: &self.arguments,
            destination: &self.target.name,
            to_exchange: self.target.to_exchange,
        }
    }
}

/// The pairs ordered by name, since the order in which a client wrote them means nothing.
fn ordered(arguments: &[u8]) -> Vec<u8> {
    let Ok(table) = Table::parse(arguments) else { return arguments.to_vec() };
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(name, _)| *name);
    let mut out = Vec::with_capacity(arguments.len());
    for (name, value) in pairs {
        out.push(name.len() as u8);
        out.extend_from_slice(name);
        value.encode(&mut out);
    }
    out
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    by_age: BTreeMap<u64, (Slot, BindingKey)>,
    ages: HashMap<BindingKey, u64>,
    targets: HashMap<Target, (Slot, Vec<u64>)>,
    last_age: u64,
}

impl Bindings {
    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    pub(crate) fn contains(&self, key: &BindingKey) -> bool {
        self.ages.contains_key(key)
    }

    /// The slot of a destination that is bound already.
    pub(crate) fn slot_of(&self, target: &Target) -> Option<Slot> {
        self.targets.get(target).map(|(slot, _)| *slot)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &BindingKey)> {
        self.by_age.values().map(|(slot, key)| (*slot, key))
    }

    pub(crate) fn find(&self, key: &BindingKey) -> Option<(Slot, BindingKey)> {
        self.ages.get(key).and_then(|age| self.by_age.get(age)).cloned()
    }

    /// All that lead to `target`, oldest first.
    pub(crate) fn to(&self, target: &Target) -> Vec<(Slot, BindingKey)> {
        let ages = self.targets.get(target).map(|(_, ages)| ages.as_slice()).unwrap_or_default();
        ages.iter().filter_map(|age| self.by_age.get(age)).cloned().collect()
    }

    pub(crate) fn add(&mut self, key: BindingKey, slot: Slot) {
        self.last_age += 1;
        let age = self.last_age;
        self.targets.entry(key.target.clone()).or_insert((slot, Vec::new())).1.push(age);
        self.ages.insert(key.clone(), age);
        self.by_age.insert(age, (slot, key));
    }

    /// Removes a binding. Whether nothing leads to its destination any more.
    pub(crate) fn remove(&mut self, key: &BindingKey) -> bool {
        let Some(age) = self.ages.remove(key) else { return false };
        self.by_age.remove(&age);
        let Some((_, ages)) = self.targets.get_mut(&key.target) else { return false };
        ages.retain(|a| *a != age);
        let unused = ages.is_empty();
        if unused {
            self.targets.remove(&key.target);
        }
        unused
    }
}
