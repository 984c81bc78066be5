//! Exchange types as their authors write them.

use crate::broker::Broker;
use crate::host::{Declaration, Failure};
use crate::message::{Binding, Message};

pub use crate::shim::Slots;

/// An exchange type. One value of it stands for one declared exchange.
///
/// `route` runs on many threads at once, on a table that nobody changes any more; `bind` and
/// `unbind` work on a copy that nobody routes by yet. So no locks are needed. The copy is made by
/// `Table::clone` for every batch of bindings: use [`PMap`](crate::collections::PMap),
/// [`SlotBag`](crate::collections::SlotBag) and [`TopicTrie`](crate::collections::TopicTrie), whose
/// clones cost nothing, unless bindings are few.
pub trait ExchangeType: Sized + Send + Sync + 'static {
    /// The type that clients declare, such as `x-consistent-hash`.
    const NAME: &'static str;
    /// Whether routing depends on nothing but the bindings and the routing key; then the broker
    /// may remember the answer for a key until the bindings change.
    const PURE: bool = false;
    /// What is derived from the bindings.
    type Table: Clone + Default + Send + Sync + 'static;

    /// Makes the state of one declared exchange. `config` is the JSON text configured for this
    /// type (`{}` if nothing is). A refusal's text goes to the client that declares.
    fn new(config: &str, declaration: &Declaration<'_>, broker: &Broker) -> Result<Self, Failure>;

    /// Whether a binding may be made. A refusal's text goes to the client.
    fn validate(&self, binding: &Binding<'_>) -> Result<(), Failure> {
        let _ = binding;
        Ok(())
    }

    /// Adds a binding. A destination may be bound more than once, with different keys or arguments.
    fn bind(&self, table: &mut Self::Table, binding: &Binding<'_>);

    /// Takes back a binding that was made with the same slot, key and arguments.
    fn unbind(&self, table: &mut Self::Table, binding: &Binding<'_>);

    /// Pushes the slots of all destinations that take the message, in any order; a slot may come
    /// twice.
    fn route(&self, table: &Self::Table, message: &Message<'_>, slots: &mut Slots<'_>);
}
