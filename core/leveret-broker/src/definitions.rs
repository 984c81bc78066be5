//! Definitions as the metadata store keeps them: one key for each virtual host, user, exchange,
//! queue and binding, and a field table as its value, whose unknown fields are passed over.
//!
//! The key is what the thing is called, the value what it is like; a binding's arguments are in
//! both. Knows neither the store nor the broker's own structures.

mod fields;
mod key;

use std::fmt;
use std::sync::Arc;

use leveret_plugin::host::{PermissionRecord, UserRecord};
use leveret_plugin::table::{ArrayBuilder, Table, TableBuilder};
use leveret_plugin::value::{Malformed, Value};
use leveret_store::QueueId;

use fields::{Fields, write};
pub(crate) use key::{ALL_BINDINGS, ALL_EXCHANGES, ALL_QUEUES, ALL_VHOSTS};

/// One thing that outlives the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Definition {
    /// A virtual host.
    Vhost {
        /// Its name.
        name: Arc<str>,
    },
    /// A user with permissions.
    User(UserRecord),
    /// A durable exchange.
    Exchange(ExchangeDefinition),
    /// A durable queue.
    Queue(QueueDefinition),
    /// A binding between durable things.
    Binding(BindingDefinition),
}

/// A durable exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExchangeDefinition {
    /// Virtual host.
    pub vhost: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Name of its type.
    pub kind: Arc<str>,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
    /// Whether clients may not publish to it.
    pub internal: bool,
    /// The pairs of a field table.
    pub arguments: Arc<[u8]>,
}

/// A durable queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueDefinition {
    /// Virtual host.
    pub vhost: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// The number under which the log knows its messages.
    pub id: QueueId,
    /// Whether it goes with its last consumer.
    pub auto_delete: bool,
    /// The pairs of a field table.
    pub arguments: Arc<[u8]>,
}

/// A binding between durable things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BindingDefinition {
    /// Virtual host.
    pub vhost: Arc<str>,
    /// Name of the exchange that is bound from.
    pub source: Arc<str>,
    /// Whether it leads to an exchange; otherwise to a queue.
    pub to_exchange: bool,
    /// Name of what it leads to.
    pub destination: Arc<str>,
    /// Binding key.
    pub key: Arc<str>,
    /// The pairs of a field table.
    pub arguments: Arc<[u8]>,
}

/// A key or value of the store that is no definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DefinitionError {
    /// The key names nothing that is known.
    Key(String),
    /// The value is no field table.
    Value(Malformed),
    /// A field that must be there is not, or is of another type.
    Field(&'static str),
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "'{key}' is no key of a definition"),
            Self::Value(malformed) => write!(f, "the value is no field table: {malformed}"),
            Self::Field(name) => write!(f, "the field '{name}' is missing or of a wrong type"),
        }
    }
}

impl std::error::Error for DefinitionError {}

