//! What the broker asks of an extension, in whatever language that is written.
//!
//! `leveret-extension` implements these traits over the C vtables of [`crate::abi`] and over Lua;
//! `leveret-broker` only ever sees the traits. Authors of plugins need none of this module.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::message::{Binding, Message, MessageMut};

/// A destination of one exchange as a dense number, unique per (exchange, destination) and never
/// reused while the exchange lives.
pub type Slot = u32;

/// Where an extension came from, for start-up lines, error texts and the management API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Linked into the binary.
    BuiltIn,
    /// A script embedded in the binary.
    Embedded,
    /// A shared object.
    Library(PathBuf),
    /// A Lua file.
    Script(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::Embedded => f.write_str("embedded script"),
            Self::Library(path) | Self::Script(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Why an extension gave no answer. The text names the extension and, for scripts, the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// One sentence for the log and, cut to 255 bytes, for the client.
    pub text: String,
}

/// The kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The extension refused: a wrong argument or binding. The text is meant for the client (406).
    Refused,
    /// It panicked or raised an error.
    Error,
    /// It used up its time.
    Timeout,
    /// It used up its memory.
    OutOfMemory,
    /// It failed too often and is not asked for now.
    Suspended,
}

impl Failure {
    /// A refusal whose text is meant for the client.
    pub fn refused(text: impl Into<String>) -> Self {
        Self { kind: FailureKind::Refused, text: text.into() }
    }

    /// A panic or an error of the extension.
    pub fn error(text: impl Into<String>) -> Self {
        Self { kind: FailureKind::Error, text: text.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// One declared exchange, as a type is asked to create it.
#[derive(Clone, Copy, Debug)]
pub struct Declaration<'a> {
    /// Name of the virtual host.
    pub vhost: &'a str,
    /// Name of the exchange.
    pub exchange: &'a str,
    /// Its arguments: the pairs of a field table without the length in front.
    pub arguments: &'a [u8],
}

/// An exchange type: makes [`Exchange`] values.
pub trait ExchangeType: Send + Sync {
    /// The name clients declare, such as `topic` or `x-lua-shard`.
    fn name(&self) -> &str;
    /// Where it was loaded from.
    fn origin(&self) -> &Origin;
    /// Makes the state of one declared exchange.
    fn create(&self, declaration: &Declaration<'_>) -> Result<Arc<dyn Exchange>, Failure>;
}

/// One declared exchange of some type.
pub trait Exchange: Send + Sync {
    /// Whether routing depends on nothing but the bindings and the routing key, so that the
    /// broker may keep the answer for a key until the bindings change.
    fn is_pure(&self) -> bool;
    /// Whether a binding may be made. A refusal's text goes to the client as 406.
    fn validate(&self, binding: &Binding<'_>) -> Result<(), Failure>;
    /// Builds the table of all `bindings`, in the order in which they were made.
    fn build(&self, bindings: &[Binding<'_>]) -> Result<Box<dyn Table>, Failure>;
}

/// What routes: derived from the bindings, immutable once published.
pub trait Table: Send + Sync {
    /// A cheap copy to change and publish in place of this one.
    fn fork(&self) -> Result<Box<dyn Table>, Failure>;
    /// Adds a binding to an unpublished table.
    fn bind(&mut self, binding: &Binding<'_>) -> Result<(), Failure>;
    /// Removes a binding from an unpublished table.
    fn unbind(&mut self, binding: &Binding<'_>) -> Result<(), Failure>;
    /// Pushes the slots that take `message` onto `slots`, in any order; a slot may come twice.
    /// Only called on worker threads of the runtime.
    fn route(&self, message: &Message<'_>, slots: &mut Vec<Slot>) -> Result<(), Failure>;
}

/// Where in a message's life a transform runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// After the checks of basic.publish, before routing.
    Publish,
    /// Before the frames of a delivery are written, on the consumer's task.
    Deliver,
}

/// What a transform decided about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Goes on, with whatever the transform changed in the [`MessageMut`].
    Pass,
    /// Disappears; counted under this reason.
    Drop(String),
    /// Refused. At publish: nack or channel error with this code and text. At delivery:
    /// dead-lettered with reason `rejected`, else dropped and counted.
    Reject(u16, String),
}

/// What is done with a message whose transform failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// As [`Verdict::Reject`] with code 541.
    #[default]
    Reject,
    /// As if the transform were not there.
    Pass,
    /// As [`Verdict::Drop`].
    Drop,
}

/// Which messages a transform is concerned with; tested by the broker, natively. A field that is
/// absent matches everything; names may end in `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Name of the exchange that the message was published to.
    pub exchange: Option<String>,
    /// Name of the queue (deliver only).
    pub queue: Option<String>,
    /// Routing key.
    pub routing_key: Option<String>,
    /// The property content_type.
    pub content_type: Option<String>,
    /// User who published (publish) or consumes (deliver).
    pub user: Option<String>,
    /// A header that must be present.
    pub header: Option<String>,
}

/// A transform of messages.
pub trait Transform: Send + Sync {
    /// Its name, unique among transforms.
    fn name(&self) -> &str;
    /// Where it was loaded from.
    fn origin(&self) -> &Origin;
    /// Whether it takes part in `stage`.
    fn runs_at(&self, stage: Stage) -> bool;
    /// The messages it is concerned with.
    fn matches(&self) -> &Match;
    /// What a failure of it means for the message.
    fn on_error(&self) -> OnError;
    /// Looks at one message and may change it. Only called on worker threads of the runtime.
    fn apply(&self, stage: Stage, message: &mut MessageMut<'_>) -> Result<Verdict, Failure>;
}

/// What an auth plugin decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No; the reason is for the log only.
    Deny(String),
    /// Somebody else may know; when all defer the answer is no. The reason is for the log only.
    Defer(String),
}

/// The outcome of [`Auth::authenticate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Logged in as this user with these tags.
    Allow {
        /// Name of the user, which the plugin may have normalised.
        user: String,
        /// Tags such as `administrator`.
        tags: Vec<String>,
    },
    /// As [`Decision::Deny`].
    Deny(String),
    /// As [`Decision::Defer`].
    Defer(String),
}

/// A login attempt.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// SASL mechanism, such as `PLAIN`.
    pub mechanism: &'a str,
    /// User name.
    pub user: &'a str,
    /// Password; empty for mechanisms without one.
    pub password: &'a [u8],
    /// Address of the peer.
    pub peer: IpAddr,
}

/// What a user wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Open a connection to the virtual host.
    Access,
    /// One of the three permissions on a resource.
    Resource {
        /// Exchange or queue.
        kind: ResourceKind,
        /// Its name; the default exchange is `amq.default`.
        name: &'a str,
        /// The permission.
        permission: Permission,
    },
    /// Publish to or bind with a routing key of a topic exchange.
    Topic {
        /// Name of the exchange.
        exchange: &'a str,
        /// The routing key.
        routing_key: &'a str,
        /// `Write` (publish) or `Read` (bind).
        permission: Permission,
    },
}

/// Kinds of resources that permissions speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ResourceKind {
    /// An exchange.
    Exchange = 0,
    /// A queue.
    Queue = 1,
}

/// The three permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Permission {
    /// Create, delete.
    Configure = 0,
    /// Publish, bind to.
    Write = 1,
    /// Consume, get, purge, bind from.
    Read = 2,
}

