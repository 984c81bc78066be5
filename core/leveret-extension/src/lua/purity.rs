//! Takes from a pure script what would make its answers depend on more than bindings and key.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};

use mlua::ffi;

use super::context::Context;
use super::stack::{Stack, host_function};

/// Replaces time and chance by functions that raise an error.
pub(crate) fn enforce(stack: &Stack, context: &Context) {
    context.pure.set(true);
    for library in [c"math", c"os", c"leveret"] {
        // SAFETY: pushes one value.
        unsafe { ffi::lua_getglobal(stack.raw(), library.as_ptr()) };
        for (_, name, function) in forbidden().iter().filter(|(from, ..)| *from == library) {
            stack.push_function(*function, name, context.pointer());
            stack.set(stack.top() - 1, name);
        }
        stack.pop(1);
    }
}

type Forbidden = (&'static CStr, &'static CStr, ffi::lua_CFunction);

fn forbidden() -> [Forbidden; 6] {
    [
        (c"math", c"random", host_function!(|stack| refuse(stack, "math.random"))),
        (c"math", c"randomseed", host_function!(|stack| refuse(stack, "math.randomseed"))),
        (c"os", c"time", host_function!(|stack| refuse(stack, "os.time"))),
        (c"os", c"clock", host_function!(|stack| refuse(stack, "os.clock"))),
        (c"os", c"date", host_function!(|stack| refuse(stack, "os.date"))),
        (c"leveret", c"random", host_function!(|stack| refuse(stack, "leveret.random"))),
    ]
}

fn refuse(stack: &Stack, what: &str) -> Result<c_int, String> {
    Context::of(stack).forbid(what).map(|()| 0)
}
