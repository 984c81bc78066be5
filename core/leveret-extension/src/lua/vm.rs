//! One VM of one script on one thread: how it is made, and how it is called.
#![allow(unsafe_code)]

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Duration;

use leveret_plugin::host::{Failure, FailureKind};
use mlua::chunk::ChunkMode;
use mlua::{Lua, LuaOptions, StdLib, Table, Value, ffi};

use super::context::Context;
use super::describe::{Description, describe};
use super::exchange::ExchangeState;
use super::guard::Guard;
use super::script::{Owner, ScriptSpec};
use super::stack::Stack;
use super::{api, json, purity};

/// The functions of a script, as kept by its VM.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Functions {
    pub(crate) new: Option<c_int>,
    pub(crate) validate: Option<c_int>,
    pub(crate) bind: Option<c_int>,
    pub(crate) unbind: Option<c_int>,
    pub(crate) route: Option<c_int>,
    pub(crate) publish: Option<c_int>,
    pub(crate) deliver: Option<c_int>,
    pub(crate) authenticate: Option<c_int>,
    pub(crate) authorise: Option<c_int>,
}

/// What runs within a protected call; its error is raised there.
type Body<'a> = &'a mut dyn FnMut(&Stack) -> Result<(), String>;

/// Hashes an id to itself.
#[derive(Default)]
pub(crate) struct ById(u64);

impl Hasher for ById {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, id: u64) {
        // The table takes the place from the low bits and a tag from the high ones.
        self.0 = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// A VM with a script in it. Dropped in the order of its fields.
pub(crate) struct Vm {
    guard: Arc<Guard>,
    // The VM goes before the context that its functions point to.
    _lua: Lua,
    context: Box<Context>,
    state: *mut ffi::lua_State,
    /// The function that runs a [`Body`].
    trampoline: c_int,
    pub(crate) functions: Functions,
    /// The configuration of the script.
    pub(crate) config: c_int,
    pub(crate) exchanges: RefCell<HashMap<u64, ExchangeState, BuildHasherDefault<ById>>>,
    label: String,
    limit: Duration,
    memory_bytes: usize,
    spoiled: Cell<bool>,
    overrun_line: Cell<Option<u32>>,
    owner: OnceCell<Owner>,
}

impl Vm {
    /// Makes a VM and runs the script in it. The first error is that of the script.
    pub(crate) fn new(spec: &ScriptSpec, pure: bool) -> Result<(Self, Description), Failure> {
        let lua = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::new())
            .map_err(|e| Failure::error(format!("{}: no VM: {e}", spec.label)))?;
        let state = Cell::new(std::ptr::null_mut());
        // SAFETY: only notes the state, which lives as long as `lua`.
        let noted = unsafe { lua.exec_raw::<()>((), |raw| state.set(raw)) };
        let context = Box::new(Context::new(spec.label.clone(), Arc::clone(&spec.host)));
        // SAFETY: `Drop` detaches before the VM goes.
        let guard = unsafe { Guard::attach(state.get(), spec.limit) };
        let mut vm = Self {
            guard,
            _lua: lua.clone(),
            context,
            state: state.get(),
            trampoline: 0,
            functions: Functions::default(),
            config: 0,
            exchanges: RefCell::default(),
            label: spec.label.clone(),
            limit: spec.limit,
            memory_bytes: spec.memory_bytes,
            spoiled: Cell::new(false),
            overrun_line: Cell::new(None),
            owner: OnceCell::new(),
        };
        let loaded = noted.and_then(|()| vm.prepare(&lua, spec, pure)).and_then(|()| {
            let running = vm.guard.begin();
            let returned = run_script(&lua, spec);
            drop(running);
            returned
        });
        let returned = vm.loaded(loaded)?;
        let description = describe(&returned, spec.wanted)
            .map_err(|reason| Failure::error(format!("{}: {reason}", vm.label)))?;
        let kept = vm.keep(&lua, &returned, &spec.config);
        vm.loaded(kept)?;
        Ok((vm, description))
    }

    /// Fills the VM with everything but the script.
    fn prepare(&mut self, lua: &Lua, spec: &ScriptSpec, pure: bool) -> mlua::Result<()> {
        lua.set_memory_limit(spec.memory_bytes)?;
        for name in api::REMOVED {
            lua.globals().raw_set(name, Value::Nil)?;
        }
        let context = &*self.context;
        in_vm(lua, |stack| api::install(stack, context))?;
        let api: Table = lua.globals().get("leveret")?;
        lua.load(include_str!("prelude.luau")).set_name("=leveret").call::<()>(api)?;
        if pure {
            in_vm(lua, |stack| purity::enforce(stack, context))?;
        }
        lua.sandbox(true)
    }

