//! The fanout exchange type: a message goes to everything that is bound, whatever the keys.

use leveret_plugin::collections::SlotBag;
use leveret_plugin::host::{Declaration, Failure};
use leveret_plugin::{Binding, Broker, ExchangeType, Message, Slots};

/// A fanout exchange (AMQP 0-9-1, 3.1.3.2).
pub struct Fanout;

impl ExchangeType for Fanout {
    const NAME: &'static str = "fanout";
    const PURE: bool = true;
    type Table = SlotBag;

    fn new(_: &str, _: &Declaration<'_>, _: &Broker) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn bind(&self, table: &mut SlotBag, binding: &Binding<'_>) {
        table.add(binding.slot);
    }

    fn unbind(&self, table: &mut SlotBag, binding: &Binding<'_>) {
        table.remove(binding.slot);
    }

    fn route(&self, table: &SlotBag, _: &Message<'_>, slots: &mut Slots<'_>) {
        table.each(|slot| slots.push(slot));
    }
}

leveret_plugin::plugin! { name: "fanout", exchanges: [Fanout] }

#[cfg(test)]
mod tests {
    use leveret_plugin::testkit::{Exchange, Publish};

    use super::PLUGIN;

    #[test]
    fn everything_that_is_bound_takes_every_message() {
        let mut exchange = Exchange::declare(&PLUGIN, "fanout", &[]).unwrap();
        let all: Vec<u32> = (0..300).collect();
        for slot in &all {
            exchange.bind(*slot, "any", &[]).unwrap();
        }
        exchange.bind(7, "other", &[]).unwrap();
        assert_eq!(exchange.route(&Publish::key("third")).unwrap(), all);
        exchange.unbind(7, "any", &[]).unwrap();
        assert_eq!(exchange.route(&Publish::key("")).unwrap(), all);
        for slot in &all {
            exchange.unbind(*slot, "any", &[]).unwrap();
        }
        assert_eq!(exchange.route(&Publish::key("")).unwrap(), []);
    }
}
