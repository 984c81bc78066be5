//! What a [`Connection`](crate::Connection) reports.

use std::borrow::Cow;

use amq_protocol::protocol::AMQPClass;

use crate::content::{OwnedPublish, Publish};
use crate::reply_code::Reply;

/// What a peer seems to speak that did not send an AMQP 0-9-1 protocol header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerProtocol {
    /// Another version of AMQP.
    OtherAmqp {
        /// The four bytes after `AMQP`.
        version: [u8; 4],
    },
    /// An HTTP request.
    Http,
    /// A TLS ClientHello: the client wants TLS on a port without it.
    Tls,
    /// Anything else.
    Unknown {
        /// The first eight bytes.
        header: [u8; 8],
    },
}

/// Something that the owner of the connection must know or answer.
///
/// Borrowed parts live in the input that was given to `next_event`.
#[derive(Debug)]
pub enum Event<'b> {
    /// The client wants to log in. Answer with `accept_login` or `refuse_login`; until then no
    /// further input is consumed.
    Login {
        /// `PLAIN` or `AMQPLAIN`.
        mechanism: &'static str,
        /// User name; bytes that are not UTF-8 are replaced.
        user: Cow<'b, str>,
        /// Password as sent.
        password: &'b [u8],
    },
    /// The client wants this virtual host. Answer with `open_ok` or `close`; until then no further
    /// input is consumed.
    Open {
        /// Name of the virtual host.
        vhost: &'b str,
    },
    /// channel.open. Answer with `channel_opened` (or `close`) before the next call.
    ChannelOpen(u16),
    /// channel.close from the client. Release what the channel held, then answer with
    /// `channel_closed`; until then no frame of this channel is consumed.
    ChannelClose(u16),
    /// The client's channel.close-ok for a channel that the broker closed: the number is free.
    ChannelCloseOk(u16),
    /// The protocol machine itself closed a channel: channel.close is queued. Release what the
    /// channel held; nothing to answer.
    ChannelFailed(u16, Reply),
    /// A whole message, borrowed from the input.
    Publish(Publish<'b>),
    /// A whole message that came in pieces.
    OwnedPublish(Box<OwnedPublish>),
    /// basic.ack.
    Ack {
        /// Channel.
        channel: u16,
        /// Tag; 0 with `multiple` means everything outstanding.
        delivery_tag: u64,
        /// Whether everything up to the tag is meant.
        multiple: bool,
    },
    /// basic.nack.
    Nack {
        /// Channel.
        channel: u16,
        /// Tag; 0 with `multiple` means everything outstanding.
        delivery_tag: u64,
        /// Whether everything up to the tag is meant.
        multiple: bool,
        /// Whether the messages return to their queues.
        requeue: bool,
    },
    /// basic.reject.
    Reject {
        /// Channel.
        channel: u16,
        /// Tag.
        delivery_tag: u64,
        /// Whether the message returns to its queue.
        requeue: bool,
    },
    /// Any other method that a client may send on an open channel, or connection.update-secret
    /// (channel 0).
    Method {
        /// Channel.
        channel: u16,
        /// The method. **Its own field table is always empty**: tables are not decoded.
        method: AMQPClass,
        /// The pairs of the method's arguments table exactly as sent, without the length in front;
        /// empty if it has none. Checked: types, lengths, at most 32 levels.
        arguments: &'b [u8],
    },
    /// The peer does not speak AMQP 0-9-1; it was told what we speak. `Closed` follows.
    WrongProtocol(PeerProtocol),
    /// connection.close from the client. Release everything, then answer with `close_ok`.
    CloseRequested {
        /// The client's reply code.
        code: u16,
        /// The client's reply text.
        text: &'b str,
    },
    /// The connection failed: connection.close is queued, or the peer gets silence where AMQP
    /// allows no answer yet. Release everything; `Closed` follows.
    Failed(Reply),
    /// The peer was silent for too long; release everything. `Closed` follows.
    HeartbeatMissed,
    /// The handshake was not over in time. `Closed` follows.
    HandshakeTimeout,
    /// The end. Write what `poll_output` gives, and then
    /// - `reset: false`: discard input until the peer's end of stream, at most `delay_ms`, and close;
    /// - `reset: true`: discard input for `delay_ms` and close with a TCP reset (linger 0).
    Closed {
        /// Whether the socket is to be closed with a reset.
        reset: bool,
        /// Milliseconds to wait, as said above.
        delay_ms: u64,
    },
}
