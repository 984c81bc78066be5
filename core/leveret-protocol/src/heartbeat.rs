//! Heartbeats both ways (AMQP 0-9-1, section 4.2.7), with RabbitMQ's patience.

/// Silent intervals after which a peer counts as gone: two whole ones behind the one that saw its
/// last byte.
const SILENT_INTERVALS: u64 = 3;

/// When something was last heard and said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heartbeat {
    /// Negotiated interval in milliseconds; 0 = none.
    interval_ms: u64,
    last_received_ms: u64,
    last_sent_ms: u64,
    /// An alarm keeps us from reading, so silence means nothing.
    paused: bool,
}

impl Heartbeat {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { interval_ms: 0, last_received_ms: now_ms, last_sent_ms: now_ms, paused: false }
    }

    pub(crate) fn negotiate(&mut self, secs: u16) {
        self.interval_ms = u64::from(secs) * 1000;
    }

    pub(crate) fn received(&mut self, now_ms: u64) {
        self.last_received_ms = now_ms;
    }

    pub(crate) fn sent(&mut self, now_ms: u64) {
        self.last_sent_ms = now_ms;
    }

    pub(crate) fn pause(&mut self, paused: bool, now_ms: u64) {
        if self.paused && !paused {
            self.last_received_ms = now_ms;
        }
        self.paused = paused;
    }

    pub(crate) fn interval_secs(&self) -> u64 {
        self.interval_ms / 1000
    }

    /// When a heartbeat is due if nothing else is sent until then.
    pub(crate) fn send_at(&self) -> Option<u64> {
        (self.interval_ms > 0).then(|| self.last_sent_ms + self.interval_ms / 2)
    }

    /// When the peer counts as gone if nothing is heard until then.
    pub(crate) fn missed_at(&self) -> Option<u64> {
        let watching = self.interval_ms > 0 && !self.paused;
        watching.then(|| self.last_received_ms + self.interval_ms * SILENT_INTERVALS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_interval_means_no_deadlines() {
        let heartbeat = Heartbeat::new(5);
        assert_eq!((heartbeat.send_at(), heartbeat.missed_at()), (None, None));
    }

    #[test]
    fn deadlines_move_with_what_is_sent_and_received() {
        let mut heartbeat = Heartbeat::new(0);
        heartbeat.negotiate(2);
        heartbeat.sent(100);
        heartbeat.received(200);
        assert_eq!(heartbeat.send_at(), Some(1_100));
        assert_eq!(heartbeat.missed_at(), Some(6_200));
    }

    #[test]
    fn a_pause_does_not_count_as_silence() {
        let mut heartbeat = Heartbeat::new(0);
        heartbeat.negotiate(2);
        heartbeat.pause(true, 10);
        assert_eq!(heartbeat.missed_at(), None);
        heartbeat.pause(false, 60_000);
        assert_eq!(heartbeat.missed_at(), Some(66_000));
    }
}
