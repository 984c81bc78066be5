//! What the owner of a connection may ask it.

use super::{Connection, Phase};
use crate::table;

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
