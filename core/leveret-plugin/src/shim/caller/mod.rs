//! Calls vtables as the broker does, for the testkit: the same path, without a broker.

mod auth;
mod exchange;
mod host;
mod transform;

use std::ffi::c_void;
use std::mem::MaybeUninit;

pub(crate) use auth::LoadedAuth;
pub(crate) use exchange::LoadedType;
pub(crate) use host::lend;
pub(crate) use transform::LoadedTransform;

use super::size;
use crate::abi::{self, Answer, Descriptor, Item, strided};
use crate::host::{Failure, FailureKind};

/// The items of a plugin that is linked into this program.
pub(crate) fn items(plugin: &'static Descriptor) -> impl Iterator<Item = &'static Item> {
    // SAFETY: the items of a descriptor are static, and as many as it says.
    unsafe { strided(plugin.items, plugin.item_count as usize) }
}

/// The item of this kind and name.
pub(crate) fn item(plugin: &'static Descriptor, kind: u32, name: &str) -> &'static Item {
    // SAFETY: names of items are static texts.
    let is_it =
        |item: &&Item| item.kind == kind && unsafe { super::convert::text(item.name) } == name;
    let found = items(plugin).find(is_it);
    found.unwrap_or_else(|| panic!("the plugin has no item {name:?} of kind {kind}"))
}

/// Room for the text of one answer.
const ANSWER_LEN: usize = 512;

/// Calls `f` with an answer, and gives its code with text and reply code.
fn ask(f: impl FnOnce(*mut Answer) -> i32) -> (i32, String, u32) {
    let mut text = [MaybeUninit::<u8>::uninit(); ANSWER_LEN];
    let mut answer = Answer {
        size: size::<Answer>(),
        reply_code: 0,
        text: text.as_mut_ptr().cast(),
        capacity: ANSWER_LEN as u32,
        length: 0,
    };
    let code = f(&raw mut answer);
    let length = (answer.length as usize).min(ANSWER_LEN);
    // SAFETY: the plugin wrote `length` bytes.
    let text = unsafe { std::slice::from_raw_parts(text.as_ptr().cast::<u8>(), length) };
    (code, String::from_utf8_lossy(text).into_owned(), answer.reply_code)
}

/// As [`ask`], where everything but [`abi::OK`] is a failure.
fn demand(f: impl FnOnce(*mut Answer) -> i32) -> Result<(), Failure> {
    match ask(f) {
        (abi::OK, ..) => Ok(()),
        (code, text, _) => Err(failure(code, text)),
    }
}

fn failure(code: i32, text: String) -> Failure {
    let kind = if code == abi::REFUSED { FailureKind::Refused } else { FailureKind::Error };
    Failure { kind, text }
}

/// A pointer of the plugin; its contract says that any thread may use it.
#[derive(Clone, Copy, Debug)]
struct Foreign(*mut c_void);

// SAFETY: the contract demands of plugins what `Send` and `Sync` promise.
unsafe impl Send for Foreign {}
// SAFETY: as above.
unsafe impl Sync for Foreign {}
