//! Authentication and authorisation. The rules are those of [the parent](super).

use std::ffi::c_void;

use super::{Address, Answer, Bytes, Host};

/// An auth plugin says yes.
pub const ALLOW: i32 = 0;
/// An auth plugin says no; the text of the [`Answer`] or [`Reply`] is for the log only.
pub const DENY: i32 = 4;
/// An auth plugin leaves it to the next one; when all do, the answer is no.
pub const DEFER: i32 = 5;
/// An auth plugin answers through the [`Completion`]: later from any thread, or already did.
pub const PENDING: i32 = 6;

/// [`Access::action`]: open a connection to the virtual host.
pub const ACTION_ACCESS: u32 = 0;
/// [`Access::action`]: a permission on an exchange.
pub const ACTION_EXCHANGE: u32 = 1;
/// [`Access::action`]: a permission on a queue.
pub const ACTION_QUEUE: u32 = 2;
/// [`Access::action`]: publish to, or bind with, a routing key of a topic exchange.
pub const ACTION_TOPIC: u32 = 3;

/// [`Access::permission`]: create, delete.
pub const PERMISSION_CONFIGURE: u32 = 0;
/// [`Access::permission`]: publish, bind to.
pub const PERMISSION_WRITE: u32 = 1;
/// [`Access::permission`]: consume, get, purge, bind from.
pub const PERMISSION_READ: u32 = 2;

/// Flag of an [`AuthVtable`]: a login holds until the connection ends, so that there is nothing to
/// check in a new secret that a client sends.
pub const AUTH_LASTING: u32 = 1;
/// Flag of a [`User`]: may come from loopback addresses only.
pub const USER_LOOPBACK_ONLY: u32 = 1;

/// A login attempt.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Credentials {
    /// Size of this struct in bytes.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// SASL mechanism, such as `PLAIN`.
    pub mechanism: Bytes,
    /// User name.
    pub user: Bytes,
    /// Password, any bytes.
    pub password: Bytes,
    /// Address of the peer.
    pub peer: Address,
}

/// What a user wants to do.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Size of this struct in bytes.
    pub size: u32,
    /// `LEVERET_ACTION_*`.
    pub action: u32,
    /// `LEVERET_PERMISSION_*`; 0 for [`ACTION_ACCESS`].
    pub permission: u32,
    /// Zero.
    pub reserved: u32,
    /// The user, as authentication named it.
    pub user: Bytes,
    /// The virtual host.
    pub vhost: Bytes,
    /// Name of the exchange or queue; the default exchange is `amq.default`.
    pub name: Bytes,
    /// Routing key ([`ACTION_TOPIC`] only).
    pub routing_key: Bytes,
    /// Address of the peer.
    pub peer: Address,
}

/// What an auth plugin says through a [`Completion`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// Size of this struct in bytes.
    pub size: u32,
    /// [`ALLOW`], [`DENY`], [`DEFER`], or a failure, which denies.
    pub decision: i32,
    /// authenticate, [`ALLOW`]: name of the user; absent: as given.
    pub user: Bytes,
    /// authenticate, [`ALLOW`]: its tags, such as `administrator`.
    pub tags: *const Bytes,
    /// Number of tags.
    pub tag_count: usize,
    /// Why, for the log only.
    pub reason: Bytes,
}

/// The right to answer one question, once, from any thread. May be copied; `complete` of a token
/// that was answered, or that nobody waits for any more, does nothing and returns
/// [`FAILED`](super::FAILED).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// Size of this struct in bytes.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Names the question; never used again.
    pub token: u64,
    /// The broker's own; lives as long as the process.
    pub context: *mut c_void,
    /// Answers. May be called before the question's function returns, which then says [`PENDING`].
    pub complete:
        Option<unsafe extern "C" fn(context: *mut c_void, token: u64, reply: *const Reply) -> i32>,
}

/// An authentication and authorisation backend. All functions but `create` and `destroy` may run
/// on many threads at once.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AuthVtable {
    /// Size of this struct in bytes.
    pub size: u32,
    /// `LEVERET_AUTH_*`.
    pub flags: u32,
    /// SASL mechanisms it understands, separated by spaces.
    pub mechanisms: Bytes,
    /// Makes the backend. `config` is JSON text. Required.
    pub create: Option<
        unsafe extern "C" fn(
            host: *const Host,
            config: Bytes,
            auth: *mut *mut c_void,
            answer: *mut Answer,
        ) -> i32,
    >,
    /// Ends what `create` made. Required.
    pub destroy: Option<unsafe extern "C" fn(auth: *mut c_void)>,
    /// Checks a login: [`ALLOW`] (this user name, no tags), [`DENY`], [`DEFER`] (the text of the
    /// answer is the reason), [`PENDING`], or a failure, which denies. Null: defers.
    pub authenticate: Option<
        unsafe extern "C" fn(
            auth: *const c_void,
            credentials: *const Credentials,
            completion: *const Completion,
            answer: *mut Answer,
        ) -> i32,
    >,
    /// Checks one access, with the same codes. Null: defers.
    pub authorise: Option<
        unsafe extern "C" fn(
            auth: *const c_void,
            access: *const Access,
            completion: *const Completion,
            answer: *mut Answer,
        ) -> i32,
    >,
    /// Users, passwords or permissions have changed: forget what was remembered. Null: nothing.
    pub changed: Option<unsafe extern "C" fn(auth: *const c_void)>,
}

/// The permissions of one user in one virtual host.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PermissionRecord {
    /// Size of this struct in bytes.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The virtual host.
    pub vhost: Bytes,
    /// Pattern of names that may be created and deleted.
    pub configure: Bytes,
    /// Pattern of names that may be written to.
    pub write: Bytes,
    /// Pattern of names that may be read from.
    pub read: Bytes,
}

/// A user as the broker stores it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct User {
    /// Size of this struct in bytes.
    pub size: u32,
    /// `LEVERET_USER_*`.
    pub flags: u32,
    /// Name of the user.
    pub name: Bytes,
    /// Password hash in PHC form, `well-known:PASSWORD`, or empty.
    pub password_hash: Bytes,
    /// Tags.
    pub tags: *const Bytes,
    /// Number of tags.
    pub tag_count: usize,
    /// Permissions by virtual host, stepped by the size of the first.
    pub permissions: *const PermissionRecord,
    /// Number of permissions.
    pub permission_count: usize,
}

// SAFETY: immutable; what it points to is static.
unsafe impl Sync for AuthVtable {}
// SAFETY: the contract allows any thread to complete.
unsafe impl Send for Completion {}
// SAFETY: as above.
unsafe impl Sync for Completion {}
