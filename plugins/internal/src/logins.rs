//! Logins that were verified a short while ago, so that a client that connects again and again
//! costs one hash only. Passwords are not kept: what is kept is useless without a key that is
//! drawn at start and never leaves the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::Salt;
use blake2::Blake2bMac512;
use blake2::digest::{KeyInit, Mac};

/// How long a login is remembered.
const LIFETIME: Duration = Duration::from_mins(10);
/// How many are remembered.
const CAPACITY: usize = 10_000;

/// User, password and stored hash, put through a keyed hash; good until the next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoginKey {
    digest: [u8; 32],
    /// How often everything had been forgotten when the record was read.
    epoch: u64,
}

/// The cache; clones share it.
#[derive(Clone)]
pub(crate) struct Logins {
    key: [u8; 32],
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    epoch: u64,
    /// When each login was verified.
    verified: HashMap<[u8; 32], Instant>,
}

impl Logins {
    pub(crate) fn new() -> Self {
        let mut key = [0; 32];
        for half in key.chunks_exact_mut(16) {
            half.copy_from_slice(Salt::generate().as_ref());
        }
        Self { key, state: Arc::default() }
    }

    /// The key of a login. A changed hash changes it.
    pub(crate) fn key(&self, user: &str, password: &[u8], hash: &str) -> LoginKey {
        let epoch = self.state().epoch;
        let mut mac = Blake2bMac512::new_from_slice(&self.key).expect("64 bytes or less will do");
        for part in [user.as_bytes(), password, hash.as_bytes()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(&mac.finalize().into_bytes()[..32]);
        LoginKey { digest, epoch }
    }

    /// Whether this login was verified and has not been forgotten.
    pub(crate) fn is_verified(&self, login: &LoginKey) -> bool {
        self.is_verified_at(login, Instant::now())
    }

    fn is_verified_at(&self, login: &LoginKey, now: Instant) -> bool {
        let since = self.state().verified.get(&login.digest).copied();
        since.is_some_and(|since| now.saturating_duration_since(since) < LIFETIME)
    }

    /// Remembers a verified login, unless everything was forgotten while it was being verified.
    pub(crate) fn remember(&self, login: LoginKey) {
        self.remember_at(login, Instant::now());
    }

    fn remember_at(&self, login: LoginKey, now: Instant) {
        let mut state = self.state();
        if state.epoch != login.epoch {
            return;
        }
        if state.verified.len() >= CAPACITY {
            state.verified.retain(|_, since| now.saturating_duration_since(*since) < LIFETIME);
        }
        if state.verified.len() >= CAPACITY {
            state.verified.clear();
        }
        state.verified.insert(login.digest, now);
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.verified = HashMap::new();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_remembered_for_ten_minutes() {
        let logins = Logins::new();
        let login = logins.key("u", b"p", "h");
        let start = Instant::now();
        assert!(!logins.is_verified_at(&login, start));
        logins.remember_at(login, start);
        assert!(logins.is_verified_at(&login, start + LIFETIME / 2));
        assert!(!logins.is_verified_at(&login, start + LIFETIME));
        for other in [("u", "q", "h"), ("v", "p", "h"), ("u", "p", "i"), ("up", "", "h")] {
            let other = logins.key(other.0, other.1.as_bytes(), other.2);
            assert!(!logins.is_verified_at(&other, start));
        }
    }

    #[test]
    fn a_login_that_was_being_verified_during_a_change_is_not_remembered() {
        let logins = Logins::new();
        let login = logins.key("u", b"p", "h");
        logins.forget();
        logins.remember(login);
        assert!(!logins.is_verified(&login));
        let again = logins.key("u", b"p", "h");
        logins.remember(again);
        assert!(logins.is_verified(&again));
        logins.forget();
        assert!(!logins.is_verified(&again));
    }

    #[test]
    fn the_cache_is_bounded() {
        let logins = Logins::new();
        for n in 0..CAPACITY + 10 {
            logins.remember(logins.key(&n.to_string(), b"p", "h"));
            assert!(logins.state().verified.len() <= CAPACITY);
        }
    }
}
