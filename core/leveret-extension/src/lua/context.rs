//! What the host functions of one VM share: the message of the running call, above all.
#![allow(unsafe_code)]

use std::cell::{Cell, OnceCell};
use std::ffi::{c_int, c_void};
use std::sync::Arc;

use leveret_plugin::host::Host;
use leveret_plugin::message::{Message, MessageMut};

use super::stack::Stack;

/// Values that the VM keeps for the host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    /// The pooled userdata that every call sees its message through.
    pub(crate) message: c_int,
    pub(crate) headers: c_int,
    pub(crate) properties: c_int,
    pub(crate) connection: c_int,
    /// Methods of messages.
    pub(crate) methods: c_int,
    /// Metatable by which arrays of JSON are known.
    pub(crate) array: c_int,
    /// The VM's own `string.find`.
    pub(crate) find: c_int,
    /// The function `next`.
    pub(crate) next: c_int,
}

#[derive(Clone, Copy)]
enum Subject {
    None,
    Read(*const Message<'static>),
    Change(*mut MessageMut<'static>),
}

/// Belongs to one VM and outlives it.
pub(crate) struct Context {
    /// Name of the script's file, for error texts and the log.
    pub(crate) label: String,
    pub(crate) host: Arc<dyn Host>,
    /// Whether the script declared itself pure.
    pub(crate) pure: Cell<bool>,
    /// Whether the script did what a pure one may not.
    pub(crate) impure: Cell<bool>,
    pub(crate) kept: OnceCell<Kept>,
    subject: Cell<Subject>,
}

impl Context {
    pub(crate) fn new(label: String, host: Arc<dyn Host>) -> Self {
        Self {
            label,
            host,
            pure: Cell::new(false),
            impure: Cell::new(false),
            kept: OnceCell::new(),
            subject: Cell::new(Subject::None),
        }
    }

    /// The context of the host function that is running.
    pub(crate) fn of(stack: &Stack) -> &Self {
        // SAFETY: every host function is made with a pointer to the context as its upvalue
        // (`api::install`), and the context outlives the VM.
        unsafe { &*stack.upvalue().cast::<Self>() }
    }

    /// What host functions get as their upvalue.
    pub(crate) fn pointer(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    pub(crate) fn kept(&self) -> Kept {
        self.kept.get().copied().unwrap_or_default()
    }

    /// Shows `message` to the script for as long as `body` runs.
    #[inline]
    pub(crate) fn show<R>(&self, message: &Message<'_>, body: impl FnOnce() -> R) -> R {
        self.subject.set(Subject::Read(std::ptr::from_ref(message).cast()));
        let _hidden = Hide(self);
        body()
    }

    /// Lets the script change `message` for as long as `body` runs.
    pub(crate) fn lend<R>(&self, message: &mut MessageMut<'_>, body: impl FnOnce() -> R) -> R {
        self.subject.set(Subject::Change(std::ptr::from_mut(message).cast()));
        let _hidden = Hide(self);
        body()
    }

    /// Looks at the message of the running call. `body` may raise errors but must run no script.
    pub(crate) fn read<R>(
        &self,
        body: impl for<'m> FnOnce(&Message<'m>) -> Result<R, String>,
    ) -> Result<R, String> {
        match self.subject.get() {
            Subject::None => Err("message no longer valid: its call has ended".into()),
            // SAFETY: set by `show` for as long as the message lives; `body` cannot keep it.
            Subject::Read(message) => body(unsafe { &*message }),
            // SAFETY: as above, by `lend`; nothing else uses it while a host function runs.
            Subject::Change(message) => body(&unsafe { &*message }.view()),
        }
    }

    /// Changes the message of the running call, if it may be changed.
    pub(crate) fn change<R>(
        &self,
        body: impl for<'m> FnOnce(&mut MessageMut<'m>) -> Result<R, String>,
    ) -> Result<R, String> {
        match self.subject.get() {
            Subject::None => Err("message no longer valid: its call has ended".into()),
            Subject::Read(_) => Err("only a transform may change a message".into()),
            // SAFETY: set by `lend` for as long as the message lives; host functions do not nest.
            Subject::Change(message) => body(unsafe { &mut *message }),
        }
    }

    /// Refuses `what` in a pure script.
    #[inline]
    pub(crate) fn forbid_if_pure(&self, what: &str) -> Result<(), String> {
        if self.pure.get() { self.forbid(what) } else { Ok(()) }
    }

    #[cold]
    pub(crate) fn forbid(&self, what: &str) -> Result<(), String> {
        self.impure.set(true);
        Err(format!("{what} may not be used: the script declares pure = true"))
    }
}

struct Hide<'a>(&'a Context);

impl Drop for Hide<'_> {
    fn drop(&mut self) {
        self.0.subject.set(Subject::None);
    }
}
