//! Between the C contract and the safe traits: the functions in the vtables of plugins written in
//! Rust, and (in `caller`) what calls such vtables for the testkit.
#![allow(unsafe_code)]

mod auth;
pub(crate) mod caller;
mod convert;
mod exchange;
mod guard;
mod host;
mod slots;
mod transform;

use std::ffi::c_void;
use std::mem::size_of;

pub use auth::{Completion, Later};
pub use slots::Slots;
pub use transform::Draft;

pub(crate) use host::{log, user};

use crate::abi::{self, Bytes, Descriptor, Item};
use crate::{Auth, ExchangeType, Transform};

/// Size of a struct of the contract, for its first field.
pub(crate) const fn size<T>() -> u32 {
    size_of::<T>() as u32
}

/// An exchange type as an item of a plugin.
pub const fn exchange<T: ExchangeType>() -> Item {
    item(
        abi::KIND_EXCHANGE,
        T::NAME,
        (exchange::VtableOf::<T>::VTABLE as *const _) as *const c_void,
    )
}

/// A transform as an item of a plugin.
pub const fn transform<T: Transform>() -> Item {
    item(
        abi::KIND_TRANSFORM,
        T::NAME,
        (transform::VtableOf::<T>::VTABLE as *const _) as *const c_void,
    )
}

/// An auth plugin as an item of a plugin.
pub const fn auth<T: Auth>() -> Item {
    item(abi::KIND_AUTH, T::NAME, (auth::VtableOf::<T>::VTABLE as *const _) as *const c_void)
}

const fn item(kind: u32, name: &'static str, vtable: *const c_void) -> Item {
    Item { size: size::<Item>(), kind, name: Bytes::text(name), vtable }
}

/// The descriptor of a plugin that holds `items`.
pub const fn descriptor(
    name: &'static str,
    version: &'static str,
    panic_unwind: bool,
    items: &'static [Item],
) -> Descriptor {
    Descriptor {
        magic: abi::MAGIC,
        size: size::<Descriptor>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        min_host_minor: 0,
        panic_unwind: panic_unwind as u8,
        ptr_width: size_of::<usize>() as u8,
        item_count: items.len() as u32,
        name: Bytes::text(name),
        version: Bytes::text(version),
        sdk_version: Bytes::text(env!("CARGO_PKG_VERSION")),
        compiler: Bytes::text(env!("LEVERET_PLUGIN_RUSTC")),
        items: items.as_ptr(),
    }
}

/// What the exported symbol does: sends panics of this library to the broker's log.
///
/// # Safety
/// `host` is null or lives as long as the process.
pub unsafe fn enter(host: *const abi::Host, plugin: &'static Descriptor) -> *const Descriptor {
    // SAFETY: promised by the caller.
    if let Some(host) = unsafe { host.as_ref() } {
        // SAFETY: the name in a descriptor is static.
        let name = unsafe { convert::text(plugin.name) };
        let _ = guard::contain(|| host::forward_panics(host, name));
    }
    plugin
}
