//! Scripts that run too long, use too much memory, or reach for what is not theirs.

use std::thread;
use std::time::Duration;

use leveret_extension::ScriptOptions;
use leveret_plugin::host::{FailureKind, Table};

use crate::kit::*;

const LIMIT_MS: u64 = 100;

/// Each holds its thread for ever, or nearly, if nothing stops it.
const RUNAWAYS: [(&str, &str); 14] = [
    ("loop", "while true do end"),
    ("numeric loop", "local n = 0 for i = 1, 1e18 do n += i end"),
    ("calls", "local function f() end repeat f() until false"),
    ("pcall nest", "while true do pcall(function() while true do end end) end"),
    (
        "pcall nests in pcall nests",
        "local function f() while true do pcall(f) end end while true do pcall(f) end",
    ),
    ("handler", "while true do xpcall(error, function() while true do end end) end"),
    ("coroutine", "coroutine.wrap(function() while true do end end)()"),
    (
        "coroutines without end",
        "while true do local c = coroutine.create(function() coroutine.yield() end)
        coroutine.resume(c) end",
    ),
    ("pattern", "string.find(string.rep('a', 300), 'a-a-a-a-a-a-a-b')"),
    ("substitution", "string.gsub(string.rep('a', 300), '.-.-.-.-.-.-b', '')"),
    ("long needle", "return #string.rep('a', 4e6):find(('a'):rep(2e6) .. 'b') ; while true do end"),
    (
        "long separator",
        "string.split(string.rep('a', 4e6), string.rep('a', 2e6) .. 'b') while true do end",
    ),
    (
        "sort",
        "local t = table.create(1000, 0) while true do table.sort(t, function(a, b) return a < b end) end",
    ),
    (
        "json",
        "local t = {} for i = 1, 1e5 do t[i] = i end
        while true do leveret.json.decode(leveret.json.encode(t)) end",
    ),
];

#[test]
fn a_runaway_script_is_stopped_within_twice_its_limit() {
    let timing = RUNAWAYS.map(|(name, body)| (name, ended(body)));
    for (name, (kind, took)) in timing {
        let wanted = if name == "long needle" { FailureKind::Error } else { FailureKind::Timeout };
        assert_eq!(kind, wanted, "{name}");
        // Half a limit more, as the watchdog may have to wait for a processor.
        assert!(took < Duration::from_millis(LIMIT_MS * 5 / 2), "{name} took {took:?}");
    }
}

/// The time that this thread has spent on a processor.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("begins with a number"))
}

/// How a call of `body` ends, and after how long.
fn ended(body: &str) -> (FailureKind, Duration) {
    let table = routing(&format!("do {} end", body.replace("return #", "local _ = #")));
    let begin = processor_time();
    let failure = route(&*table, "k").expect_err(body);
    (failure.kind, processor_time() - begin)
}

#[test]
fn growing_strings_and_tables_end_by_time_or_memory() {
    for body in [
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = {} end",
        "local s = string.rep('x', 2^30) return #s",
        "local t = {} for i = 1, 1e9 do t[i] = buffer.create(1e6) end",
    ] {
        let failure = route(&*routing(body), "k").expect_err(body);
        let expected = [FailureKind::OutOfMemory, FailureKind::Timeout];
        assert!(expected.contains(&failure.kind), "{body}: {failure:?}");
    }
}

#[test]
fn endless_recursion_is_an_error() {
    let table = routing("local function f() return 1 + f() end return f()");
    let failure = route(&*table, "k").expect_err("overflows");
    assert_eq!(failure.kind, FailureKind::Error);
    assert!(failure.text.contains("stack overflow"), "{}", failure.text);
}

#[test]
fn a_timeout_names_script_and_line_even_if_the_script_catches_it() {
    let table = routing("\n\npcall(function() while true do end end)\nreturn 0");
    let failure = route(&*table, "k").expect_err("times out");
    assert_eq!(failure.text, "test.lua:8: ran for longer than 100 ms");
}

#[test]
fn the_thread_and_the_script_go_on_after_each_kind_of_failure() {
    let table = routing(
        "if key == 'loop' then while true do end end
        if key == 'memory' then local s = 'x' while true do s = s .. s .. 'y' end end
        if key == 'error' then error('bad') end
        return 1",
    );
    for (key, wanted) in [
        ("loop", FailureKind::Timeout),
        ("memory", FailureKind::OutOfMemory),
        ("error", FailureKind::Error),
    ] {
        let kind = route(&*table, key).expect_err(key).kind;
        assert!(kind == wanted || (key == "memory" && kind == FailureKind::Timeout), "{kind:?}");
        assert_eq!(route(&*table, "fine"), Ok(vec![1]));
    }
}

#[test]
fn a_late_watchdog_does_not_end_the_next_call() {
    let table = routing(
        "if key == 'loop' then while true do end end
        for _ = 1, 1000 do string.find(key, '^.*$') end
        return 0",
    );
    assert_eq!(route(&*table, "loop").expect_err("times out").kind, FailureKind::Timeout);
    for _ in 0..1000 {
        assert_eq!(route(&*table, "fine"), Ok(vec![0]));
    }
}

