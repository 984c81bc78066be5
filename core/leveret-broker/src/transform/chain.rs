//! Running transforms one after the other, and what a failure of one means for the message.

use leveret_plugin::host::{Failure, OnError, Stage, Verdict};
use leveret_plugin::message::{Message, MessageMut};
use leveret_plugin::properties::Properties;
use leveret_protocol::ReplyCode;

use super::Attachment;
use super::matching::matches;

const ROUTING_KEY_MAX_BYTES: usize = 255;

/// The transforms of one stage that one exchange or queue has to ask; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct TransformChain {
    stage: Stage,
    attachments: Option<std::sync::Arc<[Attachment]>>,
}

/// What transforms decided about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Goes on.
    Pass {
        /// Whether anything in it was replaced.
        changed: bool,
    },
    /// Disappears; counted under this reason.
    Drop(String),
    /// Refused.
    Reject(ReplyCode, String),
}

impl TransformChain {
    pub(super) fn new(stage: Stage, attachments: impl Iterator<Item = Attachment>) -> Self {
        let attachments: Vec<Attachment> = attachments.collect();
        let attachments = (!attachments.is_empty()).then(|| attachments.into());
        Self { stage, attachments }
    }

    /// Whether there is nobody to ask.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.attachments.is_none()
    }

    /// Whether any transform is concerned with the message. If not, [`Self::run`] would pass it
    /// as it is.
    #[inline]
    pub(crate) fn concerns(&self, message: &Message<'_>) -> bool {
        self.attachments().iter().any(|one| matches(one.transform.matches(), message))
    }

    /// Asks those that are concerned, each with what the ones before it made of the message.
    /// Only on worker threads of the runtime.
    pub(crate) fn run(&self, message: &mut MessageMut<'_>) -> Outcome {
        for one in self.attachments() {
            if !matches(one.transform.matches(), &message.view()) {
                continue;
            }
            match apply(one, self.stage, message) {
                Verdict::Pass => {}
                Verdict::Drop(reason) => return Outcome::Drop(reason),
                Verdict::Reject(code, text) => return Outcome::Reject(reply_code(code), text),
            }
        }
        Outcome::Pass { changed: message.is_changed() }
    }

    fn attachments(&self) -> &[Attachment] {
        self.attachments.as_deref().unwrap_or_default()
    }
}

fn apply(one: &Attachment, stage: Stage, message: &mut MessageMut<'_>) -> Verdict {
    let on_error = one.transform.on_error();
    let before = (on_error == OnError::Pass).then(|| message.clone());
    let verdict = one.transform.apply(stage, message).and_then(|verdict| {
        check(one.transform.name(), message)?;
        Ok(verdict)
    });
    verdict.unwrap_or_else(|failure| {
        report(one, &failure);
        match before {
            Some(before) => {
                *message = before;
                Verdict::Pass
            }
            None if on_error == OnError::Drop => {
                Verdict::Drop(format!("transform {} failed", one.transform.name()))
            }
            None => Verdict::Reject(ReplyCode::InternalError.number(), failure.text),
        }
    })
}

/// Whether what a transform left can go on the wire.
fn check(name: &str, message: &MessageMut<'_>) -> Result<(), Failure> {
    if message.routing_key.len() > ROUTING_KEY_MAX_BYTES {
        let length = message.routing_key.len();
        return Err(Failure::error(format!(
            "transform {name} left a routing key of {length} bytes"
        )));
    }
    if matches!(message.properties, std::borrow::Cow::Owned(_)) {
        Properties::parse(&message.properties).map_err(|malformed| {
            Failure::error(format!("transform {name} left malformed properties: {malformed}"))
        })?;
    }
    Ok(())
}

fn report(one: &Attachment, failure: &Failure) {
    let failures = one.count_failure();
    if Attachment::is_worth_a_line(failures) {
        let (transform, on_error) = (one.transform.name(), one.transform.on_error());
        tracing::warn!(transform, failures, ?on_error, "transform failed: {failure}");
    }
}

/// A code that AMQP does not know, or that closes nothing, is a fault of the transform.
fn reply_code(number: u16) -> ReplyCode {
    ReplyCode::from_number(number)
        .filter(|code| code.scope() != leveret_protocol::Scope::None)
        .unwrap_or(ReplyCode::InternalError)
}
