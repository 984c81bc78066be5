//! The C contract between the broker and a plugin: what crosses, byte for byte.
//!
//! A plugin is a shared object that exports one function, [`ENTRY_SYMBOL`]; the broker calls it
//! once with a [`Host`] and gets a [`Descriptor`] of what the plugin holds. Everything after that
//! is calls through the function tables in the descriptor. Authors in Rust never see this module:
//! [`plugin!`](crate::plugin) writes it for them. Authors in C include `leveret_plugin.h`, which is
//! made from this file.
//!
//! Rules that hold for every call:
//! - A struct that may grow has its own size in bytes as its first field (the [`Descriptor`] has it
//!   second, after the magic). Fields are only ever added at the end. A reader looks at no field
//!   beyond the writer's size; a missing function means the default.
//! - Arrays of such structs are stepped by the `size` of their first element ([`strided`]).
//! - Whatever is passed in is borrowed for that call; keep a copy, never a pointer. Whatever is
//!   handed to a function of the broker is copied before it returns.
//! - [`Bytes`] that hold names, keys and texts are UTF-8. `arguments` are the pairs of a field table
//!   without the length in front; `properties` are the flags and the list of a content header.
//! - Nothing may unwind or `longjmp` out of a call, in either direction.
//! - The [`Host`] lives as long as the process; a library is never unmapped.
#![allow(unsafe_code)]

mod auth;
mod exchange;
mod layout;
mod transform;

use std::ffi::c_void;
use std::ptr;

pub use auth::*;
pub use exchange::*;
pub use transform::*;

/// First field of a [`Descriptor`]: `LEVERETP` in ASCII, read as a big-endian number.
pub const MAGIC: u64 = 0x4C45_5645_5245_5450;
/// Incompatible versions of this contract; also in the name of the exported symbol.
pub const ABI_MAJOR: u16 = 1;
/// Compatible additions to this contract since the major version.
pub const ABI_MINOR: u16 = 0;
/// Name of the only symbol that a plugin exports, an [`Entry`].
pub const ENTRY_SYMBOL: &str = "leveret_plugin_v1";

/// It worked; a transform: the message goes on; an exchange: the binding is acceptable.
pub const OK: i32 = 0;
/// The plugin refuses; the text of the [`Answer`] is meant for the client (406).
pub const REFUSED: i32 = 1;
/// The plugin failed; the text of the [`Answer`] says why.
pub const FAILED: i32 = -1;
/// The plugin panicked; the text of the [`Answer`] says where.
pub const PANICKED: i32 = -2;

/// Kind of an [`Item`] whose `vtable` is an [`ExchangeVtable`].
pub const KIND_EXCHANGE: u32 = 1;
/// Kind of an [`Item`] whose `vtable` is a [`TransformVtable`].
pub const KIND_TRANSFORM: u32 = 2;
/// Kind of an [`Item`] whose `vtable` is an [`AuthVtable`].
pub const KIND_AUTH: u32 = 3;

/// Severity of a log line: something failed.
pub const LEVEL_ERROR: u32 = 1;
/// Severity of a log line: something is wrong but goes on.
pub const LEVEL_WARN: u32 = 2;
/// Severity of a log line: ordinary events.
pub const LEVEL_INFO: u32 = 3;
/// Severity of a log line: details.
pub const LEVEL_DEBUG: u32 = 4;
/// Severity of a log line: more details.
pub const LEVEL_TRACE: u32 = 5;

/// Flag of a [`Message`]: it was published as mandatory.
pub const MESSAGE_MANDATORY: u32 = 1;
/// Flag of a [`Message`]: it has been delivered before.
pub const MESSAGE_REDELIVERED: u32 = 2;
/// Bytes that somebody else owns. `ptr` may be null when `len` is 0; where a text may be absent,
/// absent is null and empty is not.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// First byte.
    pub ptr: *const u8,
    /// Number of bytes.
    pub len: usize,
}

/// An IP address: `family` is 0 (none), 4 (first four octets) or 6 (all sixteen).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// 0, 4 or 6.
    pub family: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// The address in network order.
    pub octets: [u8; 16],
}

/// Room for what a plugin says beside its return code. The broker provides it; the plugin writes at
/// most `capacity` bytes of UTF-8 to `text` and sets `length`.
#[repr(C)]
#[derive(Debug)]
pub struct Answer {
    /// Size of this struct in bytes.
    pub size: u32,
    /// Reply code that goes with [`REJECT`]; 0 stands for 541.
    pub reply_code: u32,
    /// Where to write the text.
    pub text: *mut u8,
    /// Bytes that fit there.
    pub capacity: u32,
    /// Bytes that were written; 0 at first.
    pub length: u32,
}

