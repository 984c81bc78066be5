//! Definitions on their way to the metadata store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use leveret_store::{Meta, MetaError, QueueId};

use crate::binding::BindingKey;
use crate::definitions::{BindingDefinition, Definition, ExchangeDefinition, QueueDefinition};
use crate::exchange::{self, Exchange};
use crate::journal::Journal;
use crate::queue::Queue;

/// What one operation changed; stored together.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    puts: Vec<(String, Option<Bytes>)>,
    forgotten: Vec<QueueId>,
}

impl Changes {
    pub(crate) fn save(&mut self, definition: &Definition) {
        self.puts.push((definition.key(), Some(Bytes::from(definition.encode()))));
    }

    pub(crate) fn forget(&mut self, definition: &Definition) {
        self.puts.push((definition.key(), None));
    }

    /// The messages of a deleted queue are not needed any more.
    pub(crate) fn forget_messages(&mut self, queue: QueueId) {
        self.forgotten.push(queue);
    }
}

impl Exchange {
    pub(crate) fn definition(&self) -> Definition {
        let declared = &self.declared;
        Definition::Exchange(ExchangeDefinition {
            vhost: declared.vhost.clone(),
            name: declared.name.clone(),
            kind: declared.kind.clone(),
            auto_delete: declared.auto_delete,
            internal: declared.internal,
            arguments: declared.arguments.raw().into(),
        })
    }
}

impl Queue {
    pub(crate) fn definition(&self) -> Definition {
        let declared = &self.declared;
        Definition::Queue(QueueDefinition {
            vhost: declared.vhost.clone(),
            name: declared.name.clone(),
            id: self.id,
            auto_delete: declared.auto_delete,
            arguments: declared.arguments.raw().into(),
        })
    }
}

impl BindingKey {
    pub(crate) fn definition(&self, source: &exchange::Declared) -> Definition {
        Definition::Binding(BindingDefinition {
            vhost: source.vhost.clone(),
            source: source.name.clone(),
            to_exchange: self.target.to_exchange,
            destination: self.target.name.clone(),
            key: self.key.clone(),
            arguments: self.arguments.clone(),
        })
    }
}

/// The metadata store, and how many changes went to it.
pub(crate) struct Saved {
    meta: Arc<dyn Meta>,
    issued: AtomicU64,
}

impl Saved {
    pub(crate) fn new(meta: Arc<dyn Meta>) -> Self {
        Self { meta, issued: AtomicU64::new(0) }
    }

    pub(crate) fn meta(&self) -> &Arc<dyn Meta> {
        &self.meta
    }

    /// Stores `changes`; the future resolves when they are durable. Their order is that of the
    /// calls, whether or not the futures are polled.
    pub(crate) fn apply(
        &self,
        journal: &Journal,
        changes: Changes,
    ) -> impl Future<Output = Result<(), MetaError>> + Send + use<> {
        if !changes.forgotten.is_empty() {
            journal.add(|pending| changes.forgotten.iter().for_each(|id| pending.forget(*id)));
        }
        let stored = (!changes.puts.is_empty()).then(|| {
            self.issued.fetch_add(1, Ordering::AcqRel);
            self.meta.put_all(changes.puts)
        });
        async move {
            match stored {
                Some(stored) => stored.await.map(|_| ()),
                None => Ok(()),
            }
        }
    }

    /// Resolves when everything stored before the call is durable.
    pub(crate) fn barrier(&self) -> impl Future<Output = ()> + Send + use<> {
        let issued = self.issued.swap(0, Ordering::AcqRel);
        let stored = (issued > 0).then(|| self.meta.put_all(Vec::new()));
        async move {
            if let Some(Err(error)) = match stored {
                Some(stored) => Some(stored.await),
                None => None,
            } {
                tracing::error!(%error, "definitions could not be stored");
            }
        }
    }
}
