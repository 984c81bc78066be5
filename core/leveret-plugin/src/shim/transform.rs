//! The vtable of a transform written in Rust, and the message that it may change.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::guard::{contain, guard, say, set_code};
use super::{convert, size};
use crate::abi::{self, Answer, Bytes, Interest, TransformVtable};
use crate::host::{Failure, Match, OnError, Stage, Verdict};
use crate::message::Message;
use crate::value::Value;
use crate::{Broker, Transform};

/// A message that a transform may change. What it changes is copied by the broker at once.
#[derive(Debug)]
pub struct Draft<'a>(&'a mut abi::MessageMut);

impl Draft<'_> {
    /// The message as it stands now.
    pub fn view(&self) -> Message<'_> {
        // SAFETY: `message` shows the present state until the next change, which needs `&mut`.
        unsafe { convert::message(&*self.0.message) }
    }

    /// Replaces the routing key (at most 255 bytes).
    pub fn set_routing_key(&mut self, key: &str) -> Result<(), Failure> {
        // SAFETY: the function belongs to this message and copies.
        changed(self.0.set_routing_key.map(|set| unsafe { set(self.0, Bytes::text(key)) }))
    }

    /// Replaces flags and list of the properties; see
    /// [`PropertiesEditor`](crate::properties::PropertiesEditor).
    pub fn set_properties(&mut self, properties: &[u8]) -> Result<(), Failure> {
        // SAFETY: the function belongs to this message and copies.
        changed(self.0.set_properties.map(|set| unsafe { set(self.0, Bytes::new(properties)) }))
    }

    /// Adds or replaces a header.
    pub fn set_header(&mut self, name: &str, value: Value<'_>) -> Result<(), Failure> {
        let mut encoded = Vec::new();
        value.encode(&mut encoded);
        let value = Bytes::new(&encoded);
        // SAFETY: the function belongs to this message and copies.
        changed(self.0.set_header.map(|set| unsafe { set(self.0, Bytes::text(name), value) }))
    }

    /// Removes a header, if it is there.
    pub fn remove_header(&mut self, name: &str) -> Result<(), Failure> {
        // SAFETY: the function belongs to this message and copies.
        changed(self.0.remove_header.map(|remove| unsafe { remove(self.0, Bytes::text(name)) }))
    }

    /// Replaces the body.
    pub fn set_body(&mut self, body: &[u8]) -> Result<(), Failure> {
        // SAFETY: the function belongs to this message and copies.
        changed(self.0.set_body.map(|set| unsafe { set(self.0, Bytes::new(body)) }))
    }
}

/// What came of a change; `None` where the broker has no such function.
fn changed(code: Option<i32>) -> Result<(), Failure> {
    match code {
        Some(abi::OK) => Ok(()),
        Some(_) => Err(Failure::error("the broker refused a malformed change")),
        None => Err(Failure::error("the broker does not allow this change")),
    }
}

/// A transform with its interest in a form that the broker can read.
struct Instance<T> {
    transform: T,
    /// Points into `matches`, whose texts stay where they are for as long as this lives.
    interest: Interest,
    _matches: Match,
}

/// Carries the vtable of `T`.
pub(super) struct VtableOf<T>(PhantomData<T>);

impl<T: Transform> VtableOf<T> {
    pub(super) const VTABLE: &'static TransformVtable = &TransformVtable {
        size: size::<TransformVtable>(),
        flags: 0,
        create: Some(create::<T>),
        destroy: Some(destroy::<T>),
        interest: Some(interest::<T>),
        apply: Some(apply::<T>),
    };
}

// SAFETY, for every function below: the broker passes what the contract says: a transform that
// `create::<T>` made, structs that it lends for the call, and places to write results to.

unsafe extern "C" fn create<T: Transform>(
    host: *const abi::Host,
    config: Bytes,
    transform: *mut *mut c_void,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above; the host lives as long as the process.
        let (host, config) = unsafe { (host.as_ref(), convert::text(config)) };
        let made = T::new(config, &Broker::new(host, T::NAME))?;
        let matches = made.matches();
        let interest = interest_of(&made, &matches);
        let instance = Instance { transform: made, interest, _matches: matches };
        // SAFETY: see above.
        unsafe { *transform = Box::into_raw(Box::new(instance)).cast() };
        Ok(abi::OK)
    })
}

fn interest_of<T: Transform>(transform: &T, matches: &Match) -> Interest {
    let text = |text: &Option<String>| Bytes::optional(text.as_deref());
    Interest {
        size: size::<Interest>(),
        stages: T::STAGES.iter().fold(0, |stages, stage| stages | stage_flag(*stage)),
        on_error: match transform.on_error() {
            OnError::Reject => abi::ON_ERROR_REJECT,
            OnError::Pass => abi::ON_ERROR_PASS,
            OnError::Drop => abi::ON_ERROR_DROP,
        },
        reserved: 0,
        exchange: text(&matches.exchange),
        queue: text(&matches.queue),
        routing_key: text(&matches.routing_key),
        content_type: text(&matches.content_type),
        user: text(&matches.user),
        header: text(&matches.header),
    }
}

pub(super) fn stage_flag(stage: Stage) -> u32 {
    match stage {
        Stage::Publish => abi::STAGE_PUBLISH,
        Stage::Deliver => abi::STAGE_DELIVER,
    }
}

unsafe extern "C" fn destroy<T: Transform>(transform: *mut c_void) {
    // SAFETY: see above; nobody uses it any more.
    let _ = contain(|| unsafe { drop(Box::from_raw(transform.cast::<Instance<T>>())) });
}

unsafe extern "C" fn interest<T: Transform>(transform: *const c_void) -> *const Interest {
    // SAFETY: see above.
    unsafe { &raw const (*transform.cast::<Instance<T>>()).interest }
}

unsafe extern "C" fn apply<T: Transform>(
    transform: *const c_void,
    stage: u32,
    message: *mut abi::MessageMut,
    answer: *mut Answer,
) -> i32 {
    guard(answer, || {
        // SAFETY: see above.
        let (instance, message) = unsafe { (&*transform.cast::<Instance<T>>(), &mut *message) };
        let stage = match stage {
            abi::STAGE_PUBLISH => Stage::Publish,
            abi::STAGE_DELIVER => Stage::Deliver,
            _ => return Err(Failure::error("unknown stage")),
        };
        Ok(match instance.transform.apply(stage, &mut Draft(message))? {
            Verdict::Pass => abi::OK,
            Verdict::Drop(reason) => {
                say(answer, &reason);
                abi::DROP
            }
            Verdict::Reject(code, text) => {
                set_code(answer, code);
                say(answer, &text);
                abi::REJECT
            }
        })
    })
}
