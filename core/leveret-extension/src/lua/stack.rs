//! A thin, named layer over the C API of the VM.
//!
//! Per message mlua's own calls cost two to three times what the script does, so the hot path talks
//! to the C API. Every method may raise a Lua error, which unwinds: values on the Rust stack are
//! dropped on the way.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_void};
use std::slice;

use mlua::ffi;

/// Greatest magnitude up to which every integer is a Lua number.
pub(crate) const EXACT: i64 = 1 << 53;

/// A function of the host that scripts can call. Reads its arguments from 1 upwards, pushes what it
/// returns and says how many that are; an error's text is raised with script and line in front.
pub(crate) type HostFunction = fn(&Stack) -> Result<c_int, String>;

/// The types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nil,
    Bool,
    Light,
    Number,
    Integer,
    String,
    Table,
    Buffer,
    Other,
}

/// A Lua stack within a protected call.
pub(crate) struct Stack(*mut ffi::lua_State);

impl Stack {
    /// # Safety
    /// `state` lives, belongs to this thread, and runs within a protected call for as long as this
    /// value is used; indices given to the methods are valid there.
    pub(crate) unsafe fn new(state: *mut ffi::lua_State) -> Self {
        Self(state)
    }

    pub(crate) fn raw(&self) -> *mut ffi::lua_State {
        self.0
    }
}

// SAFETY of every block below: `new` promises a live state, a protected call and valid indices.
impl Stack {
    pub(crate) fn top(&self) -> c_int {
        unsafe { ffi::lua_gettop(self.0) }
    }

    pub(crate) fn pop(&self, count: c_int) {
        unsafe { ffi::lua_pop(self.0, count) }
    }

    pub(crate) fn remove(&self, index: c_int) {
        unsafe { ffi::lua_remove(self.0, index) }
    }

    /// Makes room for `count` more values.
    pub(crate) fn reserve(&self, count: c_int) {
        unsafe { ffi::luaL_checkstack(self.0, count, c"too many values".as_ptr()) }
    }

    pub(crate) fn copy(&self, index: c_int) {
        unsafe { ffi::lua_pushvalue(self.0, index) }
    }

    pub(crate) fn kind(&self, index: c_int) -> Kind {
        match unsafe { ffi::lua_type(self.0, index) } {
            ffi::LUA_TNIL | ffi::LUA_TNONE => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Bool,
            ffi::LUA_TLIGHTUSERDATA => Kind::Light,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TINTEGER => Kind::Integer,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TBUFFER => Kind::Buffer,
            _ => Kind::Other,
        }
    }

