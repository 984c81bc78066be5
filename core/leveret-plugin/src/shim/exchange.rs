//! The vtable of an exchange type written in Rust.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::guard::{contain, guard};
use super::{Slots, convert, size};
use crate::abi::{self, Answer, Bytes, ExchangeVtable, strided};
use crate::{Broker, ExchangeType};

/// Carries the vtable of `T`.
pub(super) struct VtableOf<T>(PhantomData<T>);

impl<T: ExchangeType> VtableOf<T> {
    pub(super) const VTABLE: &'static ExchangeVtable = &ExchangeVtable {
        size: size::<ExchangeVtable>(),
        flags: if T::PURE { abi::EXCHANGE_PURE } else { 0 },
        create: Some(create::<T>),
        destroy: Some(destroy::<T>),
        validate_bind: Some(validate_bind::<T>),
        table_build: Some(table_build::<T>),
        table_fork: Some(table_fork::<T>),
        table_bind: Some(table_bind::<T>),
        table_unbind: Some(table_unbind::<T>),
        table_drop: Some(table_drop::<T>),
        route: Some(route::<T>),
    };
}

// SAFETY, for every function below: the broker passes what the contract says: an exchange that
// `create::<T>` made, tables that this vtable made, structs that it lends for the call, and places
// to write results to.

unsafe extern "C" fn create<T: ExchangeType>(
    host: *const abi::Host,
    config: Bytes,
    declaration: *const abi::Declaration,
    exchange: *mut *mut c_void,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above; the host lives as long as the process.
        let (host, config, declaration) =
            unsafe { (host.as_ref(), convert::text(config), convert::declaration(&*declaration)) };
        let made = T::new(config, &declaration, &Broker::new(host, T::NAME))?;
        // SAFETY: see above.
        unsafe { *exchange = Box::into_raw(Box::new(made)).cast() };
        Ok(abi::OK)
    })
}

unsafe extern "C" fn destroy<T: ExchangeType>(exchange: *mut c_void) {
    // SAFETY: see above; nobody uses it any more.
    let _ = contain(|| unsafe { drop(Box::from_raw(exchange.cast::<T>())) });
}

unsafe extern "C" fn validate_bind<T: ExchangeType>(
    exchange: *const c_void,
    binding: *const abi::Binding,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above.
        let (exchange, binding) = unsafe { (&*exchange.cast::<T>(), convert::binding(&*binding)) };
        exchange.validate(&binding).map(|()| abi::OK)
    })
}

unsafe extern "C" fn table_build<T: ExchangeType>(
    exchange: *const c_void,
    bindings: *const abi::Binding,
    count: usize,
    table: *mut *mut c_void,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above.
        let (exchange, bindings) = unsafe { (&*exchange.cast::<T>(), strided(bindings, count)) };
        let mut built = T::Table::default();
        for binding in bindings {
            // SAFETY: see above.
            exchange.bind(&mut built, &unsafe { convert::binding(binding) });
        }
        // SAFETY: see above.
        unsafe { *table = Box::into_raw(Box::new(built)).cast() };
        Ok(abi::OK)
    })
}

unsafe extern "C" fn table_fork<T: ExchangeType>(
    _exchange: *const c_void,
    table: *const c_void,
    copy: *mut *mut c_void,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above.
        let table = unsafe { &*table.cast::<T::Table>() };
        let forked = Box::new(table.clone());
        // SAFETY: see above.
        unsafe { *copy = Box::into_raw(forked).cast() };
        Ok(abi::OK)
    })
}

unsafe extern "C" fn table_bind<T: ExchangeType>(
    exchange: *const c_void,
    table: *mut c_void,
    binding: *const abi::Binding,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above; nobody routes by the table yet.
        let (exchange, table, binding) = unsafe {
            (&*exchange.cast::<T>(), &mut *table.cast::<T::Table>(), convert::binding(&*binding))
        };
        exchange.bind(table, &binding);
        Ok(abi::OK)
    })
}

unsafe extern "C" fn table_unbind<T: ExchangeType>(
    exchange: *const c_void,
    table: *mut c_void,
    binding: *const abi::Binding,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above; nobody routes by the table yet.
        let (exchange, table, binding) = unsafe {
            (&*exchange.cast::<T>(), &mut *table.cast::<T::Table>(), convert::binding(&*binding))
        };
        exchange.unbind(table, &binding);
        Ok(abi::OK)
    })
}

unsafe extern "C" fn table_drop<T: ExchangeType>(table: *mut c_void) {
    // SAFETY: see above; nobody uses it any more.
    let _ = contain(|| unsafe { drop(Box::from_raw(table.cast::<T::Table>())) });
}

unsafe extern "C" fn route<T: ExchangeType>(
    exchange: *const c_void,
    table: *const c_void,
    message: *const abi::Message,
    slots: *mut abi::Slots,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above.
        let (exchange, table) = unsafe { (&*exchange.cast::<T>(), &*table.cast::<T::Table>()) };
        // SAFETY: see above.
        let message = unsafe { convert::message(&*message) };
        // SAFETY: see above.
        let mut slots = unsafe { Slots::new(&mut *slots) };
        exchange.route(table, &message, &mut slots);
        Ok(abi::OK)
    })
}
