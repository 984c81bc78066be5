//! The vtable of an auth plugin written in Rust, and answers that come later.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::guard::{contain, guard, say};
use super::{convert, size};
use crate::abi::{self, Answer, AuthVtable, Bytes, Reply};
use crate::auth::Outcome;
use crate::host::{Decision, Failure, Login};
use crate::{Auth, Broker};

/// The right to answer later.
#[derive(Debug)]
pub struct Later<'a, T> {
    completion: &'a abi::Completion,
    answer: PhantomData<T>,
}

impl<T: Reportable> Later<'_, T> {
    /// What to return now, and what to answer with, once, from any thread.
    pub fn begin(self) -> (Outcome<T>, Completion<T>) {
        let completion = Completion { raw: *self.completion, answer: PhantomData };
        (Outcome::PENDING, completion)
    }
}

/// Answers one question. Dropped unused, it denies.
#[derive(Debug)]
pub struct Completion<T: Reportable> {
    raw: abi::Completion,
    answer: PhantomData<fn(T)>,
}

impl<T: Reportable> Completion<T> {
    /// Answers. Does nothing if nobody waits any more.
    pub fn complete(self, answer: T) {
        answer.report(|reply| report(&self.raw, reply));
        std::mem::forget(self);
    }
}

impl<T: Reportable> Drop for Completion<T> {
    fn drop(&mut self) {
        report(&self.raw, &reply(abi::DENY, "the plugin gave no answer"));
    }
}

fn report(completion: &abi::Completion, reply: &Reply) {
    if let Some(complete) = completion.complete {
        // SAFETY: the function takes the context and token beside it, and copies.
        unsafe { complete(completion.context, completion.token, reply) };
    }
}

fn reply(decision: i32, reason: &str) -> Reply {
    Reply {
        size: size::<Reply>(),
        decision,
        user: Bytes::ABSENT,
        tags: std::ptr::null(),
        tag_count: 0,
        reason: Bytes::text(reason),
    }
}

/// An answer that the contract has a form for.
pub trait Reportable {
    /// Gives the answer in that form.
    #[doc(hidden)]
    fn report(self, send: impl FnOnce(&Reply));
    /// Code and reason, if there is no more to say than that about the login of `user`.
    #[doc(hidden)]
    fn short(&self, user: &str) -> Option<(i32, &str)>;
}

impl Reportable for Login {
    fn report(self, send: impl FnOnce(&Reply)) {
        match self {
            Self::Deny(reason) => send(&reply(abi::DENY, &reason)),
            Self::Defer(reason) => send(&reply(abi::DEFER, &reason)),
            Self::Allow { user, tags } => {
                let tags: Vec<Bytes> = tags.iter().map(|tag| Bytes::text(tag)).collect();
                send(&Reply {
                    user: Bytes::text(&user),
                    tags: tags.as_ptr(),
                    tag_count: tags.len(),
                    ..reply(abi::ALLOW, "")
                });
            }
        }
    }

    fn short(&self, given: &str) -> Option<(i32, &str)> {
        match self {
            Self::Deny(reason) => Some((abi::DENY, reason)),
            Self::Defer(reason) => Some((abi::DEFER, reason)),
            Self::Allow { user, tags } => {
                (user == given && tags.is_empty()).then_some((abi::ALLOW, ""))
            }
        }
    }
}

impl Reportable for Decision {
    fn report(self, send: impl FnOnce(&Reply)) {
        if let Some((decision, reason)) = self.short("") {
            send(&reply(decision, reason));
        }
    }

    fn short(&self, _user: &str) -> Option<(i32, &str)> {
        Some(match self {
            Self::Allow => (abi::ALLOW, ""),
            Self::Deny(reason) => (abi::DENY, reason),
            Self::Defer(reason) => (abi::DEFER, reason),
        })
    }
}

/// Return code of a question about `user`.
fn settle<T: Reportable>(
    outcome: Outcome<T>,
    user: &str,
    completion: &abi::Completion,
    answer: *mut Answer,
) -> i32 {
    let Some(now) = outcome.0 else { return abi::PENDING };
    match now.short(user) {
        Some((code, reason)) => {
            say(answer, reason);
            code
        }
        None => {
            now.report(|reply| report(completion, reply));
            abi::PENDING
        }
    }
}

/// Carries the vtable of `T`.
pub(super) struct VtableOf<T>(PhantomData<T>);

impl<T: Auth> VtableOf<T> {
    pub(super) const VTABLE: &'static AuthVtable = &AuthVtable {
        size: size::<AuthVtable>(),
        flags: if T::LASTING { abi::AUTH_LASTING } else { 0 },
        mechanisms: Bytes::text(T::MECHANISMS),
        create: Some(create::<T>),
        destroy: Some(destroy::<T>),
        authenticate: Some(authenticate::<T>),
        authorise: Some(authorise::<T>),
        changed: Some(changed::<T>),
    };
}

// SAFETY, for every function below: the broker passes what the contract says: a backend that
// `create::<T>` made, structs that it lends for the call, and places to write results to.

unsafe extern "C" fn create<T: Auth>(
    host: *const abi::Host,
    config: Bytes,
    auth: *mut *mut c_void,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above; the host lives as long as the process.
        let (host, config) = unsafe { (host.as_ref(), convert::text(config)) };
        let made = T::new(config, &Broker::new(host, T::NAME))?;
        // SAFETY: see above.
        unsafe { *auth = Box::into_raw(Box::new(made)).cast() };
        Ok(abi::OK)
    })
}

unsafe extern "C" fn destroy<T: Auth>(auth: *mut c_void) {
    // SAFETY: see above; nobody uses it any more.
    let _ = contain(|| unsafe { drop(Box::from_raw(auth.cast::<T>())) });
}

unsafe extern "C" fn authenticate<T: Auth>(
    auth: *const c_void,
    credentials: *const abi::Credentials,
    completion: *const abi::Completion,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above.
        let (auth, completion) = unsafe { (&*auth.cast::<T>(), &*completion) };
        // SAFETY: see above.
        let credentials = unsafe { convert::credentials(&*credentials) };
        let later = Later { completion, answer: PhantomData };
        let outcome = auth.authenticate(&credentials, later);
        Ok(settle(outcome, credentials.user, completion, answer))
    })
}

unsafe extern "C" fn authorise<T: Auth>(
    auth: *const c_void,
    access: *const abi::Access,
    completion: *const abi::Completion,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above.
        let (auth, completion) = unsafe { (&*auth.cast::<T>(), &*completion) };
        // SAFETY: see above.
        let access = unsafe { convert::access(&*access) };
        let access = access.ok_or_else(|| Failure::error("unknown kind of access"))?;
        let later = Later { completion, answer: PhantomData };
        Ok(settle(auth.authorise(&access, later), access.user, completion, answer))
    })
}

unsafe extern "C" fn changed<T: Auth>(auth: *const c_void) {
    // SAFETY: see above.
    let _ = contain(|| unsafe { (*auth.cast::<T>()).changed() });
}
