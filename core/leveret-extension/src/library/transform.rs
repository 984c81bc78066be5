//! Transforms of plugins.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::c_void;
use std::ptr;

use leveret_plugin::abi::{self, Bytes, Interest, TransformVtable};
use leveret_plugin::host::{Failure, Match, OnError, Origin, Stage, Transform, Verdict};
use leveret_plugin::message::MessageMut;
use leveret_plugin::properties::{Properties, PropertiesEditor};
use leveret_plugin::value::{Malformed, Value};

use super::answer::{ask, demand, failure};
use super::convert::{self, optional_text, size};
use super::handshake::read_vtable;
use super::plugin::{Foreign, Setting, StartError};
use crate::draft::with_draft;

/// Longest routing key, in bytes.
const SHORT: usize = 255;

type Apply =
    unsafe extern "C" fn(*const c_void, u32, *mut abi::MessageMut, *mut abi::Answer) -> i32;

/// A transform of a plugin.
pub(crate) struct PluginTransform {
    name: String,
    origin: Origin,
    transform: Foreign,
    apply: Apply,
    destroy: unsafe extern "C" fn(*mut c_void),
    stages: u32,
    on_error: OnError,
    matches: Match,
}

impl PluginTransform {
    /// Reads the function table and makes the transform.
    ///
    /// # Safety
    /// `vtable` points to a [`TransformVtable`] as the contract describes it.
    pub(crate) unsafe fn start(
        name: &str,
        vtable: *const c_void,
        setting: Setting,
    ) -> Result<Self, StartError> {
        // SAFETY: promised by the caller; a vtable of zeros is one without functions.
        let vtable: TransformVtable = unsafe { read_vtable(vtable) };
        let create = vtable.create.ok_or(StartError::Lacks("create"))?;
        let interest = vtable.interest.ok_or(StartError::Lacks("interest"))?;
        let apply = vtable.apply.ok_or(StartError::Lacks("apply"))?;
        let destroy = vtable.destroy.ok_or(StartError::Lacks("destroy"))?;
        let mut transform = ptr::null_mut();
        let config = Bytes::text(&setting.config_json);
        // SAFETY: what is passed lives for the call, the host for the process.
        demand(name, |answer| unsafe { create(setting.host, config, &mut transform, answer) })?;
        let mut started = Self {
            name: name.to_owned(),
            origin: setting.origin,
            transform: Foreign(transform),
            apply,
            destroy,
            stages: 0,
            on_error: OnError::Reject,
            matches: Match::default(),
        };
        // SAFETY: `create` made it.
        let interest = unsafe { interest(transform) };
        if interest.is_null() {
            return Err(Failure::error("it does not say which messages concern it").into());
        }
        // SAFETY: points to an interest that lives as long as the transform; a copy suffices.
        started.concern(&unsafe { read_vtable::<Interest>(interest.cast()) });
        Ok(started)
    }

    fn concern(&mut self, interest: &Interest) {
        self.stages = interest.stages;
        self.on_error = match interest.on_error {
            abi::ON_ERROR_PASS => OnError::Pass,
            abi::ON_ERROR_DROP => OnError::Drop,
            _ => OnError::Reject,
        };
        // SAFETY: the texts live as long as the transform.
        self.matches = unsafe {
            Match {
                exchange: optional_text(interest.exchange),
                queue: optional_text(interest.queue),
                routing_key: optional_text(interest.routing_key),
                content_type: optional_text(interest.content_type),
                user: optional_text(interest.user),
                header: optional_text(interest.header),
            }
        };
    }

    fn run(&self, stage: Stage, message: &mut MessageMut<'_>) -> Result<Verdict, Failure> {
        let mut lent = Lent { seen: convert::message(&message.view()), message };
        let mut handle = abi::MessageMut {
            size: size::<abi::MessageMut>(),
            reserved: 0,
            message: &raw const lent.seen,
            context: (&raw mut lent).cast::<c_void>(),
            set_routing_key: Some(set_routing_key),
            set_properties: Some(set_properties),
            set_header: Some(set_header),
            remove_header: Some(remove_header),
            set_body: Some(set_body),
        };
        // SAFETY: `start` made it; the rest lives for the call.
        let said = ask(|answer| unsafe {
            (self.apply)(self.transform.0, stage_flag(stage), &mut handle, answer)
        });
        let text = |otherwise: &str| match said.text.as_str() {
            "" => format!("{otherwise} by {}", self.name),
            text => text.to_owned(),
        };
        match said.code {
            abi::OK => Ok(Verdict::Pass),
            abi::DROP => Ok(Verdict::Drop(text("dropped"))),
            abi::REJECT => {
                let code = u16::try_from(said.reply_code).unwrap_or(0);
                let code = if code == 0 { 541 } else { code };
                Ok(Verdict::Reject(code, text("rejected")))
            }
            _ => Err(failure(&self.name, &said)),
        }
    }
}

