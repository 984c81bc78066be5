//! The kit for authors of Leveret plugins, and the contract between plugins and the broker.
//!
//! Implement [`ExchangeType`], [`Transform`] or [`Auth`], name the types in [`plugin!`], and
//! [`export!`] the result from a crate of type `cdylib`. [`testkit`] runs them without a broker.

pub mod abi;
mod auth;
mod broker;
pub mod collections;
mod exchange;
pub mod host;
pub mod message;
mod plugin;
pub mod properties;
#[doc(hidden)]
pub mod shim;
pub mod table;
pub mod testkit;
mod transform;
pub mod value;

pub use auth::{Auth, Completion, Later, Outcome};
pub use broker::Broker;
pub use exchange::{ExchangeType, Slots};
pub use message::{Binding, Message};
pub use table::Table;
pub use transform::{Draft, Transform};
pub use value::Value;
