//! Virtual hosts, exchanges, bindings, queues, consumers: what an AMQP broker does with messages.
//!
//! Start with [`Session`] (one connection), then [`mod@queue`] and [`mod@exchange`]. The life of a
//! message: [`session::publish`](Session::publish) checks and routes it into a [`Batch`], the
//! batch enters its queues, a queue deals it to a consumer's [`Outbound`] side.
//!
//! This crate knows no socket and no JSON. Exchange types, transforms and authentication are
//! plugins behind the traits of `leveret_plugin::host`; bytes on disk are `leveret_store`'s.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod auth;
mod batch;
mod binding;
mod broker;
mod channel_map;
mod channel_state;
mod clock;
mod confirm;
mod consumer;
mod counters;
mod dead_letter;
mod definitions;
mod error;
pub mod exchange;
mod grave;
mod inbox;
mod journal;
mod message;
mod outbound;
pub mod queue;
mod random;
mod ready;
mod recovery;
mod route_cache;
mod router;
mod saved;
mod session;
mod slots;
mod timers;
mod transform;
mod users;
mod vhost;
mod work;

pub use batch::Batch;
pub use binding::{BindingKey, Target};
pub use broker::{Broker, Compatibility, Limits, Parts};
pub use clock::{Clock, ManualClock};
pub use counters::{Counters, Dropped};
pub use error::{Error, Result};
pub use message::Message;
pub use outbound::{Outbound, OutboundState};
pub use session::{Incoming, Question, Refused, Session};
pub use users::{GUEST, Users};
pub use vhost::Vhost;
