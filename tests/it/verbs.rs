//! What tests ask of a broker, in words of AMQP.

use crate::client::{Client, Delivery};
use crate::wire::{Arguments, Message, Reader, Value};

/// Bits of queue.declare and exchange.declare.
pub(crate) const PASSIVE: u8 = 1;
pub(crate) const DURABLE: u8 = 2;
pub(crate) const EXCLUSIVE: u8 = 4;
pub(crate) const AUTO_DELETE: u8 = 8;
/// Of exchange.declare, where the third bit is auto-delete.
pub(crate) const INTERNAL: u8 = 8;
/// Bits of basic.consume.
pub(crate) const NO_ACK: u8 = 2;
pub(crate) const SOLE: u8 = 4;

/// Pairs of a table.
pub(crate) type Pairs<'a> = &'a [(&'a str, Value<'a>)];

/// How many messages and consumers a queue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) messages: u32,
    pub(crate) consumers: u32,
}

impl Client {
    pub(crate) fn queue(&mut self, name: &str, bits: u8, arguments: Pairs<'_>) -> String {
        let arguments = Arguments::new().short(0).text(name).octet(bits).table(arguments);
        Reader(&self.call((50, 10), &arguments, (50, 11))).text()
    }

    pub(crate) fn counts(&mut self, name: &str) -> Counts {
        let arguments = Arguments::new().short(0).text(name).octet(PASSIVE).table(&[]);
        let answer = self.call((50, 10), &arguments, (50, 11));
        let mut reader = Reader(&answer);
        reader.text();
        Counts { messages: reader.long(), consumers: reader.long() }
    }

    /// Messages ready in a queue.
    pub(crate) fn ready(&mut self, name: &str) -> u32 {
        self.counts(name).messages
    }

    /// Whether a queue of this name is there; costs the channel where it is not.
    pub(crate) fn has_queue(&mut self, name: &str) -> bool {
        let channel = self.channel;
        let arguments = Arguments::new().short(0).text(name).octet(PASSIVE).table(&[]);
        self.send((50, 10), &arguments);
        if self.expect_any(&[(50, 11), (20, 40)]).id == (50, 11) {
            return true;
        }
        self.send((20, 41), &Arguments::new());
        self.open(channel);
        false
    }

    pub(crate) fn exchange(&mut self, name: &str, kind: &str, bits: u8, arguments: Pairs<'_>) {
        let arguments =
            Arguments::new().short(0).text(name).text(kind).octet(bits).table(arguments);
        self.call((40, 10), &arguments, (40, 11));
    }

    pub(crate) fn bind(&mut self, queue: &str, exchange: &str, key: &str, arguments: Pairs<'_>) {
        let arguments = Arguments::new()
            .short(0)
            .text(queue)
            .text(exchange)
            .text(key)
            .octet(0)
            .table(arguments);
        self.call((50, 20), &arguments, (50, 21));
    }

    pub(crate) fn bind_exchange(&mut self, to: &str, from: &str, key: &str) {
        let arguments = Arguments::new().short(0).text(to).text(from).text(key).octet(0).table(&[]);
        self.call((40, 30), &arguments, (40, 31));
    }

    pub(crate) fn delete_queue(&mut self, name: &str) -> u32 {
        let arguments = Arguments::new().short(0).text(name).octet(0);
        Reader(&self.call((50, 40), &arguments, (50, 41))).long()
    }

    pub(crate) fn purge(&mut self, name: &str) -> u32 {
        let arguments = Arguments::new().short(0).text(name).octet(0);
        Reader(&self.call((50, 30), &arguments, (50, 31))).long()
    }

    pub(crate) fn delete_exchange(&mut self, name: &str) {
        self.call((40, 20), &Arguments::new().short(0).text(name).octet(0), (40, 21));
    }

    pub(crate) fn consume(&mut self, queue: &str, tag: &str, bits: u8, arguments: Pairs<'_>) {
        let arguments =
            Arguments::new().short(0).text(queue).text(tag).octet(bits).table(arguments);
        self.call((60, 20), &arguments, (60, 21));
    }

    pub(crate) fn cancel(&mut self, tag: &str) {
        self.call((60, 30), &Arguments::new().text(tag).octet(0), (60, 31));
    }

    pub(crate) fn prefetch(&mut self, count: u16, global: bool) {
        let arguments = Arguments::new().long(0).short(count).octet(global.into());
        self.call((60, 10), &arguments, (60, 11));
    }

    pub(crate) fn ack(&mut self, tag: u64, multiple: bool) {
        self.send((60, 80), &Arguments::new().longlong(tag).octet(multiple.into()));
    }

    pub(crate) fn nack(&mut self, tag: u64, multiple: bool, requeue: bool) {
        let bits = u8::from(multiple) | u8::from(requeue) << 1;
        self.send((60, 120), &Arguments::new().longlong(tag).octet(bits));
    }

    pub(crate) fn recover(&mut self) {
        self.call((60, 110), &Arguments::new().octet(1), (60, 111));
    }

    pub(crate) fn confirm_select(&mut self) {
        self.call((85, 10), &Arguments::new().octet(0), (85, 11));
    }

    /// Publishes on a channel that confirms, one at a time; whether the broker took it.
    pub(crate) fn publish_confirmed(
        &mut self,
        exchange: &str,
        key: &str,
        message: impl Into<Message>,
    ) -> bool {
        self.publish(exchange, key, message);
        self.expect_any(&[(60, 80), (60, 120)]).id == (60, 80)
    }

    /// Reads confirms until `last` is covered; how many frames they took. All must be acks.
    pub(crate) fn confirmed_to(&mut self, last: u64) -> usize {
        let mut outstanding: std::collections::BTreeSet<u64> = (1..=last).collect();
        let mut frames = 0;
        while !outstanding.is_empty() {
            let answer = self.expect_any(&[(60, 80), (60, 120)]);
            assert_eq!(answer.id, (60, 80), "an ack");
            let mut reader = Reader(&answer.arguments);
            let (tag, multiple) = (reader.longlong(), reader.octet() == 1);
            match multiple {
                true => outstanding = outstanding.split_off(&(tag + 1)),
                false => assert!(outstanding.remove(&tag), "{tag} is confirmed once"),
            }
            frames += 1;
        }
        frames
    }

    pub(crate) fn tx(&mut self, method: u16) {
        self.call((90, method), &Arguments::new(), (90, method + 1));
    }

    /// Everything in a queue, as texts.
    pub(crate) fn drain(&mut self, queue: &str) -> Vec<String> {
        std::iter::from_fn(|| self.get(queue, true)).map(|one| one.text().to_owned()).collect()
    }

    /// The next `count` deliveries.
    pub(crate) fn deliveries(&mut self, count: usize) -> Vec<Delivery> {
        (0..count).map(|_| self.take_delivery()).collect()
    }

    /// The texts of the next `count` deliveries.
    pub(crate) fn texts(&mut self, count: usize) -> Vec<String> {
        self.deliveries(count).iter().map(|one| one.text().to_owned()).collect()
    }
}
