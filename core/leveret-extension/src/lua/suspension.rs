//! Keeps scripts that time out again and again from being asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leveret_plugin::host::{Failure, FailureKind};
use parking_lot::Mutex;

use crate::clock::Clock;

/// So many timeouts within [`WINDOW`] suspend a script.
const TIMEOUTS: usize = 3;
const WINDOW: Duration = Duration::from_secs(10);
/// Length of the first suspension; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(3600);
/// So long after the end of a suspension the next one is short again.
const FORGET: Duration = Duration::from_secs(600);

/// Whether one script may be asked at the moment.
pub(crate) struct Suspension {
    script: String,
    clock: Arc<dyn Clock>,
    /// End of the suspension in milliseconds of the clock; 0: there is none.
    until_millis: AtomicU64,
    past: Mutex<Past>,
}

#[derive(Default)]
struct Past {
    timeouts: Vec<Duration>,
    length: Duration,
    until: Duration,
    line: u32,
}

impl Suspension {
    pub(crate) fn new(script: String, clock: Arc<dyn Clock>) -> Self {
        Self { script, clock, until_millis: AtomicU64::new(0), past: Mutex::default() }
    }

    /// Refuses while the script is suspended.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.until_millis.load(Ordering::Relaxed) {
            0 => Ok(()),
            until => self.check_until(until),
        }
    }

    #[cold]
    fn check_until(&self, until_millis: u64) -> Result<(), Failure> {
        let until = Duration::from_millis(until_millis);
        let Some(left) = until.checked_sub(self.clock.now()).filter(|left| !left.is_zero()) else {
            self.until_millis.store(0, Ordering::Relaxed);
            return Ok(());
        };
        let (script, line) = (&self.script, self.past.lock().line);
        let text = format!(
            "{script}:{line}: script is suspended for another {:.1} s after {TIMEOUTS} timeouts \
             within {} s",
            left.as_secs_f64(),
            WINDOW.as_secs(),
        );
        Err(Failure { kind: FailureKind::Suspended, text })
    }

    /// The script timed out at `line`.
    pub(crate) fn timed_out(&self, line: u32) {
        let now = self.clock.now();
        let mut past = self.past.lock();
        past.line = line;
        past.timeouts.retain(|then| now.saturating_sub(*then) < WINDOW);
        past.timeouts.push(now);
        if past.timeouts.len() < TIMEOUTS {
            return;
        }
        past.timeouts.clear();
        let fresh = past.length.is_zero() || now.saturating_sub(past.until) >= FORGET;
        past.length = if fresh { FIRST } else { (past.length * 2).min(LONGEST) };
        past.until = now + past.length;
        let millis = u64::try_from(past.until.as_millis()).unwrap_or(u64::MAX);
        self.until_millis.store(millis, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn suspension() -> (Arc<ManualClock>, Suspension) {
        let clock = Arc::new(ManualClock::default());
        (Arc::clone(&clock), Suspension::new("slow.lua".into(), clock))
    }

    fn time_out_thrice(suspension: &Suspension) {
        (0..3).for_each(|_| suspension.timed_out(7));
    }

    fn seconds_left(suspension: &Suspension) -> Option<f64> {
        let failure = suspension.check().err()?;
        assert_eq!(failure.kind, FailureKind::Suspended);
        failure.text.split("another ").nth(1)?.split(' ').next()?.parse().ok()
    }

    #[test]
    fn two_timeouts_within_ten_seconds_do_not_suspend() {
        let (clock, suspension) = suspension();
        suspension.timed_out(7);
        suspension.timed_out(7);
        clock.advance(Duration::from_secs(10));
        suspension.timed_out(7);
        assert!(suspension.check().is_ok());
    }

    #[test]
    fn the_third_timeout_suspends_for_thirty_seconds_and_says_where() {
        let (clock, suspension) = suspension();
        time_out_thrice(&suspension);
        clock.advance(Duration::from_millis(500));
        let text = suspension.check().expect_err("suspended").text;
        assert!(text.starts_with("slow.lua:7: "), "{text}");
        assert!(text.contains("29.5 s"), "{text}");
        clock.advance(Duration::from_millis(29_500));
        assert!(suspension.check().is_ok());
    }

    #[test]
    fn each_suspension_is_twice_as_long_until_it_is_forgotten() {
        let (clock, suspension) = suspension();
        for seconds in [30.0, 60.0, 120.0] {
            time_out_thrice(&suspension);
            assert_eq!(seconds_left(&suspension), Some(seconds));
            clock.advance(Duration::from_secs_f64(seconds));
        }
        clock.advance(FORGET);
        time_out_thrice(&suspension);
        assert_eq!(seconds_left(&suspension), Some(30.0));
    }
}
