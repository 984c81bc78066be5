//! What a script finds in its VM: the global `leveret`, and a standard library without doors.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};

use leveret_plugin::host::Level;
use mlua::ffi;

use super::context::{Context, Kept};
use super::stack::{Stack, host_function};
use super::{hash, json, message, properties, strings};

/// Globals that reach out of the sandbox, defeat its limits, or tell VMs apart.
pub(crate) const REMOVED: [&str; 8] = [
    "collectgarbage",
    "debug",
    "gcinfo",
    "getfenv",
    "loadstring",
    "newproxy",
    "require",
    "setfenv",
];

type Entry = (&'static CStr, ffi::lua_CFunction);

/// Sets the global `leveret`, the replaced functions, and the values kept for the host.
pub(crate) fn install(stack: &Stack, context: &Context) {
    stack.reserve(10);
    let kept = Kept {
        message: keep_userdata(stack, context, message::MESSAGE, &message_metatable()),
        headers: keep_userdata(stack, context, message::HEADERS, &headers_metatable()),
        properties: keep_userdata(stack, context, properties::PROPERTIES, &property_metatable()),
        connection: keep_userdata(stack, context, message::CONNECTION, &connection_metatable()),
        methods: keep_table(stack, context, &methods()),
        array: keep_table(stack, context, &[]),
        find: keep_global(stack, c"string", c"find"),
        next: keep_global(stack, c"_G", c"next"),
    };
    let _ = context.kept.set(kept);
    replace_strings(stack, context);
    push_api(stack, context);
    // SAFETY: the table is at the top.
    unsafe { ffi::lua_setglobal(stack.raw(), c"leveret".as_ptr()) };
}

fn push_api(stack: &Stack, context: &Context) {
    stack.new_table(0, 16);
    let api = stack.top();
    for (name, entries) in [(c"hash", &hashes()[..]), (c"json", &jsons()), (c"log", &logs())] {
        push_table(stack, context, entries);
        stack.set(api, name);
    }
    stack.push_null();
    stack.set(api, c"null");
    push_global(stack, c"math", c"random");
    stack.set(api, c"random");
    stack.push_bytes(env!("CARGO_PKG_VERSION").as_bytes());
    stack.set(api, c"version");
    stack.push_function(host_function!(log_info), c"print", context.pointer());
    // SAFETY: the function is at the top.
    unsafe { ffi::lua_setglobal(stack.raw(), c"print".as_ptr()) };
}

fn replace_strings(stack: &Stack, context: &Context) {
    // SAFETY: pushes one value.
    unsafe { ffi::lua_getglobal(stack.raw(), c"string".as_ptr()) };
    let library = stack.top();
    stack.push_function(host_function!(strings::find), c"find", context.pointer());
    stack.set(library, c"find");
    stack.push_function(host_function!(strings::split), c"split", context.pointer());
    stack.set(library, c"split");
    stack.pop(1);
}

fn message_metatable() -> [Entry; 2] {
    [(c"__index", host_function!(message::index)), (c"__newindex", host_function!(message::assign))]
}

fn headers_metatable() -> [Entry; 3] {
    [
        (c"__index", host_function!(message::header)),
        (c"__newindex", host_function!(message::set_header)),
        (c"__iter", host_function!(message::iterate_headers)),
    ]
}

fn property_metatable() -> [Entry; 2] {
    [
        (c"__index", host_function!(properties::index)),
        (c"__newindex", host_function!(properties::assign)),
    ]
}

fn connection_metatable() -> [Entry; 1] {
    [(c"__index", host_function!(message::connection_index))]
}

fn methods() -> [Entry; 4] {
    [
        (c"body", host_function!(message::body)),
        (c"body_buffer", host_function!(message::body_buffer)),
        (c"set_body", host_function!(message::set_body)),
        (c"set_routing_key", host_function!(message::set_routing_key)),
    ]
}

fn hashes() -> [Entry; 3] {
    [
        (c"crc32", host_function!(hash::crc32)),
        (c"fnv1a", host_function!(hash::fnv1a)),
        (c"xxh32", host_function!(hash::xxh32)),
    ]
}

fn jsons() -> [Entry; 3] {
    [
        (c"decode", host_function!(json::decode)),
        (c"encode", host_function!(json::encode)),
        (c"array", host_function!(json::array)),
    ]
}

fn logs() -> [Entry; 5] {
    [
        (c"error", host_function!(|stack| log(stack, Level::Error))),
        (c"warn", host_function!(|stack| log(stack, Level::Warn))),
        (c"info", host_function!(log_info)),
        (c"debug", host_function!(|stack| log(stack, Level::Debug))),
        (c"trace", host_function!(|stack| log(stack, Level::Trace))),
    ]
}

fn log_info(stack: &Stack) -> Result<c_int, String> {
    log(stack, Level::Info)
}

/// `leveret.log.LEVEL(...)`: its arguments as text, with script and line in front.
fn log(stack: &Stack, level: Level) -> Result<c_int, String> {
    let context = Context::of(stack);
    let mut line = format!("{}:{}:", context.label, stack.line().unwrap_or(0));
    for index in 1..=stack.top() {
        // SAFETY: pushes one string; the index is valid.
        unsafe { ffi::luaL_tolstring(stack.raw(), index, std::ptr::null_mut()) };
        line.push(' ');
        line.push_str(&stack.text(-1).unwrap_or_default());
        stack.pop(1);
    }
    context.host.log(level, &context.label, &line);
    Ok(0)
}

fn push_table(stack: &Stack, context: &Context, entries: &[Entry]) {
    stack.new_table(0, entries.len());
    let table = stack.top();
    for (name, function) in entries {
        stack.push_function(*function, name, context.pointer());
        stack.set(table, name);
    }
}

fn keep_table(stack: &Stack, context: &Context, entries: &[Entry]) -> c_int {
    push_table(stack, context, entries);
    stack.freeze(stack.top());
    stack.keep()
}

fn keep_userdata(stack: &Stack, context: &Context, tag: c_int, metatable: &[Entry]) -> c_int {
    stack.push_tagged(tag);
    let userdata = stack.top();
    push_table(stack, context, metatable);
    stack.push_bool(false);
    stack.set(userdata + 1, c"__metatable");
    stack.freeze(userdata + 1);
    stack.set_metatable(userdata);
    stack.keep()
}

fn push_global(stack: &Stack, library: &CStr, name: &CStr) {
    // SAFETY: pushes one value.
    unsafe { ffi::lua_getglobal(stack.raw(), library.as_ptr()) };
    stack.get(stack.top(), name);
    stack.remove(-2);
}

fn keep_global(stack: &Stack, library: &CStr, name: &CStr) -> c_int {
    push_global(stack, library, name);
    stack.keep()
}