/// A question to [`Auth::authorise`].
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The user, as authentication named it.
    pub user: &'a str,
    /// The virtual host.
    pub vhost: &'a str,
    /// Address of the peer.
    pub peer: IpAddr,
    /// What the user wants to do.
    pub action: Action<'a>,
}

/// Takes an answer, once, from any thread. Dropped unused it counts as a refusal.
pub type Completion<T> = Box<dyn FnOnce(T) + Send>;

/// An authentication and authorisation backend.
pub trait Auth: Send + Sync {
    /// Its name, unique among auth plugins.
    fn name(&self) -> &str;
    /// Where it was loaded from.
    fn origin(&self) -> &Origin;
    /// Whether a login holds until the connection ends; if not, a new secret is checked.
    fn is_lasting(&self) -> bool {
        false
    }
    /// Checks a login; calls `done` before it returns or later.
    fn authenticate(&self, credentials: &Credentials<'_>, done: Completion<Login>);
    /// Checks one access; calls `done` before it returns or later.
    fn authorise(&self, access: &Access<'_>, done: Completion<Decision>);
    /// Users, passwords or permissions have changed: forget what was remembered.
    fn changed(&self);
}

/// A user as the broker stores it; read by auth plugins through [`Host::user`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRecord {
    /// Name of the user.
    pub name: String,
    /// Password hash in PHC form (`$argon2id$...`), `well-known:PASSWORD` for an account whose
    /// password is public (guest), or empty: then no password is right.
    pub password_hash: String,
    /// Tags such as `administrator`.
    pub tags: Vec<String>,
    /// Whether the user may come from loopback addresses only.
    pub loopback_only: bool,
    /// Permissions by virtual host.
    pub permissions: Vec<PermissionRecord>,
}

/// The permissions of one user in one virtual host: regular expressions over resource names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionRecord {
    /// The virtual host.
    pub vhost: String,
    /// Names that may be created and deleted.
    pub configure: String,
    /// Names that may be written to.
    pub write: String,
    /// Names that may be read from.
    pub read: String,
}

/// Severity of a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Something failed.
    Error = 1,
    /// Something is wrong but goes on.
    Warn = 2,
    /// Ordinary events.
    Info = 3,
    /// Details.
    Debug = 4,
    /// More details.
    Trace = 5,
}

/// What the broker does for extensions.
pub trait Host: Send + Sync {
    /// Writes one line to the broker's log on behalf of the extension `source`.
    fn log(&self, level: Level, source: &str, text: &str);
    /// The record of a user, if the broker has one.
    fn user(&self, name: &str) -> Option<UserRecord>;
}
