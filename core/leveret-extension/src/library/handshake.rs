//! Checks what a plugin says of itself before anything else is believed.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::mem::{offset_of, size_of};
use std::ptr::addr_of;

use leveret_plugin::abi::{self, Bytes, Descriptor, strided};
use leveret_plugin::host::Origin;

use crate::error::LoadError;

/// A plugin that fits this broker.
pub(crate) struct Plugin {
    pub(crate) origin: Origin,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sdk_version: String,
    pub(crate) compiler: String,
    pub(crate) items: Vec<Item>,
}

/// One thing that it offers.
pub(crate) struct Item {
    pub(crate) kind: u32,
    pub(crate) name: String,
    pub(crate) vtable: *const c_void,
}

/// Reads the descriptor of a plugin that is linked into this binary.
pub(crate) fn inspect_static(descriptor: &'static Descriptor) -> Result<Plugin, LoadError> {
    // SAFETY: a reference to a static of that type; its maker keeps to the contract.
    unsafe { inspect(descriptor, Origin::BuiltIn) }
}

/// Reads a descriptor.
///
/// # Safety
/// `descriptor` is null, or begins as a [`Descriptor`] does; if it is one of this ABI major, what it
/// points to is as the contract says and lives as long as the process.
pub(crate) unsafe fn inspect(
    descriptor: *const Descriptor,
    origin: Origin,
) -> Result<Plugin, LoadError> {
    let malformed = |reason: String| LoadError::Descriptor { origin: origin.clone(), reason };
    if descriptor.is_null() {
        return Err(malformed("its entry returned none, so it does not want this broker".into()));
    }
    // SAFETY: these fields begin every version of the descriptor.
    let (magic, size, major) = unsafe {
        (
            addr_of!((*descriptor).magic).read_unaligned(),
            addr_of!((*descriptor).size).read_unaligned() as usize,
            addr_of!((*descriptor).abi_major).read_unaligned(),
        )
    };
    if magic != abi::MAGIC {
        return Err(malformed(format!("it begins with {magic:#018x}, not {:#018x}", abi::MAGIC)));
    }
    if major > abi::ABI_MAJOR {
        return Err(newer(origin, &major.to_string()));
    }
    if major < abi::ABI_MAJOR {
        return Err(older(origin, major));
    }
    if size < size_of::<Descriptor>() {
        let wanted = size_of::<Descriptor>();
        return Err(malformed(format!("it has {size} bytes, not at least {wanted}")));
    }
    // SAFETY: of this major and long enough.
    let descriptor = unsafe { &*descriptor };
    check_fit(descriptor, &origin)?;
    // SAFETY: promised by the caller.
    unsafe { read(descriptor, origin) }
}

fn check_fit(descriptor: &Descriptor, origin: &Origin) -> Result<(), LoadError> {
    let origin = origin.clone();
    let bits = usize::from(descriptor.ptr_width) * 8;
    if bits != usize::BITS as usize {
        let reason = format!("it was built for {bits} bits, the broker for {}", usize::BITS);
        return Err(LoadError::Descriptor { origin, reason });
    }
    if descriptor.min_host_minor > abi::ABI_MINOR {
        let theirs = format!("{}.{}", descriptor.abi_major, descriptor.min_host_minor);
        return Err(newer(origin, &theirs));
    }
    if descriptor.panic_unwind == 0 {
        return Err(LoadError::PanicAbort { origin });
    }
    Ok(())
}

/// # Safety
/// As for [`inspect`], of this major.
unsafe fn read(descriptor: &Descriptor, origin: Origin) -> Result<Plugin, LoadError> {
    let malformed = |reason: String| LoadError::Descriptor { origin: origin.clone(), reason };
    let count = descriptor.item_count as usize;
    let first = descriptor.items;
    if count == 0 || first.is_null() {
        return Err(malformed("it offers nothing".into()));
    }
    // SAFETY: an item begins with its size.
    let stride = unsafe { addr_of!((*first).size).read() } as usize;
    if stride < size_of::<abi::Item>() {
        return Err(malformed(format!("its items have {stride} bytes each, which is too few")));
    }
    // SAFETY: promised by the caller, and the stride was checked.
    let items = unsafe { strided(first, count) };
    let items: Result<Vec<Item>, LoadError> = items
        .map(|item| {
            let name = text(item.name);
            if name.is_empty() || item.vtable.is_null() {
                return Err(malformed("an item has no name or no functions".into()));
            }
            Ok(Item { kind: item.kind, name, vtable: item.vtable })
        })
        .collect();
    Ok(Plugin {
        items: items?,
        name: text(descriptor.name),
        version: text(descriptor.version),
        sdk_version: text(descriptor.sdk_version),
        compiler: text(descriptor.compiler),
        origin,
    })
}

/// A copy of static text.
fn text(bytes: Bytes) -> String {
    // SAFETY: texts of a descriptor are static, by the contract.
    String::from_utf8_lossy(unsafe { bytes.slice() }).into_owned()
}

/// The plugin needs a later contract than the broker's.
pub(crate) fn newer(origin: Origin, theirs: &str) -> LoadError {
    LoadError::Version {
        origin,
        theirs: theirs.to_owned(),
        ours: ours(),
        older: "broker",
        remedy: "update the broker, or build the plugin with this broker's version of the kit",
    }
}

fn older(origin: Origin, theirs: u16) -> LoadError {
    LoadError::Version {
        origin,
        theirs: theirs.to_string(),
        ours: ours(),
        older: "plugin",
        remedy: "build the plugin again with this broker's version of the kit",
    }
}

fn ours() -> String {
    format!("{}.{}", abi::ABI_MAJOR, abi::ABI_MINOR)
}

/// Copies a function table, which may be shorter or longer than this broker knows: what is missing
/// is zero, that is absent.
///
/// # Safety
/// `vtable` points to a struct that begins with its size and has the layout of `T` as far as it
/// goes; all of `T` may be zero.
pub(crate) unsafe fn read_vtable<T: Copy>(vtable: *const c_void) -> T {
    // SAFETY: promised by the caller.
    unsafe {
        let size = vtable.cast::<u32>().read() as usize;
        let mut copy: T = std::mem::zeroed();
        let length = size.min(size_of::<T>());
        (&raw mut copy).cast::<u8>().copy_from_nonoverlapping(vtable.cast(), length);
        copy
    }
}

// A version that a broker does not know must still be told by the same first fields.
const _: () = {
    assert!(offset_of!(Descriptor, magic) == 0);
    assert!(offset_of!(Descriptor, size) == 8);
    assert!(offset_of!(Descriptor, abi_major) == 12);
};
