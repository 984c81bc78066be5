//! The machine as its owner sees it: a client and a server joined without a socket, under a clock
//! that only moves when a test says so.
#![allow(clippy::unwrap_used)]

mod channels;
mod contents;
mod deliveries;
mod error_rows;
mod errors;
mod fuzz;
mod handshake;
mod liveness;
mod pair;
mod splits;
