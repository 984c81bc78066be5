//! Nanoseconds per route of a plugin, of the thinnest scripts there can be, and of the shipped ones.
//! Run with `cargo bench -p leveret-extension`.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use leveret_extension::{Limits, Registry, ScriptOptions, ScriptSource, embedded_scripts};
use leveret_plugin::host::{Declaration, Host, Level, Table, UserRecord};
use leveret_plugin::message::{Binding, Message};

struct Quiet;

impl Host for Quiet {
    fn log(&self, _: Level, _: &str, _: &str) {}

    fn user(&self, _: &str) -> Option<UserRecord> {
        None
    }
}

const CONSTANT: &str = "
local X = { name = 'constant', pure = true }
function X.bind() end
function X.route() return 0 end
return X";

const READS: &str = "
local X = { name = 'reads msg' }
function X.bind() end
function X.route(ex, key, msg) if msg.exchange == 'x' then return 0 end end
return X";

fn main() {
    let mut registry = Registry::new(Arc::new(Quiet), Limits::default());
    let own = [("constant", CONSTANT), ("reads msg", READS)]
        .map(|(name, text)| ScriptSource::Embedded { name: name.into(), text: text.into() });
    registry.add_builtin(&leveret_direct::PLUGIN, false).unwrap();
    let begin = Instant::now();
    for source in own.iter().chain(&embedded_scripts()) {
        registry.load_script(source, &ScriptOptions::default()).unwrap();
    }
    println!("{} scripts loaded in {:?}", own.len() + 3, begin.elapsed());
    for kind in registry.exchange_types() {
        let declaration = Declaration { vhost: "/", exchange: "x", arguments: &[] };
        let names: Vec<String> = (0..8).map(|n| format!("queue.{n}")).collect();
        let bindings = names.iter().zip(0..).map(|(name, slot)| Binding {
            slot,
            key: "k",
            arguments: &[],
            destination: name,
            to_exchange: false,
        });
        let table = kind.create(&declaration).unwrap().build(&bindings.collect::<Vec<_>>());
        println!("{:16} {:6.1} ns", kind.name(), nanoseconds(&*table.unwrap()));
    }
}

/// The least of many short runs.
fn nanoseconds(table: &dyn Table) -> f64 {
    let keys: Vec<String> = (0..64).map(|n| format!("orders.eu.{n}")).collect();
    let mut slots = Vec::with_capacity(64);
    let mut best = f64::MAX;
    for _ in 0..60 {
        let begin = Instant::now();
        for n in 0..20_000 {
            slots.clear();
            let message = Message {
                vhost: "/",
                exchange: "x",
                routing_key: &keys[n % 64],
                properties: &[0, 0],
                body: b"{\"kind\":\"k\"}",
                mandatory: false,
                redelivered: false,
                user: "guest",
                peer: None,
                queue: "",
            };
            table.route(black_box(&message), &mut slots).unwrap();
            black_box(&slots);
        }
        best = best.min(begin.elapsed().as_nanos() as f64 / 20_000.0);
    }
    best
}
