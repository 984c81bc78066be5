//! The exchanges that a connection publishes to, with what it knows of each: that it may, and the
//! snapshot that routes.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Cache};

use crate::exchange::{Exchange, Snapshot};
use crate::queue::Queue;
use crate::route_cache::RouteCache;
use crate::transform::TransformChain;
use crate::vhost::Vhost;

/// More exchanges than this are looked up again and again.
const TARGETS_MAX: usize = 64;

/// An exchange as the place of its snapshot.
#[derive(Clone)]
pub(super) struct Routes(Arc<Exchange>);

impl Deref for Routes {
    type Target = ArcSwapOption<Snapshot>;

    fn deref(&self) -> &Self::Target {
        &self.0.snapshot
    }
}

/// An exchange that may be published to.
pub(super) struct Target {
    name: Box<str>,
    pub(super) exchange: Arc<Exchange>,
    pub(super) snapshot: Cache<Routes, Option<Arc<Snapshot>>>,
    /// The transforms that may be concerned with what is published to it.
    pub(super) transforms: TransformChain,
    /// The state of users and permissions in which publishing was allowed.
    epoch: u64,
}

/// See the module.
pub(super) struct Targets {
    known: Vec<Target>,
    last: usize,
    last_queue: Option<Arc<Queue>>,
    pub(super) cache: RouteCache,
    /// The state of users and permissions in which publishing to the default exchange was allowed.
    pub(super) default_epoch: Option<u64>,
    default_transforms: TransformChain,
}

impl Targets {
    pub(super) fn new(cache_keys: usize, default_transforms: TransformChain) -> Self {
        Self {
            known: Vec::new(),
            last: 0,
            last_queue: None,
            cache: RouteCache::new(cache_keys),
            default_epoch: None,
            default_transforms,
        }
    }

    /// The place of an exchange that is known, still exists and may still be published to.
    #[inline]
    pub(super) fn find(&mut self, name: &[u8], epoch: u64) -> Option<usize> {
        let is = |target: &Target| *target.name.as_bytes() == *name;
        if !self.known.get(self.last).is_some_and(is) {
            self.last = self.known.iter().position(is)?;
        }
        let target = &self.known[self.last];
        let holds = target.epoch == epoch && !target.exchange.is_deleted();
        holds.then_some(self.last)
    }

    #[inline]
    pub(super) fn get(&mut self, place: usize) -> (&mut Target, &mut RouteCache) {
        (&mut self.known[place], &mut self.cache)
    }

    /// Remembers that `exchange` may be published to.
    pub(super) fn add(
        &mut self,
        exchange: Arc<Exchange>,
        transforms: TransformChain,
        epoch: u64,
    ) -> usize {
        let name: Box<str> = (*exchange.declared.name).into();
        self.known.retain(|target| target.name != name);
        if self.known.len() >= TARGETS_MAX {
            self.known.clear();
        }
        let snapshot = Cache::new(Routes(exchange.clone()));
        self.known.push(Target { name, exchange, snapshot, transforms, epoch });
        self.last = self.known.len() - 1;
        self.last
    }

    /// The transforms of the exchange that was admitted last, or of the default exchange.
    #[inline]
    pub(super) fn transforms(&self, is_default: bool) -> &TransformChain {
        match self.known.get(self.last) {
            Some(target) if !is_default => &target.transforms,
            _ => &self.default_transforms,
        }
    }

    /// The queue of this name if it was asked for last, and still exists.
    #[inline]
    pub(super) fn known_queue(&self, name: &[u8]) -> Option<&Arc<Queue>> {
        self.last_queue.as_ref().filter(|q| *q.name().as_bytes() == *name && !q.is_closed())
    }

    /// The queue of this name.
    #[inline]
    pub(super) fn queue(&mut self, vhost: &Vhost, name: &[u8]) -> Option<&Arc<Queue>> {
        let is_last = self
            .last_queue
            .as_ref()
            .is_some_and(|q| *q.name().as_bytes() == *name && !q.is_closed());
        if !is_last {
            self.last_queue = std::str::from_utf8(name).ok().and_then(|name| vhost.queue(name));
        }
        self.last_queue.as_ref()
    }
}
