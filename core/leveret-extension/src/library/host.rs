//! The broker in the form of the contract.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use leveret_plugin::abi::{self, Bytes, UserVisitor};
use leveret_plugin::host::{Host, Level, PermissionRecord, UserRecord};

use super::convert::{size, text};

/// What `lend` leaks: plugins may call at any time.
struct Lent(Arc<dyn Host>);

/// A host that plugins can call; lives as long as the process.
pub(crate) fn lend(host: Arc<dyn Host>) -> &'static abi::Host {
    let lent: &'static Lent = Box::leak(Box::new(Lent(host)));
    Box::leak(Box::new(abi::Host {
        size: size::<abi::Host>(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        context: std::ptr::from_ref(lent).cast_mut().cast(),
        log: Some(log),
        user: Some(user),
    }))
}

unsafe extern "C" fn log(context: *mut c_void, level: u32, source: Bytes, line: Bytes) {
    let level = match level {
        abi::LEVEL_ERROR => Level::Error,
        abi::LEVEL_WARN => Level::Warn,
        abi::LEVEL_INFO => Level::Info,
        abi::LEVEL_DEBUG => Level::Debug,
        _ => Level::Trace,
    };
    // SAFETY: the context is what `lend` leaked; the texts live for the call.
    let (lent, source, line) = unsafe { (&*context.cast::<Lent>(), text(source), text(line)) };
    let _ = catch_unwind(AssertUnwindSafe(|| lent.0.log(level, &source, &line)));
}

unsafe extern "C" fn user(
    context: *mut c_void,
    name: Bytes,
    visit: Option<UserVisitor>,
    visit_context: *mut c_void,
) -> i32 {
    // SAFETY: as in `log`.
    let (lent, name) = unsafe { (&*context.cast::<Lent>(), text(name)) };
    let found = catch_unwind(AssertUnwindSafe(|| lent.0.user(&name))).ok().flatten();
    match (found, visit) {
        (Some(record), Some(visit)) => {
            show(&record, visit, visit_context);
            1
        }
        (Some(_), None) => 1,
        (None, _) => 0,
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
    // SAFETY: the user lives for the call.
    unsafe { visit(context, &user) };
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
