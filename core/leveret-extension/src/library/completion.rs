//! Questions to auth plugins that wait for their answer.
//!
//! A question has a token: its place, and a number that is never used again. An answer to a token
//! that is not waiting, because it was answered, gave up or never was, does nothing but count.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leveret_plugin::abi::{self, Reply};
use leveret_plugin::host::{Completion, Decision, Login};
use parking_lot::Mutex;
use slab::Slab;

use super::convert::{optional_text, size, text};
use crate::clock::Clock;

/// Bits of a token that say its place; the others are the number.
const PLACE_BITS: u32 = 24;

/// How the questions to auth plugins fare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingCounts {
    /// Questions that wait for an answer now.
    pub waiting: usize,
    /// Answers that came too late, twice, or for no question.
    pub stray: u64,
    /// Questions that were never answered and were given up.
    pub expired: u64,
}

/// Who waits for an answer.
pub(crate) enum Waiting {
    /// A login of this user.
    Login(String, Completion<Login>),
    Access(Completion<Decision>),
}

/// An answer, whichever way it came.
pub(crate) struct Given {
    pub(crate) decision: i32,
    pub(crate) user: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) reason: String,
}

impl Waiting {
    pub(crate) fn answer(self, given: Given) {
        match self {
            Self::Login(name, done) => done(match given.decision {
                abi::ALLOW => Login::Allow { user: given.user.unwrap_or(name), tags: given.tags },
                abi::DEFER => Login::Defer(given.reason),
                _ => Login::Deny(given.reason),
            }),
            Self::Access(done) => done(match given.decision {
                abi::ALLOW => Decision::Allow,
                abi::DEFER => Decision::Defer(given.reason),
                _ => Decision::Deny(given.reason),
            }),
        }
    }
}

struct Question {
    number: u64,
    waiting: Waiting,
}

#[derive(Default)]
struct Open {
    questions: Slab<Question>,
    /// Tokens of pending questions with the time at which they are given up, in order.
    pending: VecDeque<(Duration, u64)>,
    number: u64,
}

impl Open {
    /// Where the question of a token is, if it still waits.
    fn place_of(&self, token: u64) -> Option<usize> {
        let place = usize::try_from(token & ((1 << PLACE_BITS) - 1)).ok()?;
        let question = self.questions.get(place)?;
        (question.number == token >> PLACE_BITS).then_some(place)
    }
}

/// The questions of one registry. Lives as long as the process, as its tokens may.
pub(crate) struct Completions {
    open: Mutex<Open>,
    stray: AtomicU64,
    expired: AtomicU64,
    patience: Duration,
    clock: Arc<dyn Clock>,
}

