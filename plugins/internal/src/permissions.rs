//! Who may do what: the records of permissions, compiled and remembered until they change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leveret_plugin::Broker;
use leveret_plugin::host::{Access, Action, Decision, Permission, PermissionRecord};

use crate::pattern::{Pattern, Patterns};

/// How many users with their virtual host are remembered.
const CAPACITY: usize = 10_000;

/// What is remembered about a user.
#[derive(Clone, Debug)]
struct Known {
    /// By virtual host.
    grants: HashMap<String, Grant>,
}

/// The three permissions of a user in a virtual host.
#[derive(Clone, Debug)]
struct Grant {
    configure: Pattern,
    write: Pattern,
    read: Pattern,
}

/// Decides about accesses.
#[derive(Debug)]
pub(crate) struct Permissions {
    state: Mutex<State>,
    patterns: Patterns,
}

#[derive(Debug, Default)]
struct State {
    /// How often everything was forgotten.
    epoch: u64,
    users: HashMap<String, Arc<Known>>,
}

impl Permissions {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), patterns: Patterns::default() }
    }

    pub(crate) fn forget(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.users = HashMap::new();
    }

    pub(crate) fn decide(&self, access: &Access<'_>, broker: &Broker) -> Decision {
        let Some(known) = self.user(access.user, broker) else {
            return Decision::Defer("no such user".into());
        };
        let Some(grant) = known.grants.get(access.vhost) else {
            return Decision::Deny("no permissions in this virtual host".into());
        };
        match access.action {
            // Permissions on topics are not kept yet; where there are none, all is allowed.
            Action::Access | Action::Topic { .. } => Decision::Allow,
            Action::Resource { name, permission, .. } => grant.decide(name, permission),
        }
    }

    fn user(&self, name: &str, broker: &Broker) -> Option<Arc<Known>> {
        let epoch = {
            let state = self.state();
            if let Some(known) = state.users.get(name) {
                return Some(known.clone());
            }
            state.epoch
        };
        let record = broker.user(name)?;
        let grants = record.permissions.iter();
        let grants = grants.map(|record| (record.vhost.clone(), self.compile(record, broker)));
        let known = Arc::new(Known { grants: grants.collect() });
        let mut state = self.state();
        if state.epoch == epoch {
            if state.users.len() >= CAPACITY {
                state.users.clear();
            }
            state.users.insert(name.to_owned(), known.clone());
        }
        Some(known)
    }

    fn compile(&self, record: &PermissionRecord, broker: &Broker) -> Grant {
        let compile = |text: &str| {
            let pattern = self.patterns.get(text);
            if let Pattern::Broken(error) = &pattern {
                broker.warn(&format!("a permission's pattern matches nothing: {error}"));
            }
            pattern
        };
        Grant {
            configure: compile(&record.configure),
            write: compile(&record.write),
            read: compile(&record.read),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grant {
    fn decide(&self, name: &str, permission: Permission) -> Decision {
        let pattern = match permission {
            Permission::Configure => &self.configure,
            Permission::Write => &self.write,
            Permission::Read => &self.read,
        };
        match pattern {
            _ if pattern.matches(name) => Decision::Allow,
            Pattern::Broken(error) => Decision::Deny(format!("unusable pattern: {error}")),
            _ => Decision::Deny("the pattern does not match".into()),
        }
    }
}
