//! Nothing unwinds into the broker.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi::{self, Answer};
use crate::host::{Failure, FailureKind};

/// Runs `f`; a panic becomes its text.
pub(super) fn contain<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    // What a panic leaves half done is the author's own state, which the contract lets him keep
    // using; the broker suspends an item that goes on panicking.
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = text_of(&*payload).to_owned();
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        text
    })
}

/// Runs one function of a vtable: return code and text of what came of it.
#[inline]
pub(super) fn guard(answer: *mut Answer, f: impl FnOnce() -> Result<i32, Failure>) -> i32 {
    match contain(f) {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            say(answer, &failure.text);
            code_of(failure.kind)
        }
        Err(panic) => {
            say(answer, &panic);
            abi::PANICKED
        }
    }
}

/// Writes `text` to the answer, cut at a character where it does not fit.
pub(super) fn say(answer: *mut Answer, text: &str) {
    // SAFETY: the broker passes null or an answer that it lends for the call.
    let Some(answer) = (unsafe { answer.as_mut() }) else { return };
    if answer.text.is_null() {
        return;
    }
    let length = text.floor_char_boundary(answer.capacity as usize);
    // SAFETY: `text` points to `capacity` bytes, and `length` is no more than that.
    unsafe { answer.text.copy_from_nonoverlapping(text.as_ptr(), length) };
    answer.length = length as u32;
}

/// Sets the reply code of the answer.
pub(super) fn set_code(answer: *mut Answer, code: u16) {
    // SAFETY: the broker passes null or an answer that it lends for the call.
    if let Some(answer) = unsafe { answer.as_mut() } {
        answer.reply_code = code.into();
    }
}

fn code_of(kind: FailureKind) -> i32 {
    match kind {
        FailureKind::Refused => abi::REFUSED,
        _ => abi::FAILED,
    }
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panicked")
}
