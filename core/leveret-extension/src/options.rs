//! What may be said about an extension when it is loaded.

use std::path::PathBuf;
use std::sync::Arc;

use leveret_plugin::host::OnError;
use serde_json::Value;

use crate::clock::{Clock, SystemClock};

/// Defaults and bounds for all extensions of a registry.
#[derive(Clone)]
pub struct Limits {
    /// How long one call into a script may take, in milliseconds.
    pub script_timeout_ms: u32,
    /// How much memory one script may use in each of its VMs, in bytes.
    pub script_memory_bytes: usize,
    /// Threads on which auth scripts run.
    pub auth_threads: usize,
    /// Questions that may wait for these threads; more are denied.
    pub auth_queue: usize,
    /// How long a plugin that said "pending" may take to answer, in seconds.
    pub pending_secs: u64,
    /// The clock by which scripts are suspended.
    pub clock: Arc<dyn Clock>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            script_timeout_ms: 100,
            script_memory_bytes: 64 << 20,
            auth_threads: 2,
            auth_queue: 1024,
            pending_secs: 30,
            clock: Arc::new(SystemClock::default()),
        }
    }
}

/// How a shared object is to be loaded.
#[derive(Clone, Debug)]
pub struct LibraryOptions {
    /// Its items take the place of items of the same kind and name.
    pub replace: bool,
    /// Given to every item of the plugin when it is created; empty: none.
    pub config_json: String,
    /// The file must have this SHA-256, in hexadecimal.
    pub sha256: Option<String>,
    /// Whether a failure is an error; otherwise it is logged and kept in the list of failures.
    pub required: bool,
}

impl Default for LibraryOptions {
    fn default() -> Self {
        Self { replace: false, config_json: String::new(), sha256: None, required: true }
    }
}

/// Where a script comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptSource {
    /// A file.
    File(PathBuf),
    /// Part of the binary.
    Embedded {
        /// Name of the file it was made from, for error texts.
        name: String,
        /// The script.
        text: String,
    },
}

/// The kinds of extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An exchange type.
    Exchange,
    /// A transform of messages.
    Transform,
    /// Authentication and authorisation.
    Auth,
}

impl Kind {
    /// The name used in the configuration and in scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Transform => "transform",
            Self::Auth => "auth",
        }
    }

    /// The kind with this [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Exchange, Self::Transform, Self::Auth].into_iter().find(|kind| kind.name() == name)
    }

    /// How texts speak of one.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Exchange => "exchange type",
            Self::Transform => "transform",
            Self::Auth => "auth plugin",
        }
    }
}

/// How a script is to be loaded.
#[derive(Clone, Debug, Default)]
pub struct ScriptOptions {
    /// What it must be; `None`: what it says it is.
    pub kind: Option<Kind>,
    /// It takes the place of an extension of the same kind and name.
    pub replace: bool,
    /// Given to the script's functions.
    pub config: Value,
    /// For transforms: what a failure means; `None`: what the script says.
    pub on_error: Option<OnError>,
    /// How long one call may take, in milliseconds; `None`: the registry's limit.
    pub timeout_ms: Option<u32>,
    /// How much memory each of its VMs may use, in bytes; `None`: the registry's limit.
    pub memory_bytes: Option<usize>,
}
