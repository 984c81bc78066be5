//! Messages dealt to a connection whose deliver transforms must see them first.

use std::sync::Arc;

use crate::consumer::ConsumerKey;
use crate::queue::Queue;
use crate::ready::Entry;

/// A message that is its consumer's already, but not yet written.
#[derive(Debug)]
pub(crate) struct Dealt {
    pub(crate) queue: Arc<Queue>,
    pub(crate) consumer: ConsumerKey,
    pub(crate) channel: u16,
    pub(crate) tag: Arc<str>,
    pub(crate) no_ack: bool,
    pub(crate) entry: Entry,
}
