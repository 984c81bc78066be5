//! Reading: a chunk at a time into a buffer of the worker thread, and every whole frame in it is
//! handled before the next read.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use leveret_broker::{Batch, Error, Incoming, Refused};
use leveret_protocol::{Event, Publish};
use tokio::io::{AsyncRead, ReadBuf};

use super::{Action, Connection, HOLD_BACK_MS, Step};

const CHUNK_BYTES: usize = 64 << 10;

thread_local! {
    /// The read buffer of this worker; always as long as it is initialised.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Connection {
    /// Reads and handles one chunk. `Ready(None)`: go on.
    pub(super) fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Option<Step>> {
        let mut buffer = BUFFER.take();
        let step = self.poll_input_with(cx, &mut buffer);
        BUFFER.set(buffer);
        step
    }

    fn poll_input_with(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<Option<Step>> {
        let carried = self.carry.len();
        let wanted = carried + CHUNK_BYTES.max(self.machine.needed().saturating_sub(carried));
        if buffer.len() < wanted {
            buffer.resize(wanted, 0);
        }
        let mut filled = carried;
        if !self.unhandled {
            let mut read = ReadBuf::new(&mut buffer[carried..]);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read)) {
                Ok(()) if read.filled().is_empty() => return Poll::Ready(Some(Step::Lost)),
                Ok(()) => filled += read.filled().len(),
                Err(_) => return Poll::Ready(Some(Step::Lost)),
            }
            let now_ms = self.now_ms();
            self.machine.received(now_ms);
        }
        self.unhandled = false;
        buffer[..carried].copy_from_slice(&self.carry);
        let (left, action) = self.handle(&buffer[..filled]);
        self.keep(&buffer[filled - left..filled]);
        if buffer.len() > 4 * CHUNK_BYTES {
            *buffer = Vec::new();
        }
        Poll::Ready(action.map(Step::Do))
    }

    /// Keeps input that is not a whole frame.
    fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() && self.carry.capacity() > 0 {
            self.carry = Vec::new();
            return;
        }
        self.carry.clear();
        self.carry.extend_from_slice(rest);
    }

    /// Handles every whole frame, or all up to one that takes time. How many bytes are left.
    fn handle(&mut self, chunk: &[u8]) -> (usize, Option<Box<Action>>) {
        let mut input = chunk;
        let mut batch = Batch::take();
        let now_ms = self.now_ms();
        let mut action = None;
        while let Some(event) = self.machine.next_event(&mut input, now_ms) {
            action = match &event {
                Event::Publish(publish) => self.publish_input(&mut batch, publish),
                _ => self.on_event(&mut batch, event),
            };
            if action.is_some() {
                self.unhandled = true;
                break;
            }
        }
        self.flush(&mut batch);
        batch.give_back();
        self.emit();
        (input.len(), action)
    }

    /// Messages reach their queues, acks take effect.
    fn flush(&mut self, batch: &mut Batch<'_>) {
        let Some(session) = &mut self.session else { return };
        session.flush(batch);
        if let Some(queue) = session.take_crowded() {
            self.held_back = Some((queue, self.shared.broker.clock().now_ms() + HOLD_BACK_MS));
        }
    }

    #[inline]
    fn on_event<'b>(&mut self, batch: &mut Batch<'b>, event: Event<'b>) -> Option<Box<Action>> {
        match event {
            Event::Publish(publish) => self.publish_input(batch, &publish),
            Event::OwnedPublish(publish) => self.publish(batch, Incoming::from(*publish)),
            Event::Ack { channel, delivery_tag, multiple } => {
                let session = self.session.as_mut()?;
                let done = session.ack(channel, delivery_tag, multiple);
                self.check(batch, channel, done, (60, 80))
            }
            Event::Nack { channel, delivery_tag, multiple, requeue } => {
                let session = self.session.as_mut()?;
                let done = session.reject(channel, delivery_tag, multiple, requeue);
                self.check(batch, channel, done, (60, 120))
            }
            Event::Reject { channel, delivery_tag, requeue } => {
                let session = self.session.as_mut()?;
                let done = session.reject(channel, delivery_tag, false, requeue);
                self.check(batch, channel, done, (60, 90))
            }
            other => {
                self.flush(batch);
                self.on_rare_event(other)
            }
        }
    }

    #[inline]
    fn publish_input<'b>(
        &mut self,
        batch: &mut Batch<'b>,
        publish: &Publish<'b>,
    ) -> Option<Box<Action>> {
        let session = self.session.as_mut()?;
        let done = session.publish_input(batch, publish);
        self.published(batch, publish.channel, done)
    }

    fn publish<'b>(
        &mut self,
        batch: &mut Batch<'b>,
        incoming: Incoming<'b>,
    ) -> Option<Box<Action>> {
        let session = self.session.as_mut()?;
        let channel = incoming.channel();
        let done = session.publish(batch, incoming);
        self.published(batch, channel, done)
    }

    #[inline]
    fn published(
        &mut self,
        batch: &mut Batch<'_>,
        channel: u16,
        done: Result<(), Refused>,
    ) -> Option<Box<Action>> {
        match done {
            Ok(()) => None,
            Err(Refused::Error(error)) => self.check(batch, channel, Err(error), (60, 40)),
            Err(Refused::Ask { incoming, question }) => {
                Some(Box::new(Action::Ask { incoming, question }))
            }
        }
    }

    /// Fails the channel or the connection if something was refused, after what came before it.
    #[inline]
    fn check(
        &mut self,
        batch: &mut Batch<'_>,
        channel: u16,
        done: Result<(), Error>,
        method: (u16, u16),
    ) -> Option<Box<Action>> {
        if let Err(error) = done {
            self.flush(batch);
            self.fail(channel, &error, method);
        }
        None
    }

    #[cold]
    fn on_rare_event(&mut self, event: Event<'_>) -> Option<Box<Action>> {
        match event {
            Event::Login { mechanism, user, password } => {
                let (user, password) = (user.into_owned(), password.to_vec());
                return Some(Box::new(Action::Login { mechanism, user, password }));
            }
            Event::Open { vhost } => {
                return Some(Box::new(Action::Open { vhost: vhost.to_owned() }));
            }
            Event::Method { channel, method, arguments } => {
                let arguments = arguments.to_vec();
                return Some(Box::new(Action::Method { channel, method, arguments }));
            }
            Event::ChannelOpen(channel) => {
                self.session.as_mut()?.channel_open(channel);
                self.machine.channel_opened(channel);
            }
            Event::ChannelClose(channel) => {
                self.session.as_mut()?.channel_close(channel);
                self.machine.channel_closed(channel);
            }
            Event::ChannelFailed(channel, reply) => {
                tracing::warn!(channel, "channel error on connection {}: {reply}", self.ends);
                self.session.as_mut()?.channel_close(channel);
            }
            Event::ChannelCloseOk(_) => {}
            Event::CloseRequested { .. } => {
                self.release();
                self.machine.close_ok();
            }
            Event::Closed { reset, delay_ms } => self.closed = Some((reset, delay_ms)),
            ending => self.on_ending(&ending),
        }
        self.emit();
        None
    }
}
