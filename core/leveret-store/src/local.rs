//! Ownership within one process: what the embedded engines give out. That no other process has
//! the same data is the engine's own business (a lock on its directory).

use std::{
    collections::HashMap,
    future::{pending, ready},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use crate::{
    error::AcquireError,
    ids::Epoch,
    ownership::{AcquireFuture, Holder, HolderFuture, Lease, Ownership},
};

/// Leases that only their holder ends.
#[derive(Debug)]
pub(crate) struct LocalOwnership(Mutex<Leases>);

#[derive(Debug)]
struct Leases {
    newest: Epoch,
    shards: HashMap<String, (Holder, Weak<()>)>,
}

impl LocalOwnership {
    /// Epochs greater than `newest` will be given out.
    pub(crate) fn after(newest: Epoch) -> Self {
        Self(Mutex::new(Leases { newest, shards: HashMap::new() }))
    }
}

impl Leases {
    fn holder(&self, shard: &str) -> Option<Holder> {
        let (holder, held) = self.shards.get(shard)?;
        (held.strong_count() > 0).then(|| holder.clone())
    }

    fn acquire(&mut self, shard: &str, me: &str) -> Result<Lease, AcquireError> {
        if let Some(Holder { name, epoch }) = self.holder(shard) {
            return Err(AcquireError::Held { holder: name, epoch });
        }
        self.newest.0 += 1;
        let held = Arc::new(());
        let holder = Holder { name: me.to_owned(), epoch: self.newest };
        self.shards.insert(shard.to_owned(), (holder, Arc::downgrade(&held)));
        Ok(Lease::new(self.newest, pending(), held))
    }
}

impl Ownership for LocalOwnership {
    fn acquire(&self, shard: &str, me: &str) -> AcquireFuture {
        Box::pin(ready(self.0.lock().acquire(shard, me)))
    }

    fn holder(&self, shard: &str) -> HolderFuture {
        Box::pin(ready(self.0.lock().holder(shard)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completion::tests::block_on;

    #[test]
    fn a_shard_is_refused_while_held_and_given_with_a_greater_epoch_afterwards() {
        let ownership = LocalOwnership::after(Epoch(4));
        let first = block_on(ownership.acquire("/", "a")).expect("free");
        assert_eq!(first.epoch(), Epoch(5));
        let refused = block_on(ownership.acquire("/", "b")).expect_err("held");
        assert_eq!(refused.to_string(), "shard is owned by a (epoch 5)");
        assert_eq!(block_on(ownership.acquire("other", "b")).expect("free").epoch(), Epoch(6));
        drop(first);
        assert_eq!(block_on(ownership.holder("/")), None);
        assert_eq!(block_on(ownership.acquire("/", "b")).expect("free").epoch(), Epoch(7));
    }
}
