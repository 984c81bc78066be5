//! Replacements for functions of the string library that search in time proportional to the
//! product of two lengths and cannot be interrupted: those a script could hold a thread with.
#![allow(unsafe_code)]

use std::ffi::c_int;

use mlua::ffi;

use super::context::Context;
use super::guard::check_time;
use super::stack::{Kind, Stack};

/// `string.find(text, pattern, init, plain)`: plain searches are done here, patterns by the VM,
/// which can interrupt them.
pub(crate) fn find(stack: &Stack) -> Result<c_int, String> {
    let strings = stack.kind(1) == Kind::String && stack.kind(2) == Kind::String;
    let position = matches!(stack.kind(3), Kind::Nil | Kind::Number);
    if !strings || !position {
        return original(stack);
    }
    let text = stack.bytes(1).unwrap_or_default();
    let pattern = stack.bytes(2).unwrap_or_default();
    let plain = stack.top() >= 4 && stack.boolean(4);
    if !plain && pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte)) {
        return original(stack);
    }
    let init = if stack.kind(3) == Kind::Number { stack.number(3) as i64 } else { 1 };
    let Some(rest) = start(init, text.len()).and_then(|from| Some((from, text.get(from..)?)))
    else {
        stack.push_nil();
        return Ok(1);
    };
    match memchr::memmem::find(rest.1, pattern) {
        None => stack.push_nil(),
        Some(at) => {
            let first = rest.0 + at;
            stack.push_number((first + 1) as f64);
            stack.push_number((first + pattern.len()) as f64);
            return Ok(2);
        }
    }
    Ok(1)
}

/// Where a search from `init` starts, counted from 0; `None` if beyond the end.
fn start(init: i64, length: usize) -> Option<usize> {
    let length = length as i64;
    let init = if init < 0 { (length + init + 1).max(1) } else { init.max(1) };
    if init > length + 1 { None } else { usize::try_from(init - 1).ok() }
}

/// Calls the VM's own `string.find`; its errors get the line of the script.
fn original(stack: &Stack) -> Result<c_int, String> {
    let arguments = stack.top();
    stack.reserve(arguments + 2);
    stack.push_kept(Context::of(stack).kept().find);
    for index in 1..=arguments {
        stack.copy(index);
    }
    // SAFETY: the function and its arguments are at the top.
    let status = unsafe { ffi::lua_pcall(stack.raw(), arguments, ffi::LUA_MULTRET, 0) };
    if status == ffi::LUA_OK {
        return Ok(stack.top() - arguments);
    }
    Err(stack.text(-1).unwrap_or_default())
}

/// `string.split(text, separator)`
pub(crate) fn split(stack: &Stack) -> Result<c_int, String> {
    let text = stack.bytes(1).ok_or_else(|| expected(stack, 1))?;
    let separator = match stack.kind(2) {
        Kind::Nil => b",",
        _ => stack.bytes(2).ok_or_else(|| expected(stack, 2))?,
    };
    stack.new_table(0, 0);
    let table = stack.top();
    let mut place = 1;
    let mut add = |piece: &[u8]| {
        check_time(stack);
        stack.push_bytes(piece);
        stack.set_at(table, place);
        place += 1;
    };
    if separator.is_empty() {
        text.chunks(1).for_each(add);
        return Ok(1);
    }
    let mut from = 0;
    for at in memchr::memmem::find_iter(text, separator) {
        add(&text[from..at]);
        from = at + separator.len();
    }
    add(&text[from..]);
    Ok(1)
}

fn expected(stack: &Stack, index: c_int) -> String {
    format!("string.split: argument {index} must be a string, not a {}", stack.type_name(index))
}

#[cfg(test)]
mod tests {
    use super::start;

    #[test]
    fn searches_start_where_lua_says() {
        assert_eq!(start(1, 3), Some(0));
        assert_eq!(start(0, 3), Some(0));
        assert_eq!(start(-1, 3), Some(2));
        assert_eq!(start(-9, 3), Some(0));
        assert_eq!(start(4, 3), Some(3));
        assert_eq!(start(5, 3), None);
    }
}
