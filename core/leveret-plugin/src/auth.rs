//! Auth plugins as their authors write them.

use crate::broker::Broker;
use crate::host::{Access, Credentials, Decision, Failure, Login};

pub use crate::shim::{Completion, Later};

/// An authentication and authorisation backend. All its functions run on many threads at once; one
/// that must wait (for a disk, a network, a slow hash) answers [later](Later::begin).
pub trait Auth: Sized + Send + Sync + 'static {
    /// Its name, unique among auth plugins.
    const NAME: &'static str;
    /// SASL mechanisms it understands, separated by spaces.
    const MECHANISMS: &'static str = "PLAIN AMQPLAIN";
    /// Whether a login holds until the connection ends, as passwords do and tokens do not. If so,
    /// connection.update-secret is accepted without another [`Self::authenticate`].
    const LASTING: bool = false;

    /// Makes the backend. `config` is the JSON text configured for it (`{}` if nothing is).
    fn new(config: &str, broker: &Broker) -> Result<Self, Failure>;

    /// Checks a login.
    fn authenticate(
        &self,
        credentials: &Credentials<'_>,
        later: Later<'_, Login>,
    ) -> Outcome<Login>;

    /// Checks one access.
    fn authorise(&self, access: &Access<'_>, later: Later<'_, Decision>) -> Outcome<Decision>;

    /// Users, passwords or permissions have changed: forget what was remembered.
    fn changed(&self) {}
}

/// What [`Auth::authenticate`] and [`Auth::authorise`] return: an answer, or, from
/// [`Later::begin`], that one is to come.
#[derive(Debug)]
pub struct Outcome<T>(pub(crate) Option<T>);

impl<T> Outcome<T> {
    pub(crate) const PENDING: Self = Self(None);
}

impl<T> From<T> for Outcome<T> {
    fn from(answer: T) -> Self {
        Self(Some(answer))
    }
}
