//! Keys of definitions: a word for the kind and the names, with `/` between them. In names `/`,
//! `%` and control characters are written as `%` and two hexadecimal digits, so that every name
//! has exactly one key and a prefix never ends inside of a name.

use std::fmt::Write;

use super::BindingDefinition;

/// Prefix of all virtual hosts.
pub(crate) const ALL_VHOSTS: &str = "vhost/";
/// Prefix of all users.
pub(crate) const ALL_USERS: &str = "user/";
/// Prefix of the exchanges of all virtual hosts.
pub(crate) const ALL_EXCHANGES: &str = "exchange/";
/// Prefix of the queues of all virtual hosts.
pub(crate) const ALL_QUEUES: &str = "queue/";
/// Prefix of the bindings of all virtual hosts.
pub(crate) const ALL_BINDINGS: &str = "binding/";

/// Arguments of a binding that are longer stand in the key as a hash: keys are bounded, and
/// nobody has two such bindings that differ in nothing else by accident.
const PLAIN_ARGUMENTS_MAX_BYTES: usize = 1024;

pub(super) fn vhost(name: &str) -> String {
    key(ALL_VHOSTS, &[name])
}

pub(super) fn user(name: &str) -> String {
    key(ALL_USERS, &[name])
}

pub(super) fn exchange(vhost: &str, name: &str) -> String {
    key(ALL_EXCHANGES, &[vhost, name])
}

pub(super) fn queue(vhost: &str, name: &str) -> String {
    key(ALL_QUEUES, &[vhost, name])
}

pub(super) fn binding(binding: &BindingDefinition) -> String {
    let BindingDefinition { vhost, source, to_exchange, destination, key: routing, arguments } =
        binding;
    let kind = if *to_exchange { "exchange" } else { "queue" };
    let arguments = fingerprint(arguments);
    key(ALL_BINDINGS, &[vhost, source, kind, destination, routing, &arguments])
}

fn key(prefix: &str, names: &[&str]) -> String {
    let mut key = String::from(prefix);
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            key.push('/');
        }
        escape(name, &mut key);
    }
    key
}

fn escape(name: &str, out: &mut String) {
    for c in name.chars() {
        match c {
            '/' | '%' | '\0'..='\x1f' | '\x7f' => push_hex(out, '%', c as u8),
            other => out.push(other),
        }
    }
}

fn push_hex(out: &mut String, before: impl Into<Option<char>>, byte: u8) {
    out.extend(before.into());
    let _ = write!(out, "{byte:02x}");
}

/// The name that was escaped; `None` for what [`escape`] does not write.
fn unescape(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('%');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        name.push(char::from(u8::from_str_radix(digits, 16).ok()?));
        name.push_str(rest);
    }
    let mut again = String::with_capacity(escaped.len());
    escape(&name, &mut again);
    (again == escaped).then_some(name)
}

/// Arguments in hexadecimal digits, or length and hash of long ones.
fn fingerprint(arguments: &[u8]) -> String {
    let mut out = String::new();
    if arguments.len() > PLAIN_ARGUMENTS_MAX_BYTES {
        let _ = write!(out, "{}-{:032x}", arguments.len(), fnv1a(arguments));
        return out;
    }
    arguments.iter().for_each(|byte| push_hex(&mut out, None, *byte));
    out
}

/// FNV-1a with 128 bits: the same in every version of this program.
fn fnv1a(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = (1 << 88) + 0x13b;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

/// What a key names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    Vhost { name: String },
    User { name: String },
    Exchange { vhost: String, name: String },
    Queue { vhost: String, name: String },
    Binding { vhost: String, source: String, to_exchange: bool, destination: String, key: String },
}

/// Reads a key. The arguments of a binding are not read: they are in its value.
pub(super) fn parse(key: &str) -> Option<Named> {
    let mut parts = key.split('/');
    let kind = parts.next()?;
    let names = parts.map(unescape).collect::<Option<Vec<_>>>()?;
    match kind {
        "vhost" => exactly(names).map(|[name]| Named::Vhost { name }),
        "user" => exactly(names).map(|[name]| Named::User { name }),
        "exchange" => exactly(names).map(|[vhost, name]| Named::Exchange { vhost, name }),
        "queue" => exactly(names).map(|[vhost, name]| Named::Queue { vhost, name }),
        "binding" => {
            let [vhost, source, kind, destination, key, _] = exactly(names)?;
            let to_exchange = match kind.as_str() {
                "exchange" => true,
                "queue" => false,
                _ => return None,
            };
            Some(Named::Binding { vhost, source, to_exchange, destination, key })
        }
        _ => None,
    }
}

fn exactly<const N: usize>(names: Vec<String>) -> Option<[String; N]> {
    names.try_into().ok()
}
