//! What one connection was allowed to do, remembered so that a publish costs one look-up.
//!
//! Only permissions that were given are kept: a refusal ends a channel anyway, and a plugin that
//! has changed its mind is asked again. Whatever was kept ends with the epoch of the users.

use hashbrown::HashMap;
use leveret_plugin::host::{Permission, ResourceKind};

/// Names (or topics) that are kept before the cache starts afresh.
const ENTRIES_MAX: usize = 512;

type Map<V> = HashMap<String, V, foldhash::fast::RandomState>;

/// See the module. It belongs to one connection: one user in one virtual host.
#[derive(Debug, Default)]
pub struct PermissionCache {
    epoch: u64,
    /// By name, one bit for each kind and permission.
    resources: Map<u8>,
    /// By exchange and routing key, one bit for each permission.
    topics: Map<Map<u8>>,
    topic_count: usize,
}

impl PermissionCache {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether this was allowed since the users last changed. `epoch` is [`Users::epoch`] now.
    ///
    /// [`Users::epoch`]: crate::users::Users::epoch
    pub fn allows(
        &mut self,
        epoch: u64,
        kind: ResourceKind,
        name: &str,
        permission: Permission,
    ) -> bool {
        self.enter(epoch);
        self.resources.get(name).is_some_and(|bits| bits & resource_bit(kind, permission) != 0)
    }

    /// Remembers that this was allowed. `epoch` is what it was before the plugins were asked.
    pub fn remember(&mut self, epoch: u64, kind: ResourceKind, name: &str, permission: Permission) {
        if epoch < self.epoch {
            return;
        }
        self.enter(epoch);
        if self.resources.len() >= ENTRIES_MAX && !self.resources.contains_key(name) {
            self.resources.clear();
        }
        *self.resources.entry_ref(name).or_default() |= resource_bit(kind, permission);
    }

    /// As [`Self::allows`], for a routing key of a topic exchange.
    pub fn allows_topic(
        &mut self,
        epoch: u64,
        exchange: &str,
        routing_key: &str,
        permission: Permission,
    ) -> bool {
        self.enter(epoch);
        let bits = self.topics.get(exchange).and_then(|keys| keys.get(routing_key));
        bits.is_some_and(|bits| bits & bit(permission) != 0)
    }

    /// As [`Self::remember`], for a routing key of a topic exchange.
    pub fn remember_topic(
        &mut self,
        epoch: u64,
        exchange: &str,
        routing_key: &str,
        permission: Permission,
    ) {
        if epoch < self.epoch {
            return;
        }
        self.enter(epoch);
        if self.topic_count >= ENTRIES_MAX {
            self.topics.clear();
            self.topic_count = 0;
        }
        self.topic_count += 1;
        let keys = self.topics.entry_ref(exchange).or_default();
        *keys.entry_ref(routing_key).or_default() |= bit(permission);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.resources.clear();
        self.topics.clear();
        self.topic_count = 0;
    }

    fn enter(&mut self, epoch: u64) {
        if epoch != self.epoch {
            self.clear();
            self.epoch = epoch;
        }
    }
}

fn bit(permission: Permission) -> u8 {
    1 << permission as u8
}

fn resource_bit(kind: ResourceKind, permission: Permission) -> u8 {
    bit(permission) << (3 * kind as u8)
}

#[cfg(test)]
mod tests {
    use leveret_plugin::host::Permission::{Configure, Read, Write};
    use leveret_plugin::host::ResourceKind::{Exchange, Queue};

    use super::*;

    #[test]
    fn only_what_was_allowed_is_allowed() {
        let mut cache = PermissionCache::new();
        cache.remember(1, Queue, "q", Read);
        assert!(cache.allows(1, Queue, "q", Read));
        assert!(!cache.allows(1, Queue, "q", Write));
        assert!(!cache.allows(1, Exchange, "q", Read));
        assert!(!cache.allows(1, Queue, "other", Read));
        cache.remember(1, Exchange, "q", Configure);
        assert!(cache.allows(1, Queue, "q", Read));
        assert!(cache.allows(1, Exchange, "q", Configure));
    }

    #[test]
    fn a_change_of_users_ends_it() {
        let mut cache = PermissionCache::new();
        cache.remember(1, Queue, "q", Read);
        cache.remember_topic(1, "x", "a.b", Write);
        assert!(!cache.allows(2, Queue, "q", Read));
        assert!(!cache.allows_topic(2, "x", "a.b", Write));
    }

    #[test]
    fn an_answer_from_before_the_change_is_not_kept() {
        let mut cache = PermissionCache::new();
        assert!(!cache.allows(2, Queue, "q", Read));
        cache.remember(1, Queue, "q", Read);
        assert!(!cache.allows(2, Queue, "q", Read));
        cache.remember_topic(1, "x", "a", Read);
        assert!(!cache.allows_topic(2, "x", "a", Read));
    }

    #[test]
    fn topics_are_told_apart_by_exchange_and_key() {
        let mut cache = PermissionCache::new();
        cache.remember_topic(1, "x", "a.b", Write);
        assert!(cache.allows_topic(1, "x", "a.b", Write));
        assert!(!cache.allows_topic(1, "x", "a.b", Read));
        assert!(!cache.allows_topic(1, "x", "a", Write));
        assert!(!cache.allows_topic(1, "xa", ".b", Write));
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut cache = PermissionCache::new();
        for n in 0..10 * ENTRIES_MAX {
            cache.remember(1, Queue, &n.to_string(), Read);
            cache.remember_topic(1, &n.to_string(), "k", Write);
        }
        assert!(cache.resources.len() <= ENTRIES_MAX);
        assert!(cache.topics.len() <= ENTRIES_MAX);
        assert!(cache.allows(1, Queue, &(10 * ENTRIES_MAX - 1).to_string(), Read));
    }
}
