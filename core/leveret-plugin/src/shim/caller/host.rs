//! A broker in the form of the contract.

use std::ffi::c_void;

use super::super::{convert, size};
use crate::abi::{self, Bytes, UserVisitor};
use crate::host::{Host, Level, PermissionRecord, UserRecord};

/// A host that plugins can call; lives as long as the process.
pub(crate) fn lend(host: Box<dyn Host>) -> &'static abi::Host {
    let context: &'static mut Box<dyn Host> = Box::leak(Box::new(host));
    Box::leak(Box::new(abi::Host {
        size: size::<abi::Host>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        context: (&raw mut *context).cast(),
        log: Some(log),
        user: Some(user),
    }))
}

unsafe extern "C" fn log(context: *mut c_void, level: u32, source: Bytes, text: Bytes) {
    // SAFETY: the context is what `lend` leaked; plugins pass UTF-8.
    let (host, source, text) =
        unsafe { (&*context.cast::<Box<dyn Host>>(), convert::text(source), convert::text(text)) };
    let level = match level {
        abi::LEVEL_ERROR => Level::Error,
        abi::LEVEL_WARN => Level::Warn,
        abi::LEVEL_INFO => Level::Info,
        abi::LEVEL_DEBUG => Level::Debug,
        _ => Level::Trace,
    };
    host.log(level, source, text);
}

unsafe extern "C" fn user(
    context: *mut c_void,
    name: Bytes,
    visit: Option<UserVisitor>,
    visit_context: *mut c_void,
) -> i32 {
    // SAFETY: the context is what `lend` leaked; plugins pass UTF-8.
    let (host, name) = unsafe { (&*context.cast::<Box<dyn Host>>(), convert::text(name)) };
    match (host.user(name), visit) {
        (Some(record), Some(visit)) => {
            show(&record, visit, visit_context);
            1
        }
        _ => 0,
    }
}

fn show(record: &UserRecord, visit: UserVisitor, context: *mut c_void) {
    let tags: Vec<Bytes> = record.tags.iter().map(|tag| Bytes::text(tag)).collect();
    let permissions: Vec<_> = record.permissions.iter().map(permission).collect();
    let user = abi::User {
        size: size::<abi::User>(),
        flags: if record.loopback_only { abi::USER_LOOPBACK_ONLY } else { 0 },
        name: Bytes::text(&record.name),
        password_hash: Bytes::text(&record.password_hash),
        tags: tags.as_ptr(),
        tag_count: tags.len(),
        permissions: permissions.as_ptr(),
        permission_count: permissions.len(),
    };
    // SAFETY: the visitor belongs to the context; the user lives for the call.
    unsafe { visit(context, &raw const user) };
}

fn permission(record: &PermissionRecord) -> abi::PermissionRecord {
    abi::PermissionRecord {
        size: size::<abi::PermissionRecord>(),
        reserved: 0,
        vhost: Bytes::text(&record.vhost),
        configure: Bytes::text(&record.configure),
        write: Bytes::text(&record.write),
        read: Bytes::text(&record.read),
    }
}
