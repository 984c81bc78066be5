//! Structs of the contract to borrowed Rust values and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::size;
use crate::abi::{self, Address, Bytes};
use crate::host::{Access, Action, Credentials, Declaration, Permission, ResourceKind};
use crate::message::{Binding, Message};

/// A text of the contract.
///
/// # Safety
/// As [`Bytes::slice`], and the bytes are UTF-8.
#[inline]
pub(super) unsafe fn text<'a>(bytes: Bytes) -> &'a str {
    // SAFETY: promised by the caller: the contract says that texts are UTF-8.
    unsafe { std::str::from_utf8_unchecked(bytes.slice()) }
}

/// # Safety
/// What `message` holds lives for `'a`, as the contract says for the length of a call.
#[inline]
pub(super) unsafe fn message<'a>(message: &abi::Message) -> Message<'a> {
    // SAFETY: promised by the caller.
    unsafe {
        Message {
            vhost: text(message.vhost),
            exchange: text(message.exchange),
            routing_key: text(message.routing_key),
            properties: message.properties.slice(),
            body: message.body.slice(),
            mandatory: message.flags & abi::MESSAGE_MANDATORY != 0,
            redelivered: message.flags & abi::MESSAGE_REDELIVERED != 0,
            user: text(message.user),
            peer: peer(&message.peer),
            queue: text(message.queue),
        }
    }
}

pub(super) fn message_out(message: &Message<'_>) -> abi::Message {
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
        peer: message.peer.map_or(Address::default(), address),
    }
}

/// # Safety
/// What `binding` holds lives for `'a`.
pub(super) unsafe fn binding<'a>(binding: &abi::Binding) -> Binding<'a> {
    // SAFETY: promised by the caller.
    unsafe {
        Binding {
            slot: binding.slot,
            key: text(binding.key),
            arguments: binding.arguments.slice(),
            destination: text(binding.destination),
            to_exchange: binding.flags & abi::BINDING_TO_EXCHANGE != 0,
        }
    }
}

pub(super) fn binding_out(binding: &Binding<'_>) -> abi::Binding {
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

/// # Safety
/// What `declaration` holds lives for `'a`.
pub(super) unsafe fn declaration<'a>(declaration: &abi::Declaration) -> Declaration<'a> {
    // SAFETY: promised by the caller.
    unsafe {
        Declaration {
            vhost: text(declaration.vhost),
            exchange: text(declaration.exchange),
            arguments: declaration.arguments.slice(),
        }
    }
}

pub(super) fn declaration_out(declaration: &Declaration<'_>) -> abi::Declaration {
    abi::Declaration {
        size: size::<abi::Declaration>(),
        reserved: 0,
        vhost: Bytes::text(declaration.vhost),
        exchange: Bytes::text(declaration.exchange),
        arguments: Bytes::new(declaration.arguments),
    }
}

/// # Safety
/// What `credentials` holds lives for `'a`.
pub(super) unsafe fn credentials<'a>(credentials: &abi::Credentials) -> Credentials<'a> {
    // SAFETY: promised by the caller.
    unsafe {
        Credentials {
            mechanism: text(credentials.mechanism),
            user: text(credentials.user),
            password: credentials.password.slice(),
            peer: some_peer(&credentials.peer),
        }
    }
}

pub(super) fn credentials_out(credentials: &Credentials<'_>) -> abi::Credentials {
    abi::Credentials {
        size: size::<abi::Credentials>(),
        reserved: 0,
        mechanism: Bytes::text(credentials.mechanism),
        user: Bytes::text(credentials.user),
        password: Bytes::new(credentials.password),
        peer: address(credentials.peer),
    }
}

/// `None` for an action or permission that this side does not know.
///
/// # Safety
/// What `access` holds lives for `'a`.
pub(super) unsafe fn access<'a>(access: &abi::Access) -> Option<Access<'a>> {
    // SAFETY: promised by the caller.
    let (user, vhost, name, routing_key) = unsafe {
        (text(access.user), text(access.vhost), text(access.name), text(access.routing_key))
    };
    let permission = match access.permission {
        abi::PERMISSION_CONFIGURE => Permission::Configure,
        abi::PERMISSION_WRITE => Permission::Write,
        abi::PERMISSION_READ => Permission::Read,
        _ => return None,
    };
    let resource = |kind| Action::Resource { kind, name, permission };
    let action = match access.action {
        abi::ACTION_ACCESS => Action::Access,
        abi::ACTION_EXCHANGE => resource(ResourceKind::Exchange),
        abi::ACTION_QUEUE => resource(ResourceKind::Queue),
        abi::ACTION_TOPIC => Action::Topic { exchange: name, routing_key, permission },
        _ => return None,
    };
    Some(Access { user, vhost, peer: some_peer(&access.peer), action })
}

pub(super) fn access_out(access: &Access<'_>) -> abi::Access {
    let (action, permission, name, routing_key) = match access.action {
        Action::Access => (abi::ACTION_ACCESS, Permission::Configure, "", ""),
        Action::Resource { kind: ResourceKind::Exchange, name, permission } => {
            (abi::ACTION_EXCHANGE, permission, name, "")
        }
        Action::Resource { kind: ResourceKind::Queue, name, permission } => {
            (abi::ACTION_QUEUE, permission, name, "")
        }
        Action::Topic { exchange, routing_key, permission } => {
            (abi::ACTION_TOPIC, permission, exchange, routing_key)
        }
    };
    abi::Access {
        size: size::<abi::Access>(),
        action,
        permission: permission as u32,
        reserved: 0,
        user: Bytes::text(access.user),
        vhost: Bytes::text(access.vhost),
        name: Bytes::text(name),
        routing_key: Bytes::text(routing_key),
        peer: address(access.peer),
    }
}

fn some_peer(from: &Address) -> IpAddr {
    peer(from).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
}

fn peer(address: &Address) -> Option<IpAddr> {
    let [a, b, c, d, ..] = address.octets;
    match address.family {
        4 => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
        6 => Some(IpAddr::V6(Ipv6Addr::from(address.octets))),
        _ => None,
    }
}

pub(super) fn address(peer: IpAddr) -> Address {
    let mut octets = [0; 16];
    let family = match peer {
        IpAddr::V4(peer) => {
            octets[..4].copy_from_slice(&peer.octets());
            4
        }
        IpAddr::V6(peer) => {
            octets = peer.octets();
            6
        }
    };
    Address { family, reserved: [0; 3], octets }
}
