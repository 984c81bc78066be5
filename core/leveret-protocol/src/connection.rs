//! One connection, seen from the server: its state, its commands and its clock.
//!
//! ```text
//! header -> starting -> (login) -> tuning -> opening -> (open) -> running -> closing -> finished
//!                       waits for                       waits for     \-> (close) -^
//!                       an answer                       an answer         waits for close_ok
//! ```
//! What happens to a frame is in `handshake` (before running) and `running`.

use std::sync::Arc;

use crate::channel::{ChannelState, Channels};
use crate::encode;
use crate::event::Event;
use crate::fast::{self, Look};
use crate::frame::{HEARTBEAT_FRAME, Unframed};
use crate::heartbeat::Heartbeat;
use crate::limits::{CLOSING_TIMEOUT_SECS, NO_LIMIT_FRAME_BYTES, SILENT_CLOSE_MS, ServerOptions};
use crate::method::{CHANNEL_CLOSE, CHANNEL_CLOSE_OK, CONNECTION_CLOSE, CONNECTION_CLOSE_OK};
use crate::octets;
use crate::reply_code::{Reply, ReplyCode};
use crate::sasl::Mechanism;
use crate::table;

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

/// Commands.
impl Connection {
    /// Answers [`Event::Login`]: the user may go on.
    pub fn accept_login(&mut self) {
        if self.phase == Phase::LoginWait {
            self.send_tune();
            self.phase = Phase::Tuning;
        }
    }

    /// Answers [`Event::Login`]: refused. The client gets 403 if it can take it, else silence.
    pub fn refuse_login(&mut self, now_ms: u64) {
        if self.phase != Phase::LoginWait {
            return;
        }
        self.now_ms = now_ms;
        if !self.capabilities.authentication_failure_close {
            return self.finish(true, SILENT_CLOSE_MS);
        }
        let text = format!(
            "Login was refused using authentication mechanism {}. \
             For details see the broker logfile.",
            self.mechanism.name()
        );
        self.send_close(&Reply::new(ReplyCode::AccessRefused, (0, 0), text));
        self.phase = Phase::Closing;
        self.deadline_ms = now_ms.saturating_add(SILENT_CLOSE_MS);
    }

    /// Answers [`Event::Open`]: the virtual host may be used.
    pub fn open_ok(&mut self) {
        if self.phase == Phase::OpenWait {
            encode::write_method(&mut self.output, 0, (10, 41), |out| out.push(0));
            self.phase = Phase::Running;
        }
    }

    /// Answers [`Event::ChannelOpen`].
    pub fn channel_opened(&mut self, channel: u16) {
        if self.channels.get_mut(channel).is_some() {
            let no_id = |out: &mut Vec<u8>| out.extend_from_slice(&[0; 4]);
            encode::write_method(&mut self.output, channel, (20, 11), no_id);
        }
    }

    /// Answers [`Event::ChannelClose`], after everything of the channel was released. The number
    /// is free from here on.
    pub fn channel_closed(&mut self, channel: u16) {
        let releasing = self.channels.get_mut(channel).map(|channel| channel.state);
        if releasing == Some(ChannelState::Releasing) {
            self.channels.remove(channel);
            encode::write_method(&mut self.output, channel, CHANNEL_CLOSE_OK, |_| ());
        }
    }

    /// Closes a channel with an error whose scope is the channel: channel.close is queued, and what
    /// comes on the channel is ignored until the client's close-ok. Release what it held.
    pub fn close_channel(&mut self, channel: u16, reply: &Reply) {
        let Some(found) = self.channels.get_mut(channel) else { return };
        if found.state != ChannelState::Open {
            return;
        }
        found.state = ChannelState::Closing;
        if let Some(assembly) = &mut found.assembly {
            assembly.forsake();
        }
        write_close(&mut self.output, channel, CHANNEL_CLOSE, reply);
    }

    /// Closes the connection: connection.close is queued. Release everything; [`Event::Closed`]
    /// follows when the client answered or did not within min(heartbeat, 30 s).
    pub fn close(&mut self, reply: &Reply, now_ms: u64) {
        self.now_ms = now_ms;
        match self.phase {
            Phase::Running | Phase::Opening | Phase::OpenWait => {
                self.send_close(reply);
                self.enter_closing();
            }
            Phase::CloseWait => self.close_ok(),
            Phase::Header | Phase::Starting | Phase::LoginWait | Phase::Tuning => {
                self.finish(true, 0);
            }
            _ => {}
        }
    }

    /// Answers [`Event::CloseRequested`], after everything was released.
    pub fn close_ok(&mut self) {
        if self.phase == Phase::CloseWait {
            encode::write_method(&mut self.output, 0, CONNECTION_CLOSE_OK, |_| ());
            self.finish(false, self.closing_timeout_ms());
        }
    }

    /// Stops the check that the peer is alive, because an alarm keeps us from reading; or resumes
    /// it.
    pub fn pause_liveness(&mut self, paused: bool, now_ms: u64) {
        self.now_ms = now_ms;
        self.heartbeat.pause(paused, now_ms);
    }
}

