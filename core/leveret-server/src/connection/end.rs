//! How connections end: said in the log, and on the socket as clients expect it.

use std::time::Duration;

use leveret_protocol::{Event, PeerProtocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Connection;

impl Connection {
    /// Something ended the connection that was not a close of the client's.
    pub(super) fn on_ending(&mut self, event: &Event<'_>) {
        let ends = self.ends;
        match event {
            Event::WrongProtocol(protocol) => {
                tracing::error!("closing AMQP connection {ends}: {}", hint(protocol))
            }
            Event::Failed(reply) => {
                tracing::error!("error on AMQP connection {ends}: {reply}");
            }
            Event::HeartbeatMissed => {
                let timeout = self.machine.heartbeat_secs();
                tracing::error!(
                    "closing AMQP connection {ends}: missed heartbeats from client, timeout: {timeout}s"
                );
            }
            Event::HandshakeTimeout => {
                tracing::error!("closing AMQP connection {ends}: handshake_timeout");
            }
            _ => {}
        }
        self.release();
    }

    /// Ends the socket: quietly, or with a reset after a pause. A client that asked for the close
    /// ends it first: one that closes twice at a time takes our end for a failure.
    pub(super) async fn end(&mut self, reset: bool, delay_ms: u64) {
        self.discard_input(delay_ms).await;
        if reset {
            // The peer sees that this was no ordinary end.
            if let Err(error) =
                socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
            {
                tracing::debug!(%error, "linger could not be set");
            }
            return;
        }
        // It may have ended already.
        let _ = self.stream.shutdown().await;
    }

    async fn discard_input(&mut self, at_most_ms: u64) {
        let mut sink = [0; 1024];
        let stream = &mut self.stream;
        let until_end = async { while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {} };
        let _ = tokio::time::timeout(Duration::from_millis(at_most_ms), until_end).await;
    }
}

fn hint(protocol: &PeerProtocol) -> String {
    match protocol {
        PeerProtocol::Http => "HTTP client detected on AMQP port".to_owned(),
        PeerProtocol::Tls => "TLS client detected on non-TLS AMQP port".to_owned(),
        PeerProtocol::OtherAmqp { version } => {
            format!("AMQP version {version:?} is not spoken here")
        }
        PeerProtocol::Unknown { header } => format!("bad header {header:?}"),
    }
}
