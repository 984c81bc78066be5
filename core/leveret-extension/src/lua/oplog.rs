//! The bindings of an exchange as a log that every VM can replay.
//!
//! Forks of a table share one log and differ in how much of it they have seen. A fork that changes
//! after another one did gets a log of its own; so does one whose log is mostly history.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use leveret_plugin::host::{Failure, Slot};
use leveret_plugin::message::Binding;
use parking_lot::Mutex;

/// A log is rewritten when it is longer than this and four times its live bindings.
const REWRITE: usize = 64;

/// A binding that owns its texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OwnedBinding {
    slot: Slot,
    key: Box<str>,
    arguments: Box<[u8]>,
    destination: Box<str>,
    to_exchange: bool,
}

impl OwnedBinding {
    pub(crate) fn borrow(&self) -> Binding<'_> {
        Binding {
            slot: self.slot,
            key: &self.key,
            arguments: &self.arguments,
            destination: &self.destination,
            to_exchange: self.to_exchange,
        }
    }
}

impl From<&Binding<'_>> for OwnedBinding {
    fn from(binding: &Binding<'_>) -> Self {
        Self {
            slot: binding.slot,
            key: binding.key.into(),
            arguments: binding.arguments.into(),
            destination: binding.destination.into(),
            to_exchange: binding.to_exchange,
        }
    }
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Bind(Arc<OwnedBinding>),
    Unbind(Arc<OwnedBinding>),
}

/// A log of changes that only grows.
pub(crate) struct OpLog {
    /// Unique in the process.
    id: u64,
    ops: Mutex<Vec<Op>>,
    /// Why a VM could not follow the log; the exchange refuses messages.
    fault: Mutex<Option<Failure>>,
    faulted: AtomicBool,
}

impl OpLog {
    fn new(ops: Vec<Op>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            ops: Mutex::new(ops),
            fault: Mutex::new(None),
            faulted: AtomicBool::new(false),
        })
    }

    /// A VM could not follow.
    pub(crate) fn fail(&self, failure: Failure) {
        *self.fault.lock() = Some(failure);
        self.faulted.store(true, Ordering::Release);
    }
}

/// How much of a log one table has seen.
#[derive(Clone)]
pub(crate) struct Position {
    log: Arc<OpLog>,
    length: usize,
    /// Bindings that are live here.
    live: usize,
}

impl Position {
    /// A new log of `bindings`.
    pub(crate) fn of(bindings: &[Binding<'_>]) -> Self {
        let ops = bindings.iter().map(|binding| Op::Bind(Arc::new(binding.into())));
        let log = OpLog::new(ops.collect());
        Self { log, length: bindings.len(), live: bindings.len() }
    }

    /// Identity of the log.
    #[inline]
    pub(crate) fn log_id(&self) -> u64 {
        self.log.id
    }

    /// Changes seen.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Refuses if a VM could not follow the log.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if !self.log.faulted.load(Ordering::Acquire) {
            return Ok(());
        }
        let fault = self.log.fault.lock().clone();
        Err(fault.unwrap_or_else(|| Failure::error("the exchange is faulted")))
    }

    /// Marks the log as one that a VM cannot follow.
    pub(crate) fn fail(&self, failure: Failure) {
        self.log.fail(failure);
    }

    /// The changes from number `from` up to here.
    pub(crate) fn since(&self, from: usize) -> Vec<Op> {
        self.log.ops.lock().get(from..self.length).unwrap_or_default().to_vec()
    }

    /// The live bindings here, in order.
    pub(crate) fn live(&self) -> Vec<Op> {
        live_only(self.since(0))
    }

    /// The position after one more binding.
    pub(crate) fn bound(&self, binding: &Binding<'_>) -> Self {
        self.grown(Op::Bind(Arc::new(binding.into())), self.live + 1)
    }

    /// The position after one binding less.
    pub(crate) fn unbound(&self, binding: &Binding<'_>) -> Self {
        self.grown(Op::Unbind(Arc::new(binding.into())), self.live.saturating_sub(1))
    }

    fn grown(&self, op: Op, live: usize) -> Self {
        let mut ops = self.log.ops.lock();
        let mostly_history = self.length > REWRITE && self.length > 4 * live;
        if ops.len() == self.length && !mostly_history {
            ops.push(op);
            let log = Arc::clone(&self.log);
            return Self { log, length: self.length + 1, live };
        }
        let mut seen = ops.get(..self.length).unwrap_or_default().to_vec();
        drop(ops);
        seen.push(op);
        let ops = live_only(seen);
        let length = ops.len();
        Self { log: OpLog::new(ops), length, live: length }
    }
}

/// What is left of the changes: the live bindings in their order.
fn live_only(ops: Vec<Op>) -> Vec<Op> {
    let mut gone: HashMap<Arc<OwnedBinding>, usize> = HashMap::new();
    let mut left = Vec::new();
    for op in ops.into_iter().rev() {
        match op {
            Op::Unbind(binding) => *gone.entry(binding).or_default() += 1,
            Op::Bind(binding) => match gone.get_mut(&binding).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None => left.push(Op::Bind(binding)),
            },
        }
    }
    left.reverse();
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(slot: Slot) -> Binding<'static> {
        Binding { slot, key: "k", arguments: &[], destination: "q", to_exchange: false }
    }

    fn slots(position: &Position) -> Vec<(bool, Slot)> {
        let ops = position.since(0);
        ops.iter()
            .map(|op| match op {
                Op::Bind(binding) => (true, binding.slot),
                Op::Unbind(binding) => (false, binding.slot),
            })
            .collect()
    }

    #[test]
    fn forks_share_a_log_until_both_change() {
        let old = Position::of(&[binding(1)]);
        let first = old.bound(&binding(2));
        assert_eq!(first.log_id(), old.log_id());
        let second = old.bound(&binding(3));
        assert_ne!(second.log_id(), old.log_id());
        assert_eq!(slots(&old), [(true, 1)]);
        assert_eq!(slots(&first), [(true, 1), (true, 2)]);
        assert_eq!(slots(&second), [(true, 1), (true, 3)]);
    }

    #[test]
    fn a_log_that_is_mostly_history_is_rewritten() {
        let mut position = Position::of(&[binding(0)]);
        for slot in 1..1000 {
            position = position.bound(&binding(slot)).unbound(&binding(slot));
            assert!(position.length() <= REWRITE + 2, "{}", position.length());
        }
        assert_eq!(slots(&position).first(), Some(&(true, 0)));
    }

    #[test]
    fn an_unbind_takes_the_latest_binding_before_it() {
        let bind = |slot| Op::Bind(Arc::new((&binding(slot)).into()));
        let unbind = |slot| Op::Unbind(Arc::new((&binding(slot)).into()));
        let left = live_only(vec![bind(1), bind(2), unbind(1), bind(1), unbind(9)]);
        assert!(matches!(&left[..], [Op::Bind(a), Op::Bind(b)] if a.slot == 2 && b.slot == 1));
    }
}
