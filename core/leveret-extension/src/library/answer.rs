//! Calls a function of a plugin and reads what it says.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use leveret_plugin::abi::{self, Answer};
use leveret_plugin::host::{Failure, FailureKind};

use super::convert::size;

/// Bytes of text that a plugin may say.
const ROOM: usize = 512;

/// What a function of a plugin came to.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) reply_code: u32,
    pub(crate) text: String,
}

/// Calls `function` and keeps what it says; the text is only read where there is one.
#[inline]
pub(crate) fn ask(function: impl FnOnce(*mut Answer) -> i32) -> Said {
    let mut room = MaybeUninit::<[u8; ROOM]>::uninit();
    let mut answer = Answer {
        size: size::<Answer>(),
        reply_code: 0,
        text: room.as_mut_ptr().cast(),
        capacity: ROOM as u32,
        length: 0,
    };
    let code = function(&mut answer);
    let text = if answer.length == 0 { String::new() } else { read(&answer) };
    Said { code, reply_code: answer.reply_code, text }
}

#[cold]
fn read(answer: &Answer) -> String {
    let length = (answer.length as usize).min(ROOM);
    // SAFETY: the plugin wrote `length` bytes there, by the contract.
    let text = unsafe { std::slice::from_raw_parts(answer.text, length) };
    String::from_utf8_lossy(text).into_owned()
}

/// As [`ask`], for functions that either work or not. `name` is that of the extension.
#[inline]
pub(crate) fn demand(name: &str, function: impl FnOnce(*mut Answer) -> i32) -> Result<(), Failure> {
    let said = ask(function);
    if said.code == abi::OK { Ok(()) } else { Err(failure(name, &said)) }
}

/// The failure that a return code stands for.
#[cold]
pub(crate) fn failure(name: &str, said: &Said) -> Failure {
    let text = |otherwise: &str| {
        if said.text.is_empty() { otherwise.to_owned() } else { said.text.clone() }
    };
    let (kind, text) = match said.code {
        abi::REFUSED => (FailureKind::Refused, text("the plugin refuses it and does not say why")),
        abi::PANICKED => (FailureKind::Error, format!("{name}: plugin panicked: {}", text("?"))),
        abi::FAILED => (FailureKind::Error, format!("{name}: {}", text("plugin failed"))),
        code => (
            FailureKind::Error,
            format!("{name}: plugin returned {code}, which is no code for this: {}", text("?")),
        ),
    };
    Failure { kind, text }
}
