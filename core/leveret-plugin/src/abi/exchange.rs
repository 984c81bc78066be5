//! Exchange types: bindings, tables and routing. The rules are those of [the parent](super).

use std::ffi::c_void;

use super::{Answer, Bytes, Host, Message};

/// Flag of an [`ExchangeVtable`]: routing depends on nothing but the bindings and the routing key.
pub const EXCHANGE_PURE: u32 = 1;
/// Flag of a [`Binding`]: the destination is an exchange, not a queue.
pub const BINDING_TO_EXCHANGE: u32 = 1;

/// A binding of the exchange.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Size of this struct in bytes.
    pub size: u32,
    /// `LEVERET_BINDING_*`.
    pub flags: u32,
    /// The number to push when a message is for this destination.
    pub slot: u32,
    /// Zero.
    pub reserved: u32,
    /// Binding key.
    pub key: Bytes,
    /// Binding arguments: pairs of a field table.
    pub arguments: Bytes,
    /// Name of the queue or exchange that is bound.
    pub destination: Bytes,
}

/// One declared exchange.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// Size of this struct in bytes.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Virtual host.
    pub vhost: Bytes,
    /// Name of the exchange.
    pub exchange: Bytes,
    /// Its arguments: pairs of a field table.
    pub arguments: Bytes,
}

/// An exchange type. `exchange` is what `create` made, `table` what `table_build` or `table_fork`
/// made. `route` runs on many threads at once and must not block; the others run one at a time per
/// exchange. A table is not changed any more once it is routed by.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ExchangeVtable {
    /// Size of this struct in bytes.
    pub size: u32,
    /// `LEVERET_EXCHANGE_*`.
    pub flags: u32,
    /// Makes the state of one declared exchange. `config` is JSON text. [`REFUSED`](super::REFUSED)
    /// goes to the client. Required.
    pub create: Option<
        unsafe extern "C" fn(
            host: *const Host,
            config: Bytes,
            declaration: *const Declaration,
            exchange: *mut *mut c_void,
            answer: *mut Answer,
        ) -> i32,
    >,
    /// Ends what `create` made, after all its tables. Required.
    pub destroy: Option<unsafe extern "C" fn(exchange: *mut c_void)>,
    /// Whether a binding may be made: [`OK`](super::OK) or [`REFUSED`](super::REFUSED). Null:
    /// always.
    pub validate_bind: Option<
        unsafe extern "C" fn(
            exchange: *const c_void,
            binding: *const Binding,
            answer: *mut Answer,
        ) -> i32,
    >,
    /// Builds the table of `count` bindings, in the order in which they were made. Required.
    pub table_build: Option<
        unsafe extern "C" fn(
            exchange: *const c_void,
            bindings: *const Binding,
            count: usize,
            table: *mut *mut c_void,
            answer: *mut Answer,
        ) -> i32,
    >,
    /// Copies a table, cheaply, so that the copy can be changed. Null: the broker builds anew.
    pub table_fork: Option<
        unsafe extern "C" fn(
            exchange: *const c_void,
            table: *const c_void,
            copy: *mut *mut c_void,
            answer: *mut Answer,
        ) -> i32,
    >,
    /// Adds a binding to a table that nobody routes by. Null: the broker builds anew.
    pub table_bind: Option<
        unsafe extern "C" fn(
            exchange: *const c_void,
            table: *mut c_void,
            binding: *const Binding,
            answer: *mut Answer,
        ) -> i32,
    >,
    /// Removes a binding from a table that nobody routes by. Null: the broker builds anew.
    pub table_unbind: Option<
        unsafe extern "C" fn(
            exchange: *const c_void,
            table: *mut c_void,
            binding: *const Binding,
            answer: *mut Answer,
        ) -> i32,
    >,
    /// Ends a table, from any thread. Required.
    pub table_drop: Option<unsafe extern "C" fn(table: *mut c_void)>,
    /// Pushes the slots that take the message, in any order; a slot may come twice. Required.
    pub route: Option<
        unsafe extern "C" fn(
            exchange: *const c_void,
            table: *const c_void,
            message: *const Message,
            slots: *mut Slots,
            answer: *mut Answer,
        ) -> i32,
    >,
}

/// Where a route puts the slots it chose: a buffer of the broker, used again and again.
#[repr(C)]
#[derive(Debug)]
pub struct Slots {
    /// Size of this struct in bytes.
    pub size: u32,
    /// Slots in the buffer; the plugin writes `ptr[len]` and raises it.
    pub len: u32,
    /// Slots that fit.
    pub capacity: u32,
    /// Zero.
    pub reserved: u32,
    /// The buffer.
    pub ptr: *mut u32,
    /// The broker's own.
    pub context: *mut c_void,
    /// Makes room for `extra` slots more; changes `ptr` and `capacity`. Not 0: there is none.
    pub grow: Option<unsafe extern "C" fn(slots: *mut Slots, extra: u32) -> i32>,
}
