//! Auth plugins.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;

use leveret_plugin::abi::{self, AuthVtable, Bytes};
use leveret_plugin::host::{Access, Auth, Completion, Credentials, Decision, Level, Login, Origin};

use super::answer::{ask, demand, failure};
use super::completion::{Completions, Given, Waiting};
use super::convert::{self, text};
use super::handshake::read_vtable;
use super::plugin::{Foreign, Setting, StartError};

/// An auth plugin behind its vtable.
pub(crate) struct PluginAuth {
    name: String,
    setting: Setting,
    /// A copy, kept like the library for as long as the process.
    vtable: &'static AuthVtable,
    auth: Foreign,
    destroy: unsafe extern "C" fn(*mut c_void),
    /// SASL mechanisms that it understands; empty: all.
    mechanisms: Vec<String>,
    completions: &'static Completions,
}

impl PluginAuth {
    /// Reads the function table and makes the backend.
    ///
    /// # Safety
    /// `vtable` points to an [`AuthVtable`] as the contract describes it.
    pub(crate) unsafe fn start(
        name: &str,
        vtable: *const c_void,
        setting: Setting,
    ) -> Result<Self, StartError> {
        // SAFETY: promised by the caller; a vtable of zeros is one without functions.
        let vtable: AuthVtable = unsafe { read_vtable(vtable) };
        let vtable: &AuthVtable = Box::leak(Box::new(vtable));
        let create = vtable.create.ok_or(StartError::Lacks("create"))?;
        let destroy = vtable.destroy.ok_or(StartError::Lacks("destroy"))?;
        let mut auth = ptr::null_mut();
        let config = Bytes::text(&setting.config_json);
        // SAFETY: what is passed lives for the call, the host for the process.
        demand(name, |answer| unsafe { create(setting.host, config, &mut auth, answer) })?;
        // SAFETY: the text is static.
        let mechanisms = unsafe { text(vtable.mechanisms) };
        let mechanisms = mechanisms.split_whitespace().map(str::to_owned).collect();
        let completions = setting.completions;
        let name = name.to_owned();
        Ok(Self { name, setting, vtable, auth: Foreign(auth), destroy, mechanisms, completions })
    }

    /// Asks, and answers at once unless the answer is pending.
    fn ask(
        &self,
        waiting: Waiting,
        question: impl FnOnce(&abi::Completion, *mut abi::Answer) -> i32,
    ) {
        // A completion that is dropped refuses.
        let Some(token) = self.completions.put(waiting) else { return };
        let handle = self.completions.handle(token);
        let said = ask(|answer| question(&handle, answer));
        if said.code == abi::PENDING {
            return self.completions.wait(token);
        }
        let Some(waiting) = self.completions.take(token) else { return };
        let decision = said.code;
        let reason = match decision {
            abi::ALLOW | abi::DENY | abi::DEFER => said.text,
            _ => self.failed(failure(&self.name, &said).text),
        };
        waiting.answer(Given { decision, user: None, tags: Vec::new(), reason });
    }

    /// Logs a failure, which denies.
    fn failed(&self, text: String) -> String {
        let line = format!("denied, because the plugin failed: {text}");
        self.setting.log(Level::Warn, &self.name, &line);
        text
    }
}

impl Auth for PluginAuth {
    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> &Origin {
        &self.setting.origin
    }

    fn is_lasting(&self) -> bool {
        self.vtable.flags & abi::AUTH_LASTING != 0
    }

    fn authenticate(&self, credentials: &Credentials<'_>, done: Completion<Login>) {
        let known = &self.mechanisms;
        if !known.is_empty() && !known.iter().any(|name| name == credentials.mechanism) {
            return done(Login::Defer("not one of its mechanisms".into()));
        }
        let Some(authenticate) = self.vtable.authenticate else {
            return done(Login::Defer("it does not authenticate".into()));
        };
        let user = credentials.user.to_owned();
        let credentials = convert::credentials(credentials);
        self.ask(Waiting::Login(user, done), |completion, answer| {
            // SAFETY: `start` made the backend; the rest lives for the call.
            unsafe { authenticate(self.auth.0, &credentials, completion, answer) }
        });
    }

    fn authorise(&self, access: &Access<'_>, done: Completion<Decision>) {
        let Some(authorise) = self.vtable.authorise else {
            return done(Decision::Defer("it does not authorise".into()));
        };
        let access = convert::access(access);
        self.ask(Waiting::Access(done), |completion, answer| {
            // SAFETY: as in `authenticate`.
            unsafe { authorise(self.auth.0, &access, completion, answer) }
        });
    }

    fn changed(&self) {
        if let Some(changed) = self.vtable.changed {
            // SAFETY: `start` made the backend.
            unsafe { changed(self.auth.0) };
        }
    }
}

impl Drop for PluginAuth {
    fn drop(&mut self) {
        // SAFETY: `start` made it, and nobody uses it any more.
        unsafe { (self.destroy)(self.auth.0) };
    }
}
