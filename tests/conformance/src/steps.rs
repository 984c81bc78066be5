//! Follows a sequence of steps as the broker would, and compares at each of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use leveret_plugin::host::{Declaration, Exchange, ExchangeType, Failure, Slot, Table};
use leveret_plugin::message::{Binding, Message};
use leveret_plugin::properties::{PropertiesEditor, Property, PropertyValue};

use crate::draw::Step;
use crate::model::{Bound, Kind, Sent, encode, expected};

/// Bindings of the large table.
const MANY: u32 = 2_000;
/// In tables with more bindings, a change does not look whether it left the old table alone.
const PROBED: usize = 64;

struct Run {
    kind: Kind,
    exchange: Arc<dyn Exchange>,
    table: Box<dyn Table>,
    bound: Vec<Bound>,
}

/// Follows `steps`; says what was wrong.
pub(crate) fn follow(
    kind: Kind,
    exchange_type: &dyn ExchangeType,
    steps: &[Step],
) -> Result<(), String> {
    let mut run = Run::new(kind, exchange_type).map_err(|failure| failure.text)?;
    for step in steps {
        run.step(step)?;
    }
    Ok(())
}

impl Run {
    fn new(kind: Kind, exchange_type: &dyn ExchangeType) -> Result<Self, Failure> {
        let declaration = Declaration { vhost: "/", exchange: "x", arguments: &[] };
        let exchange = exchange_type.create(&declaration)?;
        let table = exchange.build(&[])?;
        Ok(Self { kind, exchange, table, bound: Vec::new() })
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let failed = |failure: Failure| failure.text;
        match step {
            Step::Bind(bound) if !self.bound.contains(bound) => self.bind(bound).map_err(failed),
            Step::Unbind(index) if !self.bound.is_empty() => {
                let bound = self.bound.remove(index.index(self.bound.len()));
                self.replace(|table| with_binding(&bound, |binding| table.unbind(binding)))
                    .map_err(failed)
            }
            Step::Bind(_) | Step::Unbind(_) => Ok(()),
            Step::Rebuild => self.rebuild().map_err(failed),
            Step::Route(sent) => self.check(sent),
        }
    }

    fn bind(&mut self, bound: &Bound) -> Result<(), Failure> {
        with_binding(bound, |binding| self.exchange.validate(binding))?;
        self.replace(|table| with_binding(bound, |binding| table.bind(binding)))?;
        self.bound.push(bound.clone());
        Ok(())
    }

    /// Changes a fork; the table that it came from must stay as it was.
    fn replace(
        &mut self,
        change: impl FnOnce(&mut dyn Table) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut fork = self.table.fork()?;
        if self.bound.len() > PROBED {
            change(&mut *fork)?;
        } else {
            let probe = Sent { key: "a".to_owned(), headers: Vec::new() };
            let before = route(&*self.table, &probe)?;
            change(&mut *fork)?;
            if route(&*self.table, &probe)? != before {
                return Err(Failure::error("a change of a fork changed the table it came from"));
            }
        }
        self.table = fork;
        Ok(())
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        let arguments: Vec<_> = self.bound.iter().map(|one| encode(&one.arguments)).collect();
        let pairs = self.bound.iter().zip(&arguments);
        let bindings: Vec<_> = pairs.map(|(one, arguments)| binding(one, arguments)).collect();
        self.table = self.exchange.build(&bindings)?;
        Ok(())
    }

    fn check(&self, sent: &Sent) -> Result<(), String> {
        let found = route(&*self.table, sent).map_err(|failure| failure.text)?;
        let expected = expected(self.kind, &self.bound, sent);
        if found == expected {
            return Ok(());
        }
        Err(format!("{sent:?} went to {found:?} instead of {expected:?}, bound: {:?}", self.bound))
    }
}

fn binding<'a>(bound: &'a Bound, arguments: &'a [u8]) -> Binding<'a> {
    let Bound { slot, key, .. } = bound;
    Binding { slot: *slot, key, arguments, destination: "q", to_exchange: false }
}

fn with_binding<R>(bound: &Bound, f: impl FnOnce(&Binding<'_>) -> R) -> R {
    let arguments = encode(&bound.arguments);
    f(&binding(bound, &arguments))
}

fn route(table: &dyn Table, sent: &Sent) -> Result<BTreeSet<Slot>, Failure> {
    let mut properties = PropertiesEditor::new();
    if !sent.headers.is_empty() {
        let headers = encode(&sent.headers);
        properties
            .set(Property::Headers, PropertyValue::Headers(&headers))
            .map_err(|error| Failure::error(error.to_string()))?;
    }
    let message = Message {
        vhost: "/",
        exchange: "x",
        routing_key: &sent.key,
        properties: properties.as_bytes(),
        body: b"",
        mandatory: false,
        redelivered: false,
        user: "guest",
        peer: None,
        queue: "",
    };
    // What is in the buffer stays in front of what a route adds.
    let mut slots = vec![u32::MAX];
    table.route(&message, &mut slots)?;
    if slots.first() != Some(&u32::MAX) {
        return Err(Failure::error("the route touched slots that were there before"));
    }
    Ok(slots.into_iter().skip(1).collect())
}

/// A binding of each slot that a message with the key of `plain_key(slot)` matches.
fn one_of_many(kind: Kind, slot: Slot) -> Bound {
    let key = if kind == Kind::Topic { format!("word.{slot}.#") } else { plain_key(slot) };
    Bound { slot, key, arguments: Vec::new() }
}

fn plain_key(slot: Slot) -> String {
    format!("word.{slot}")
}

/// Binds many, one by one, and takes them back.
pub(crate) fn many_bindings(kind: Kind, exchange_type: &dyn ExchangeType) {
    let mut run = Run::new(kind, exchange_type).expect("an exchange without arguments");
    assert_eq!(run.exchange.is_pure(), kind.is_pure());
    for slot in 0..MANY {
        run.bind(&one_of_many(kind, slot)).expect("a plain binding");
    }
    let probe = Sent { key: plain_key(7), headers: Vec::new() };
    run.check(&probe).unwrap_or_else(|error| panic!("{error}"));
    run.rebuild().expect("bindings that were accepted once");
    run.check(&probe).unwrap_or_else(|error| panic!("{error}"));
    for bound in run.bound.split_off(8) {
        let gone = run.replace(|table| with_binding(&bound, |binding| table.unbind(binding)));
        gone.expect("a binding that is there");
    }
    run.check(&probe).unwrap_or_else(|error| panic!("{error}"));
}

/// Routes on many threads by tables that are being forked, changed and dropped.
pub(crate) fn routes_from_many_threads(kind: Kind, exchange_type: &dyn ExchangeType) {
    let mut run = Run::new(kind, exchange_type).expect("an exchange without arguments");
    for slot in 0..100 {
        run.bind(&one_of_many(kind, slot)).expect("a plain binding");
    }
    let shared = run.table.fork().expect("a fork");
    let bound = run.bound.clone();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for slot in (0..100).cycle() {
                    let sent = Sent { key: plain_key(slot), headers: Vec::new() };
                    let found = route(&*shared, &sent).expect("a route");
                    assert_eq!(found, expected(kind, &bound, &sent));
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        for slot in 100..400 {
            run.bind(&one_of_many(kind, slot)).expect("a plain binding");
        }
        done.store(true, Ordering::Relaxed);
    });
}
