//! What clients may say in the arguments of declare and consume and in the headers that the broker
//! itself reads: checked in RabbitMQ's order, refused in its words, compared by its rules.
//!
//! Everything here is a function of names and bytes; nothing knows which queues exist.

mod check;
mod consumer;
mod equivalence;
mod exchange;
mod publish;
mod queue;
mod term;

pub use consumer::ConsumerArguments;
pub use equivalence::{ExchangeProperties, QueueProperties};
pub use exchange::ExchangeArguments;
pub use publish::{ExtraKeys, expiration_ms, extra_keys};
pub use queue::{DeadLetterStrategy, Overflow, QueueArguments, QueueType};

#[cfg(test)]
mod tests;
