//! The arguments of queue.declare.

use std::sync::Arc;

use leveret_plugin::table::Table;
use leveret_plugin::value::Value;

use super::check::{self, Check};
use super::equivalence::{QueueProperties, assert_arguments};
use crate::error::{Error, queue_in};

const QUEUE_TYPE: &str = "x-queue-type";
const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";

/// An argument that some type of queue has.
struct Known {
    name: &'static str,
    check: Check,
    /// Whether it is kept and compared, but does nothing yet.
    later: bool,
}

const fn known(name: &'static str, check: Check) -> Known {
    Known { name, check, later: false }
}

const fn later(name: &'static str, check: Check) -> Known {
    Known { name, check, later: true }
}

/// In the order in which they are checked.
const KNOWN: &[Known] = &[
    known("x-expires", check::expiry),
    known("x-message-ttl", check::time_to_live),
    known(DEAD_LETTER_EXCHANGE, check::name),
    known("x-dead-letter-routing-key", check::dead_letter_key),
    later("x-dead-letter-strategy", check::dead_letter_strategy),
    known("x-max-length", check::natural),
    known("x-max-length-bytes", check::natural),
    known("x-max-in-memory-length", check::natural),
    known("x-max-in-memory-bytes", check::natural),
    later("x-max-priority", check::octet),
    known("x-overflow", check::overflow),
    known("x-queue-mode", check::queue_mode),
    known("x-queue-version", check::queue_version),
    later("x-single-active-consumer", check::boolean),
    known(QUEUE_TYPE, check::queue_type),
    later("x-quorum-initial-group-size", check::positive),
    later("x-queue-leader-locator", check::leader_locator),
    later("x-queue-master-locator", check::anything),
    later("x-delivery-limit", check::integer),
    later("x-consumer-timeout", check::natural),
];

/// In the order in which they are compared.
const OF_CLASSIC: &[&str] = &[
    "x-expires",
    "x-message-ttl",
    DEAD_LETTER_EXCHANGE,
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-single-active-consumer",
    QUEUE_TYPE,
    "x-queue-master-locator",
    "x-queue-leader-locator",
    "x-consumer-timeout",
];

/// In the order in which they are compared.
const OF_QUORUM: &[&str] = &[
    DEAD_LETTER_EXCHANGE,
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-overflow",
    "x-single-active-consumer",
    QUEUE_TYPE,
    "x-quorum-initial-group-size",
    "x-delivery-limit",
    "x-message-ttl",
    "x-queue-leader-locator",
    "x-consumer-timeout",
];

/// Those that only streams have: refused on other queues.
const OF_STREAM: &[&str] = &[
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-stream-filter-size-bytes",
    "x-initial-cluster-size",
];

/// The types of queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueType {
    /// What a queue is that says nothing about it.
    #[default]
    Classic,
    /// Durable and shared; it behaves like a durable classic queue for now.
    Quorum,
}

impl QueueType {
    /// As clients write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }

    /// As RabbitMQ's texts have it.
    pub(crate) fn module(self) -> &'static str {
        match self {
            Self::Classic => "rabbit_classic_queue",
            Self::Quorum => "rabbit_quorum_queue",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Classic => OF_CLASSIC,
            Self::Quorum => OF_QUORUM,
        }
    }

    /// The type that arguments ask for, whether they are valid or not.
    fn asked_for(arguments: &Table<'_>) -> Self {
        match arguments.get(QUEUE_TYPE) {
            Some(Value::Text(b"quorum")) => Self::Quorum,
            _ => Self::Classic,
        }
    }
}

/// What happens when a queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest message goes; dead-lettered as `maxlen`.
    #[default]
    DropHead,
    /// The new one is refused.
    RejectPublish,
    /// The new one is refused and dead-lettered as `maxlen`.
    RejectPublishDlx,
}

/// How dead letters are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadLetterStrategy {
    /// Without waiting for a confirm.
    #[default]
    AtMostOnce,
    /// Kept until it is confirmed.
    AtLeastOnce,
}

