//! One AMQP connection: a task that reads, lets the broker act, and writes.
//!
//! The protocol machine says what the bytes mean, the session does it, and what is to be sent
//! collects in the outbound side until the task is about to wait. An idle connection owns no
//! buffers.

mod actions;
mod end;
mod input;
mod output;

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use leveret_broker::auth::Identity;
use leveret_broker::queue::Queue;
use leveret_broker::{Broker, Error, Incoming, Outbound, Question, Session};
use leveret_protocol::methods::AMQPClass;
use leveret_protocol::{Connection as Machine, Reply, ReplyCode, Scope, ServerOptions};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::connections::{Connections, Ticket};

/// A publisher waits at most this long for a queue that it fills faster than it moves.
const HOLD_BACK_MS: u64 = 10;
/// Chunks of input handled before other tasks get a turn.
const CHUNKS_PER_TURN: usize = 8;

/// What all connections of a listener share.
pub(crate) struct Shared {
    pub(crate) broker: Arc<Broker>,
    pub(crate) options: Arc<ServerOptions>,
    pub(crate) outbound_buffer_bytes: usize,
    pub(crate) connections: Arc<Connections>,
}

/// Both ends of a connection, as log lines name it.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.peer, self.local)
    }
}

/// Something that takes time, or that must not happen while input is borrowed.
enum Action {
    Login { mechanism: &'static str, user: String, password: Vec<u8> },
    Open { vhost: String },
    Method { channel: u16, method: AMQPClass, arguments: Vec<u8> },
    Ask { incoming: Box<Incoming<'static>>, question: Box<Question> },
}

/// Why the task stopped polling.
enum Step {
    Do(Box<Action>),
    /// The machine has ended; see `Event::Closed`.
    Closed {
        reset: bool,
        delay_ms: u64,
    },
    /// The socket has ended without a close.
    Lost,
}

/// See the module.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    ends: Ends,
    machine: Machine,
    outbound: Outbound,
    identity: Option<Identity>,
    session: Option<Box<Session>>,
    /// Input that is not a whole frame yet, or waits for an answer.
    carry: Vec<u8>,
    /// Whether `carry` may hold something that can be handled without reading more.
    unhandled: bool,
    /// What is being sent, and how much of it was.
    sending: Vec<u8>,
    sent: usize,
    timer: Pin<Box<Sleep>>,
    /// The queue that holds this publisher back, and until when.
    held_back: Option<(Arc<Queue>, u64)>,
    closed: Option<(bool, u64)>,
    ticket: Ticket,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, stream: TcpStream, ends: Ends) -> Self {
        let now_ms = shared.broker.clock().now_ms();
        let outbound = Outbound::new(shared.outbound_buffer_bytes);
        let ticket = shared.connections.add(&outbound);
        Self {
            machine: Machine::server(shared.options.clone(), now_ms),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            identity: None,
            session: None,
            carry: Vec::new(),
            unhandled: false,
            sending: Vec::new(),
            sent: 0,
            held_back: None,
            closed: None,
            outbound,
            shared,
            stream,
            ends,
            ticket,
        }
    }

    /// Serves the connection until it ends.
    pub(crate) async fn run(mut self) {
        tracing::info!("accepting AMQP connection {}", self.ends);
        loop {
            match poll_fn(|cx| self.poll(cx)).await {
                Step::Do(action) => Box::pin(self.perform(*action)).await,
                Step::Closed { reset, delay_ms } => {
                    self.release();
                    break Box::pin(self.end(reset, delay_ms)).await;
                }
                Step::Lost => {
                    if self.session.is_some() {
                        tracing::warn!(
                            "closing AMQP connection {}: client unexpectedly closed TCP connection",
                            self.ends
                        );
                    }
                    break self.release();
                }
            }
        }
    }

