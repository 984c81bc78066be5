//! One connection, seen from the server (being written: the shape is final, the bodies are not).

use std::sync::Arc;

use crate::event::Event;
use crate::limits::ServerOptions;
use crate::reply_code::Reply;

/// The server's side of one AMQP connection.
#[derive(Debug)]
pub struct Connection {
    options: Arc<ServerOptions>,
}

#[allow(missing_docs, clippy::unused_self, unused_variables)]
impl Connection {
    pub fn server(options: Arc<ServerOptions>, now_ms: u64) -> Self {
        Self { options }
    }
    // --- input -------------------------------------------------------------------------------
    /// Consumes whole frames from the front of `input`; `None` = more bytes, or `is_waiting`.
    pub fn next_event<'b>(&mut self, input: &mut &'b [u8], now_ms: u64) -> Option<Event<'b>> {
        None
    }
    /// Call once per read that brought bytes.
    pub fn received(&mut self, now_ms: u64) {}
    /// Call once per write that took bytes.
    pub fn sent(&mut self, now_ms: u64) {}
    pub fn handle_timeout(&mut self, now_ms: u64) {}
    // --- output ------------------------------------------------------------------------------
    /// Appends what the machine itself has to say; call after each command and each `None`.
    pub fn poll_output(&mut self, out: &mut Vec<u8>) -> bool {
        false
    }
    /// When `handle_timeout` (and then `next_event`) wants to be called.
    pub fn poll_timeout(&self) -> Option<u64> {
        None
    }
    // --- commands ----------------------------------------------------------------------------
    pub fn accept_login(&mut self) {}
    /// 403 or silence, as the client's capabilities say.
    pub fn refuse_login(&mut self, now_ms: u64) {}
    pub fn open_ok(&mut self, now_ms: u64) {}
    pub fn channel_opened(&mut self, channel: u16) {}
    pub fn channel_closed(&mut self, channel: u16) {}
    pub fn close_channel(&mut self, channel: u16, reply: &Reply) {}
    pub fn close(&mut self, reply: &Reply, now_ms: u64) {}
    pub fn close_ok(&mut self) {}
    /// Stops (an alarm blocks reading) or resumes the check that the peer is alive.
    pub fn pause_liveness(&mut self, paused: bool, now_ms: u64) {}
    // --- getters -----------------------------------------------------------------------------
    /// Whether input stays unconsumed until a command answers the last event.
    pub fn is_waiting(&self) -> bool {
        false
    }
    /// Bytes that must lie in the input for `next_event` to get further (a hint for the buffer).
    pub fn needed(&self) -> usize {
        0
    }
    pub fn frame_max(&self) -> u32 {
        0
    }
    pub fn channel_max(&self) -> u16 {
        0
    }
    pub fn heartbeat_secs(&self) -> u16 {
        0
    }
    pub fn client_properties(&self) -> &[u8] {
        &[]
    }
    pub fn connection_name(&self) -> Option<&str> {
        None
    }
    pub fn consumer_cancel_notify(&self) -> bool {
        false
    }
    pub fn connection_blocked(&self) -> bool {
        false
    }
    pub fn authentication_failure_close(&self) -> bool {
        false
    }
    pub fn state_name(&self) -> &'static str {
        "starting"
    }
}