impl Completions {
    pub(crate) fn leak(patience: Duration, clock: Arc<dyn Clock>) -> &'static Self {
        let (stray, expired) = (AtomicU64::new(0), AtomicU64::new(0));
        Box::leak(Box::new(Self { open: Mutex::default(), stray, expired, patience, clock }))
    }

    /// A token for a question; `None`, and the question is refused, if too many wait.
    pub(crate) fn put(&self, waiting: Waiting) -> Option<u64> {
        let mut open = self.open.lock();
        if open.questions.len() >= 1 << PLACE_BITS {
            return None;
        }
        open.number = (open.number + 1) & (u64::MAX >> PLACE_BITS);
        let number = open.number;
        let place = open.questions.insert(Question { number, waiting });
        Some(number << PLACE_BITS | place as u64)
    }

    /// The question of a token, if it still waits.
    pub(crate) fn take(&self, token: u64) -> Option<Waiting> {
        let mut open = self.open.lock();
        let place = open.place_of(token)?;
        Some(open.questions.remove(place).waiting)
    }

    /// The plugin will answer later; gives up those that have waited for too long.
    pub(crate) fn wait(&self, token: u64) {
        let until = self.clock.now() + self.patience;
        let mut open = self.open.lock();
        if open.place_of(token).is_some() {
            open.pending.push_back((until, token));
        }
        drop(open);
        self.expire();
    }

    /// Gives up questions that have waited for too long: their completions are dropped.
    pub(crate) fn expire(&self) {
        let now = self.clock.now();
        loop {
            let token = {
                let mut open = self.open.lock();
                match open.pending.front() {
                    Some((until, _)) if *until <= now => open.pending.pop_front(),
                    _ => return,
                }
            };
            let given_up = token.and_then(|(_, token)| self.take(token));
            if given_up.is_some() {
                self.expired.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn counts(&self) -> PendingCounts {
        PendingCounts {
            waiting: self.open.lock().questions.len(),
            stray: self.stray.load(Ordering::Relaxed),
            expired: self.expired.load(Ordering::Relaxed),
        }
    }

    /// What the plugin gets to answer with.
    pub(crate) fn handle(&'static self, token: u64) -> abi::Completion {
        abi::Completion {
            size: size::<abi::Completion>(),
            reserved: 0,
            token,
            context: std::ptr::from_ref(self).cast_mut().cast(),
            complete: Some(complete),
        }
    }
}

unsafe extern "C" fn complete(context: *mut c_void, token: u64, reply: *const Reply) -> i32 {
    // SAFETY: the context of a completion is what `handle` put there, which is never freed.
    let completions = unsafe { &*context.cast::<Completions>() };
    let Some(waiting) = completions.take(token) else {
        completions.stray.fetch_add(1, Ordering::Relaxed);
        return abi::FAILED;
    };
    // SAFETY: the plugin passes null or a reply that lives for the call.
    let given = unsafe { reply.as_ref().map(|reply| read(reply)) };
    let given = given.unwrap_or(Given {
        decision: abi::FAILED,
        user: None,
        tags: Vec::new(),
        reason: "the plugin answered without a reply".into(),
    });
    let answered = catch_unwind(AssertUnwindSafe(|| waiting.answer(given)));
    if answered.is_ok() { abi::OK } else { abi::FAILED }
}

/// # Safety
/// What `reply` points to lives for the call.
unsafe fn read(reply: &Reply) -> Given {
    let count = if reply.tags.is_null() { 0 } else { reply.tag_count };
    // SAFETY: promised by the caller.
    unsafe {
        let tag = |index| text(reply.tags.add(index).read()).into_owned();
        Given {
            decision: reply.decision,
            user: optional_text(reply.user),
            tags: (0..count).map(tag).collect(),
            reason: text(reply.reason).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use leveret_plugin::abi::Bytes;

    use super::*;
    use crate::clock::ManualClock;

    fn completions() -> (&'static Completions, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::default());
        (Completions::leak(Duration::from_secs(30), Arc::clone(&clock) as _), clock)
    }

    fn question() -> (Waiting, mpsc::Receiver<Decision>) {
        let (sender, receiver) = mpsc::sync_channel(1);
        (Waiting::Access(Box::new(move |decision| drop(sender.send(decision)))), receiver)
    }

    fn reply(decision: i32) -> Reply {
        Reply {
            size: size::<Reply>(),
            decision,
            user: Bytes::ABSENT,
            tags: std::ptr::null(),
            tag_count: 0,
            reason: Bytes::text("because"),
        }
    }

    fn answer(handle: &abi::Completion, decision: i32) -> i32 {
        let complete = handle.complete.expect("set");
        // SAFETY: as the contract says.
        unsafe { complete(handle.context, handle.token, &reply(decision)) }
    }

    #[test]
    fn an_answer_reaches_its_question_and_a_second_one_only_counts() {
        let (completions, _) = completions();
        let (waiting, receiver) = question();
        let token = completions.put(waiting).expect("room");
        let handle = completions.handle(token);
        completions.wait(token);
        assert_eq!(answer(&handle, abi::DENY), abi::OK);
        assert_eq!(answer(&handle, abi::ALLOW), abi::FAILED);
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [Decision::Deny("because".into())]);
        assert_eq!(completions.counts().stray, 1);
    }

    #[test]
    fn a_late_answer_does_not_reach_the_next_question_in_its_place() {
        let (completions, clock) = completions();
        let (waiting, receiver) = question();
        let old = completions.put(waiting).expect("room");
        completions.wait(old);
        clock.advance(Duration::from_secs(30));
        completions.expire();
        assert!(receiver.recv().is_err(), "the completion was dropped");
        let (waiting, receiver) = question();
        let new = completions.put(waiting).expect("room");
        assert_eq!(answer(&completions.handle(old), abi::ALLOW), abi::FAILED);
        assert!(receiver.try_recv().is_err());
        assert_eq!(answer(&completions.handle(new), abi::ALLOW), abi::OK);
        assert_eq!(receiver.try_recv(), Ok(Decision::Allow));
        let counts = completions.counts();
        assert_eq!(counts, PendingCounts { waiting: 0, stray: 1, expired: 1 });
    }

    #[test]
    fn tokens_that_never_were_are_harmless() {
        let (completions, _) = completions();
        for token in [0, 1, u64::MAX, 7 << PLACE_BITS] {
            assert_eq!(answer(&completions.handle(token), abi::ALLOW), abi::FAILED);
        }
        assert_eq!(completions.counts().stray, 4);
    }
}
