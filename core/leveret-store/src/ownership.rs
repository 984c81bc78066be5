//! Who may write: a lease with an epoch.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{error::AcquireError, ids::Epoch};

/// Resolves when the ownership is held or known to be somebody else's.
pub type AcquireFuture = Pin<Box<dyn Future<Output = Result<Lease, AcquireError>> + Send>>;

/// Resolves to who holds it now.
pub type HolderFuture = Pin<Box<dyn Future<Output = Option<Holder>> + Send>>;

/// Gives out the right to write a shard's log. A shard is a name; the embedded engines have as
/// many as are asked for and one owner of all of them: the process.
pub trait Ownership: Send + Sync {
    /// Takes the shard for `me` (an address others can use), with an epoch greater than every
    /// earlier one.
    fn acquire(&self, shard: &str, me: &str) -> AcquireFuture;

    /// Who has the shard.
    fn holder(&self, shard: &str) -> HolderFuture;
}

/// Who has a shard.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Holder {
    /// As it named itself to [`Ownership::acquire`].
    pub name: String,
    /// Its epoch.
    pub epoch: Epoch,
}

/// A held ownership. Dropping it gives it up.
pub struct Lease {
    epoch: Epoch,
    lost: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    _held: Arc<dyn Send + Sync>,
}

impl Lease {
    /// A lease that `lost` ends and dropping `held` gives up. For engines.
    pub fn new(
        epoch: Epoch,
        lost: impl Future<Output = ()> + Send + Sync + 'static,
        held: Arc<dyn Send + Sync>,
    ) -> Self {
        Self { epoch, lost: Box::pin(lost), _held: held }
    }

    /// The fence to open the log with.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Resolves when somebody else may have taken it: stop serving then. Never, with the
    /// embedded engines.
    pub async fn lost(&mut self) {
        self.lost.as_mut().await;
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
