//! An exchange type: the binding key is a prefix of the routing key, and only the longest one that
//! fits wins, as in a routing table of IP networks. `""` is the default route.

use std::sync::Arc;

use leveret_plugin::collections::{PMap, SlotBag};
use leveret_plugin::host::{Declaration, Failure};
use leveret_plugin::{Binding, Broker, ExchangeType, Message, Slots};

/// One declared exchange; it needs no state of its own.
pub struct LongestPrefix;

impl ExchangeType for LongestPrefix {
    const NAME: &'static str = "x-longest-prefix";
    // Bindings and routing key decide alone, so the broker may remember the answer for a key.
    const PURE: bool = true;
    // Clones share everything: a binding more costs microseconds, however many there are.
    type Table = PMap<Arc<str>, SlotBag>;

    fn new(_: &str, _: &Declaration<'_>, _: &Broker) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn validate(&self, binding: &Binding<'_>) -> Result<(), Failure> {
        if binding.key.contains(['*', '#']) {
            return Err(Failure::refused(format!(
                "binding key '{}' of an x-longest-prefix exchange is a prefix, not a pattern",
                binding.key
            )));
        }
        Ok(())
    }

    fn bind(&self, table: &mut Self::Table, binding: &Binding<'_>) {
        let new = || (binding.key.into(), SlotBag::default());
        table.entry(binding.key, new).add(binding.slot);
    }

    fn unbind(&self, table: &mut Self::Table, binding: &Binding<'_>) {
        let Some(slots) = table.get_mut(binding.key) else { return };
        slots.remove(binding.slot);
        if slots.is_empty() {
            table.remove(binding.key);
        }
    }

    fn route(&self, table: &Self::Table, message: &Message<'_>, slots: &mut Slots<'_>) {
        let key = message.routing_key;
        let longest = (0..=key.len()).rev().find_map(|end| table.get(key.get(..end)?));
        if let Some(bound) = longest {
            bound.each(|slot| slots.push(slot));
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_plugin::testkit::{Exchange, Publish};

    use crate::PLUGIN;

    #[test]
    fn the_longest_prefix_wins() {
        let mut exchange = Exchange::declare(&PLUGIN, "x-longest-prefix", &[]).unwrap();
        exchange.bind(1, "", &[]).unwrap();
        exchange.bind(2, "eu.", &[]).unwrap();
        exchange.bind(3, "eu.de.", &[]).unwrap();
        exchange.bind(4, "eu.de.", &[]).unwrap();
        assert_eq!(exchange.route(&Publish::key("us.ny.1")).unwrap(), [1]);
        assert_eq!(exchange.route(&Publish::key("eu.fr.1")).unwrap(), [2]);
        assert_eq!(exchange.route(&Publish::key("eu.de.1")).unwrap(), [3, 4]);
        exchange.unbind(3, "eu.de.", &[]).unwrap();
        exchange.unbind(4, "eu.de.", &[]).unwrap();
        assert_eq!(exchange.route(&Publish::key("eu.de.ü")).unwrap(), [2]);
    }

    #[test]
    fn a_pattern_is_refused() {
        let mut exchange = Exchange::declare(&PLUGIN, "x-longest-prefix", &[]).unwrap();
        assert!(exchange.bind(1, "eu.*", &[]).is_err());
    }
}
