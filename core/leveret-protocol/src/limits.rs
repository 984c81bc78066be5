//! What the broker offers and the bounds it keeps: sizes in bytes, times in milliseconds unless the
//! name says otherwise.

/// Bytes of a frame around its payload: type, channel, length and the end marker.
pub const FRAME_OVERHEAD_BYTES: usize = 8;

/// A content that fits into this many bytes, frames and all, is taken in one piece.
pub const LOOKAHEAD_BYTES: usize = 64 * 1024;

/// Deepest nesting of field tables and arrays that is let through.
pub const MAX_TABLE_DEPTH: usize = 32;

/// The smallest frame_max that a client may negotiate.
pub const MIN_FRAME_MAX_BYTES: u32 = 4096;

/// Largest body size that a content header may announce.
pub(crate) const MAX_ANNOUNCED_BODY_BYTES: u64 = 512 * 1024 * 1024;

/// Longest wait for close-ok, or for the peer's end of stream after it.
pub(crate) const CLOSING_TIMEOUT_SECS: u64 = 30;

/// Largest frame payload where no limit was negotiated.
pub(crate) const NO_LIMIT_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// What a server offers. Shared by all its connections.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Pairs of the server-properties table, without the length in front (see
    /// [`TableBuilder`](crate::table::TableBuilder)).
    pub server_properties: Vec<u8>,
    /// SASL mechanisms, separated by spaces: a choice of `PLAIN` and `AMQPLAIN`.
    pub mechanisms: String,
    /// How many channels a connection may have open at once; 0 = no limit of ours.
    pub channel_max: u16,
    /// Largest frame payload, in bytes; 0 = no limit of ours.
    pub frame_max: u32,
    /// Largest frame payload before tune-ok, in bytes.
    pub initial_frame_max: u32,
    /// Proposed heartbeat in seconds; 0 = none.
    pub heartbeat_secs: u16,
    /// Largest body of a message, in bytes.
    pub max_message_bytes: u64,
    /// Time from accept to open-ok, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// How long a peer that cannot be told why, or is not trusted, waits for its reset, in
    /// milliseconds.
    pub silent_close_ms: u64,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            server_properties: Vec::new(),
            mechanisms: "PLAIN AMQPLAIN".to_owned(),
            channel_max: 2047,
            frame_max: 131_072,
            initial_frame_max: 8192,
            heartbeat_secs: 60,
            max_message_bytes: 16 * 1024 * 1024,
            handshake_timeout_ms: 10_000,
            silent_close_ms: 3_000,
        }
    }
}
