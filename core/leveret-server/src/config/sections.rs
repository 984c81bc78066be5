//! The sections of the configuration: names, types and defaults, nothing else.
//!
//! `config/leveret.toml` says in words what each key means; a test compares the two.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::values::{byte_count, optional_byte_count, optional_path, path};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// `[amqp]`: the listener for clients and what it offers them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amqp {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Connections that may wait for the broker to accept them.
    pub backlog: u32,
    /// Largest frame offered at connection.tune, in bytes.
    pub frame_max: u32,
    /// Open channels per connection offered at connection.tune: a count, not a number.
    pub channel_max: u16,
    /// Heartbeat offered at connection.tune; 0 is none.
    pub heartbeat_secs: u16,
    /// Time for everything up to connection.open-ok.
    pub handshake_timeout_ms: u64,
    /// How long a client that cannot be told of a failed login waits for the connection to end.
    pub login_failure_delay_ms: u64,
}

impl Default for Amqp {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 5672,
            backlog: 1024,
            frame_max: 131_072,
            channel_max: 2047,
            heartbeat_secs: 60,
            handshake_timeout_ms: 10_000,
            login_failure_delay_ms: 3_000,
        }
    }
}

/// `[management]`: the listener for people and tools.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Management {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
}

impl Default for Management {
    fn default() -> Self {
        Self { bind: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 15_672 }
    }
}

/// `[limits]`: what one client may use of the broker.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at a time.
    pub connections: u32,
    /// Consumers on one channel.
    pub consumers_per_channel: u32,
    /// Body of one message.
    #[serde(deserialize_with = "byte_count")]
    pub max_message_bytes: u64,
    /// Bytes waiting to be written to one connection before its consumers get no more.
    #[serde(deserialize_with = "byte_count")]
    pub outbound_buffer_bytes: u64,
    /// Bytes waiting in a queue that moves before its publishers are paused.
    #[serde(deserialize_with = "byte_count")]
    pub queue_moving_bytes: u64,
    /// Routing keys whose route one connection remembers.
    pub routing_cache_keys: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            consumers_per_channel: 10_000,
            max_message_bytes: 16 * MIB,
            outbound_buffer_bytes: 512 * KIB,
            queue_moving_bytes: MIB,
            routing_cache_keys: 1_024,
        }
    }
}

/// `[store]`: the message log.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Size at which a segment file is closed and the next one begun.
    #[serde(deserialize_with = "byte_count")]
    pub segment_bytes: u64,
    /// Space kept aside, so that the log can still say what is consumed when the disk is full.
    #[serde(deserialize_with = "byte_count")]
    pub reserve_bytes: u64,
    /// How long a record that nobody waits for may stay unwritten.
    pub flush_interval_ms: u64,
    /// How many bytes of such records may stay unwritten.
    #[serde(deserialize_with = "byte_count")]
    pub flush_bytes: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * MIB,
            reserve_bytes: 4 * MIB,
            flush_interval_ms: 100,
            flush_bytes: 4 * MIB,
        }
    }
}

/// `[auth]`: who is asked whether somebody may come in and what they may do.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Auth plugins in the order in which they are asked; the first that does not defer decides.
    pub chain: Vec<String>,
    /// Time for an answer of the whole chain; none in time means no.
    pub timeout_ms: u64,
    /// Whether guest/guest may come in, from this machine only.
    pub guest: bool,
}

impl Default for Auth {
    fn default() -> Self {
        Self { chain: vec!["internal".to_owned()], timeout_ms: 8_000, guest: true }
    }
}

/// `[transforms]`: which of the loaded transforms run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transforms {
    /// Names of transforms in the order in which they see a message.
    pub chain: Vec<String>,
}

/// `[lua]`: what one call into a script may use, where `[[scripts]]` says nothing else.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lua {
    /// Time for one call.
    pub timeout_ms: u64,
    /// Memory of the script's virtual machine on each worker thread.
    #[serde(deserialize_with = "byte_count")]
    pub memory_bytes: u64,
}

impl Default for Lua {
    fn default() -> Self {
        Self { timeout_ms: 100, memory_bytes: 64 * MIB }
    }
}

