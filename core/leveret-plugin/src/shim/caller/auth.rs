//! An auth plugin behind its vtable.

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use super::super::{convert, host, size};
use super::{Foreign, ask, demand};
use crate::abi::{self, Answer, AuthVtable, Bytes, Reply};
use crate::host::{Access, Auth, Completion, Credentials, Decision, Failure, Login, Origin};

/// An auth plugin that is linked into this program.
pub(crate) struct LoadedAuth {
    name: &'static str,
    vtable: &'static AuthVtable,
    auth: Foreign,
    origin: Origin,
    /// Questions without an answer; lives as long as the process, as its tokens may.
    questions: &'static Questions,
}

impl LoadedAuth {
    /// Makes the auth plugin in the item `name` of `plugin`.
    pub(crate) fn create(
        plugin: &'static abi::Descriptor,
        name: &str,
        host: &'static abi::Host,
        config: &str,
    ) -> Result<Self, Failure> {
        let item = super::item(plugin, abi::KIND_AUTH, name);
        // SAFETY: an item of this kind has a vtable of this type and a name, both static.
        let (vtable, name) =
            unsafe { (&*item.vtable.cast::<AuthVtable>(), convert::text(item.name)) };
        let create = vtable.create;
        let create =
            create.ok_or_else(|| Failure::error("the plugin lacks a required function"))?;
        let mut auth = ptr::null_mut();
        // SAFETY: all that is passed lives for the call, the host for the process.
        demand(|answer| unsafe { create(host, Bytes::text(config), &mut auth, answer) })?;
        let questions = Box::leak(Box::default());
        Ok(Self { name, vtable, auth: Foreign(auth), origin: Origin::BuiltIn, questions })
    }

    /// Asks, and answers at once unless the answer is pending.
    fn ask(&self, waiting: Waiting, f: impl FnOnce(&abi::Completion, *mut Answer) -> i32) {
        let token = self.questions.put(waiting);
        let completion = abi::Completion {
            size: size::<abi::Completion>(),
            reserved: 0,
            token,
            context: ptr::from_ref(self.questions).cast_mut().cast(),
            complete: Some(complete),
        };
        let (code, reason, _) = ask(|answer| f(&completion, answer));
        if code != abi::PENDING
            && let Some(waiting) = self.questions.take(token)
        {
            waiting.answer(Given { decision: code, user: None, tags: Vec::new(), reason });
        }
    }
}

impl Auth for LoadedAuth {
    fn name(&self) -> &str {
        self.name
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn is_lasting(&self) -> bool {
        self.vtable.flags & abi::AUTH_LASTING != 0
    }

    fn authenticate(&self, credentials: &Credentials<'_>, done: Completion<Login>) {
        let Some(authenticate) = self.vtable.authenticate else {
            return done(Login::Defer("the plugin does not authenticate".into()));
        };
        let user = credentials.user.to_owned();
        let credentials = convert::credentials_out(credentials);
        self.ask(Waiting::Login(user, done), |completion, answer| {
            // SAFETY: `create` made the backend; the rest lives for the call.
            unsafe { authenticate(self.auth.0, &credentials, completion, answer) }
        });
    }

    fn authorise(&self, access: &Access<'_>, done: Completion<Decision>) {
        let Some(authorise) = self.vtable.authorise else {
            return done(Decision::Defer("the plugin does not authorise".into()));
        };
        let access = convert::access_out(access);
        self.ask(Waiting::Access(done), |completion, answer| {
            // SAFETY: as in `authenticate`.
            unsafe { authorise(self.auth.0, &access, completion, answer) }
        });
    }

    fn changed(&self) {
        if let Some(changed) = self.vtable.changed {
            // SAFETY: `create` made the backend.
            unsafe { changed(self.auth.0) };
        }
    }
}

impl Drop for LoadedAuth {
    fn drop(&mut self) {
        if let Some(destroy) = self.vtable.destroy {
            // SAFETY: `create` made it, and nobody uses it any more.
            unsafe { destroy(self.auth.0) };
        }
    }
}

/// Who waits for an answer.
enum Waiting {
    Login(String, Completion<Login>),
    Access(Completion<Decision>),
}

/// An answer, whichever way it came.
struct Given {
    decision: i32,
    user: Option<String>,
    tags: Vec<String>,
    reason: String,
}

impl Waiting {
    fn answer(self, given: Given) {
        match self {
            Self::Login(name, done) => done(match given.decision {
                abi::ALLOW => Login::Allow { user: given.user.unwrap_or(name), tags: given.tags },
                abi::DEFER => Login::Defer(given.reason),
                _ => Login::Deny(given.reason),
            }),
            Self::Access(done) => done(match given.decision {
                abi::ALLOW => Decision::Allow,
                abi::DEFER => Decision::Defer(given.reason),
                _ => Decision::Deny(given.reason),
            }),
        }
    }
}

#[derive(Default)]
struct Questions(Mutex<(u64, HashMap<u64, Waiting>)>);

impl Questions {
    fn put(&self, waiting: Waiting) -> u64 {
        let mut questions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        questions.0 += 1;
        let token = questions.0;
        questions.1.insert(token, waiting);
        token
    }

    fn take(&self, token: u64) -> Option<Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&token)
    }
}

unsafe extern "C" fn complete(context: *mut c_void, token: u64, reply: *const Reply) -> i32 {
    // SAFETY: the context of a completion is what `ask` put there.
    let questions = unsafe { &*context.cast::<Questions>() };
    let Some(waiting) = questions.take(token) else { return abi::FAILED };
    // SAFETY: the plugin passes a reply whose texts live for the call.
    let given = unsafe {
        let reply = &*reply;
        Given {
            decision: reply.decision,
            user: (!reply.user.is_absent()).then(|| convert::text(reply.user).to_owned()),
            tags: host::texts(reply.tags, reply.tag_count),
            reason: convert::text(reply.reason).to_owned(),
        }
    };
    waiting.answer(given);
    abi::OK
}
