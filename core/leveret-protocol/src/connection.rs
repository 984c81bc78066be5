//! One connection, seen from the server: its state, its input and its clock.
//!
//! ```text
//! header -> starting -> (login) -> tuning -> opening -> (open) -> running -> closing -> finished
//!                       waits for                       waits for     \-> (close) -^
//!                       an answer                       an answer         waits for close_ok
//! ```
//! What happens to a frame is in `handshake` (before running) and `running`.

mod commands;
mod ending;
mod getters;

use std::sync::Arc;

use crate::channel::Channels;
use crate::event::Event;
use crate::fast::{self, Look};
use crate::frame::HEARTBEAT_FRAME;
use crate::heartbeat::Heartbeat;
use crate::limits::{NO_LIMIT_FRAME_BYTES, ServerOptions};
use crate::sasl::Mechanism;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The protocol header has not come yet.
    Header,
    /// connection.start was sent.
    Starting,
    /// The upper layer looks at name and password.
    LoginWait,
    /// connection.tune was sent.
    Tuning,
    /// tune-ok came.
    Opening,
    /// The upper layer looks at the virtual host.
    OpenWait,
    /// open-ok was sent.
    Running,
    /// The client closes; the upper layer releases what it held.
    CloseWait,
    /// connection.close was sent; close-ok has not come.
    Closing,
    /// The handshake took too long, which has not been reported yet.
    HandshakeLate,
    /// The peer fell silent, which has not been reported yet.
    PeerSilent,
    /// Over, which has not been reported yet.
    Finish { reset: bool, delay_ms: u64 },
    /// Over.
    Ended,
}

/// What one step over the input came to.
#[derive(Debug)]
pub(crate) enum Step<'b> {
    /// Something to report.
    Event(Event<'b>),
    /// Nothing to report; look again.
    Again,
    /// More input is needed.
    NeedMore(usize),
    /// The frame at the front must wait for an answer of the upper layer.
    Stall,
}

/// What the client said it can do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Capabilities {
    pub(crate) consumer_cancel_notify: bool,
    pub(crate) connection_blocked: bool,
    pub(crate) authentication_failure_close: bool,
}

/// The server's side of one AMQP connection, without its socket and without a clock.
///
/// Four kinds of methods, to be called in this order whenever something happened:
/// 1. **input**: [`received`](Self::received), [`sent`](Self::sent),
///    [`handle_timeout`](Self::handle_timeout), then [`next_event`](Self::next_event) until it
///    returns `None`;
/// 2. **commands** that answer an event or act on the connection, such as
///    [`accept_login`](Self::accept_login) and [`close_channel`](Self::close_channel);
/// 3. **output**: [`poll_output`](Self::poll_output) after every command and every `None`, so that
///    what the machine writes keeps its place among the frames that others write, and
///    [`poll_timeout`](Self::poll_timeout);
/// 4. **getters**.
///
/// Times are milliseconds of one monotonic clock that the caller chooses. A command that does not
/// fit the state does nothing.
#[derive(Debug)]
pub struct Connection {
    pub(crate) options: Arc<ServerOptions>,
    pub(crate) channels: Channels,
    pub(crate) output: Vec<u8>,
    pub(crate) client_properties: Box<[u8]>,
    pub(crate) phase: Phase,
    pub(crate) heartbeat: Heartbeat,
    /// When the handshake or the wait for close-ok is over; `u64::MAX` = never.
    deadline_ms: u64,
    /// The latest time that anybody told us.
    pub(crate) now_ms: u64,
    /// Largest payload that a frame may have now.
    pub(crate) max_payload: usize,
    needed: usize,
    pub(crate) frame_max: u32,
    pub(crate) channel_max: u16,
    pub(crate) heartbeat_secs: u16,
    pub(crate) mechanism: Mechanism,
    pub(crate) capabilities: Capabilities,
    /// A frame waits for the upper layer's answer.
    stalled: bool,
}

/// Input.
impl Connection {
    /// A connection that was accepted just now.
    #[must_use]
    pub fn server(options: Arc<ServerOptions>, now_ms: u64) -> Self {
        Self {
            deadline_ms: now_ms.saturating_add(options.handshake_timeout_ms),
            max_payload: options.initial_frame_max as usize,
            frame_max: options.frame_max,
            channel_max: options.channel_max,
            heartbeat_secs: options.heartbeat_secs,
            options,
            channels: Channels::default(),
            output: Vec::new(),
            client_properties: Box::default(),
            phase: Phase::Header,
            heartbeat: Heartbeat::new(now_ms),
            now_ms,
            needed: 0,
            mechanism: Mechanism::Plain,
            capabilities: Capabilities::default(),
            stalled: false,
        }
    }

