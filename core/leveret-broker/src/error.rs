//! Refusals, in RabbitMQ's words: clients match on them. One constructor per situation; the rows
//! are those of RabbitMQ's observed behaviour. Knows no class or method: whoever handles the
//! method adds its ids when the refusal becomes a reply.

use std::fmt;

use leveret_protocol::ReplyCode;

/// A refusal: the reply code (which decides between channel and connection) and the explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The reply code.
    pub code: ReplyCode,
    /// What follows `NAME - ` in the reply text.
    pub text: String,
    /// Whether class and method ids are reported as 0/0.
    pub without_method: bool,
}

/// The result of whatever a client may be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// `queue 'q' in vhost '/'`, as RabbitMQ writes it.
pub(crate) fn queue_in(vhost: &str, name: &str) -> String {
    format!("queue '{name}' in vhost '{vhost}'")
}

/// `exchange 'x' in vhost '/'`, as RabbitMQ writes it.
pub(crate) fn exchange_in(vhost: &str, name: &str) -> String {
    format!("exchange '{name}' in vhost '{vhost}'")
}

impl Error {
    fn new(code: ReplyCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), without_method: false }
    }

    /// 406 with this explanation.
    pub fn precondition(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::PreconditionFailed, text)
    }

    /// 403 with this explanation.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::AccessRefused, text)
    }

    /// 540 with this explanation; closes the connection.
    pub fn not_implemented(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::NotImplemented, text)
    }

    /// 530 with this explanation; closes the connection.
    pub fn not_allowed(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::NotAllowed, text)
    }

    /// 541 with this explanation; closes the connection.
    pub fn internal(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::InternalError, text)
    }

    /// A transform refused the message with a code of its own.
    pub fn rejected(code: ReplyCode, text: impl Into<String>) -> Self {
        Self::new(code, text)
    }

    /// 320, which says why the broker closes a connection.
    pub fn forced(text: impl Into<String>) -> Self {
        Self { without_method: true, ..Self::new(ReplyCode::ConnectionForced, text) }
    }

    /// The same refusal, reported with class and method 0/0.
    pub fn without_method(self) -> Self {
        Self { without_method: true, ..self }
    }

    /// There is no such queue.
    pub fn queue_not_found(vhost: &str, name: &str) -> Self {
        Self::new(ReplyCode::NotFound, format!("no {}", queue_in(vhost, name)))
    }

    /// There is no such exchange.
    pub fn exchange_not_found(vhost: &str, name: &str) -> Self {
        Self::new(ReplyCode::NotFound, format!("no {}", exchange_in(vhost, name)))
    }

    /// An empty queue name, and nothing was declared on this channel.
    pub fn no_previous_queue() -> Self {
        Self::new(ReplyCode::NotFound, "no previously declared queue")
    }

    /// An exclusive queue of another connection, or its exclusive flag differs.
    pub fn queue_locked(vhost: &str, name: &str) -> Self {
        Self::new(
            ReplyCode::ResourceLocked,
            format!(
                "cannot obtain exclusive access to locked {}. It could be originally declared on \
                 another connection or the exclusive property value does not match that of the \
                 original declaration.",
                queue_in(vhost, name)
            ),
        )
    }

    /// A consumer has the queue for itself, or wants it while others consume.
    pub fn queue_in_exclusive_use(vhost: &str, name: &str) -> Self {
        Self::refused(format!("{} in exclusive use", queue_in(vhost, name)))
    }

    /// `if-unused` and there are consumers.
    pub fn queue_in_use(vhost: &str, name: &str) -> Self {
        Self::precondition(format!("{} in use", queue_in(vhost, name)))
    }

    /// `if-empty` and there are messages.
    pub fn queue_not_empty(vhost: &str, name: &str) -> Self {
        Self::precondition(format!("{} not empty", queue_in(vhost, name)))
    }

    /// `if-unused` and there are bindings.
    pub fn exchange_in_use(vhost: &str, name: &str) -> Self {
        Self::precondition(format!("{} in use", exchange_in(vhost, name)))
    }

    /// The name begins with `amq.`; `kind` is `queue` or `exchange`.
    pub fn reserved_name(kind: &str, name: &str) -> Self {
        Self::refused(format!("{kind} name '{name}' contains reserved prefix 'amq.*'"))
    }

    /// Declaring, deleting or binding the default exchange.
    pub fn default_exchange() -> Self {
        Self::refused("operation not permitted on the default exchange")
    }

    /// Deleting a pre-declared exchange.
    pub fn system_exchange(vhost: &str, name: &str) -> Self {
        Self::refused(format!("deletion of system {} not allowed", exchange_in(vhost, name)))
    }

    /// Publishing to an internal exchange.
    pub fn internal_exchange(vhost: &str, name: &str) -> Self {
        Self::refused(format!("cannot publish to internal {}", exchange_in(vhost, name)))
    }

    /// No plugin has registered this exchange type.
    pub fn unknown_exchange_type(code: ReplyCode, name: &str) -> Self {
        let what = if name.is_empty() { "invalid" } else { "unknown" };
        Self::new(code, format!("{what} exchange type '{name}'"))
    }

    /// The type of an existing exchange has no plugin any more, or it is faulted.
    pub fn cannot_route(vhost: &str, name: &str, why: &str) -> Self {
        Self::precondition(format!(
            "Cannot route message through {}: {why}",
            exchange_in(vhost, name)
        ))
    }

    /// A redeclaration differs; `what` is `queue 'q' in vhost '/'` or the like.
    pub fn inequivalent(argument: &str, what: &str, received: &str, current: &str) -> Self {
        Self::precondition(format!(
            "inequivalent arg '{argument}' for {what}: received {received} but current is {current}"
        ))
    }

    /// A delivery tag that is not outstanding.
    pub fn unknown_delivery_tag(tag: u64) -> Self {
        Self::precondition(format!("unknown delivery tag {tag}"))
    }

    /// A consumer tag that is taken; closes the connection.
    pub fn consumer_tag_reused(tag: &str) -> Self {
        Self::not_allowed(format!("attempt to reuse consumer tag '{tag}'"))
    }

    /// A permission is missing. `permission` is `configure`, `write` or `read`; `what` names the
    /// resource.
    pub fn access_refused(permission: &str, what: &str, user: &str) -> Self {
        Self::refused(format!("{permission} access to {what} refused for user '{user}'"))
    }

    /// There is no such virtual host; closes the connection.
    pub fn vhost_not_found(name: &str) -> Self {
        Self::not_allowed(format!("vhost {name} not found"))
    }

    /// The user has no permission in the virtual host; closes the connection.
    pub fn vhost_refused(vhost: &str, user: &str) -> Self {
        Self::not_allowed(format!("access to vhost '{vhost}' refused for user '{user}'"))
    }

    /// An argument that must name an exchange is no string; `what` is `queue 'q' in vhost '/'` or
    /// the like.
    pub fn argument_type(type_name: &str, argument: &str, what: &str) -> Self {
        Self::precondition(format!("invalid type '{type_name}' for arg '{argument}' in {what}"))
    }

    /// An argument has a value that it cannot have; `why` as Erlang prints it.
    pub fn argument_value(argument: &str, what: &str, why: impl fmt::Display) -> Self {
        Self::precondition(format!("invalid arg '{argument}' for {what}: {why}"))
    }

    /// An argument that another type of queue has, but not this one.
    pub fn argument_of_other_type(argument: &str, what: &str, queue_type: &str) -> Self {
        Self::precondition(format!(
            "invalid arg '{argument}' for {what} of queue type {queue_type}"
        ))
    }
}
