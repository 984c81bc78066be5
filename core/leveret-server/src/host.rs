//! What the broker process does for its extensions: log lines and the records of users.

use std::sync::Arc;

use leveret_broker::Users;
use leveret_plugin::host::{Host, Level, UserRecord};

/// See the module.
pub(crate) struct ServerHost {
    pub(crate) users: Arc<Users>,
}

impl Host for ServerHost {
    fn log(&self, level: Level, source: &str, text: &str) {
        match level {
            Level::Error => tracing::error!(target: "extension", extension = source, "{text}"),
            Level::Warn => tracing::warn!(target: "extension", extension = source, "{text}"),
            Level::Info => tracing::info!(target: "extension", extension = source, "{text}"),
            Level::Debug => tracing::debug!(target: "extension", extension = source, "{text}"),
            Level::Trace => tracing::trace!(target: "extension", extension = source, "{text}"),
        }
    }

    fn user(&self, name: &str) -> Option<UserRecord> {
        self.users.get(name).map(|record| UserRecord::clone(&record))
    }
}