    /// Keeps the script's functions and its configuration.
    fn keep(
        &mut self,
        lua: &Lua,
        returned: &Value,
        config: &serde_json::Value,
    ) -> mlua::Result<()> {
        let Value::Table(table) = returned else { return Ok(()) };
        let keep = |name: &str| -> mlua::Result<Option<c_int>> {
            let Value::Function(function) = table.raw_get(name)? else { return Ok(None) };
            keep_value(lua, function).map(Some)
        };
        self.functions = Functions {
            new: keep("new")?,
            validate: keep("validate")?,
            bind: keep("bind")?,
            unbind: keep("unbind")?,
            route: keep("route")?,
            publish: keep("publish")?,
            deliver: keep("deliver")?,
            authenticate: keep("authenticate")?,
            authorise: keep("authorise")?,
        };
        // SAFETY: `trampoline` only calls the body it is given.
        self.trampoline = keep_value(lua, unsafe { lua.create_c_function(trampoline) }?)?;
        let array = self.context.kept().array;
        let config = config.clone();
        in_vm(lua, |stack| {
            if let Err(text) = json::push(stack, &config, array) {
                stack.fail(&text);
            }
            self.config = stack.keep();
        })
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn belong_to(&self, owner: Owner) {
        let _ = self.owner.set(owner);
    }

    /// Whether the script it was made for is gone.
    pub(crate) fn is_orphan(&self) -> bool {
        self.owner.get().is_some_and(|owner| owner.strong_count() == 0)
    }

    /// Whether it exceeded a limit and must not be used any more.
    #[inline]
    pub(crate) fn is_spoiled(&self) -> bool {
        self.spoiled.get()
    }

    /// The line at which it ran out of time, if it did.
    pub(crate) fn overrun_line(&self) -> Option<u32> {
        self.overrun_line.get()
    }

    /// Runs `body` within the limits. What it pushes is gone afterwards.
    #[inline]
    pub(crate) fn call(&self, mut body: Body<'_>) -> Result<(), Failure> {
        let running = self.guard.begin();
        // SAFETY: the state is ours and idle, with at least 20 free places; neither push
        // allocates; `body` outlives the call.
        let status = unsafe {
            ffi::lua_rawgeti_(self.state, ffi::LUA_REGISTRYINDEX, self.trampoline);
            let body: *mut Body<'_> = &mut body;
            ffi::lua_pushlightuserdata(self.state, body.cast::<c_void>());
            ffi::lua_pcall(self.state, 1, 0, 0)
        };
        drop(running);
        let overrun = self.guard.overrun();
        if status == ffi::LUA_OK && overrun.is_none() {
            return Ok(());
        }
        Err(self.failed(status, overrun))
    }

    #[cold]
    fn failed(&self, status: c_int, overrun: Option<u32>) -> Failure {
        let text = if status == ffi::LUA_OK { None } else { self.take_error() };
        if let Some(line) = overrun {
            return self.timed_out(line);
        }
        let text = text.unwrap_or_else(|| "raised an error that is no text".into());
        if status == ffi::LUA_ERRMEM || text == "not enough memory" {
            return self.out_of_memory();
        }
        Failure::error(self.located(&text))
    }

    /// Takes the error value off the stack.
    fn take_error(&self) -> Option<String> {
        // SAFETY: the state is ours; reading a string does not raise.
        let stack = unsafe { Stack::new(self.state) };
        let text = stack.text(-1);
        stack.pop(1);
        text
    }

    /// Puts the script's name in front where the text does not begin with it.
    fn located(&self, text: &str) -> String {
        match text.strip_prefix(self.label.as_str()) {
            Some(rest) if rest.starts_with(':') => text.to_owned(),
            _ => format!("{}: {text}", self.label),
        }
    }

    fn timed_out(&self, line: u32) -> Failure {
        self.spoiled.set(true);
        self.overrun_line.set(Some(line));
        let (label, limit) = (&self.label, self.limit.as_millis());
        let text = format!("{label}:{line}: ran for longer than {limit} ms");
        Failure { kind: FailureKind::Timeout, text }
    }

    fn out_of_memory(&self) -> Failure {
        self.spoiled.set(true);
        let text = format!("{}: used more than {} bytes of memory", self.label, self.memory_bytes);
        Failure { kind: FailureKind::OutOfMemory, text }
    }

    /// The failure of a call that went through mlua.
    fn loaded<T>(&self, result: mlua::Result<T>) -> Result<T, Failure> {
        if let Some(line) = self.guard.overrun() {
            return Err(self.timed_out(line));
        }
        result.map_err(|error| match error {
            mlua::Error::MemoryError(_) => self.out_of_memory(),
            mlua::Error::SyntaxError { message, .. } | mlua::Error::RuntimeError(message) => {
                let text = message.split("\nstack traceback:").next().unwrap_or_default();
                if text == "not enough memory" {
                    return self.out_of_memory();
                }
                Failure::error(self.located(text))
            }
            other => Failure::error(self.located(&other.to_string())),
        })
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.guard.detach();
    }
}

/// Runs the script's text; what it returns.
fn run_script(lua: &Lua, spec: &ScriptSpec) -> mlua::Result<Value> {
    lua.load(spec.text.as_str())
        .set_name(format!("={}", spec.label))
        .set_mode(ChunkMode::Text)
        .call(())
}

fn in_vm(lua: &Lua, body: impl FnOnce(&Stack)) -> mlua::Result<()> {
    // SAFETY: mlua runs this within a protected call.
    unsafe { lua.exec_raw::<()>((), |state| body(&Stack::new(state))) }
}

fn keep_value(lua: &Lua, value: impl mlua::IntoLua) -> mlua::Result<c_int> {
    let kept = Cell::new(0);
    // SAFETY: mlua runs this within a protected call, with the value at the top.
    unsafe { lua.exec_raw::<()>(value, |state| kept.set(Stack::new(state).keep())) }?;
    Ok(kept.get())
}

/// Runs the [`Body`] that its argument points to.
unsafe extern "C-unwind" fn trampoline(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: only `Vm::call` calls this, within a protected call, with a pointer to a body.
    unsafe {
        let body = ffi::lua_tolightuserdata(state, 1).cast::<Body<'_>>();
        let stack = Stack::new(state);
        if let Err(text) = (*body)(&stack) {
            stack.fail(&text);
        }
    }
    0
}
