//! The broker as a process: configuration, start-up lines, log, listeners, connection tasks.
//!
//! The only crate that reads the configuration and the only one with sockets for AMQP.

pub mod banner;
pub mod cli;
pub mod config;
mod connection;
mod connections;
pub mod exit;
mod extensions;
pub mod hash_password;
mod host;
mod listener;
pub mod logging;
pub mod serve;
pub mod users;
