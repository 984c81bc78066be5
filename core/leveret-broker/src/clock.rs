//! Time: milliseconds since the broker started, and the time of day.
//!
//! Deadlines are kept in monotonic milliseconds; the wall clock is only for what clients read.
//! Tests set a clock by hand. Knows no timer: whoever waits asks for the deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of time; cheap to clone, and clones agree.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { start: Instant },
    Manual(Arc<ManualTime>),
}

#[derive(Debug)]
struct ManualTime {
    now_ms: AtomicU64,
    wall_start_ms: u64,
}

/// Sets the time that a clock made by [`Clock::manual`] shows.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<ManualTime>);

impl Clock {
    /// The clock of the system, starting at 0.
    pub fn system() -> Self {
        Self(Source::System { start: Instant::now() })
    }

    /// A clock that stands still until its hand is moved. It starts at 0, which is `wall_ms`
    /// milliseconds after 1970-01-01 UTC.
    pub fn manual(wall_ms: u64) -> (Self, ManualClock) {
        let time = Arc::new(ManualTime { now_ms: AtomicU64::new(0), wall_start_ms: wall_ms });
        (Self(Source::Manual(time.clone())), ManualClock(time))
    }

    /// Milliseconds since the clock was made; never goes back.
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::System { start } => millis(start.elapsed()),
            Source::Manual(time) => time.now_ms.load(Ordering::Acquire),
        }
    }

    /// Milliseconds since 1970-01-01 UTC; jumps when somebody sets the system's clock.
    pub fn wall_ms(&self) -> u64 {
        match &self.0 {
            Source::System { .. } => millis(since_epoch()),
            Source::Manual(time) => time.wall_start_ms.saturating_add(self.now_ms()),
        }
    }

    /// Seconds since 1970-01-01 UTC, the unit of AMQP's timestamps.
    pub fn wall_secs(&self) -> u64 {
        self.wall_ms() / 1000
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl ManualClock {
    /// Moves the hand forward.
    pub fn advance_ms(&self, by_ms: u64) {
        self.0.now_ms.fetch_add(by_ms, Ordering::AcqRel);
    }

    /// Moves the hand to `now_ms`, unless it is past that already.
    pub fn set_ms(&self, now_ms: u64) {
        self.0.now_ms.fetch_max(now_ms, Ordering::AcqRel);
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_never_back() {
        let (clock, hand) = Clock::manual(1_700_000_000_500);
        let other = clock.clone();
        assert_eq!((clock.now_ms(), clock.wall_ms()), (0, 1_700_000_000_500));
        hand.advance_ms(1_500);
        assert_eq!((other.now_ms(), other.wall_ms()), (1_500, 1_700_000_002_000));
        hand.set_ms(1_000);
        assert_eq!(clock.now_ms(), 1_500);
        hand.set_ms(9_000);
        assert_eq!(clock.wall_secs(), 1_700_000_009);
    }

    #[test]
    fn the_system_clock_starts_near_zero_and_does_not_go_back() {
        let clock = Clock::system();
        let first = clock.now_ms();
        assert!(first < 60_000);
        assert!(clock.now_ms() >= first);
        assert!(clock.wall_secs() > 1_500_000_000);
    }
}