/// The validated arguments of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueArguments {
    raw: Box<[u8]>,
    /// `x-queue-type`
    pub queue_type: QueueType,
    /// `x-message-ttl`: how long messages live.
    pub message_ttl_ms: Option<u64>,
    /// `x-expires`: how long the queue lives unused; above 0.
    pub expires_ms: Option<u64>,
    /// `x-max-length`: how many messages may be ready.
    pub max_length: Option<u64>,
    /// `x-max-length-bytes`: how long their bodies may be together.
    pub max_length_bytes: Option<u64>,
    /// `x-overflow`
    pub overflow: Overflow,
    /// `x-dead-letter-exchange`
    pub dead_letter_exchange: Option<Arc<str>>,
    /// `x-dead-letter-routing-key`
    pub dead_letter_routing_key: Option<Arc<str>>,
    /// `x-dead-letter-strategy`
    pub dead_letter_strategy: DeadLetterStrategy,
    /// `x-max-priority`
    pub max_priority: Option<u8>,
    /// `x-single-active-consumer`
    pub single_active_consumer: bool,
    /// `x-delivery-limit`: negative for none.
    pub delivery_limit: Option<i64>,
    /// `x-consumer-timeout`
    pub consumer_timeout_ms: Option<u64>,
}

impl QueueArguments {
    /// Validates the arguments of a new queue: the pairs of a field table without the length.
    ///
    /// # Errors
    /// 406 with RabbitMQ's text for a value that is wrong or an argument that the type of queue
    /// does not have; 540 for streams.
    pub fn parse(vhost: &str, queue: &str, raw: &[u8]) -> Result<Self, Error> {
        let arguments = Table::new(raw);
        check_dead_letter_exchange(vhost, queue, &arguments)?;
        check_values(vhost, queue, &arguments, |name| name == QUEUE_TYPE)?;
        if arguments.get(QUEUE_TYPE) == Some(Value::Text(b"stream")) {
            return Err(streams_come_later(vhost, queue));
        }
        let queue_type = QueueType::asked_for(&arguments);
        check_values(vhost, queue, &arguments, |name| queue_type.arguments().contains(&name))?;
        check_names(vhost, queue, queue_type, &arguments)?;
        Ok(Self::read(raw, queue_type, &arguments))
    }

    fn read(raw: &[u8], queue_type: QueueType, arguments: &Table<'_>) -> Self {
        let integer = |name| arguments.get(name).and_then(|value| value.as_i64());
        let natural = |name| integer(name).and_then(|number| u64::try_from(number).ok());
        let text = |name| arguments.get(name).and_then(|value| value.as_str());
        Self {
            raw: raw.into(),
            queue_type,
            message_ttl_ms: natural("x-message-ttl"),
            expires_ms: natural("x-expires"),
            max_length: natural("x-max-length"),
            max_length_bytes: natural("x-max-length-bytes"),
            overflow: match text("x-overflow") {
                Some("reject-publish") => Overflow::RejectPublish,
                Some("reject-publish-dlx") => Overflow::RejectPublishDlx,
                _ => Overflow::DropHead,
            },
            dead_letter_exchange: text(DEAD_LETTER_EXCHANGE).map(Arc::from),
            dead_letter_routing_key: text("x-dead-letter-routing-key").map(Arc::from),
            dead_letter_strategy: match text("x-dead-letter-strategy") {
                Some("at-least-once") => DeadLetterStrategy::AtLeastOnce,
                _ => DeadLetterStrategy::AtMostOnce,
            },
            max_priority: natural("x-max-priority").and_then(|number| u8::try_from(number).ok()),
            single_active_consumer: arguments
                .get("x-single-active-consumer")
                .and_then(|value| value.as_bool())
                .unwrap_or_default(),
            delivery_limit: integer("x-delivery-limit"),
            consumer_timeout_ms: natural("x-consumer-timeout"),
        }
    }

    /// The arguments as the client sent them, unknown ones too.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Whether a queue without a name of its own may have these arguments. Asked before
    /// [`Self::parse`], hence the bytes.
    ///
    /// # Errors
    /// 406 for quorum queues.
    pub fn check_server_named(raw: &[u8]) -> Result<(), Error> {
        match QueueType::asked_for(&Table::new(raw)) {
            QueueType::Classic => Ok(()),
            other => Err(Error::precondition(format!(
                "Cannot declare a server-named queue for type {}",
                other.module()
            ))),
        }
    }

