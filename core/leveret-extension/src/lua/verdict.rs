//! Reads what a transform or auth script decided: `leveret.pass`, `leveret.drop(reason)` and so on.

use std::ffi::c_int;

use leveret_plugin::host::{Decision, Login, Verdict};

use super::stack::{Kind, Stack};

/// Reply code of a rejection that names none.
const REJECTED: u16 = 406;

/// Reads the verdict of a transform.
pub(crate) fn of_transform(stack: &Stack, index: c_int) -> Result<Verdict, String> {
    let wrong = "return leveret.pass, leveret.drop(reason) or leveret.reject(code, text)";
    let text = || field(stack, index, c"text");
    match word(stack, index, wrong)?.as_str() {
        "pass" => Ok(Verdict::Pass),
        "drop" => Ok(Verdict::Drop(text().unwrap_or_else(|| "dropped by a transform".into()))),
        "reject" => {
            let text = text().unwrap_or_else(|| "rejected by a transform".into());
            Ok(Verdict::Reject(code(stack, index)?, text))
        }
        other => Err(format!("a transform cannot decide '{other}'; {wrong}")),
    }
}

/// Reads the decision on an access.
pub(crate) fn of_access(stack: &Stack, index: c_int) -> Result<Decision, String> {
    let wrong = "return leveret.allow, leveret.deny(reason) or leveret.defer(reason)";
    let text = || field(stack, index, c"text").unwrap_or_default();
    match word(stack, index, wrong)?.as_str() {
        "allow" => Ok(Decision::Allow),
        "deny" => Ok(Decision::Deny(text())),
        "defer" => Ok(Decision::Defer(text())),
        other => Err(format!("an auth script cannot decide '{other}'; {wrong}")),
    }
}

/// Reads the decision on a login of `user`.
pub(crate) fn of_login(stack: &Stack, index: c_int, user: &str) -> Result<Login, String> {
    Ok(match of_access(stack, index)? {
        Decision::Deny(reason) => Login::Deny(reason),
        Decision::Defer(reason) => Login::Defer(reason),
        Decision::Allow => {
            let user = field(stack, index, c"user").unwrap_or_else(|| user.to_owned());
            Login::Allow { user, tags: tags(stack, index)? }
        }
    })
}

fn word(stack: &Stack, index: c_int, wrong: &str) -> Result<String, String> {
    if stack.kind(index) == Kind::Table
        && let Some(word) = field(stack, index, c"verdict")
    {
        return Ok(word);
    }
    Err(format!("returned a {} where a verdict is expected; {wrong}", stack.type_name(index)))
}

fn field(stack: &Stack, index: c_int, name: &std::ffi::CStr) -> Option<String> {
    stack.get(index, name);
    let text = stack.text(-1);
    stack.pop(1);
    text
}

fn code(stack: &Stack, index: c_int) -> Result<u16, String> {
    let code = match stack.get(index, c"code") {
        Kind::Nil => f64::from(REJECTED),
        Kind::Number => stack.number(-1),
        _ => f64::NAN,
    };
    stack.pop(1);
    if (300.0..1000.0).contains(&code) && code.fract() == 0.0 {
        return Ok(code as u16);
    }
    Err("leveret.reject takes a reply code from 300 to 999".into())
}

fn tags(stack: &Stack, index: c_int) -> Result<Vec<String>, String> {
    let mut tags = Vec::new();
    match stack.get(index, c"tags") {
        Kind::Nil => {}
        Kind::Table => {
            for place in 1..=stack.length(-1) {
                stack.get_at(-1, place);
                tags.push(stack.text(-1).ok_or("a tag must be a string")?);
                stack.pop(1);
            }
        }
        _ => return Err("tags must be a list of strings".into()),
    }
    stack.pop(1);
    Ok(tags)
}
