//! Calls from the plugin to the broker.

use std::ffi::c_void;
use std::panic;

use super::convert::text;
use crate::abi::{self, Bytes, strided};
use crate::host::{Level, PermissionRecord, UserRecord};

/// Writes a line to the broker's log.
pub(crate) fn log(host: &abi::Host, level: Level, source: &str, line: &str) {
    if let Some(log) = host.log {
        // SAFETY: the function takes the context beside it; texts are copied before it returns.
        unsafe { log(host.context, level as u32, Bytes::text(source), Bytes::text(line)) };
    }
}

/// Looks a user up.
pub(crate) fn user(host: &abi::Host, name: &str) -> Option<UserRecord> {
    let find = host.user?;
    let mut found: Option<UserRecord> = None;
    let place = (&raw mut found).cast::<c_void>();
    // SAFETY: `copy_user` is called, if at all, before this returns, with `place`.
    unsafe { find(host.context, Bytes::text(name), Some(copy_user), place) };
    found
}

unsafe extern "C" fn copy_user(place: *mut c_void, user: *const abi::User) {
    let copied = super::guard::contain(|| {
        // SAFETY: the broker passes null or a user that it lends for the call.
        unsafe { user.as_ref().map(|user| record(user)) }
    });
    // SAFETY: `place` is the variable in `user` above.
    unsafe { *place.cast::<Option<UserRecord>>() = copied.ok().flatten() };
}

/// # Safety
/// What `user` holds lives for the call.
unsafe fn record(user: &abi::User) -> UserRecord {
    // SAFETY: promised by the caller.
    unsafe {
        let permissions = strided(user.permissions, user.permission_count);
        UserRecord {
            name: text(user.name).to_owned(),
            password_hash: text(user.password_hash).to_owned(),
            tags: texts(user.tags, user.tag_count),
            loopback_only: user.flags & abi::USER_LOOPBACK_ONLY != 0,
            permissions: permissions.map(|one| permission(one)).collect(),
        }
    }
}

/// # Safety
/// What `permission` holds lives for the call.
unsafe fn permission(permission: &abi::PermissionRecord) -> PermissionRecord {
    // SAFETY: promised by the caller.
    unsafe {
        PermissionRecord {
            vhost: text(permission.vhost).to_owned(),
            configure: text(permission.configure).to_owned(),
            write: text(permission.write).to_owned(),
            read: text(permission.read).to_owned(),
        }
    }
}

/// Copies an array of texts.
///
/// # Safety
/// `first` is null or points to `count` texts.
pub(super) unsafe fn texts(first: *const Bytes, count: usize) -> Vec<String> {
    if first.is_null() {
        return Vec::new();
    }
    // SAFETY: promised by the caller.
    let all = unsafe { std::slice::from_raw_parts(first, count) };
    // SAFETY: promised by the caller.
    all.iter().map(|one| unsafe { text(*one) }.to_owned()).collect()
}

/// A library has its own standard library and so its own panic hook: sends what it would print to
/// the broker's log.
pub(super) fn forward_panics(host: &'static abi::Host, name: &'static str) {
    panic::set_hook(Box::new(move |info| log(host, Level::Error, name, &info.to_string())));
}
