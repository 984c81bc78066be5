//! Definitions against a plain map.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::engines::{Engine, Files, Memory};
use crate::{Change, Meta, MetaError, Revision, completion::tests::block_on};

#[derive(Clone, Debug)]
enum Step {
    PutAll(Vec<(u8, Option<u8>)>),
    /// With the right revision, or one that is not.
    CompareAndSet(u8, Option<u8>, bool),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..12_u8;
    let value = prop::option::of(any::<u8>());
    prop_oneof![
        4 => prop::collection::vec((key.clone(), value.clone()), 0..6).prop_map(Step::PutAll),
        4 => (key, value, any::<bool>()).prop_map(|(k, v, right)| Step::CompareAndSet(k, v, right)),
        1 => Just(Step::Reopen),
    ]
}

/// Some keys are prefixes of others.
fn key(number: u8) -> String {
    let number = usize::from(number);
    format!("{}/{}", ["queue", "queues", "exchange"][number % 3], "x".repeat(number / 3))
}

fn value(byte: u8) -> Bytes {
    Bytes::from(vec![byte; usize::from(byte)])
}

type Model = BTreeMap<String, (Revision, Bytes)>;

fn set(model: &mut Model, key: String, revision: Revision, value: Option<Bytes>) {
    match value {
        Some(value) => drop(model.insert(key, (revision, value))),
        None => drop(model.remove(&key)),
    }
}

fn history(mut engine: impl Engine, steps: Vec<Step>) {
    let mut model = Model::new();
    let mut newest = Revision(0);
    for step in steps {
        let meta = engine.meta();
        match step {
            Step::PutAll(changes) => {
                let changes: Vec<_> =
                    changes.into_iter().map(|(k, v)| (key(k), v.map(value))).collect();
                let revision = block_on(meta.put_all(changes.clone())).expect("puts");
                assert!(revision > newest);
                newest = revision;
                changes.into_iter().for_each(|(k, v)| set(&mut model, k, revision, v));
            }
            Step::CompareAndSet(k, v, right) => {
                let (key, found) = (key(k), model.get(&key(k)).map(|held| held.0));
                let expected = if right { found } else { Some(Revision(newest.0 + 7)) };
                match block_on(meta.compare_and_set(&key, expected, v.map(value))) {
                    Ok(revision) => {
                        assert!(right && revision > newest);
                        newest = revision;
                        set(&mut model, key, revision, v.map(value));
                    }
                    Err(MetaError::Conflict { found: other }) => assert!(!right && other == found),
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Reopen => {
                drop(meta);
                engine.reopen();
            }
        }
        check(&*engine.meta(), &model);
    }
}

fn check(meta: &dyn Meta, model: &Model) {
    for prefix in ["", "queue", "queue/", "exchange/xx", "z"] {
        let expected = model.iter().filter(|(key, _)| key.starts_with(prefix));
        let expected =
            expected.map(|(key, (revision, value))| (key.clone(), *revision, value.clone()));
        assert!(meta.list(prefix).into_iter().eq(expected));
    }
    for number in 0..12 {
        assert_eq!(meta.get(&key(number)), model.get(&key(number)).cloned());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn definitions_in_memory_are_what_was_put(steps in prop::collection::vec(step(), 0..60)) {
        history(Memory::new(), steps);
    }

    #[test]
    fn definitions_in_a_file_are_what_was_put(steps in prop::collection::vec(step(), 0..60)) {
        history(Files::new(64 << 20), steps);
    }
}

fn pipelined_changes_see_each_other(engine: &impl Engine) {
    let meta = engine.meta();
    let first = meta.compare_and_set("a", None, Some(value(1)));
    let second = meta.compare_and_set("a", None, Some(value(2)));
    let third = meta.put_all(vec![("a".into(), None), ("b".into(), Some(value(3)))]);
    let fourth = meta.compare_and_set("a", None, Some(value(4)));
    let first = block_on(first).expect("free");
    let refused = block_on(second).expect_err("taken");
    assert!(matches!(refused, MetaError::Conflict { found } if found == Some(first)));
    block_on(third).expect("puts");
    let fourth = block_on(fourth).expect("free again");
    assert_eq!(meta.get("a"), Some((fourth, value(4))));
}

#[test]
fn pipelined_changes_in_memory_see_each_other() {
    pipelined_changes_see_each_other(&Memory::new());
}

#[test]
fn pipelined_changes_in_a_file_see_each_other() {
    pipelined_changes_see_each_other(&Files::new(64 << 20));
}

fn a_watch_tells_what_is_there_and_then_what_changes(mut engine: impl Engine) {
    let meta = engine.meta();
    let old = block_on(meta.put_all(vec![("q/1".into(), Some(value(1)))])).expect("puts");
    let new = block_on(meta.put_all(vec![("q/2".into(), Some(value(2)))])).expect("puts");
    let mut watch = meta.watch("q/", old);
    let there = Change { key: "q/2".into(), revision: new, value: Some(value(2)) };
    assert_eq!(block_on(watch.next()), Some(there));
    let other = vec![("x".into(), Some(value(3))), ("q/1".into(), None)];
    let revision = block_on(meta.put_all(other)).expect("puts");
    let gone = Change { key: "q/1".into(), revision, value: None };
    assert_eq!(block_on(watch.next()), Some(gone));
    assert_eq!(watch.try_next(), None);
    drop(meta);
    engine.reopen();
    drop(engine);
    assert_eq!(block_on(watch.next()), None);
}

#[test]
fn a_watch_in_memory_tells_changes() {
    a_watch_tells_what_is_there_and_then_what_changes(Memory::new());
}

#[test]
fn a_watch_on_a_file_tells_changes() {
    a_watch_tells_what_is_there_and_then_what_changes(Files::new(64 << 20));
}
