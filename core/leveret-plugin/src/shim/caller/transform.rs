//! A transform behind its vtable.

use std::borrow::Cow;
use std::ptr;

use super::super::{convert, size};
use super::{Foreign, ask, demand, failure};
use crate::abi::{self, Bytes, Interest, TransformVtable};
use crate::host::{Failure, Match, OnError, Origin, Stage, Transform, Verdict};
use crate::message::MessageMut;
use crate::properties::{Properties, PropertiesEditor};
use crate::value::{Malformed, Value};

/// A transform of a plugin that is linked into this program.
pub(crate) struct LoadedTransform {
    name: &'static str,
    vtable: &'static TransformVtable,
    transform: Foreign,
    stages: u32,
    on_error: OnError,
    matches: Match,
    origin: Origin,
}

impl LoadedTransform {
    /// Makes the transform in the item `name` of `plugin`.
    pub(crate) fn create(
        plugin: &'static abi::Descriptor,
        name: &str,
        host: &'static abi::Host,
        config: &str,
    ) -> Result<Self, Failure> {
        let item = super::item(plugin, abi::KIND_TRANSFORM, name);
        // SAFETY: an item of this kind has a vtable of this type and a name, both static.
        let (vtable, name) =
            unsafe { (&*item.vtable.cast::<TransformVtable>(), convert::text(item.name)) };
        let missing = || Failure::error("the plugin lacks a required function");
        let create = vtable.create.ok_or_else(missing)?;
        let interest = vtable.interest.ok_or_else(missing)?;
        let mut transform = ptr::null_mut();
        // SAFETY: all that is passed lives for the call, the host for the process.
        demand(|answer| unsafe { create(host, Bytes::text(config), &mut transform, answer) })?;
        // SAFETY: `create` made it; the interest lives as long.
        let interest = unsafe { interest(transform).as_ref() };
        let interest = interest.ok_or_else(|| Failure::error("the transform has no interest"))?;
        Ok(Self {
            name,
            vtable,
            transform: Foreign(transform),
            stages: interest.stages,
            on_error: on_error(interest.on_error),
            matches: matches(interest),
            origin: Origin::BuiltIn,
        })
    }
}

fn on_error(on_error: u32) -> OnError {
    match on_error {
        abi::ON_ERROR_PASS => OnError::Pass,
        abi::ON_ERROR_DROP => OnError::Drop,
        _ => OnError::Reject,
    }
}

fn matches(interest: &Interest) -> Match {
    // SAFETY: the texts of an interest live as long as the transform.
    let text = |bytes: Bytes| (!bytes.is_absent()).then(|| unsafe { convert::text(bytes) }.into());
    Match {
        exchange: text(interest.exchange),
        queue: text(interest.queue),
        routing_key: text(interest.routing_key),
        content_type: text(interest.content_type),
        user: text(interest.user),
        header: text(interest.header),
    }
}

impl Transform for LoadedTransform {
    fn name(&self) -> &str {
        self.name
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn runs_at(&self, stage: Stage) -> bool {
        self.stages & super::super::transform::stage_flag(stage) != 0
    }

    fn matches(&self) -> &Match {
        &self.matches
    }

    fn on_error(&self) -> OnError {
        self.on_error
    }

    fn apply(&self, stage: Stage, message: &mut MessageMut<'_>) -> Result<Verdict, Failure> {
        let apply = self.vtable.apply;
        let apply = apply.ok_or_else(|| Failure::error("the plugin lacks a required function"))?;
        let stage = super::super::transform::stage_flag(stage);
        let mut lent = Lent { view: convert::message_out(&message.view()), message };
        let mut draft = abi::MessageMut {
            size: size::<abi::MessageMut>(),
            reserved: 0,
            message: &raw const lent.view,
            context: (&raw mut lent).cast(),
            set_routing_key: Some(set_routing_key),
            set_properties: Some(set_properties),
            set_header: Some(set_header),
            remove_header: Some(remove_header),
            set_body: Some(set_body),
        };
        // SAFETY: `create` made the transform; the rest lives for the call.
        let called = ask(|answer| unsafe { apply(self.transform.0, stage, &mut draft, answer) });
        match called {
            (abi::OK, ..) => Ok(Verdict::Pass),
            (abi::DROP, reason, _) => Ok(Verdict::Drop(reason)),
            (abi::REJECT, text, code) => {
                let code = u16::try_from(code).ok().filter(|code| *code != 0);
                Ok(Verdict::Reject(code.unwrap_or(541), text))
            }
            (code, text, _) => Err(failure(code, text)),
        }
    }
}

impl Drop for LoadedTransform {
    fn drop(&mut self) {
        if let Some(destroy) = self.vtable.destroy {
            // SAFETY: `create` made it, and nobody uses it any more.
            unsafe { destroy(self.transform.0) };
        }
    }
}

/// What the context of a lent message points to.
struct Lent<'l, 'm> {
    view: abi::Message,
    message: &'l mut MessageMut<'m>,
}

/// Changes the message behind `draft`, and shows the new state.
///
/// # Safety
/// `draft` is what `apply` lent.
unsafe fn change(
    draft: *mut abi::MessageMut,
    f: impl FnOnce(&mut MessageMut<'_>) -> Result<(), Malformed>,
) -> i32 {
    // SAFETY: promised by the caller.
    let lent = unsafe { &mut *(*draft).context.cast::<Lent<'_, '_>>() };
    let changed = f(lent.message);
    lent.view = convert::message_out(&lent.message.view());
    if changed.is_ok() { abi::OK } else { abi::FAILED }
}

fn edit(
    message: &mut MessageMut<'_>,
    f: impl FnOnce(&mut PropertiesEditor) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut editor = PropertiesEditor::from(Properties::view(&message.properties)?);
    f(&mut editor)?;
    message.properties = Cow::Owned(editor.into_bytes());
    Ok(())
}

// SAFETY, for every function below: the plugin passes the message it was lent, and bytes that live
// for the call.

unsafe extern "C" fn set_routing_key(draft: *mut abi::MessageMut, key: Bytes) -> i32 {
    // SAFETY: see above.
    let key = std::str::from_utf8(unsafe { key.slice() }).ok().filter(|key| key.len() <= 255);
    // SAFETY: see above.
    unsafe {
        change(draft, |message| {
            let key = key.ok_or(Malformed { what: "no routing key", at: 0 })?;
            message.routing_key = Cow::Owned(key.to_owned());
            Ok(())
        })
    }
}

unsafe extern "C" fn set_properties(draft: *mut abi::MessageMut, properties: Bytes) -> i32 {
    // SAFETY: see above.
    unsafe {
        change(draft, |message| {
            Properties::parse(properties.slice())?;
            message.properties = Cow::Owned(properties.slice().to_vec());
            Ok(())
        })
    }
}

unsafe extern "C" fn set_header(draft: *mut abi::MessageMut, name: Bytes, value: Bytes) -> i32 {
    // SAFETY: see above.
    unsafe {
        change(draft, |message| {
            let value = Value::parse(value.slice())?;
            edit(message, |editor| editor.set_header(name.slice(), value))
        })
    }
}

unsafe extern "C" fn remove_header(draft: *mut abi::MessageMut, name: Bytes) -> i32 {
    // SAFETY: see above.
    unsafe { change(draft, |message| edit(message, |editor| editor.remove_header(name.slice()))) }
}

unsafe extern "C" fn set_body(draft: *mut abi::MessageMut, body: Bytes) -> i32 {
    // SAFETY: see above.
    unsafe {
        change(draft, |message| {
            message.body = Cow::Owned(body.slice().to_vec());
            Ok(())
        })
    }
}
