//! The kit for authors of Leveret plugins, and the contract between plugins and the broker.

pub mod abi;
pub mod collections;
pub mod host;
pub mod message;
pub mod properties;
pub mod table;
pub mod value;