#[test]
fn other_threads_are_not_held_by_a_runaway() {
    let table = routing("if key == 'loop' then while true do end end return 0");
    let table: &dyn Table = &*table;
    assert_eq!(route(table, "warm"), Ok(vec![0]));
    thread::scope(|scope| {
        let runaway = scope.spawn(|| route(table, "loop"));
        let mut routed = 0;
        while !runaway.is_finished() {
            assert_eq!(route(table, "fine"), Ok(vec![0]));
            routed += 1;
        }
        assert!(routed > 1000, "{routed}");
    });
}

#[test]
fn three_timeouts_suspend_the_script_and_time_lifts_it() {
    let (mut registry, clock) = registry_with_clock();
    let text = exchange_script("if key == 'loop' then while true do end end return 0");
    let options = ScriptOptions { timeout_ms: Some(5), ..ScriptOptions::default() };
    registry.load_script(&embedded("slow.lua", &text), &options).expect("loads");
    let table = declare(&registry).build(&[]).expect("builds");
    for _ in 0..3 {
        assert_eq!(route(&*table, "loop").expect_err("times out").kind, FailureKind::Timeout);
    }
    clock.advance(Duration::from_secs(10));
    let failure = route(&*table, "fine").expect_err("suspended");
    assert_eq!(failure.kind, FailureKind::Suspended);
    assert!(failure.text.starts_with("slow.lua:6: script is suspended for another 20.0 s"));
    clock.advance(Duration::from_secs(20));
    assert_eq!(route(&*table, "fine"), Ok(vec![0]));
}

#[test]
fn the_memory_limit_is_that_of_the_script() {
    let text = exchange_script("return #buffer.create(tonumber(key)) and 0 or 0")
        .replace("#buffer.create(tonumber(key))", "buffer.len(buffer.create(tonumber(key)))");
    let options = ScriptOptions { memory_bytes: Some(8 << 20), ..ScriptOptions::default() };
    let registry = load_with(&text, &options).expect("loads");
    let table = declare(&registry).build(&[]).expect("builds");
    assert_eq!(route(&*table, "4000000"), Ok(vec![0]));
    let failure = route(&*table, "9000000").expect_err("too much");
    assert_eq!(failure.kind, FailureKind::OutOfMemory);
    assert_eq!(failure.text, "test.lua: used more than 8388608 bytes of memory");
    assert_eq!(route(&*table, "4000000"), Ok(vec![0]));
}

#[test]
fn a_script_that_loops_at_load_is_refused_with_its_line() {
    let text = load_error("local n = 0\nwhile true do n += 1 end\nreturn {}");
    assert_eq!(text, "script test.lua:2: ran for longer than 100 ms");
}

#[test]
fn nothing_leads_out_of_the_sandbox() {
    for name in [
        "os.execute",
        "os.exit",
        "os.getenv",
        "os.remove",
        "io",
        "debug",
        "loadstring",
        "load",
        "dofile",
        "loadfile",
        "require",
        "package",
        "collectgarbage",
        "getfenv",
        "setfenv",
        "newproxy",
        "gcinfo",
        "string.dump",
        "jit",
        "ffi",
    ] {
        let table = routing(&format!("return {name} == nil and 1 or 0"));
        assert_eq!(route(&*table, "k"), Ok(vec![1]), "{name}");
    }
}

#[test]
fn libraries_and_metatables_cannot_be_changed() {
    for change in [
        "string.find = nil",
        "leveret.json = nil",
        "leveret.json.decode = nil",
        "leveret.x = 1",
        "table.insert(leveret.pass, 1)",
        "getmetatable('').__index = nil",
        "setmetatable(string, {})",
        "setmetatable(leveret.hash, {})",
        "getmetatable(msg).__index = nil",
        "setmetatable(msg, {})",
        "getmetatable(leveret.json.array({})).__len = 1",
    ] {
        let failure = route(&*routing(change), "k").expect_err(change);
        assert_eq!(failure.kind, FailureKind::Error, "{change}");
    }
}

#[test]
fn bytecode_is_not_a_script() {
    let text = load_error("\u{6}\u{3}\u{1}bytecode");
    assert_eq!(text, "script test.lua: attempt to load a binary chunk (mode is 't')");
}

#[test]
fn globals_of_one_script_are_not_seen_by_another() {
    let mut registry = registry();
    for name in ["one", "two"] {
        let text = exchange_script("seen = (seen or 0) + 1 return seen").replace("x-test", name);
        registry.load_script(&embedded(name, &text), &ScriptOptions::default()).expect("loads");
    }
    for kind in registry.exchange_types() {
        let declaration =
            leveret_plugin::host::Declaration { vhost: "/", exchange: "x", arguments: &[] };
        let table = kind.create(&declaration).expect("creates").build(&[]).expect("builds");
        assert_eq!(route(&*table, "k"), Ok(vec![1]));
    }
}