fn stage_flag(stage: Stage) -> u32 {
    match stage {
        Stage::Publish => abi::STAGE_PUBLISH,
        Stage::Deliver => abi::STAGE_DELIVER,
    }
}

impl Transform for PluginTransform {
    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn runs_at(&self, stage: Stage) -> bool {
        self.stages & stage_flag(stage) != 0
    }

    fn matches(&self) -> &Match {
        &self.matches
    }

    fn on_error(&self) -> OnError {
        self.on_error
    }

    fn apply(&self, stage: Stage, message: &mut MessageMut<'_>) -> Result<Verdict, Failure> {
        with_draft(message, |draft| self.run(stage, draft))
    }
}

impl Drop for PluginTransform {
    fn drop(&mut self) {
        // SAFETY: `start` made it, and nobody uses it any more.
        unsafe { (self.destroy)(self.transform.0) };
    }
}

/// A message that a plugin may change, and what it sees of it.
struct Lent<'l, 'm> {
    message: &'l mut MessageMut<'m>,
    seen: abi::Message,
}

/// Changes the lent message behind `handle` and renews what the plugin sees.
///
/// # Safety
/// `handle` is the one in [`PluginTransform::run`].
unsafe fn change(
    handle: *mut abi::MessageMut,
    body: impl FnOnce(&mut MessageMut<'_>) -> Option<()>,
) -> i32 {
    // SAFETY: promised by the caller.
    let lent = unsafe { &mut *(*handle).context.cast::<Lent<'_, '_>>() };
    if body(lent.message).is_none() {
        return abi::FAILED;
    }
    lent.seen = convert::message(&lent.message.view());
    abi::OK
}

unsafe extern "C" fn set_routing_key(handle: *mut abi::MessageMut, key: Bytes) -> i32 {
    // SAFETY: the plugin passes its handle, and bytes that live for the call.
    unsafe {
        change(handle, |message| {
            let key = std::str::from_utf8(key.slice()).ok().filter(|key| key.len() <= SHORT)?;
            message.routing_key = Cow::Owned(key.to_owned());
            Some(())
        })
    }
}

unsafe extern "C" fn set_properties(handle: *mut abi::MessageMut, properties: Bytes) -> i32 {
    // SAFETY: as in `set_routing_key`.
    unsafe {
        change(handle, |message| {
            let properties = Properties::parse(properties.slice()).ok()?;
            message.properties = Cow::Owned(properties.as_bytes().to_vec());
            Some(())
        })
    }
}

unsafe extern "C" fn set_header(handle: *mut abi::MessageMut, name: Bytes, value: Bytes) -> i32 {
    // SAFETY: as in `set_routing_key`.
    unsafe {
        let (name, value) = (name.slice(), value.slice());
        change(handle, |message| {
            edit(message, |editor| editor.set_header(name, Value::parse(value)?))
        })
    }
}

unsafe extern "C" fn remove_header(handle: *mut abi::MessageMut, name: Bytes) -> i32 {
    // SAFETY: as in `set_routing_key`.
    unsafe {
        let name = name.slice();
        change(handle, |message| edit(message, |editor| editor.remove_header(name)))
    }
}

unsafe extern "C" fn set_body(handle: *mut abi::MessageMut, body: Bytes) -> i32 {
    // SAFETY: as in `set_routing_key`.
    unsafe {
        change(handle, |message| {
            message.body = Cow::Owned(body.slice().to_vec());
            Some(())
        })
    }
}

fn edit(
    message: &mut MessageMut<'_>,
    change: impl FnOnce(&mut PropertiesEditor) -> Result<(), Malformed>,
) -> Option<()> {
    let mut editor = PropertiesEditor::from(Properties::view(&message.properties).ok()?);
    change(&mut editor).ok()?;
    message.properties = Cow::Owned(editor.into_bytes());
    Some(())
}
