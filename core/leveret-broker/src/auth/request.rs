//! Questions to auth plugins that own what they ask about, so that they may wait.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use leveret_plugin::host::{Access, Action, Credentials, Permission, ResourceKind};

/// A login attempt. The password is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginAttempt {
    /// SASL mechanism, such as `PLAIN`.
    pub mechanism: String,
    /// User name.
    pub user: String,
    /// Password; empty for mechanisms without one.
    pub password: Vec<u8>,
    /// Address of the peer.
    pub peer: IpAddr,
}

impl LoginAttempt {
    /// As plugins see it.
    pub fn as_credentials(&self) -> Credentials<'_> {
        Credentials {
            mechanism: &self.mechanism,
            user: &self.user,
            password: &self.password,
            peer: self.peer,
        }
    }
}

impl fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginAttempt")
            .field("mechanism", &self.mechanism)
            .field("user", &self.user)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// What a user wants to do, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest {
    /// The user, as authentication named it.
    pub user: Arc<str>,
    /// The virtual host.
    pub vhost: Arc<str>,
    /// Address of the peer.
    pub peer: IpAddr,
    /// What the user wants to do.
    pub action: ActionRequest,
}

/// What a user wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionRequest {
    /// Open a connection to the virtual host.
    Access,
    /// One of the three permissions on a resource.
    Resource {
        /// Exchange or queue.
        kind: ResourceKind,
        /// Its name; the default exchange is `amq.default`.
        name: String,
        /// The permission.
        permission: Permission,
    },
    /// Publish to or bind with a routing key of a topic exchange.
    Topic {
        /// Name of the exchange.
        exchange: String,
        /// The routing key.
        routing_key: String,
        /// `Write` (publish) or `Read` (bind).
        permission: Permission,
    },
}

impl AccessRequest {
    /// As plugins see it.
    pub fn as_access(&self) -> Access<'_> {
        Access {
            user: &self.user,
            vhost: &self.vhost,
            peer: self.peer,
            action: self.action.as_action(),
        }
    }
}

impl ActionRequest {
    fn as_action(&self) -> Action<'_> {
        match self {
            Self::Access => Action::Access,
            Self::Resource { kind, name, permission } => {
                Action::Resource { kind: *kind, name, permission: *permission }
            }
            Self::Topic { exchange, routing_key, permission } => {
                Action::Topic { exchange, routing_key, permission: *permission }
            }
        }
    }
}

impl From<&Access<'_>> for AccessRequest {
    fn from(access: &Access<'_>) -> Self {
        Self {
            user: access.user.into(),
            vhost: access.vhost.into(),
            peer: access.peer,
            action: access.action.into(),
        }
    }
}

impl From<Action<'_>> for ActionRequest {
    fn from(action: Action<'_>) -> Self {
        match action {
            Action::Access => Self::Access,
            Action::Resource { kind, name, permission } => {
                Self::Resource { kind, name: name.to_owned(), permission }
            }
            Action::Topic { exchange, routing_key, permission } => Self::Topic {
                exchange: exchange.to_owned(),
                routing_key: routing_key.to_owned(),
                permission,
            },
        }
    }
}
