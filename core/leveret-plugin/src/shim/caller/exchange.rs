//! An exchange type behind its vtable.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use super::super::{convert, size};
use super::{Foreign, demand};
use crate::abi::{self, Bytes, ExchangeVtable};
use crate::host::{Declaration, Exchange, ExchangeType, Failure, Origin, Slot, Table};
use crate::message::{Binding, Message};

/// An exchange type of a plugin that is linked into this program.
pub(crate) struct LoadedType {
    pub(crate) name: &'static str,
    pub(crate) vtable: &'static ExchangeVtable,
    pub(crate) host: &'static abi::Host,
    pub(crate) config: String,
    pub(crate) origin: Origin,
}

struct LoadedExchange {
    vtable: &'static ExchangeVtable,
    exchange: Foreign,
}

struct LoadedTable {
    exchange: Arc<LoadedExchange>,
    table: Foreign,
}

impl LoadedType {
    /// The type in the item `name` of `plugin`.
    pub(crate) fn find(
        plugin: &'static abi::Descriptor,
        name: &str,
        host: &'static abi::Host,
        config: &str,
    ) -> Self {
        let item = super::item(plugin, abi::KIND_EXCHANGE, name);
        // SAFETY: an item of this kind has a vtable of this type and a name, both static.
        let (vtable, name) =
            unsafe { (&*item.vtable.cast::<ExchangeVtable>(), convert::text(item.name)) };
        Self { name, vtable, host, config: config.to_owned(), origin: Origin::BuiltIn }
    }
}

fn missing() -> Failure {
    Failure::error("the plugin lacks a required function")
}

impl ExchangeType for LoadedType {
    fn name(&self) -> &str {
        self.name
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn create(&self, declaration: &Declaration<'_>) -> Result<Arc<dyn Exchange>, Failure> {
        let create = self.vtable.create.ok_or_else(missing)?;
        let declaration = convert::declaration_out(declaration);
        let mut exchange = ptr::null_mut();
        // SAFETY: all that is passed lives for the call, the host for the process.
        demand(|answer| unsafe {
            create(self.host, Bytes::text(&self.config), &declaration, &mut exchange, answer)
        })?;
        let made = LoadedExchange { vtable: self.vtable, exchange: Foreign(exchange) };
        Ok(Arc::new(Shared(Arc::new(made))))
    }
}

impl Drop for LoadedExchange {
    fn drop(&mut self) {
        if let Some(destroy) = self.vtable.destroy {
            // SAFETY: `create` made it, and its tables, which hold it, are gone.
            unsafe { destroy(self.exchange.0) };
        }
    }
}

/// An exchange that its tables keep alive.
struct Shared(Arc<LoadedExchange>);

impl Exchange for Shared {
    fn is_pure(&self) -> bool {
        self.0.vtable.flags & abi::EXCHANGE_PURE != 0
    }

    fn validate(&self, binding: &Binding<'_>) -> Result<(), Failure> {
        let Some(validate) = self.0.vtable.validate_bind else { return Ok(()) };
        let binding = convert::binding_out(binding);
        // SAFETY: `create` made the exchange; the rest lives for the call.
        demand(|answer| unsafe { validate(self.0.exchange.0, &binding, answer) })
    }

    fn build(&self, bindings: &[Binding<'_>]) -> Result<Box<dyn Table>, Failure> {
        let build = self.0.vtable.table_build.ok_or_else(missing)?;
        let bindings: Vec<_> = bindings.iter().map(convert::binding_out).collect();
        let mut table = ptr::null_mut();
        // SAFETY: `create` made the exchange; the rest lives for the call.
        demand(|answer| unsafe {
            build(self.0.exchange.0, bindings.as_ptr(), bindings.len(), &mut table, answer)
        })?;
        Ok(Box::new(LoadedTable { exchange: self.0.clone(), table: Foreign(table) }))
    }
}

impl Table for LoadedTable {
    fn fork(&self) -> Result<Box<dyn Table>, Failure> {
        let fork = self.exchange.vtable.table_fork.ok_or_else(missing)?;
        let mut copy = ptr::null_mut();
        // SAFETY: the vtable made exchange and table; the rest lives for the call.
        demand(|answer| unsafe {
            fork(self.exchange.exchange.0, self.table.0, &mut copy, answer)
        })?;
        Ok(Box::new(Self { exchange: self.exchange.clone(), table: Foreign(copy) }))
    }

    fn bind(&mut self, binding: &Binding<'_>) -> Result<(), Failure> {
        let bind = self.exchange.vtable.table_bind.ok_or_else(missing)?;
        let binding = convert::binding_out(binding);
        // SAFETY: as in `fork`; nobody else has the table.
        demand(|answer| unsafe { bind(self.exchange.exchange.0, self.table.0, &binding, answer) })
    }

    fn unbind(&mut self, binding: &Binding<'_>) -> Result<(), Failure> {
        let unbind = self.exchange.vtable.table_unbind.ok_or_else(missing)?;
        let binding = convert::binding_out(binding);
        // SAFETY: as in `bind`.
        demand(|answer| unsafe { unbind(self.exchange.exchange.0, self.table.0, &binding, answer) })
    }

    fn route(&self, message: &Message<'_>, slots: &mut Vec<Slot>) -> Result<(), Failure> {
        let route = self.exchange.vtable.route.ok_or_else(missing)?;
        let message = convert::message_out(message);
        let mut buffer = abi::Slots {
            size: size::<abi::Slots>(),
            len: slots.len() as u32,
            capacity: slots.capacity() as u32,
            reserved: 0,
            ptr: slots.as_mut_ptr(),
            context: (&raw mut *slots).cast::<c_void>(),
            grow: Some(grow),
        };
        // SAFETY: as in `fork`; the buffer is that of `slots`.
        let routed = demand(|answer| unsafe {
            route(self.exchange.exchange.0, self.table.0, &message, &mut buffer, answer)
        });
        // SAFETY: the plugin wrote so many, and `grow` made room for them.
        unsafe { slots.set_len(buffer.len as usize) };
        routed
    }
}

unsafe extern "C" fn grow(slots: *mut abi::Slots, extra: u32) -> i32 {
    // SAFETY: the buffer is the one in `route`, whose context is the vector behind it.
    unsafe {
        let buffer = &mut *slots;
        let vector = &mut *buffer.context.cast::<Vec<Slot>>();
        vector.set_len(buffer.len as usize);
        if vector.try_reserve(extra as usize).is_err() {
            return abi::FAILED;
        }
        buffer.ptr = vector.as_mut_ptr();
        buffer.capacity = u32::try_from(vector.capacity()).unwrap_or(u32::MAX);
    }
    abi::OK
}

impl Drop for LoadedTable {
    fn drop(&mut self) {
        if let Some(table_drop) = self.exchange.vtable.table_drop {
            // SAFETY: the vtable made it, and nobody else has it.
            unsafe { table_drop(self.table.0) };
        }
    }
}
