//! The direct exchange type: a message goes where its routing key equals the binding key.

use std::sync::Arc;

use leveret_plugin::collections::{PMap, SlotBag};
use leveret_plugin::host::{Declaration, Failure};
use leveret_plugin::{Binding, Broker, ExchangeType, Message, Slots};

/// A direct exchange (AMQP 0-9-1, 3.1.3.1).
pub struct Direct;

impl ExchangeType for Direct {
    const NAME: &'static str = "direct";
    const PURE: bool = true;
    type Table = PMap<Arc<str>, SlotBag>;

    fn new(_: &str, _: &Declaration<'_>, _: &Broker) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn bind(&self, table: &mut Self::Table, binding: &Binding<'_>) {
        let key = || (binding.key.into(), SlotBag::default());
        table.entry(binding.key, key).add(binding.slot);
    }

    fn unbind(&self, table: &mut Self::Table, binding: &Binding<'_>) {
        let Some(slots) = table.get_mut(binding.key) else { return };
        slots.remove(binding.slot);
        if slots.is_empty() {
            table.remove(binding.key);
        }
    }

    fn route(&self, table: &Self::Table, message: &Message<'_>, slots: &mut Slots<'_>) {
        if let Some(bound) = table.get(message.routing_key) {
            bound.each(|slot| slots.push(slot));
        }
    }
}

leveret_plugin::plugin! { name: "direct", exchanges: [Direct] }

#[cfg(test)]
mod tests {
    use leveret_plugin::testkit::{Exchange, Publish};
    use leveret_plugin::value::Value;

    use super::PLUGIN;

    #[test]
    fn equal_keys_match_and_nothing_else() {
        let mut exchange = Exchange::declare(&PLUGIN, "direct", &[]).unwrap();
        exchange.bind(1, "error", &[]).unwrap();
        exchange.bind(2, "error", &[]).unwrap();
        exchange.bind(2, "warning", &[]).unwrap();
        exchange.bind(3, "", &[]).unwrap();
        assert!(exchange.is_pure());
        assert_eq!(exchange.route(&Publish::key("error")).unwrap(), [1, 2]);
        assert_eq!(exchange.route(&Publish::key("warning")).unwrap(), [2]);
        assert_eq!(exchange.route(&Publish::key("")).unwrap(), [3]);
        assert_eq!(exchange.route(&Publish::key("Error")).unwrap(), []);
    }

    #[test]
    fn a_destination_bound_twice_stays_until_its_last_binding_goes() {
        let mut exchange = Exchange::declare(&PLUGIN, "direct", &[]).unwrap();
        exchange.bind(1, "k", &[]).unwrap();
        exchange.bind(1, "k", &[("n", Value::I32(1))]).unwrap();
        exchange.unbind(1, "k", &[]).unwrap();
        assert_eq!(exchange.route(&Publish::key("k")).unwrap(), [1]);
        exchange.unbind(1, "k", &[("n", Value::I32(1))]).unwrap();
        assert_eq!(exchange.route(&Publish::key("k")).unwrap(), []);
    }
}
