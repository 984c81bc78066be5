//! Transactions: publishes and acks of a channel wait for tx.commit.

use leveret_protocol::methods::{AMQPClass, tx};

use super::Session;
use super::channel::{Mode, unexpected};
use super::incoming::Incoming;
use crate::batch::Batch;
use crate::channel_state::Unsettled;
use crate::error::{Error, Result};
use crate::message::Message;
use crate::queue::Outcome;

/// What waits for tx.commit.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    publishes: Vec<(Message, bool)>,
    settled: Vec<(Outcome, Vec<Unsettled>)>,
}

impl Transaction {
    pub(super) fn publish(&mut self, message: Message, mandatory: bool) {
        self.publishes.push((message, mandatory));
    }

    /// What was acknowledged in a transaction that ends without commit.
    pub(super) fn into_unsettled(self) -> impl Iterator<Item = Unsettled> {
        self.settled.into_iter().flat_map(|(_, unsettled)| unsettled)
    }
}

impl Session {
    pub(super) async fn tx_method(&mut self, number: u16, method: tx::AMQPMethod) -> Result<()> {
        use tx::AMQPMethod as Method;
        let ok = match method {
            Method::Select(_) => {
                self.tx_select(number)?;
                Method::SelectOk(tx::SelectOk {})
            }
            Method::Commit(_) => {
                self.tx_commit(number).await?;
                Method::CommitOk(tx::CommitOk {})
            }
            Method::Rollback(_) => {
                self.tx_rollback(number)?;
                Method::RollbackOk(tx::RollbackOk {})
            }
            _ => return Err(unexpected()),
        };
        self.reply(number, AMQPClass::Tx(ok));
        Ok(())
    }

    fn tx_select(&mut self, number: u16) -> Result<()> {
        self.finish_acks();
        let channel = self.channel(number)?;
        match channel.mode {
            Mode::Confirm(_) => Err(Error::precondition("cannot switch from confirm to tx mode")),
            Mode::Tx(_) => Ok(()),
            Mode::Plain => {
                channel.mode = Mode::Tx(Box::default());
                Ok(())
            }
        }
    }

    fn take_transaction(&mut self, number: u16) -> Result<Box<Transaction>> {
        match &mut self.channel(number)?.mode {
            Mode::Tx(transaction) => Ok(std::mem::take(transaction)),
            _ => Err(Error::precondition("channel is not transactional")),
        }
    }

    /// Publishes, then acknowledges, and waits until the log has it.
    async fn tx_commit(&mut self, number: u16) -> Result<()> {
        let transaction = *self.take_transaction(number)?;
        let refused = self.publish_transaction(number, transaction.publishes)?;
        for (outcome, unsettled) in transaction.settled {
            self.settle(unsettled, outcome);
        }
        if self.broker.journal.flush().await.is_err() {
            return Err(Error::internal("the log has failed"));
        }
        if refused {
            return Err(Error::precondition("partial tx completion"));
        }
        Ok(())
    }

    /// Whether a queue refused one of them.
    fn publish_transaction(
        &mut self,
        number: u16,
        publishes: Vec<(Message, bool)>,
    ) -> Result<bool> {
        let mut batch = Batch::take();
        for (message, mandatory) in publishes {
            let incoming = Incoming::stored(number, message, mandatory);
            self.route(&mut batch, incoming, None)?;
        }
        let refused = self.flush_messages(&mut batch);
        batch.give_back();
        Ok(refused)
    }

    /// Forgets the publishes, and holds the acknowledged deliveries unsettled again.
    fn tx_rollback(&mut self, number: u16) -> Result<()> {
        let transaction = *self.take_transaction(number)?;
        if let Some(state) = self.outbound.lock().channels.get_mut(number) {
            state.restore(transaction.into_unsettled().collect());
        }
        Ok(())
    }

    /// An ack, nack or reject in a transaction.
    pub(super) fn settle_in_tx(
        &mut self,
        number: u16,
        tag: u64,
        multiple: bool,
        outcome: Outcome,
    ) -> Result<()> {
        let mut unsettled = Vec::new();
        self.take_unsettled(number, tag, multiple, &mut unsettled)?;
        if let Mode::Tx(transaction) = &mut self.channel(number)?.mode {
            transaction.settled.push((outcome, unsettled));
        }
        Ok(())
    }
}
