//! Exchange types of plugins.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::mem;
use std::ptr;
use std::sync::Arc;

use leveret_plugin::abi::{self, Bytes, ExchangeVtable};
use leveret_plugin::host::{Declaration, Exchange, ExchangeType, Failure, Origin, Slot, Table};
use leveret_plugin::message::{Binding, Message};

use super::answer::demand;
use super::convert::{self, size};
use super::handshake::read_vtable;
use super::plugin::{Foreign, Setting};

/// The functions without which there is no exchange type.
#[derive(Clone, Copy)]
struct Required {
    create: unsafe extern "C" fn(
        *const abi::Host,
        Bytes,
        *const abi::Declaration,
        *mut *mut c_void,
        *mut abi::Answer,
    ) -> i32,
    destroy: unsafe extern "C" fn(*mut c_void),
    build: unsafe extern "C" fn(
        *const c_void,
        *const abi::Binding,
        usize,
        *mut *mut c_void,
        *mut abi::Answer,
    ) -> i32,
    drop: unsafe extern "C" fn(*mut c_void),
    route: unsafe extern "C" fn(
        *const c_void,
        *const c_void,
        *const abi::Message,
        *mut abi::Slots,
        *mut abi::Answer,
    ) -> i32,
}

/// An exchange type of a plugin.
pub(crate) struct PluginExchangeType {
    name: Arc<str>,
    setting: Setting,
    vtable: ExchangeVtable,
    required: Required,
}

impl PluginExchangeType {
    /// Reads the function table; the error is the name of a function that is missing.
    ///
    /// # Safety
    /// `vtable` points to an [`ExchangeVtable`] as the contract describes it.
    pub(crate) unsafe fn read(
        name: &str,
        vtable: *const c_void,
        setting: Setting,
    ) -> Result<Self, &'static str> {
        // SAFETY: promised by the caller; a vtable of zeros is one without functions.
        let vtable: ExchangeVtable = unsafe { read_vtable(vtable) };
        let required = Required {
            create: vtable.create.ok_or("create")?,
            destroy: vtable.destroy.ok_or("destroy")?,
            build: vtable.table_build.ok_or("table_build")?,
            drop: vtable.table_drop.ok_or("table_drop")?,
            route: vtable.route.ok_or("route")?,
        };
        Ok(Self { name: name.into(), setting, vtable, required })
    }
}

impl ExchangeType for PluginExchangeType {
    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> &Origin {
        &self.setting.origin
    }

    fn create(&self, declaration: &Declaration<'_>) -> Result<Arc<dyn Exchange>, Failure> {
        let declaration = convert::declaration(declaration);
        let config = Bytes::text(&self.setting.config_json);
        let mut exchange = ptr::null_mut();
        // SAFETY: what is passed lives for the call, the host for the process.
        demand(&self.name, |answer| unsafe {
            (self.required.create)(self.setting.host, config, &declaration, &mut exchange, answer)
        })?;
        Ok(Arc::new(PluginExchange(Arc::new(Declared {
            name: Arc::clone(&self.name),
            vtable: self.vtable,
            required: self.required,
            exchange: Foreign(exchange),
        }))))
    }
}

/// A declared exchange, kept by its tables, so that it is destroyed after them.
struct Declared {
    name: Arc<str>,
    vtable: ExchangeVtable,
    required: Required,
    exchange: Foreign,
}

impl Declared {
    fn build(&self, bindings: &[Binding<'_>]) -> Result<Foreign, Failure> {
        let bindings: Vec<_> = bindings.iter().map(convert::binding).collect();
        let mut table = ptr::null_mut();
        // SAFETY: `create` made the exchange; the rest lives for the call.
        demand(&self.name, |answer| unsafe {
            let (first, count) = (bindings.as_ptr(), bindings.len());
            (self.required.build)(self.exchange.0, first, count, &mut table, answer)
        })?;
        Ok(Foreign(table))
    }

    /// Whether tables can be changed in place; else they are built anew.
    fn can_change(&self) -> bool {
        let vtable = &self.vtable;
        vtable.table_fork.is_some() && vtable.table_bind.is_some() && vtable.table_unbind.is_some()
    }
}

impl Drop for Declared {
    fn drop(&mut self) {
        // SAFETY: `create` made it, and its tables, which hold it, are gone.
        unsafe { (self.required.destroy)(self.exchange.0) };
    }
}

struct PluginExchange(Arc<Declared>);

impl Exchange for PluginExchange {
    fn is_pure(&self) -> bool {
        self.0.vtable.flags & abi::EXCHANGE_PURE != 0
    }

    fn validate(&self, binding: &Binding<'_>) -> Result<(), Failure> {
        let Some(validate) = self.0.vtable.validate_bind else { return Ok(()) };
        let binding = convert::binding(binding);
        // SAFETY: `create` made the exchange; the rest lives for the call.
        demand(&self.0.name, |answer| unsafe { validate(self.0.exchange.0, &binding, answer) })
    }