    fn now_ms(&self) -> u64 {
        self.shared.broker.clock().now_ms()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        for _ in 0..CHUNKS_PER_TURN {
            self.obey_force();
            let Ok(blocked) = self.poll_send(cx) else { return Poll::Ready(Step::Lost) };
            if let Some((reset, delay_ms)) = self.closed
                && !blocked
            {
                return Poll::Ready(Step::Closed { reset, delay_ms });
            }
            if self.poll_timer(cx) {
                continue;
            }
            if self.is_held_back(cx) || self.outbound.lock().is_full() {
                return ready_or_again(self.park(cx, blocked), cx);
            }
            match self.poll_input(cx) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(step)) => return Poll::Ready(step),
                Poll::Pending => {
                    if self.park(cx, blocked) {
                        return Poll::Pending;
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether there is nothing to send, so that the task may wait until it is woken.
    fn park(&mut self, cx: &mut Context<'_>, blocked: bool) -> bool {
        self.emit();
        let mut outbound = self.outbound.lock();
        if outbound.has_work() && !blocked {
            return false;
        }
        outbound.set_waker(cx.waker());
        true
    }

    /// Lets the machine know the time, and keeps the timer set. Whether something came of it.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at_ms) = self.machine.poll_timeout() else { return false };
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        let now_ms = self.now_ms();
        let due = now_ms >= at_ms;
        if due {
            self.machine.handle_timeout(now_ms);
            self.emit();
            self.unhandled = true;
        }
        let next_ms = self.machine.poll_timeout().unwrap_or(now_ms + 60_000);
        let wait = Duration::from_millis(next_ms.saturating_sub(now_ms).max(1));
        self.timer.as_mut().reset(Instant::now() + wait);
        let _ = self.timer.as_mut().poll(cx);
        due
    }

    /// Whether a queue that this connection fills faster than it moves wants it to wait.
    fn is_held_back(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((queue, until_ms)) = &self.held_back else { return false };
        let now_ms = self.shared.broker.clock().now_ms();
        let wait = now_ms < *until_ms && queue.holds_back(now_ms, cx.waker());
        if !wait {
            self.held_back = None;
            return false;
        }
        let wait = Duration::from_millis(until_ms - now_ms);
        self.timer.as_mut().reset(Instant::now() + wait);
        let _ = self.timer.as_mut().poll(cx);
        true
    }

    /// The broker wants this connection to end.
    fn obey_force(&mut self) {
        let forced = self.outbound.lock().take_forced();
        if let Some(why) = forced {
            self.fail(0, &Error::forced(why), (0, 0));
        }
    }

    /// Moves what the machine itself has to say to the outbound side.
    fn emit(&mut self) {
        self.machine.poll_output(self.outbound.lock().buffer());
    }

    /// A method was refused: closes its channel, or the connection.
    fn fail(&mut self, channel: u16, error: &Error, method: (u16, u16)) {
        let method = if error.without_method { (0, 0) } else { method };
        let reply = Reply::new(error.code, method, &error.text);
        let (ends, user) = (self.ends, self.user());
        if error.code.scope() == Scope::Channel && channel != 0 {
            tracing::warn!(channel, user, "channel error on connection {ends}: {reply}");
            if let Some(session) = &mut self.session {
                session.channel_close(channel);
            }
            self.machine.close_channel(channel, &reply);
        } else {
            if error.code != ReplyCode::ConnectionForced {
                tracing::error!(channel, user, "error on AMQP connection {ends}: {reply}");
            }
            self.release();
            let now_ms = self.now_ms();
            self.machine.close(&reply, now_ms);
        }
        self.emit();
    }

    fn user(&self) -> String {
        self.session.as_ref().map(|session| session.user().to_owned()).unwrap_or_default()
    }

    /// Gives back everything that the connection held in the broker.
    fn release(&mut self) {
        if let Some(mut session) = self.session.take() {
            session.close();
            tracing::info!("closing AMQP connection {}", self.ends);
        }
        self.held_back = None;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.release();
        self.shared.connections.remove(self.ticket);
    }
}

/// After parking: waits if that worked, else has another turn.
fn ready_or_again(parked: bool, cx: &mut Context<'_>) -> Poll<Step> {
    if !parked {
        cx.waker().wake_by_ref();
    }
    Poll::Pending
}
