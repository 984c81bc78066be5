//! Which transforms see a message, in which order, and what their verdicts come to.
//!
//! The set is an immutable snapshot; whoever publishes or delivers keeps a chain that was picked
//! from it for one exchange or queue. A message that no `match`
//! accepts costs no call and no allocation. Knows no queue and writes no frame.

mod chain;
mod matching;

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use leveret_plugin::host::{Match, Stage, Transform};
use parking_lot::Mutex;

pub(crate) use chain::{Outcome, TransformChain};

/// A transform, and when it comes among the others.
#[derive(Clone)]
pub(crate) struct Attachment {
    /// The transform.
    pub transform: Arc<dyn Transform>,
    /// Those with a higher priority come first, those with the same in the order of configuration.
    pub priority: i32,
    /// How often it has failed since it was attached.
    failures: Arc<AtomicU64>,
}

impl Attachment {
    /// A transform that is to be attached.
    pub(crate) fn new(transform: Arc<dyn Transform>, priority: i32) -> Self {
        Self { transform, priority, failures: Arc::default() }
    }

    /// How often it has failed since it was attached.
    #[cfg(test)]
    fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Counts a failure; returns how many there were.
    fn count_failure(&self) -> u64 {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The first failure and then ever fewer: a transform that fails for every message must not
    /// fill the log.
    fn is_worth_a_line(failures: u64) -> bool {
        failures.is_power_of_two()
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("transform", &self.transform.name())
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

/// The transforms that are attached now.
#[derive(Debug, Default)]
pub(crate) struct Transforms {
    current: ArcSwap<TransformSet>,
    writer: Mutex<()>,
}

impl Transforms {
    /// None.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The set as it is now.
    pub(crate) fn load(&self) -> Arc<TransformSet> {
        self.current.load_full()
    }

    /// Changes the list of attachments, which is in the order of configuration, and publishes it
    /// as one change.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Vec<Attachment>)) {
        let _writer = self.writer.lock();
        let current = self.current.load();
        let mut configured = current.configured.clone();
        change(&mut configured);
        self.current.store(Arc::new(TransformSet::new(configured, current.generation + 1)));
    }
}

/// Attaching while messages flow.
#[cfg_attr(not(test), expect(dead_code, reason = "the configuration attaches at start only"))]
impl Transforms {
    /// A number that grows with every change; a chain picked under an older one is out of date.
    pub(crate) fn generation(&self) -> u64 {
        self.current.load().generation
    }

    /// Attaches a transform: in place of the one of the same name, or as the last.
    pub(crate) fn attach(&self, attachment: Attachment) {
        self.update(|list| {
            let name = attachment.transform.name();
            match list.iter_mut().find(|other| other.transform.name() == name) {
                Some(place) => *place = attachment,
                None => list.push(attachment),
            }
        });
    }

    /// Detaches the transform of this name; says whether there was one.
    pub(crate) fn detach(&self, name: &str) -> bool {
        let mut found = false;
        self.update(|list| {
            let before = list.len();
            list.retain(|attachment| attachment.transform.name() != name);
            found = list.len() < before;
        });
        found
    }
}

/// Transforms in the order in which they run.
#[derive(Debug, Default)]
pub(crate) struct TransformSet {
    generation: u64,
    configured: Vec<Attachment>,
    publish: Vec<Attachment>,
    deliver: Vec<Attachment>,
}

impl TransformSet {
    fn new(configured: Vec<Attachment>, generation: u64) -> Self {
        let mut ordered = configured.clone();
        ordered.sort_by_key(|attachment| Reverse(attachment.priority));
        let at = |stage| -> Vec<Attachment> {
            let runs = |attachment: &&Attachment| attachment.transform.runs_at(stage);
            ordered.iter().filter(runs).cloned().collect()
        };
        Self { generation, publish: at(Stage::Publish), deliver: at(Stage::Deliver), configured }
    }

    /// Every attachment, in the order of configuration.
    #[cfg(test)]
    pub(crate) fn attachments(&self) -> &[Attachment] {
        &self.configured
    }

    /// Those that may be concerned with messages published to `exchange`.
    pub(crate) fn publish_transforms_for(&self, exchange: &str) -> TransformChain {
        pick(Stage::Publish, &self.publish, |filter| {
            matching::name(filter.exchange.as_deref(), exchange)
        })
    }

    /// Those that may be concerned with messages delivered from `queue`.
    pub(crate) fn deliver_transforms_for(&self, queue: &str) -> TransformChain {
        pick(Stage::Deliver, &self.deliver, |filter| matching::name(filter.queue.as_deref(), queue))
    }
}

fn pick(stage: Stage, from: &[Attachment], fits: impl Fn(&Match) -> bool) -> TransformChain {
    let fits = |attachment: &&Attachment| fits(attachment.transform.matches());
    TransformChain::new(stage, from.iter().filter(fits).cloned())
}

#[cfg(test)]
mod tests;
