//! The broker as a plugin sees it.

use crate::abi;
use crate::host::{Level, UserRecord};
use crate::shim;

/// A handle on the broker; cheap to copy and good for the life of the process.
#[derive(Clone, Copy, Debug)]
pub struct Broker {
    host: Option<&'static abi::Host>,
    source: &'static str,
}

impl Broker {
    pub(crate) const fn new(host: Option<&'static abi::Host>, source: &'static str) -> Self {
        Self { host, source }
    }

    /// Writes one line to the broker's log.
    pub fn log(&self, level: Level, text: &str) {
        if let Some(host) = self.host {
            shim::log(host, level, self.source, text);
        }
    }

    /// Something failed.
    pub fn error(&self, text: &str) {
        self.log(Level::Error, text);
    }

    /// Something is wrong but goes on.
    pub fn warn(&self, text: &str) {
        self.log(Level::Warn, text);
    }

    /// An ordinary event.
    pub fn info(&self, text: &str) {
        self.log(Level::Info, text);
    }

    /// A detail.
    pub fn debug(&self, text: &str) {
        self.log(Level::Debug, text);
    }

    /// The broker's record of a user.
    pub fn user(&self, name: &str) -> Option<UserRecord> {
        shim::user(self.host?, name)
    }
}
