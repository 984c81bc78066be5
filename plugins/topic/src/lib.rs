//! The topic exchange type: binding keys are patterns of words separated by dots, in which `*`
//! stands for one word and `#` for any number of words.

use leveret_plugin::collections::TopicTrie;
use leveret_plugin::host::{Declaration, Failure};
use leveret_plugin::{Binding, Broker, ExchangeType, Message, Slots};

/// A topic exchange (AMQP 0-9-1, 3.1.3.3).
pub struct Topic;

impl ExchangeType for Topic {
    const NAME: &'static str = "topic";
    const PURE: bool = true;
    type Table = TopicTrie;

    fn new(_: &str, _: &Declaration<'_>, _: &Broker) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn bind(&self, table: &mut TopicTrie, binding: &Binding<'_>) {
        table.add(binding.key, binding.slot);
    }

    fn unbind(&self, table: &mut TopicTrie, binding: &Binding<'_>) {
        table.remove(binding.key, binding.slot);
    }

    fn route(&self, table: &TopicTrie, message: &Message<'_>, slots: &mut Slots<'_>) {
        table.matches(message.routing_key, |slot| slots.push(slot));
    }
}

leveret_plugin::plugin! { name: "topic", exchanges: [Topic] }

#[cfg(test)]
mod tests {
    use leveret_plugin::testkit::{Exchange, Publish};

    use super::PLUGIN;

    #[test]
    fn patterns_match_as_the_tutorial_says() {
        let mut exchange = Exchange::declare(&PLUGIN, "topic", &[]).unwrap();
        let patterns = ["*.orange.*", "*.*.rabbit", "lazy.#", "#", "[warn].*"];
        for (slot, pattern) in (1..).zip(patterns) {
            exchange.bind(slot, pattern, &[]).unwrap();
        }
        let cases: [(&str, &[u32]); 7] = [
            ("quick.orange.rabbit", &[1, 2, 4]),
            ("lazy.orange.elephant", &[1, 3, 4]),
            ("lazy.pink.rabbit", &[2, 3, 4]),
            ("lazy", &[3, 4]),
            ("orange", &[4]),
            ("[warn].kern", &[4, 5]),
            ("", &[4]),
        ];
        for (key, expected) in cases {
            assert_eq!(exchange.route(&Publish::key(key)).unwrap(), expected, "{key}");
        }
    }

    #[test]
    fn unbinding_one_pattern_leaves_the_other() {
        let mut exchange = Exchange::declare(&PLUGIN, "topic", &[]).unwrap();
        exchange.bind(1, "a.#", &[]).unwrap();
        exchange.bind(1, "#.a", &[]).unwrap();
        exchange.unbind(1, "a.#", &[]).unwrap();
        assert_eq!(exchange.route(&Publish::key("a")).unwrap(), [1]);
        assert_eq!(exchange.route(&Publish::key("a.b")).unwrap(), []);
    }
}
