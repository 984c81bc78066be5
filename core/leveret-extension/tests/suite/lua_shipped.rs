//! The scripts that are part of the binary.

use std::collections::BTreeSet;
use std::sync::Arc;

use leveret_extension::{Registry, ScriptOptions, embedded_scripts};
use leveret_plugin::host::{Declaration, Exchange, FailureKind};
use leveret_plugin::value::Value;
use proptest::prelude::*;

use crate::kit::*;

fn shipped() -> Registry {
    let mut registry = registry();
    for script in embedded_scripts() {
        registry.load_script(&script, &ScriptOptions::default()).expect("loads");
    }
    registry
}

fn exchange(name: &str, arguments: &[u8]) -> Arc<dyn Exchange> {
    let types = shipped().exchange_types();
    let kind = types.iter().find(|kind| kind.name() == name).expect("is shipped");
    kind.create(&Declaration { vhost: "/", exchange: "x", arguments }).expect("creates")
}

#[test]
fn all_of_them_load() {
    let types = shipped().exchange_types();
    let names = names(&types, |kind| kind.name());
    assert_eq!(names, ["x-lua-shard", "x-lua-random", "x-lua-content"]);
}

#[test]
fn shard_sends_a_key_to_the_queue_its_hash_says_in_name_order() {
    let exchange = exchange("x-lua-shard", &[]);
    assert!(exchange.is_pure());
    let bindings = [binding(7, "zzz", "c"), binding(3, "", "a"), binding(5, "aaa", "b")];
    let table = exchange.build(&bindings).expect("builds");
    for n in 0..100 {
        let key = format!("key.{n}");
        let slot = [3, 5, 7][crc32fast::hash(key.as_bytes()) as usize % 3];
        assert_eq!(route(&*table, &key), Ok(vec![slot]));
    }
}

#[test]
fn shard_counts_a_queue_that_is_bound_twice_once() {
    let exchange = exchange("x-lua-shard", &[]);
    let bindings = [binding(1, "k1", "a"), binding(1, "k2", "a"), binding(2, "k", "b")];
    let mut table = exchange.build(&bindings).expect("builds");
    let hits = |table: &dyn leveret_plugin::host::Table| -> BTreeSet<u32> {
        (0..50).flat_map(|n| route(table, &n.to_string()).expect("routes")).collect()
    };
    let second = |key: &str| [1, 2][crc32fast::hash(key.as_bytes()) as usize % 2];
    assert_eq!(route(&*table, "x"), Ok(vec![second("x")]));
    table.unbind(&binding(1, "k1", "a")).expect("unbinds");
    assert_eq!(hits(&*table), [1, 2].into());
    table.unbind(&binding(1, "k2", "a")).expect("unbinds");
    assert_eq!(hits(&*table), [2].into());
    table.unbind(&binding(2, "k", "b")).expect("unbinds");
    assert_eq!(hits(&*table), [].into());
}

#[test]
fn random_reaches_every_queue_and_no_other() {
    let exchange = exchange("x-lua-random", &[]);
    assert!(!exchange.is_pure());
    let bindings = [binding(1, "a", "a"), binding(1, "b", "a"), binding(2, "k", "b")];
    let mut table = exchange.build(&bindings).expect("builds");
    let mut counts = [0; 3];
    for _ in 0..1000 {
        counts[route(&*table, "k").expect("routes")[0] as usize] += 1;
    }
    assert!(counts[0] == 0 && counts[1] > 350 && counts[2] > 350, "{counts:?}");
    table.unbind(&binding(1, "a", "a")).expect("unbinds");
    table.unbind(&binding(1, "b", "a")).expect("unbinds");
    assert_eq!(route(&*table, "k"), Ok(vec![2]));
    table.unbind(&binding(2, "k", "b")).expect("unbinds");
    assert_eq!(route(&*table, "k"), Ok(vec![]));
}

#[test]
fn content_routes_by_a_header_and_a_field() {
    let arguments = arguments(&[
        ("x-header", Value::Text(b"type")),
        ("x-field", Value::Text(b"order.country")),
    ]);
    let exchange = exchange("x-lua-content", &arguments);
    let bindings = [
        binding(0, "invoice", "q0"),
        binding(1, "DE", "q1"),
        binding(2, "7", "q2"),
        binding(3, "#", "q3"),
        binding(4, "DE", "q4"),
    ];
    let mut table = exchange.build(&bindings).expect("builds");
    let header = with_headers(&[("type", Value::Text(b"invoice"))]);
    let number = with_headers(&[("type", Value::I64(7))]);
    for (properties, body, wanted) in [
        (&header[..], &br#"{"order":{"country":"DE"}}"#[..], &[0, 1, 3, 4][..]),
        (&header, b"not json", &[0, 3]),
        (&number, b"[]", &[2, 3]),
        (&[0, 0], br#"{"order":"DE"}"#, &[3]),
        (&[0, 0], br#"{"order":{"country":7}}"#, &[2, 3]),
        (&[0, 0], b"", &[3]),
    ] {
        let routed = route_message(&*table, &message("ignored", properties, body));
        assert_eq!(routed.as_deref(), Ok(wanted), "{}", String::from_utf8_lossy(body));
    }
    table.unbind(&binding(1, "DE", "q1")).expect("unbinds");
    let german = message("", &[0, 0], br#"{"order":{"country":"DE"}}"#);
    assert_eq!(route_message(&*table, &german), Ok(vec![3, 4]));
}

#[test]
fn content_refuses_arguments_of_a_wrong_type() {
    let types = shipped().exchange_types();
    let kind = types.iter().find(|kind| kind.name() == "x-lua-content").expect("is shipped");
    let arguments = arguments(&[("x-field", Value::I32(5))]);
    let declaration = Declaration { vhost: "/", exchange: "x", arguments: &arguments };
    let failure = kind.create(&declaration).err().expect("refuses");
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(failure.text, "x-field must be a string, not a number");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is bound and unbound, shard agrees with a sorted set of names.
    #[test]
    fn shard_agrees_with_a_model(changes in prop::collection::vec((any::<bool>(), 0u32..6), 0..40)) {
        let names = ["f", "e", "d", "c", "b", "a"];
        let exchange = exchange("x-lua-shard", &[]);
        let mut table = exchange.build(&[]).expect("builds");
        let mut bound = BTreeSet::new();
        for (bind, slot) in changes {
            let name = names[slot as usize];
            if bind && bound.insert((name, slot)) {
                table.bind(&binding(slot, "k", name)).expect("binds");
            } else if !bind && bound.remove(&(name, slot)) {
                table.unbind(&binding(slot, "k", name)).expect("unbinds");
            }
        }
        for n in 0..8 {
            let key = format!("k{n}");
            let hash = crc32fast::hash(key.as_bytes()) as usize;
            let wanted = bound.iter().nth(hash % bound.len().max(1)).map(|(_, slot)| *slot);
            prop_assert_eq!(route(&*table, &key).expect("routes"), wanted.into_iter().collect::<Vec<_>>());
        }
    }
}