    /// Name of the type, for error texts.
    pub(crate) fn type_name(&self, index: c_int) -> &'static str {
        let name = unsafe { CStr::from_ptr(ffi::luaL_typename(self.0, index)) };
        name.to_str().unwrap_or("value")
    }

    pub(crate) fn push_nil(&self) {
        unsafe { ffi::lua_pushnil(self.0) }
    }

    /// JSON's and AMQP's absent value, `leveret.null`.
    pub(crate) fn push_null(&self) {
        unsafe { ffi::lua_pushlightuserdata(self.0, std::ptr::null_mut()) }
    }

    pub(crate) fn is_null(&self, index: c_int) -> bool {
        self.kind(index) == Kind::Light
            && unsafe { ffi::lua_tolightuserdata(self.0, index) }.is_null()
    }

    pub(crate) fn push_bool(&self, value: bool) {
        unsafe { ffi::lua_pushboolean(self.0, c_int::from(value)) }
    }

    pub(crate) fn push_number(&self, value: f64) {
        unsafe { ffi::lua_pushnumber(self.0, value) }
    }

    /// A number where that is exact, else an `integer` value.
    pub(crate) fn push_integer(&self, value: i64) {
        if (-EXACT..=EXACT).contains(&value) {
            return self.push_number(value as f64);
        }
        unsafe { ffi::lua_pushinteger64(self.0, value) }
    }

    pub(crate) fn push_bytes(&self, bytes: &[u8]) {
        unsafe { ffi::lua_pushlstring_(self.0, bytes.as_ptr().cast(), bytes.len()) }
    }

    pub(crate) fn push_light(&self, pointer: *mut c_void) {
        unsafe { ffi::lua_pushlightuserdata(self.0, pointer) }
    }

    /// Pushes what [`Self::keep`] kept.
    #[inline]
    pub(crate) fn push_kept(&self, reference: c_int) {
        unsafe { ffi::lua_rawgeti_(self.0, ffi::LUA_REGISTRYINDEX, reference) };
    }

    /// Keeps the value at the top, popping it, for as long as the VM lives or until `release`.
    pub(crate) fn keep(&self) -> c_int {
        let reference = unsafe { ffi::lua_ref(self.0, -1) };
        self.pop(1);
        reference
    }

    pub(crate) fn release(&self, reference: c_int) {
        unsafe { ffi::lua_unref(self.0, reference) };
    }

    pub(crate) fn push_buffer(&self, bytes: &[u8]) {
        unsafe {
            let room = ffi::lua_newbuffer(self.0, bytes.len());
            room.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    pub(crate) fn boolean(&self, index: c_int) -> bool {
        unsafe { ffi::lua_toboolean(self.0, index) != 0 }
    }

    /// The number at `index`, which must be one.
    #[inline]
    pub(crate) fn number(&self, index: c_int) -> f64 {
        unsafe { ffi::lua_tonumberx(self.0, index, std::ptr::null_mut()) }
    }

    /// The `integer` at `index`, which must be one.
    pub(crate) fn integer(&self, index: c_int) -> i64 {
        unsafe { ffi::lua_tointeger64(self.0, index, std::ptr::null_mut()) }
    }

    /// The bytes of a string or buffer. They live as long as the value is on the stack.
    pub(crate) fn bytes(&self, index: c_int) -> Option<&[u8]> {
        let mut length = 0;
        let first = match self.kind(index) {
            Kind::String => unsafe { ffi::lua_tolstring(self.0, index, &mut length) }.cast(),
            Kind::Buffer => unsafe { ffi::lua_tobuffer(self.0, index, &mut length) }.cast::<u8>(),
            _ => return None,
        };
        if first.is_null() {
            return None;
        }
        Some(unsafe { slice::from_raw_parts(first.cast::<u8>(), length) })
    }

    /// Text at `index`, lossily; `None` if it is no string.
    pub(crate) fn text(&self, index: c_int) -> Option<String> {
        self.bytes(index).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    pub(crate) fn new_table(&self, array: usize, record: usize) {
        let hint = |n: usize| c_int::try_from(n.min(1 << 20)).unwrap_or(0);
        unsafe { ffi::lua_createtable(self.0, hint(array), hint(record)) }
    }

    /// Sets a field of the table at `index` to the value at the top, popping it.
    pub(crate) fn set(&self, index: c_int, name: &CStr) {
        unsafe { ffi::lua_rawsetfield(self.0, index, name.as_ptr()) }
    }

    /// Sets `table[key] = value` from the two values at the top, popping them.
    pub(crate) fn set_pair(&self, index: c_int) {
        unsafe { ffi::lua_rawset(self.0, index) }
    }

    pub(crate) fn set_at(&self, index: c_int, place: usize) {
        unsafe { ffi::lua_rawseti_(self.0, index, c_int::try_from(place).unwrap_or(c_int::MAX)) }
    }

    /// Pushes a field of the table at `index`, without metamethods.
    pub(crate) fn get(&self, index: c_int, name: &CStr) -> Kind {
        unsafe { ffi::lua_rawgetfield(self.0, index, name.as_ptr()) };
        self.kind(-1)
    }

    pub(crate) fn get_at(&self, index: c_int, place: usize) -> Kind {
        unsafe { ffi::lua_rawgeti_(self.0, index, c_int::try_from(place).unwrap_or(c_int::MAX)) };
        self.kind(-1)
    }

    /// Replaces the key at the top by the value of the table at `index`.
    pub(crate) fn get_pair(&self, index: c_int) {
        unsafe { ffi::lua_rawget(self.0, index) };
    }

    /// The next pair of the table at `index` after the key at the top: pushes key and value.
    pub(crate) fn next(&self, index: c_int) -> bool {
        unsafe { ffi::lua_next(self.0, index) != 0 }
    }

    pub(crate) fn length(&self, index: c_int) -> usize {
        unsafe { ffi::lua_objlen(self.0, index) }
    }

    pub(crate) fn freeze(&self, index: c_int) {
        unsafe { ffi::lua_setreadonly(self.0, index, 1) }
    }

    /// Gives the value at `index` the metatable at the top, popping that.
    pub(crate) fn set_metatable(&self, index: c_int) {
        unsafe { ffi::lua_setmetatable(self.0, index) };
    }

    /// Whether the metatable of the value at `index` is the value kept as `reference`.
    pub(crate) fn has_metatable(&self, index: c_int, reference: c_int) -> bool {
        if unsafe { ffi::lua_getmetatable(self.0, index) } == 0 {
            return false;
        }
        self.push_kept(reference);
        let same = unsafe { ffi::lua_rawequal(self.0, -1, -2) != 0 };
        self.pop(2);
        same
    }

    /// Pushes an empty userdata with a tag by which [`Self::has_tag`] knows it.
    pub(crate) fn push_tagged(&self, tag: c_int) {
        unsafe { ffi::lua_newuserdatatagged(self.0, 1, tag) };
    }

    pub(crate) fn has_tag(&self, index: c_int, tag: c_int) -> bool {
        !unsafe { ffi::lua_touserdatatagged(self.0, index, tag) }.is_null()
    }

    /// Calls the function below its `arguments`.
    #[inline]
    pub(crate) fn call(&self, arguments: c_int, results: c_int) {
        unsafe { ffi::lua_call(self.0, arguments, results) }
    }

    /// The first upvalue of the running host function, as a pointer.
    #[inline]
    pub(crate) fn upvalue(&self) -> *mut c_void {
        unsafe { ffi::lua_tolightuserdata(self.0, ffi::lua_upvalueindex(1)) }
    }

    /// Raises `text` with the script and line of the caller in front.
    pub(crate) fn fail(&self, text: &str) -> ! {
        unsafe {
            ffi::lua_rawcheckstack(self.0, 4);
            ffi::luaL_where(self.0, 1);
            self.push_bytes(text.as_bytes());
            ffi::lua_concat(self.0, 2);
            ffi::lua_error(self.0)
        }
    }

    /// Line of the innermost script function that is running.
    pub(crate) fn line(&self) -> Option<u32> {
        unsafe {
            let mut info: ffi::lua_Debug = std::mem::zeroed();
            let mut level = 0;
            while ffi::lua_getinfo(self.0, level, c"l".as_ptr(), &mut info) != 0 {
                if info.currentline > 0 {
                    return u32::try_from(info.currentline).ok();
                }
                level += 1;
            }
        }
        None
    }

    /// Pushes `F` as a function that finds `context` by [`Self::upvalue`].
    pub(crate) fn push_function(
        &self,
        function: ffi::lua_CFunction,
        name: &'static CStr,
        context: *mut c_void,
    ) {
        self.push_light(context);
        unsafe { ffi::lua_pushcclosured(self.0, function, name.as_ptr(), 1) }
    }
}

/// Runs a host function and raises what it returns as an error.
///
/// # Safety
/// Only to be called by the VM, through [`host_function`].
pub(crate) unsafe fn enter(state: *mut ffi::lua_State, function: HostFunction) -> c_int {
    // SAFETY: the VM calls host functions within a protected call, on the state's thread.
    let stack = unsafe { Stack::new(state) };
    match function(&stack) {
        Ok(results) => results,
        Err(text) => stack.fail(&text),
    }
}

/// Makes a `lua_CFunction` of a [`HostFunction`].
macro_rules! host_function {
    ($function:expr) => {{
        unsafe extern "C-unwind" fn call(state: *mut mlua::ffi::lua_State) -> std::ffi::c_int {
            // SAFETY: only the VM calls this.
            unsafe { $crate::lua::stack::enter(state, $function) }
        }
        call as mlua::ffi::lua_CFunction
    }};
}
pub(crate) use host_function;