impl Definition {
    /// Where it is stored.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Vhost { name } => key::vhost(name),
            Self::User(user) => key::user(&user.name),
            Self::Exchange(exchange) => key::exchange(&exchange.vhost, &exchange.name),
            Self::Queue(queue) => key::queue(&queue.vhost, &queue.name),
            Self::Binding(binding) => key::binding(binding),
        }
    }

    /// What is stored there.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut fields = TableBuilder::new();
        match self {
            Self::Vhost { .. } => {}
            Self::User(user) => write_user(&mut fields, user),
            Self::Exchange(exchange) => {
                write(&mut fields, "type", Value::Text(exchange.kind.as_bytes()));
                write(&mut fields, "auto_delete", Value::Bool(exchange.auto_delete));
                write(&mut fields, "internal", Value::Bool(exchange.internal));
                write(&mut fields, "arguments", Value::Table(Table::new(&exchange.arguments)));
            }
            Self::Queue(queue) => {
                write(&mut fields, "id", Value::Timestamp(queue.id.0));
                write(&mut fields, "auto_delete", Value::Bool(queue.auto_delete));
                write(&mut fields, "arguments", Value::Table(Table::new(&queue.arguments)));
            }
            Self::Binding(binding) => {
                write(&mut fields, "arguments", Value::Table(Table::new(&binding.arguments)));
            }
        }
        fields.into_bytes()
    }

    /// The definition that is stored as `value` under `key`.
    ///
    /// # Errors
    /// Says which of the two is wrong, and how.
    pub(crate) fn decode(key: &str, value: &[u8]) -> Result<Self, DefinitionError> {
        let named = key::parse(key).ok_or_else(|| DefinitionError::Key(key.to_owned()))?;
        let fields = Fields::parse(value)?;
        Ok(match named {
            key::Named::Vhost { name } => Self::Vhost { name: name.into() },
            key::Named::User { name } => Self::User(read_user(name, &fields)?),
            key::Named::Exchange { vhost, name } => Self::Exchange(ExchangeDefinition {
                vhost: vhost.into(),
                name: name.into(),
                kind: fields.text("type")?.into(),
                auto_delete: fields.flag("auto_delete")?,
                internal: fields.flag("internal")?,
                arguments: fields.table("arguments")?.as_bytes().into(),
            }),
            key::Named::Queue { vhost, name } => Self::Queue(QueueDefinition {
                vhost: vhost.into(),
                name: name.into(),
                id: QueueId(fields.unsigned("id")?),
                auto_delete: fields.flag("auto_delete")?,
                arguments: fields.table("arguments")?.as_bytes().into(),
            }),
            key::Named::Binding { vhost, source, to_exchange, destination, key } => {
                Self::Binding(BindingDefinition {
                    vhost: vhost.into(),
                    source: source.into(),
                    to_exchange,
                    destination: destination.into(),
                    key: key.into(),
                    arguments: fields.table("arguments")?.as_bytes().into(),
                })
            }
        })
    }
}

fn write_user(fields: &mut TableBuilder, user: &UserRecord) {
    let (mut tags, mut permissions) = (ArrayBuilder::new(), ArrayBuilder::new());
    user.tags.iter().for_each(|tag| tags.push(Value::Text(tag.as_bytes())));
    for permission in &user.permissions {
        let mut of_vhost = TableBuilder::new();
        write(&mut of_vhost, "vhost", Value::Text(permission.vhost.as_bytes()));
        write(&mut of_vhost, "configure", Value::Text(permission.configure.as_bytes()));
        write(&mut of_vhost, "write", Value::Text(permission.write.as_bytes()));
        write(&mut of_vhost, "read", Value::Text(permission.read.as_bytes()));
        permissions.push(Value::Table(of_vhost.table()));
    }
    write(fields, "password_hash", Value::Text(user.password_hash.as_bytes()));
    write(fields, "tags", Value::Array(tags.array()));
    write(fields, "loopback_only", Value::Bool(user.loopback_only));
    write(fields, "permissions", Value::Array(permissions.array()));
}

fn read_user(name: String, fields: &Fields<'_>) -> Result<UserRecord, DefinitionError> {
    let tag =
        |tag: Value<'_>| tag.as_str().map(str::to_owned).ok_or(DefinitionError::Field("tags"));
    let permission = |value| match value {
        Value::Table(table) => read_permission(&Fields::new(table)),
        _ => Err(DefinitionError::Field("permissions")),
    };
    Ok(UserRecord {
        name,
        password_hash: fields.text("password_hash")?.to_owned(),
        tags: fields.array("tags")?.iter().map(tag).collect::<Result<_, _>>()?,
        loopback_only: fields.flag("loopback_only")?,
        permissions: fields
            .array("permissions")?
            .iter()
            .map(permission)
            .collect::<Result<_, _>>()?,
    })
}

fn read_permission(fields: &Fields<'_>) -> Result<PermissionRecord, DefinitionError> {
    Ok(PermissionRecord {
        vhost: fields.text("vhost")?.to_owned(),
        configure: fields.text("configure")?.to_owned(),
        write: fields.text("write")?.to_owned(),
        read: fields.text("read")?.to_owned(),
    })
}

#[cfg(test)]
mod tests;
