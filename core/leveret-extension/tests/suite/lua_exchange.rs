//! Exchange types in Lua: state, replay on other threads, forks, faults.

use std::thread;

use leveret_extension::ScriptOptions;
use leveret_plugin::host::FailureKind;
use leveret_plugin::value::Value;

use crate::kit::*;

const BY_KEY: &str = "
local X = { name = 'x-by-key' }
function X.new(args) return { at = {}, only = args.only } end
function X.validate(ex, b)
    if b.key == 'never' then return nil, 'the key never is not bound here' end
    return true
end
function X.bind(ex, b)
    if b.key == 'broken' then error('cannot bind ' .. b.name) end
    ex.at[b.key] = b.dest
end
function X.unbind(ex, b) ex.at[b.key] = nil end
function X.route(ex, key) return ex.at[key] end
return X";

#[test]
fn destinations_are_return_values_and_nil_is_unroutable() {
    let table = routing("if key == 'all' then return ex.dests[1], nil, ex.dests[2] end");
    assert_eq!(route(&*table, "all"), Ok(vec![0, 1]));
    assert_eq!(route(&*table, "none"), Ok(vec![]));
}

#[test]
fn a_list_of_destinations_may_be_returned() {
    assert_eq!(route(&*routing("return ex.dests"), "k"), Ok(vec![0, 1]));
}

#[test]
fn what_is_no_destination_is_an_error_that_names_script_and_reason() {
    for (returned, reason) in [
        ("1.5", "test.lua: route returned 1.5, which is no dest of a binding"),
        ("-1", "test.lua: route returned -1, which is no dest of a binding"),
        ("'q0'", "test.lua: route returned a string"),
        ("{ true }", "test.lua: route returned a list with a boolean in it"),
    ] {
        let failure = route(&*routing(&format!("return {returned}")), "k").expect_err("fails");
        assert_eq!(failure.kind, FailureKind::Error);
        assert!(failure.text.starts_with(reason), "{}", failure.text);
    }
}

#[test]
fn an_error_names_script_and_line_and_adds_no_slots() {
    let table = routing("if key == 'bad' then error('no such thing') end\nreturn 0");
    let mut slots = vec![9];
    let failure = table.route(&message("bad", &[0, 0], b""), &mut slots).expect_err("fails");
    assert_eq!(failure.text, "test.lua:6: no such thing");
    assert_eq!(slots, [9]);
    assert_eq!(route(&*table, "good"), Ok(vec![0]));
}

#[test]
fn another_thread_catches_up_from_the_bindings() {
    let registry = load(BY_KEY).expect("loads");
    let exchange = declare(&registry);
    let mut table = exchange.build(&[binding(0, "a", "q")]).expect("builds");
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(route(&*table, "a"), Ok(vec![0])));
    });
    for slot in 1..200 {
        let key = slot.to_string();
        let mut next = table.fork().expect("forks");
        next.bind(&binding(slot, &key, "q")).expect("binds");
        if slot % 3 == 0 {
            next.unbind(&binding(slot, &key, "q")).expect("unbinds");
        }
        table = next;
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(route(&*table, "a"), Ok(vec![0]));
            assert_eq!(route(&*table, "100"), Ok(vec![100]));
            assert_eq!(route(&*table, "99"), Ok(vec![]));
        });
    });
}

#[test]
fn a_fork_that_is_thrown_away_changes_nothing() {
    let registry = load(BY_KEY).expect("loads");
    let table = declare(&registry).build(&[binding(0, "a", "q")]).expect("builds");
    let mut fork = table.fork().expect("forks");
    fork.bind(&binding(1, "b", "q")).expect("binds");
    fork.unbind(&binding(0, "a", "q")).expect("unbinds");
    assert_eq!(route(&*fork, "b"), Ok(vec![1]));
    drop(fork);
    assert_eq!(route(&*table, "a"), Ok(vec![0]));
    assert_eq!(route(&*table, "b"), Ok(vec![]));
}

