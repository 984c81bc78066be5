//! Every connection there is, so that they can be counted, limited and closed.

use leveret_broker::{Error, Outbound};
use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::Notify;

/// A place among the connections.
#[derive(Clone, Copy)]
pub(crate) struct Ticket(usize);

/// See the module.
pub(crate) struct Connections {
    all: Mutex<Slab<Outbound>>,
    gone: Notify,
    limit: usize,
}

impl Connections {
    /// At most `limit` may be open; 0 is no limit.
    pub(crate) fn new(limit: usize) -> Self {
        Self { all: Mutex::default(), gone: Notify::new(), limit }
    }

    pub(crate) fn add(&self, outbound: &Outbound) -> Ticket {
        Ticket(self.all.lock().insert(outbound.clone()))
    }

    pub(crate) fn remove(&self, ticket: Ticket) {
        self.all.lock().try_remove(ticket.0);
        self.gone.notify_waiters();
    }

    /// Refuses when there are more than may be.
    pub(crate) fn check_limit(&self) -> Result<(), Error> {
        let limit = self.limit;
        if limit == 0 || self.all.lock().len() <= limit {
            return Ok(());
        }
        let text = format!("connection refused: node connection limit ({limit}) is reached");
        Err(Error::not_allowed(text))
    }

    /// Asks every connection to end.
    pub(crate) fn close_all(&self, why: &str) {
        let all: Vec<Outbound> = self.all.lock().iter().map(|(_, o)| o.clone()).collect();
        all.iter().for_each(|outbound| outbound.force_close(why));
    }

    /// Resolves when none is left.
    pub(crate) async fn all_gone(&self) {
        loop {
            let gone = self.gone.notified();
            tokio::pin!(gone);
            gone.as_mut().enable();
            if self.all.lock().is_empty() {
                return;
            }
            gone.await;
        }
    }
}
