//! Messages, bindings and questions in the form of the contract. Views only: nothing is copied.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::mem::size_of;
use std::net::IpAddr;

use leveret_plugin::abi::{self, Address, Bytes};
use leveret_plugin::host::{Access, Action, Credentials, Declaration, Permission, ResourceKind};
use leveret_plugin::message::{Binding, Message};

/// Size of a struct of the contract, for its first field.
pub(crate) const fn size<T>() -> u32 {
    size_of::<T>() as u32
}

/// Text of a plugin; what is no UTF-8 is replaced.
///
/// # Safety
/// `bytes` live for `'a`.
pub(crate) unsafe fn text<'a>(bytes: Bytes) -> Cow<'a, str> {
    // SAFETY: promised by the caller.
    String::from_utf8_lossy(unsafe { bytes.slice() })
}

/// As [`text`], where it may be absent.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn optional_text(bytes: Bytes) -> Option<String> {
    if bytes.is_absent() {
        return None;
    }
    // SAFETY: promised by the caller.
    Some(unsafe { text(bytes) }.into_owned())
}

pub(crate) fn address(peer: Option<IpAddr>) -> Address {
    let mut address = Address::default();
    match peer {
        None => {}
        Some(IpAddr::V4(v4)) => {
            address.family = 4;
            address.octets[..4].copy_from_slice(&v4.octets());
        }
        Some(IpAddr::V6(v6)) => {
            address.family = 6;
            address.octets = v6.octets();
        }
    }
    address
}

#[inline]
pub(crate) fn message(message: &Message<'_>) -> abi::Message {
    let mandatory = if message.mandatory { abi::MESSAGE_MANDATORY } else { 0 };
    let redelivered = if message.redelivered { abi::MESSAGE_REDELIVERED } else { 0 };
    abi::Message {
        size: size::<abi::Message>(),
        flags: mandatory | redelivered,
        vhost: Bytes::text(message.vhost),
        exchange: Bytes::text(message.exchange),
        routing_key: Bytes::text(message.routing_key),
        properties: Bytes::new(message.properties),
        body: Bytes::new(message.body),
        user: Bytes::text(message.user),
        queue: Bytes::text(message.queue),
        peer: address(message.peer),
    }
}

pub(crate) fn binding(binding: &Binding<'_>) -> abi::Binding {
    abi::Binding {
        size: size::<abi::Binding>(),
        flags: if binding.to_exchange { abi::BINDING_TO_EXCHANGE } else { 0 },
        slot: binding.slot,
        reserved: 0,
        key: Bytes::text(binding.key),
        arguments: Bytes::new(binding.arguments),
        destination: Bytes::text(binding.destination),
    }
}

pub(crate) fn declaration(declaration: &Declaration<'_>) -> abi::Declaration {
    abi::Declaration {
        size: size::<abi::Declaration>(),
        reserved: 0,
        vhost: Bytes::text(declaration.vhost),
        exchange: Bytes::text(declaration.exchange),
        arguments: Bytes::new(declaration.arguments),
    }
}

pub(crate) fn credentials(credentials: &Credentials<'_>) -> abi::Credentials {
    abi::Credentials {
        size: size::<abi::Credentials>(),
        reserved: 0,
        mechanism: Bytes::text(credentials.mechanism),
        user: Bytes::text(credentials.user),
        password: Bytes::new(credentials.password),
        peer: address(Some(credentials.peer)),
    }
}

pub(crate) fn access(access: &Access<'_>) -> abi::Access {
    let (action, permission, name, routing_key) = match access.action {
        Action::Access => (abi::ACTION_ACCESS, 0, "", ""),
        Action::Resource { kind: ResourceKind::Exchange, name, permission } => {
            (abi::ACTION_EXCHANGE, number(permission), name, "")
        }
        Action::Resource { kind: ResourceKind::Queue, name, permission } => {
            (abi::ACTION_QUEUE, number(permission), name, "")
        }
        Action::Topic { exchange, routing_key, permission } => {
            (abi::ACTION_TOPIC, number(permission), exchange, routing_key)
        }
    };
    abi::Access {
        size: size::<abi::Access>(),
        action,
        permission,
        reserved: 0,
        user: Bytes::text(access.user),
        vhost: Bytes::text(access.vhost),
        name: Bytes::text(name),
        routing_key: Bytes::text(routing_key),
        peer: address(Some(access.peer)),
    }
}

fn number(permission: Permission) -> u32 {
    match permission {
        Permission::Configure => abi::PERMISSION_CONFIGURE,
        Permission::Write => abi::PERMISSION_WRITE,
        Permission::Read => abi::PERMISSION_READ,
    }
}
