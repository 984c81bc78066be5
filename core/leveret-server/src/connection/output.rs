//! Writing: everything that has collected leaves in as few writes as the socket takes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::Connection;

impl Connection {
    /// Sends until nothing is left (`false`) or the socket takes no more (`true`).
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        loop {
            self.drain_inbox();
            if self.sent == self.sending.len() && !self.take_more() {
                return Ok(false);
            }
            let rest = &self.sending[self.sent..];
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => self.wrote(written),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(true),
            }
        }
    }

    /// Lets the deliver transforms see what was dealt to this connection.
    fn drain_inbox(&mut self) {
        if self.outbound.lock().has_inbox()
            && let Some(session) = &mut self.session
        {
            session.drain_inbox();
        }
    }

    /// Takes what has collected. Whether there was anything.
    fn take_more(&mut self) -> bool {
        let sent = std::mem::take(&mut self.sending);
        self.sent = 0;
        let mut outbound = self.outbound.lock();
        self.machine.poll_output(outbound.buffer());
        self.sending = outbound.take(sent);
        !self.sending.is_empty()
    }

    fn wrote(&mut self, written: usize) {
        self.sent += written;
        let now_ms = self.now_ms();
        self.machine.sent(now_ms);
        if self.sent < self.sending.len() {
            return;
        }
        if let Some(session) = &mut self.session {
            session.sent();
        }
    }
}