    fn build(&self, bindings: &[Binding<'_>]) -> Result<Box<dyn Table>, Failure> {
        let kept = (!self.0.can_change()).then(|| bindings.iter().map(Kept::from).collect());
        let table = self.0.build(bindings)?;
        Ok(Box::new(PluginTable { declared: Arc::clone(&self.0), table, kept }))
    }
}

/// A binding that owns its texts, for plugins whose tables are built anew.
#[derive(Clone, PartialEq, Eq)]
struct Kept {
    slot: Slot,
    key: Arc<str>,
    arguments: Arc<[u8]>,
    destination: Arc<str>,
    to_exchange: bool,
}

impl From<&Binding<'_>> for Kept {
    fn from(binding: &Binding<'_>) -> Self {
        Self {
            slot: binding.slot,
            key: binding.key.into(),
            arguments: binding.arguments.into(),
            destination: binding.destination.into(),
            to_exchange: binding.to_exchange,
        }
    }
}

impl Kept {
    fn borrow(&self) -> Binding<'_> {
        Binding {
            slot: self.slot,
            key: &self.key,
            arguments: &self.arguments,
            destination: &self.destination,
            to_exchange: self.to_exchange,
        }
    }
}

struct PluginTable {
    declared: Arc<Declared>,
    table: Foreign,
    /// The bindings, if the plugin cannot change a table.
    kept: Option<Vec<Kept>>,
}

impl PluginTable {
    fn rebuild(&mut self, bindings: Vec<Kept>) -> Result<(), Failure> {
        let borrowed: Vec<_> = bindings.iter().map(Kept::borrow).collect();
        let new = self.declared.build(&borrowed)?;
        let old = mem::replace(&mut self.table, new);
        // SAFETY: the plugin made it, and nobody else has it.
        unsafe { (self.declared.required.drop)(old.0) };
        drop(borrowed);
        self.kept = Some(bindings);
        Ok(())
    }
}

impl Table for PluginTable {
    fn fork(&self) -> Result<Box<dyn Table>, Failure> {
        let declared = Arc::clone(&self.declared);
        if let (None, Some(fork)) = (&self.kept, declared.vtable.table_fork) {
            let mut copy = ptr::null_mut();
            // SAFETY: the plugin made exchange and table; the rest lives for the call.
            demand(&declared.name, |answer| unsafe {
                fork(declared.exchange.0, self.table.0, &mut copy, answer)
            })?;
            return Ok(Box::new(Self { declared, table: Foreign(copy), kept: None }));
        }
        let kept = self.kept.clone().unwrap_or_default();
        let borrowed: Vec<_> = kept.iter().map(Kept::borrow).collect();
        let table = declared.build(&borrowed)?;
        drop(borrowed);
        Ok(Box::new(Self { declared, table, kept: Some(kept) }))
    }

    fn bind(&mut self, binding: &Binding<'_>) -> Result<(), Failure> {
        if let Some(kept) = &self.kept {
            let mut bindings = kept.clone();
            bindings.push(binding.into());
            return self.rebuild(bindings);
        }
        let Some(bind) = self.declared.vtable.table_bind else { return Ok(()) };
        let (declared, binding) = (&self.declared, convert::binding(binding));
        // SAFETY: the plugin made exchange and table, and nobody else has the table.
        demand(&declared.name, |answer| unsafe {
            bind(declared.exchange.0, self.table.0, &binding, answer)
        })
    }

    fn unbind(&mut self, binding: &Binding<'_>) -> Result<(), Failure> {
        if let Some(kept) = &self.kept {
            let mut bindings = kept.clone();
            let gone = Kept::from(binding);
            if let Some(place) = bindings.iter().rposition(|one| *one == gone) {
                bindings.remove(place);
            }
            return self.rebuild(bindings);
        }
        let Some(unbind) = self.declared.vtable.table_unbind else { return Ok(()) };
        let (declared, binding) = (&self.declared, convert::binding(binding));
        // SAFETY: as in `bind`.
        demand(&declared.name, |answer| unsafe {
            unbind(declared.exchange.0, self.table.0, &binding, answer)
        })
    }

    #[inline]
    fn route(&self, message: &Message<'_>, slots: &mut Vec<Slot>) -> Result<(), Failure> {
        let start = slots.len();
        let message = convert::message(message);
        let mut buffer = abi::Slots {
            size: size::<abi::Slots>(),
            len: start as u32,
            capacity: u32::try_from(slots.capacity()).unwrap_or(u32::MAX),
            reserved: 0,
            ptr: slots.as_mut_ptr(),
            context: (&raw mut *slots).cast::<c_void>(),
            grow: Some(grow),
        };
        let declared = &self.declared;
        // SAFETY: the plugin made exchange and table; the buffer is that of `slots`.
        let routed = demand(&declared.name, |answer| unsafe {
            let route = declared.required.route;
            route(declared.exchange.0, self.table.0, &message, &mut buffer, answer)
        });
        let length = if routed.is_ok() { buffer.len as usize } else { start };
        // SAFETY: the plugin wrote so many, for which there was room.
        unsafe { slots.set_len(length.min(slots.capacity())) };
        routed
    }
}

impl Drop for PluginTable {
    fn drop(&mut self) {
        // SAFETY: the plugin made it, and nobody else has it.
        unsafe { (self.declared.required.drop)(self.table.0) };
    }
}

/// Makes room in the vector behind a buffer.
unsafe extern "C" fn grow(slots: *mut abi::Slots, extra: u32) -> i32 {
    // SAFETY: the buffer is the one in `route`, whose context is the vector behind it.
    unsafe {
        let buffer = &mut *slots;
        let vector = &mut *buffer.context.cast::<Vec<Slot>>();
        vector.set_len((buffer.len as usize).min(vector.capacity()));
        if vector.try_reserve(extra as usize).is_err() {
            return abi::FAILED;
        }
        buffer.ptr = vector.as_mut_ptr();
        buffer.capacity = u32::try_from(vector.capacity()).unwrap_or(u32::MAX);
    }
    abi::OK
}