    /// Whether the type of queue can be declared with these properties.
    ///
    /// # Errors
    /// 406 for quorum queues that are not durable, exclusive or auto-delete.
    pub fn check_properties(
        &self,
        vhost: &str,
        queue: &str,
        properties: &QueueProperties,
    ) -> Result<(), Error> {
        let property = match *properties {
            _ if self.queue_type == QueueType::Classic => return Ok(()),
            QueueProperties { auto_delete: true, .. } => "auto-delete",
            QueueProperties { exclusive: true, .. } => "exclusive-owner",
            QueueProperties { durable: false, .. } => "non-durable",
            _ => return Ok(()),
        };
        let queue = queue_in(vhost, queue);
        Err(Error::precondition(format!("invalid property '{property}' for {queue}")))
    }

    /// Names of the arguments given here that are kept and compared but do nothing yet.
    pub fn later_features(&self) -> impl Iterator<Item = &'static str> {
        let arguments = Table::new(&self.raw);
        let quorum = (self.queue_type == QueueType::Quorum).then_some("x-queue-type=quorum");
        let later = KNOWN.iter().filter(move |known| {
            known.later && arguments.get(known.name).is_some_and(|value| !is_off(&value))
        });
        quorum.into_iter().chain(later.map(|known| known.name))
    }

    /// Compares with the arguments of another declaration of the same queue, which need not be
    /// valid. Only arguments that the type of this queue has are compared.
    ///
    /// # Errors
    /// 406 that names the first argument that differs.
    pub fn assert_equivalent(
        &self,
        vhost: &str,
        queue: &str,
        received: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        assert_arguments(
            || queue_in(vhost, queue),
            self.queue_type.arguments(),
            &Table::new(&self.raw),
            &Table::new(received.as_ref()),
        )
    }
}

/// The bytes that the client sent.
impl AsRef<[u8]> for QueueArguments {
    fn as_ref(&self) -> &[u8] {
        &self.raw
    }
}

/// A value that asks for what happens anyway.
fn is_off(value: &Value<'_>) -> bool {
    matches!(value, Value::Bool(false) | Value::Text(b"at-most-once"))
}

fn check_dead_letter_exchange(
    vhost: &str,
    queue: &str,
    arguments: &Table<'_>,
) -> Result<(), Error> {
    match arguments.get(DEAD_LETTER_EXCHANGE) {
        None | Some(Value::Text(_)) => Ok(()),
        Some(other) => {
            let queue = queue_in(vhost, queue);
            Err(Error::argument_type(other.type_name(), DEAD_LETTER_EXCHANGE, &queue))
        }
    }
}

fn check_values(
    vhost: &str,
    queue: &str,
    arguments: &Table<'_>,
    concerned: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    for known in KNOWN.iter().filter(|known| concerned(known.name)) {
        let Some(value) = arguments.get(known.name) else { continue };
        if let Err(bad) = (known.check)(&value, arguments) {
            return Err(Error::argument_value(known.name, &queue_in(vhost, queue), bad));
        }
    }
    Ok(())
}

/// Refuses arguments that only other types of queues have.
fn check_names(
    vhost: &str,
    queue: &str,
    queue_type: QueueType,
    arguments: &Table<'_>,
) -> Result<(), Error> {
    let of_others = |name: &&str| {
        [OF_CLASSIC, OF_QUORUM, OF_STREAM].concat().contains(name)
            && !queue_type.arguments().contains(name)
    };
    let names = arguments.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok());
    match names.into_iter().find(of_others) {
        None => Ok(()),
        Some(name) => {
            Err(Error::argument_of_other_type(name, &queue_in(vhost, queue), queue_type.module()))
        }
    }
}

fn streams_come_later(vhost: &str, queue: &str) -> Error {
    Error::not_implemented(format!(
        "{} cannot be declared with x-queue-type 'stream': streams are not available yet; use \
         'classic' or 'quorum'",
        queue_in(vhost, queue)
    ))
}