    /// Consumes whole frames from the front of `input` and returns the next event.
    ///
    /// `None` means that more bytes are needed (what is left stays in `input`; see
    /// [`needed`](Self::needed)) or that an answer is awaited ([`is_waiting`](Self::is_waiting)).
    #[inline(always)]
    pub fn next_event<'b>(&mut self, input: &mut &'b [u8], now_ms: u64) -> Option<Event<'b>> {
        self.now_ms = now_ms;
        self.needed = 0;
        self.stalled = false;
        loop {
            if self.phase == Phase::Running
                && let Some((frame, id)) = self.hot_frame(input)
            {
                // An event is large: on the way that millions take it is made where it is returned.
                if id == fast::ACK {
                    if let Some((delivery_tag, multiple)) = fast::ack(frame.payload) {
                        *input = &input[frame.total()..];
                        let channel = frame.channel;
                        return Some(Event::Ack { channel, delivery_tag, multiple });
                    }
                } else {
                    let most = self.options.max_message_bytes;
                    match fast::look(input, frame, self.max_payload, most) {
                        Look::Whole(layout) => {
                            if let Some(publish) = fast::cut(input, layout) {
                                *input = &input[layout.end..];
                                return Some(Event::Publish(publish));
                            }
                        }
                        Look::NeedMore(needed) => {
                            self.needed = needed;
                            return None;
                        }
                        Look::No => {}
                    }
                }
            }
            match self.step(input)? {
                Step::Event(event) => return Some(event),
                Step::Again => {}
                other => return self.pause(&other),
            }
        }
    }

    /// Why there is no event now.
    fn pause(&mut self, step: &Step<'_>) -> Option<Event<'static>> {
        match step {
            Step::NeedMore(needed) => self.needed = *needed,
            _ => self.stalled = true,
        }
        None
    }

    /// `None` while an answer is awaited and after the end.
    #[inline(never)]
    fn step<'b>(&mut self, input: &mut &'b [u8]) -> Option<Step<'b>> {
        Some(match self.phase {
            Phase::Header => self.step_header(input),
            Phase::Starting | Phase::Tuning | Phase::Opening => self.step_handshake(input),
            Phase::Running => self.step_running(input),
            Phase::Closing => self.step_closing(input),
            Phase::LoginWait | Phase::OpenWait | Phase::CloseWait => return None,
            Phase::HandshakeLate => self.report_late(Event::HandshakeTimeout),
            Phase::PeerSilent => self.report_late(Event::HeartbeatMissed),
            Phase::Finish { reset, delay_ms } => {
                self.phase = Phase::Ended;
                Step::Event(Event::Closed { reset, delay_ms })
            }
            Phase::Ended => {
                *input = &[];
                return None;
            }
        })
    }

    fn report_late(&mut self, event: Event<'static>) -> Step<'static> {
        self.finish(true, 0);
        Step::Event(event)
    }

    /// A read brought bytes.
    #[inline]
    pub fn received(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.heartbeat.received(now_ms);
    }

    /// A write took bytes.
    #[inline]
    pub fn sent(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.heartbeat.sent(now_ms);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) may have come. Call `poll_output` and
    /// `next_event` afterwards.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        if self.watched_deadline().is_some_and(|deadline| now_ms >= deadline) {
            match self.phase {
                Phase::Closing => self.finish(true, 0),
                _ => self.phase = Phase::HandshakeLate,
            }
            return;
        }
        if !self.beats() {
            return;
        }
        if self.heartbeat.missed_at().is_some_and(|missed| now_ms >= missed) {
            self.channels.clear();
            self.phase = Phase::PeerSilent;
        } else if self.heartbeat.send_at().is_some_and(|due| now_ms >= due) {
            self.output.extend_from_slice(&HEARTBEAT_FRAME);
            self.heartbeat.sent(now_ms);
        }
    }
}

/// Output.
impl Connection {
    /// Appends what the machine itself has to say; `true` if there was something.
    #[inline]
    pub fn poll_output(&mut self, out: &mut Vec<u8>) -> bool {
        if self.output.is_empty() {
            return false;
        }
        out.append(&mut self.output);
        // A connection at rest owns no buffer.
        self.output = Vec::new();
        true
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called. The time moves with every
    /// `received` and `sent`: a timer may be left running and asked again when it fires.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        let beats = self.beats();
        let due = self.heartbeat.send_at().filter(|_| beats);
        let missed = self.heartbeat.missed_at().filter(|_| beats);
        [self.watched_deadline(), due, missed].into_iter().flatten().min()
    }

    /// The deadline of the handshake or of closing.
    fn watched_deadline(&self) -> Option<u64> {
        let idle = matches!(
            self.phase,
            Phase::Running
                | Phase::CloseWait
                | Phase::HandshakeLate
                | Phase::PeerSilent
                | Phase::Finish { .. }
                | Phase::Ended
        );
        (!idle).then_some(self.deadline_ms)
    }

    /// Whether heartbeats are sent and expected.
    fn beats(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::OpenWait | Phase::Running)
    }
}

/// Negotiation.
impl Connection {
    /// Takes over what the client chose in tune-ok.
    pub(crate) fn negotiate(&mut self, channel_max: u16, frame_max: u32, heartbeat_secs: u16) {
        self.channel_max = channel_max;
        self.frame_max = frame_max;
        self.heartbeat_secs = heartbeat_secs;
        self.max_payload = if frame_max == 0 { NO_LIMIT_FRAME_BYTES } else { frame_max as usize };
        self.heartbeat.negotiate(heartbeat_secs);
        self.heartbeat.received(self.now_ms);
        self.heartbeat.sent(self.now_ms);
    }
}
