//! The broker as a process: configuration, start-up lines, log, listeners, connection tasks.
//!
//! The only crate that reads the configuration and the only one with sockets for AMQP.

pub mod banner;
pub mod cli;
pub mod config;
pub mod exit;
pub mod hash_password;
pub mod logging;
pub mod serve;
pub mod users;
