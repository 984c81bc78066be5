//! Transforms as their authors write them.

use crate::broker::Broker;
use crate::host::{Failure, Match, OnError, Stage, Verdict};

pub use crate::shim::Draft;

/// A transform of messages. `apply` runs on many threads at once.
pub trait Transform: Sized + Send + Sync + 'static {
    /// Its name, unique among transforms.
    const NAME: &'static str;
    /// Where in a message's life it runs.
    const STAGES: &'static [Stage] = &[Stage::Publish];

    /// Makes the transform. `config` is the JSON text configured for it (`{}` if nothing is).
    fn new(config: &str, broker: &Broker) -> Result<Self, Failure>;

    /// The messages that it is concerned with; the broker tests that, so others cost nothing.
    fn matches(&self) -> Match {
        Match::default()
    }

    /// What a failure means for the message.
    fn on_error(&self) -> OnError {
        OnError::default()
    }

    /// Looks at a message, changes it as it likes, and says what becomes of it.
    fn apply(&self, stage: Stage, message: &mut Draft<'_>) -> Result<Verdict, Failure>;
}
