//! What leaves through one connection: its frames not yet sent, and the delivery state of its
//! channels, which whoever deals a message needs together with them.
//!
//! A queue's lock may be held when this one is taken, never the other way round. Knows no socket:
//! the connection's task takes the bytes and is woken by its `Waker`.

use std::sync::Arc;
use std::task::Waker;

use parking_lot::{ArcMutexGuard, Mutex, MutexGuard, RawMutex};

use crate::channel_map::ChannelMap;
use crate::channel_state::ChannelState;
use crate::consumer::ConsumerKey;
use crate::inbox::Dealt;
use crate::queue::Queue;

/// Buffers that connections without anything to send have given back.
static SPARE_BUFFERS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
const SPARE_BUFFERS_MAX: usize = 64;
const SPARE_BUFFER_BYTES_MAX: usize = 2 << 20;

/// A held lock that owns its reference, so that it can be kept from one consumer to the next.
pub(crate) type OutboundGuard = ArcMutexGuard<RawMutex, OutboundState>;

/// A handle on the outbound side of one connection.
#[derive(Clone, Debug)]
pub struct Outbound(Arc<Mutex<OutboundState>>);

/// See the module.
#[derive(Debug)]
pub struct OutboundState {
    buffer: Vec<u8>,
    /// Bytes that the connection's task has taken and not yet sent.
    in_flight: usize,
    limit_bytes: usize,
    pub(crate) frame_max: u32,
    waker: Option<Waker>,
    closed: bool,
    /// Why the broker wants the connection to end.
    forced: Option<String>,
    /// Whether the client wants to be told when the broker cancels a consumer.
    pub(crate) consumer_cancel_notify: bool,
    pub(crate) channels: ChannelMap<ChannelState>,
    /// Consumers that wait for room in the buffer.
    starved: Vec<(Arc<Queue>, ConsumerKey)>,
    /// Messages dealt to this connection that a deliver transform must see first.
    pub(crate) inbox: std::collections::VecDeque<Dealt>,
}

impl Outbound {
    /// For a connection whose buffer deliveries may fill up to about `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(OutboundState {
            buffer: Vec::new(),
            in_flight: 0,
            limit_bytes,
            frame_max: 4096,
            waker: None,
            closed: false,
            forced: None,
            consumer_cancel_notify: false,
            channels: ChannelMap::default(),
            starved: Vec::new(),
            inbox: std::collections::VecDeque::new(),
        })))
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self::new(1 << 20)
    }

    /// Locks it for a moment.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, OutboundState> {
        self.0.lock()
    }

    #[inline]
    pub(crate) fn lock_owned(&self) -> OutboundGuard {
        self.0.lock_arc()
    }

    #[inline]
    pub(crate) fn is_locked_by(&self, guard: &OutboundGuard) -> bool {
        Arc::ptr_eq(&self.0, ArcMutexGuard::mutex(guard))
    }

    /// Asks the connection's task to close the connection with 320 and this explanation.
    pub fn force_close(&self, why: &str) {
        let waker = {
            let mut state = self.lock();
            state.forced = Some(why.to_owned());
            state.take_waker()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether both are the same connection's.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Appends frames and wakes the connection's task.
    pub fn send(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let waker = {
            let mut state = self.lock();
            write(state.buffer());
            state.take_waker()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl OutboundState {
    /// The buffer to append frames to.
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.buffer.capacity() == 0 {
            self.buffer = SPARE_BUFFERS.lock().pop().unwrap_or_default();
        }
        &mut self.buffer
    }

    /// The buffer, together with a channel's state.
    #[inline]
    pub(crate) fn channel(&mut self, number: u16) -> Option<(&mut ChannelState, &mut Vec<u8>)> {
        self.buffer();
        Some((self.channels.get_mut(number)?, &mut self.buffer))
    }

    /// Whether deliveries may be added.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.buffer.len() + self.in_flight < self.limit_bytes
    }

    /// The connection is gone: nothing more is dealt to it.
    pub fn close(&mut self) {
        self.closed = true;
        self.waker = None;
        self.channels.clear();
        self.give_back(Vec::new());
    }

    /// What client and server have agreed on: the largest frame, and whether the client wants to
    /// be told when the broker cancels a consumer.
    pub fn negotiated(&mut self, frame_max: u32, consumer_cancel_notify: bool) {
        self.frame_max = if frame_max == 0 { u32::MAX } else { frame_max };
        self.consumer_cancel_notify = consumer_cancel_notify;
    }

    /// Why the connection is to be closed, once.
    pub fn take_forced(&mut self) -> Option<String> {
        self.forced.take()
    }

    /// Whether a deliver transform has something to look at.
    pub fn has_inbox(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Whether there is anything to send or, for a deliver transform, to look at.
    pub fn has_work(&self) -> bool {
        !self.buffer.is_empty() || !self.inbox.is_empty() || self.forced.is_some()
    }

    /// Whether so much waits to be sent that nothing more should be read.
    pub fn is_full(&self) -> bool {
        self.buffer.len() + self.in_flight >= self.limit_bytes.saturating_mul(2)
    }

    /// Takes what is to be sent; `sent` must have been empty or sent completely.
    pub fn take(&mut self, sent: Vec<u8>) -> Vec<u8> {
        let taken = std::mem::take(&mut self.buffer);
        self.in_flight = taken.len();
        self.give_back(sent);
        taken
    }

    fn give_back(&mut self, mut sent: Vec<u8>) {
        sent.clear();
        if sent.capacity() == 0 || sent.capacity() > SPARE_BUFFER_BYTES_MAX {
            return;
        }
        let mut spare = SPARE_BUFFERS.lock();
        if spare.len() < SPARE_BUFFERS_MAX {
            spare.push(sent);
        }
    }

    /// Everything taken was sent. Returns the consumers that waited for that.
    pub(crate) fn sent(&mut self) -> Vec<(Arc<Queue>, ConsumerKey)> {
        self.in_flight = 0;
        if self.has_room() { std::mem::take(&mut self.starved) } else { Vec::new() }
    }

    /// `consumer` waits until there is room.
    pub(crate) fn starve(&mut self, queue: &Arc<Queue>, consumer: ConsumerKey) {
        self.starved.push((queue.clone(), consumer));
    }

    /// Who is to be woken when something was appended.
    pub fn set_waker(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Takes the waker after something was appended.
    #[inline]
    pub(crate) fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }
}

impl Outbound {
    /// Settles publishes of a channel and writes the acks.
    pub(crate) fn confirm(&self, number: u16, channel_id: u64, tags: impl Iterator<Item = u64>) {
        let waker = {
            let mut state = self.lock();
            let Some((channel, out)) = state.channel(number) else { return };
            if channel.id != channel_id {
                return;
            }
            let Some(confirms) = &mut channel.confirms else { return };
            tags.for_each(|tag| confirms.settle(tag));
            confirms.write(number, out);
            if state.has_work() { state.take_waker() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
