//! AMQP 0-9-1 without I/O and without a clock.
//!
//! Everything here is deterministic: bytes and a time in milliseconds go in, events and bytes come
//! out. A [`Connection`] is the server's side of one connection; whoever owns the socket feeds it
//! with [`Connection::next_event`], answers its events with its commands, writes what
//! [`Connection::poll_output`] hands out and wakes it when [`Connection::poll_timeout`] says so.
//!
//! Frames that a busy broker sees by the million (basic.publish with its content, acks, deliveries)
//! are read and written here without copies; every other method is checked here and then decoded by
//! the crate `amq-protocol`, which never sees a field table: tables stay raw bytes.
//!
//! The crate knows no queue, no exchange, no user and no socket.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod content;
pub mod encode;
pub mod properties;
pub mod sasl;
pub mod table;

mod assembly;
mod channel;
mod client;
mod connection;
mod cursor;
mod event;
mod fast;
mod frame;
mod handshake;
mod heartbeat;
mod limits;
mod method;
mod octets;
mod reply_code;
mod running;

pub use client::{Client, ClientOptions, ServerMessage};
pub use connection::Connection;
pub use content::{OwnedPublish, Publish, Run};
pub use event::{Event, PeerProtocol};
pub use limits::{
    FRAME_OVERHEAD_BYTES, LOOKAHEAD_BYTES, MAX_TABLE_DEPTH, MIN_FRAME_MAX_BYTES, ServerOptions,
};
pub use reply_code::{Reply, ReplyCode, Scope};

/// Methods other than the hot ones, as the crate `amq-protocol` decodes and encodes them.
///
/// The `arguments` and `client_properties` of methods that came in are always empty: see
/// [`Event::Method`].
pub mod methods {
    pub use amq_protocol::protocol::{
        AMQPClass, access, basic, channel, confirm, connection, exchange, queue, tx,
    };
    pub use amq_protocol::types::{AMQPValue, FieldTable, LongString, ShortString};
}
