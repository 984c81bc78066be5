//! The arguments of basic.consume.

use leveret_plugin::table::Table;

use super::check::{self, Check};
use super::queue::QueueType;
use crate::error::{Error, queue_in};

/// An argument that consumers of some type of queue have.
struct Known {
    name: &'static str,
    check: Check,
    of: &'static [QueueType],
}

const CLASSIC: &[QueueType] = &[QueueType::Classic];
const BOTH: &[QueueType] = &[QueueType::Classic, QueueType::Quorum];

/// In the order in which they are checked.
const KNOWN: &[Known] = &[
    Known { name: "x-priority", check: check::integer, of: BOTH },
    Known { name: "x-cancel-on-ha-failover", check: check::boolean, of: CLASSIC },
    Known { name: "x-stream-offset", check: check::anything, of: &[] },
    Known { name: "x-consumer-timeout", check: check::natural, of: BOTH },
];

/// The validated arguments of a consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerArguments {
    /// `x-priority`: consumers with a higher one are served first.
    pub priority: i64,
    /// `x-consumer-timeout`: how long a delivery may stay unacknowledged.
    pub consumer_timeout_ms: Option<u64>,
}

impl ConsumerArguments {
    /// Validates the arguments of a new consumer: the pairs of a field table without the length.
    ///
    /// # Errors
    /// 406 with RabbitMQ's text for a value that is wrong or an argument that the type of queue
    /// does not have.
    pub fn parse(
        vhost: &str,
        queue: &str,
        queue_type: QueueType,
        raw: &[u8],
    ) -> Result<Self, Error> {
        let arguments = Table::new(raw);
        let of_type = |known: &&Known| known.of.contains(&queue_type);
        for known in KNOWN.iter().filter(of_type) {
            let Some(value) = arguments.get(known.name) else { continue };
            (known.check)(&value, &arguments)
                .map_err(|bad| Error::argument_value(known.name, &queue_in(vhost, queue), bad))?;
        }
        for (name, _) in arguments.iter() {
            let known = KNOWN.iter().find(|known| known.name.as_bytes() == name);
            if let Some(other) = known.filter(|known| !of_type(known)) {
                let what = queue_in(vhost, queue);
                return Err(Error::argument_of_other_type(other.name, &what, queue_type.module()));
            }
        }
        Ok(Self::read(&arguments))
    }

    fn read(arguments: &Table<'_>) -> Self {
        let integer = |name| arguments.get(name).and_then(|value| value.as_i64());
        Self {
            priority: integer("x-priority").unwrap_or_default(),
            consumer_timeout_ms: integer("x-consumer-timeout").and_then(|ms| ms.try_into().ok()),
        }
    }
}
