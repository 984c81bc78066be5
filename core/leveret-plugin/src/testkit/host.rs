//! A broker that has users and a log, and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::abi;
use crate::host::{Host, Level, UserRecord};
use crate::shim::caller;

/// A host for tests; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct TestHost(Arc<State>);

#[derive(Debug, Default)]
struct State {
    users: Mutex<HashMap<String, UserRecord>>,
    lines: Mutex<Vec<String>>,
}

impl TestHost {
    /// A host without users.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a user.
    pub fn set_user(&self, user: UserRecord) {
        lock(&self.0.users).insert(user.name.clone(), user);
    }

    /// Removes a user.
    pub fn remove_user(&self, name: &str) {
        lock(&self.0.users).remove(name);
    }

    /// What plugins logged: `level source: text`.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.0.lines).clone()
    }

    pub(super) fn lend(&self) -> &'static abi::Host {
        caller::lend(Box::new(self.clone()))
    }
}

impl Host for TestHost {
    fn log(&self, level: Level, source: &str, text: &str) {
        lock(&self.0.lines).push(format!("{level:?} {source}: {text}").to_lowercase());
    }

    fn user(&self, name: &str) -> Option<UserRecord> {
        lock(&self.0.users).get(name).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
