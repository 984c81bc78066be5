//! Lets a transform change a message so that one that fails half way leaves it as it was.

use std::borrow::Cow;

use leveret_plugin::host::{Failure, Verdict};
use leveret_plugin::message::MessageMut;

/// Runs `body` on a draft of `message`; what it changed is kept if it succeeds.
pub(crate) fn with_draft(
    message: &mut MessageMut<'_>,
    body: impl FnOnce(&mut MessageMut<'_>) -> Result<Verdict, Failure>,
) -> Result<Verdict, Failure> {
    let view = message.view();
    let mut draft = MessageMut::new(view);
    let verdict = body(&mut draft)?;
    let MessageMut { routing_key, properties, body, .. } = draft;
    let (key, properties, body) = (owned(routing_key), owned(properties), owned(body));
    replace(&mut message.routing_key, key);
    replace(&mut message.properties, properties);
    replace(&mut message.body, body);
    Ok(verdict)
}

/// What was replaced, without its tie to the original.
fn owned<T: ToOwned + ?Sized>(text: Cow<'_, T>) -> Option<T::Owned> {
    match text {
        Cow::Owned(new) => Some(new),
        Cow::Borrowed(_) => None,
    }
}

fn replace<T: ToOwned + ?Sized>(place: &mut Cow<'_, T>, new: Option<T::Owned>) {
    if let Some(new) = new {
        *place = Cow::Owned(new);
    }
}