/// `[compatibility]`: what the broker says of itself in connection.start, by which clients choose
/// their behaviour, and what RabbitMQ does in another way in some of its versions.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Compatibility {
    /// Server property `product`.
    pub product: String,
    /// Server property `version`: three numbers.
    pub version: String,
    /// Server property `cluster_name`; empty means `leveret@` and the host's name.
    pub cluster_name: String,
    /// Reply code for an exchange type that nobody knows: 406 or 503.
    pub unknown_exchange_type: u16,
}

impl Default for Compatibility {
    fn default() -> Self {
        Self {
            product: "RabbitMQ".to_owned(),
            version: "3.13.7".to_owned(),
            cluster_name: String::new(),
            unknown_exchange_type: 406,
        }
    }
}

/// `[log]`: what is logged, and in which form.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Levels by target, such as `info` or `warn,leveret_broker=debug`.
    pub filter: String,
    /// Form of the lines.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// Form of the lines in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human lines on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Lines to read.
    Human,
    /// One JSON object per line.
    Json,
}

/// One of `[[plugins]]`: a shared object to load. Has no `Debug`: `config` may hold secrets.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// The file.
    #[serde(deserialize_with = "path")]
    pub path: PathBuf,
    /// Whether it takes the place of a plugin of the same kind and name.
    #[serde(default)]
    pub replace: bool,
    /// Hexadecimal SHA-256 that the file must have.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Whether the broker refuses to start without it.
    #[serde(default = "yes")]
    pub required: bool,
    /// Handed to the plugin.
    #[serde(default)]
    pub config: Map<String, Value>,
}

impl Plugin {
    /// What the plugin is given: JSON text, empty where nothing is configured.
    pub fn config_json(&self) -> String {
        if self.config.is_empty() {
            String::new()
        } else {
            Value::from(self.config.clone()).to_string()
        }
    }
}

/// One of `[[scripts]]`: a Lua file to load. Has no `Debug`: `config` may hold secrets.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The file.
    #[serde(deserialize_with = "path")]
    pub path: PathBuf,
    /// Whether it takes the place of a plugin of the same kind and name.
    #[serde(default)]
    pub replace: bool,
    /// What a failure of a transform means for the message, in place of what the script says.
    #[serde(default)]
    pub on_error: Option<OnError>,
    /// In place of `lua.timeout_ms`.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// In place of `lua.memory_bytes`.
    #[serde(default, deserialize_with = "optional_byte_count")]
    pub memory_bytes: Option<u64>,
    /// Handed to the script.
    #[serde(default)]
    pub config: Map<String, Value>,
}

/// What becomes of a message whose transform failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Refused.
    Reject,
    /// Goes on unchanged.
    Pass,
    /// Dropped and counted.
    Drop,
}

impl From<OnError> for leveret_plugin::host::OnError {
    fn from(on_error: OnError) -> Self {
        match on_error {
            OnError::Reject => Self::Reject,
            OnError::Pass => Self::Pass,
            OnError::Drop => Self::Drop,
        }
    }
}

/// One of `[[users]]`. Has no `Debug`: it holds a password hash.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What the user logs in as.
    pub name: String,
    /// What `leveret hash-password` printed.
    #[serde(default)]
    pub password_hash: Option<String>,
    /// File whose first line is the password.
    #[serde(default, deserialize_with = "optional_path")]
    pub password_file: Option<PathBuf>,
    /// Such as `administrator`, `monitoring` or `management`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether the user may come from this machine only.
    #[serde(default)]
    pub loopback_only: bool,
    /// What the user may do, by virtual host.
    #[serde(default)]
    pub permissions: Vec<Permissions>,
}

/// One of `[[users.permissions]]`: regular expressions over the names of exchanges and queues.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Permissions {
    /// The virtual host.
    pub vhost: String,
    /// Names that may be created and deleted.
    pub configure: String,
    /// Names that may be published to and bound.
    pub write: String,
    /// Names that may be consumed and bound from.
    pub read: String,
}

impl Default for Permissions {
    fn default() -> Self {
        let all = || ".*".to_owned();
        Self { vhost: "/".to_owned(), configure: all(), write: all(), read: all() }
    }
}

fn yes() -> bool {
    true
}
