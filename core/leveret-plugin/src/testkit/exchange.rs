//! One declared exchange for tests.

use std::sync::Arc;

use super::{Publish, TestHost, exchange_type};
use crate::abi::Descriptor;
use crate::host::{self, Declaration, Failure, Slot, Table};
use crate::message::Binding;
use crate::table::TableBuilder;
use crate::value::Value;

/// A declared exchange with its table, as the broker would keep it: every bind and unbind works on
/// a fork that replaces the table when it is done.
pub struct Exchange {
    exchange: Arc<dyn host::Exchange>,
    table: Box<dyn Table>,
}

/// Arguments of a declaration or binding.
pub type Arguments<'a> = &'a [(&'a str, Value<'a>)];

fn encode(arguments: Arguments<'_>) -> Vec<u8> {
    arguments.iter().copied().collect::<TableBuilder>().into_bytes()
}

impl Exchange {
    /// Declares an exchange of type `name` with these arguments and no configuration.
    ///
    /// # Panics
    /// If the plugin has no such type.
    pub fn declare(
        plugin: &'static Descriptor,
        name: &str,
        arguments: Arguments<'_>,
    ) -> Result<Self, Failure> {
        let kind = exchange_type(plugin, name, "{}", &TestHost::new());
        Self::of(&*kind, arguments)
    }

    /// Declares an exchange of this type.
    pub fn of(kind: &dyn host::ExchangeType, arguments: Arguments<'_>) -> Result<Self, Failure> {
        let arguments = encode(arguments);
        let declaration = Declaration { vhost: "/", exchange: "test", arguments: &arguments };
        let exchange = kind.create(&declaration)?;
        let table = exchange.build(&[])?;
        Ok(Self { exchange, table })
    }

    /// Whether the type says that it depends on nothing but bindings and routing key.
    pub fn is_pure(&self) -> bool {
        self.exchange.is_pure()
    }

    /// Validates and adds a binding.
    pub fn bind(&mut self, slot: Slot, key: &str, args: Arguments<'_>) -> Result<(), Failure> {
        let arguments = encode(args);
        let name = destination(slot);
        let binding = binding(slot, key, &arguments, &name);
        self.exchange.validate(&binding)?;
        let mut fork = self.table.fork()?;
        fork.bind(&binding)?;
        self.table = fork;
        Ok(())
    }

    /// Removes a binding.
    pub fn unbind(&mut self, slot: Slot, key: &str, args: Arguments<'_>) -> Result<(), Failure> {
        let arguments = encode(args);
        let name = destination(slot);
        let mut fork = self.table.fork()?;
        fork.unbind(&binding(slot, key, &arguments, &name))?;
        self.table = fork;
        Ok(())
    }

    /// The slots that take the message, in ascending order, each once.
    pub fn route(&self, message: &Publish) -> Result<Vec<Slot>, Failure> {
        let mut slots = Vec::new();
        self.table.route(&message.message(), &mut slots)?;
        slots.sort_unstable();
        slots.dedup();
        Ok(slots)
    }
}

fn destination(slot: Slot) -> String {
    format!("queue-{slot}")
}

fn binding<'a>(slot: Slot, key: &'a str, arguments: &'a [u8], destination: &'a str) -> Binding<'a> {
    Binding { slot, key, arguments, destination, to_exchange: false }
}