/// A message on its way.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Size of this struct in bytes.
    pub size: u32,
    /// `LEVERET_MESSAGE_*`.
    pub flags: u32,
    /// Virtual host.
    pub vhost: Bytes,
    /// Exchange that it was published to.
    pub exchange: Bytes,
    /// Routing key.
    pub routing_key: Bytes,
    /// Property flags and property list of the content header, as on the wire.
    pub properties: Bytes,
    /// The whole body.
    pub body: Bytes,
    /// User of the connection: the publisher's, or the consumer's at delivery.
    pub user: Bytes,
    /// Queue that it is delivered from; empty at publish.
    pub queue: Bytes,
    /// Peer of that connection.
    pub peer: Address,
}

/// The type of `visit` in [`Host::user`]: looks at the user that was found, while the call lasts.
pub type UserVisitor = unsafe extern "C" fn(context: *mut c_void, user: *const User);

/// What the broker does for plugins. Its functions may be called from any thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Size of this struct in bytes.
    pub size: u32,
    /// The broker's [`ABI_MAJOR`].
    pub abi_major: u16,
    /// The broker's [`ABI_MINOR`].
    pub abi_minor: u16,
    /// The broker's own; the first argument of every function.
    pub context: *mut c_void,
    /// Writes one line to the broker's log on behalf of the plugin `source`.
    pub log:
        Option<unsafe extern "C" fn(context: *mut c_void, level: u32, source: Bytes, text: Bytes)>,
    /// Looks a user up and shows it to `visit`. 1: found, 0: there is none.
    pub user: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            name: Bytes,
            visit: Option<unsafe extern "C" fn(context: *mut c_void, user: *const User)>,
            visit_context: *mut c_void,
        ) -> i32,
    >,
}

/// One thing that a plugin offers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Size of this struct in bytes.
    pub size: u32,
    /// `LEVERET_KIND_*`; kinds that the broker does not know are reported and left alone.
    pub kind: u32,
    /// Name: of the exchange type, transform or auth plugin.
    pub name: Bytes,
    /// Function table of that kind.
    pub vtable: *const c_void,
}

/// What a plugin is and holds.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// [`MAGIC`].
    pub magic: u64,
    /// Size of this struct in bytes.
    pub size: u32,
    /// The [`ABI_MAJOR`] it was built for.
    pub abi_major: u16,
    /// The [`ABI_MINOR`] it was built for.
    pub abi_minor: u16,
    /// The least [`ABI_MINOR`] of a broker that it can work with.
    pub min_host_minor: u16,
    /// 1 if panics unwind, so that they can be caught (in C: always 1); 0 is refused.
    pub panic_unwind: u8,
    /// Size of a pointer in bytes.
    pub ptr_width: u8,
    /// Number of items.
    pub item_count: u32,
    /// Name of the plugin.
    pub name: Bytes,
    /// Version of the plugin.
    pub version: Bytes,
    /// Version of the kit it was built with, for information only.
    pub sdk_version: Bytes,
    /// Compiler it was built with, for information only.
    pub compiler: Bytes,
    /// What it offers, stepped by the size of the first.
    pub items: *const Item,
}

/// The exported function. It may use `host` only for as long as it checks its version and sets up
/// logging; null means that the plugin cannot work with this broker.
pub type Entry = unsafe extern "C" fn(host: *const Host) -> *const Descriptor;

// SAFETY: descriptors, items and vtables are immutable; what they point to is static.
unsafe impl Sync for Descriptor {}
// SAFETY: as above.
unsafe impl Sync for Item {}
// SAFETY: the contract allows any thread to call the functions with the context.
unsafe impl Sync for Host {}
// SAFETY: as above.
unsafe impl Send for Host {}
impl Bytes {
    /// A text that is absent.
    pub const ABSENT: Self = Self { ptr: ptr::null(), len: 0 };

    /// A view of `bytes`, to be used no longer than they live.
    pub const fn new(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// A view of `text`, to be used no longer than it lives.
    pub const fn text(text: &str) -> Self {
        Self::new(text.as_bytes())
    }

    /// A view of a text that may be absent.
    pub fn optional(text: Option<&str>) -> Self {
        text.map_or(Self::ABSENT, Self::text)
    }

    /// Whether the text is absent.
    pub fn is_absent(&self) -> bool {
        self.ptr.is_null()
    }

    /// The bytes; none if absent.
    ///
    /// # Safety
    /// `ptr` is null or points to `len` bytes that live, unchanged, for `'a`.
    pub unsafe fn slice<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

/// The elements of an array of structs that may be longer than this side knows: steps by the
/// `size` that each struct has as its first field.
///
/// # Safety
/// `first` is null (with `count` 0) or points to `count` structs that begin with their size, all of
/// the same size of at least `size_of::<T>()`, and live for `'a`.
pub unsafe fn strided<'a, T: 'a>(
    first: *const T,
    count: usize,
) -> impl ExactSizeIterator<Item = &'a T> {
    let count = if first.is_null() { 0 } else { count };
    // SAFETY: the struct begins with its size, a u32.
    let step = if count == 0 { 0 } else { unsafe { first.cast::<u32>().read() as usize } };
    // SAFETY: promised by the caller; `index` is below `count`.
    (0..count).map(move |index| unsafe { &*first.byte_add(index * step) })
}