/// Getters.
impl Connection {
    /// Whether input stays where it is until a command answers the last event.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        let phase = matches!(self.phase, Phase::LoginWait | Phase::OpenWait | Phase::CloseWait);
        phase || self.stalled
    }

    /// How many bytes must lie in the input, from its front, before `next_event` can get further; 0
    /// where it did not end for want of bytes. At most 64 KiB or one whole frame.
    #[must_use]
    #[inline]
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Largest frame, as negotiated (before tune-ok: as offered); 0 = no limit.
    #[must_use]
    pub fn frame_max(&self) -> u32 {
        self.frame_max
    }

    /// How many channels may be open at once, as negotiated; 0 = no limit.
    #[must_use]
    pub fn channel_max(&self) -> u16 {
        self.channel_max
    }

    /// Heartbeat interval as negotiated; 0 = none.
    #[must_use]
    pub fn heartbeat_secs(&self) -> u16 {
        self.heartbeat_secs
    }

    /// How many channels are open.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// Pairs of the client-properties table, checked; empty before start-ok.
    #[must_use]
    pub fn client_properties(&self) -> &[u8] {
        &self.client_properties
    }

    /// The name that the client gave its connection.
    #[must_use]
    pub fn connection_name(&self) -> Option<&str> {
        table::find(&self.client_properties, "connection_name")?.as_str()
    }

    /// Whether the client takes a basic.cancel from the broker.
    #[must_use]
    pub fn consumer_cancel_notify(&self) -> bool {
        self.capabilities.consumer_cancel_notify
    }

    /// Whether the client takes connection.blocked and unblocked.
    #[must_use]
    pub fn connection_blocked(&self) -> bool {
        self.capabilities.connection_blocked
    }

    /// Whether the client takes connection.close for a refused login.
    #[must_use]
    pub fn authentication_failure_close(&self) -> bool {
        self.capabilities.authentication_failure_close
    }

    /// `starting`, `tuning`, `opening`, `running`, `closing` or `closed`.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        match self.phase {
            Phase::Header | Phase::Starting | Phase::LoginWait => "starting",
            Phase::Tuning => "tuning",
            Phase::Opening | Phase::OpenWait => "opening",
            Phase::Running => "running",
            Phase::CloseWait | Phase::Closing => "closing",
            _ => "closed",
        }
    }
}

/// What the rest of the machine is built from.
impl Connection {
    /// No frame can be taken. Where one is spoilt nothing behind it can be read any more: the peer
    /// is told, if it is far enough, and reset after a pause.
    pub(crate) fn unframed(&mut self, why: Unframed) -> Step<'static> {
        let text = match why {
            Unframed::Incomplete(needed) => return Step::NeedMore(needed),
            Unframed::TooLarge(header) => {
                let shown = octets::describe_frame(header.kind, &[]);
                let allowed = self.max_payload.saturating_sub(8);
                format!("{shown}: {{frame_too_large,{},{allowed}}}", header.size)
            }
            Unframed::BadEnd { kind, payload, end } => {
                let shown = octets::describe_frame(kind, payload);
                format!("{shown}: {{invalid_frame_end_marker,{end}}}")
            }
        };
        let reply = Reply::new(ReplyCode::FrameError, (0, 0), text);
        if self.answers_errors() {
            self.send_close(&reply);
        }
        self.finish(true, SILENT_CLOSE_MS);
        Step::Event(Event::Failed(reply))
    }

    /// Fails the connection: with connection.close where the handshake is far enough, else with
    /// silence.
    pub(crate) fn fail(&mut self, reply: Reply) -> Step<'static> {
        if self.answers_errors() {
            self.send_close(&reply);
            self.enter_closing();
        } else {
            self.finish(true, SILENT_CLOSE_MS);
        }
        Step::Event(Event::Failed(reply))
    }

    /// A method that nobody knows: the peer speaks something else. It is cut off at once.
    pub(crate) fn cut_off(&mut self, (class_id, method_id): (u16, u16)) -> Step<'static> {
        self.finish(true, 0);
        let text = format!("unknown method {method_id} of class {class_id}");
        Step::Event(Event::Failed(Reply::new(ReplyCode::CommandInvalid, (0, 0), text)))
    }

    /// Whether the peer has shown who it is, so that errors are told and not only logged.
    fn answers_errors(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::OpenWait | Phase::Running)
    }

    fn send_close(&mut self, reply: &Reply) {
        write_close(&mut self.output, 0, CONNECTION_CLOSE, reply);
    }

    fn enter_closing(&mut self) {
        self.channels.clear();
        self.phase = Phase::Closing;
        self.deadline_ms = self.now_ms.saturating_add(self.closing_timeout_ms());
    }

    /// min(heartbeat, 30 s).
    fn closing_timeout_ms(&self) -> u64 {
        let secs = match self.heartbeat.interval_secs() {
            0 => CLOSING_TIMEOUT_SECS,
            secs => secs.min(CLOSING_TIMEOUT_SECS),
        };
        secs * 1000
    }

    pub(crate) fn finish(&mut self, reset: bool, delay_ms: u64) {
        self.channels.clear();
        self.phase = Phase::Finish { reset, delay_ms };
    }

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

/// connection.close or channel.close.
fn write_close(out: &mut Vec<u8>, channel: u16, method: (u16, u16), reply: &Reply) {
    encode::write_method(out, channel, method, |out| {
        out.extend_from_slice(&reply.code.number().to_be_bytes());
        crate::content::push_short_str(out, &reply.text);
        out.extend_from_slice(&reply.class_id.to_be_bytes());
        out.extend_from_slice(&reply.method_id.to_be_bytes());
    });
}