#[test]
fn a_bind_that_fails_leaves_the_table_as_it_was() {
    let registry = load(BY_KEY).expect("loads");
    let table = declare(&registry).build(&[binding(0, "a", "q")]).expect("builds");
    let mut fork = table.fork().expect("forks");
    let failure = fork.bind(&binding(1, "broken", "q1")).expect_err("fails");
    assert_eq!(failure.text, "test.lua:9: cannot bind q1");
    assert_eq!(route(&*table, "a"), Ok(vec![0]));
    fork.bind(&binding(2, "c", "q2")).expect("binds");
    assert_eq!(route(&*fork, "c"), Ok(vec![2]));
}

#[test]
fn a_refused_binding_says_why() {
    let registry = load(BY_KEY).expect("loads");
    let exchange = declare(&registry);
    assert!(exchange.validate(&binding(0, "fine", "q")).is_ok());
    let failure = exchange.validate(&binding(0, "never", "q")).expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(failure.text, "the key never is not bound here");
}

#[test]
fn a_refused_declaration_says_why() {
    let script = "local X = { name = 'x' }
        function X.new(args, cfg)
            if not args.shards then return nil, 'the argument shards is missing' end
            return {}
        end
        function X.bind() end
        function X.route() end
        return X";
    let registry = load(script).expect("loads");
    let failure = declare_with(&registry, &[]).err().expect("refused");
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(failure.text, "the argument shards is missing");
    let arguments = arguments(&[("shards", Value::I32(4))]);
    assert!(declare_with(&registry, &arguments).is_ok());
}

#[test]
fn a_replay_that_fails_on_another_thread_faults_the_exchange() {
    let script = "local X = { name = 'x' }
        local seen = 0
        function X.bind(ex, b)
            if leveret_test_fails then error('never seen') end
            seen += 1
            if b.key == 'picky' and seen > 1 then error('bound out of order') end
        end
        function X.new() return {} end
        function X.unbind() end
        function X.route() return 0 end
        return X";
    let registry = load(script).expect("loads");
    let exchange = declare(&registry);
    let picky = exchange.build(&[binding(0, "picky", "q")]).expect("builds");
    let other = exchange.build(&[]).expect("builds");
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut table = other.fork().expect("forks");
            table.bind(&binding(1, "plain", "q")).expect("binds");
            let failure = route(&*picky, "k").expect_err("faulted");
            assert!(failure.text.contains("faulted"), "{}", failure.text);
            assert!(failure.text.contains("bound out of order"), "{}", failure.text);
        });
    });
    let failure = route(&*picky, "k").expect_err("faulted for every thread");
    assert!(failure.text.contains("faulted"), "{}", failure.text);
    assert_eq!(route(&*other, "k"), Ok(vec![0]));
}

#[test]
fn a_script_without_unbind_starts_again_from_what_is_bound() {
    let script = "local X = { name = 'x' }
        function X.new() return {} end
        function X.bind(ex, b) ex[b.key] = b.dest end
        function X.route(ex, key) return ex[key] end
        return X";
    let registry = load(script).expect("loads");
    let exchange = declare(&registry);
    let mut table = exchange.build(&[binding(0, "a", "q"), binding(1, "b", "q")]).expect("builds");
    table.unbind(&binding(0, "a", "q")).expect("unbinds");
    assert_eq!(route(&*table, "a"), Ok(vec![]));
    assert_eq!(route(&*table, "b"), Ok(vec![1]));
}

#[test]
fn arguments_and_configuration_reach_the_script() {
    let script = "local X = { name = 'x' }
        function X.new(args, cfg)
            assert(cfg.nested.list[2] == 7 and cfg.big == integer.create(9007199254740993) or true)
            return { sum = args.a + cfg.nested.list[2] }
        end
        function X.bind(ex, b) ex.sum += b.args.weight end
        function X.route(ex) return ex.sum end
        return X";
    let config = serde_json::json!({ "nested": { "list": [3, 7] } });
    let registry =
        load_with(script, &ScriptOptions { config, ..ScriptOptions::default() }).expect("loads");
    let exchange =
        declare_with(&registry, &arguments(&[("a", Value::I64(100))])).expect("declares");
    let weight = arguments(&[("weight", Value::U8(5))]);
    let mut heavy = binding(0, "a", "q");
    heavy.arguments = &weight;
    let table = exchange.build(&[heavy]).expect("builds");
    assert_eq!(route(&*table, "k"), Ok(vec![112]));
}
