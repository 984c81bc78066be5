//! Plugins in the form of the C contract: shared objects, and those linked into the binary.
//!
//! Both go through the same checks and the same calls; a shared object has its file checked first.
//! A library is never unmapped: Rust code cannot be unloaded soundly.

mod answer;
mod auth;
mod completion;
mod convert;
mod exchange;
mod file;
mod handshake;
mod host;
mod object;
mod plugin;
mod transform;

pub(crate) use completion::Completions;
pub use completion::PendingCounts;
pub(crate) use file::check as check_file;
pub(crate) use handshake::{Plugin, inspect_static};
pub(crate) use host::lend;
pub(crate) use object::open;
pub(crate) use plugin::{Setting, start};
