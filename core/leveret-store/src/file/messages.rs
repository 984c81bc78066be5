//! The live messages of a log just opened, read segment by segment as they are asked for.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    file::{log_dir::LogDir, recovery::Segment},
    frame::Content,
    liveness::Liveness,
    log::{RecoveredMessage, RecoveredTarget},
    record::{Record, RecordView},
    scan::{FrameScan, Piece},
};

/// The iterator behind [`Recovered::messages`](crate::Recovered).
pub(crate) struct Messages {
    dir: LogDir,
    live: Arc<Mutex<Liveness>>,
    segments: VecDeque<Segment>,
    reading: Option<(u64, FrameScan)>,
    ready: VecDeque<RecoveredMessage>,
    /// While this is held, nothing is moved or removed.
    _keep: Arc<()>,
}

impl Messages {
    pub(crate) fn new(
        dir: LogDir,
        live: Arc<Mutex<Liveness>>,
        segments: impl IntoIterator<Item = Segment>,
        keep: Arc<()>,
    ) -> Self {
        let segments = segments.into_iter().collect();
        Self { dir, live, segments, reading: None, ready: VecDeque::new(), _keep: keep }
    }

    /// Reads one frame, or opens the next segment that has something live. False at the end.
    fn advance(&mut self) -> bool {
        if let Some((segment, scan)) = &mut self.reading {
            match scan.next() {
                Ok(Some(Piece::Frame { offset, header, records })) => {
                    let content = Content::read(&header, records);
                    let live = self.live.lock();
                    let messages = content
                        .records
                        .iter()
                        .filter_map(|(at, record)| message(&live, record, *segment, offset + at));
                    self.ready.extend(messages);
                    return true;
                }
                Ok(Some(Piece::Gap { .. })) => return true,
                Ok(None) => {}
                Err(error) => unreadable(*segment, &error),
            }
        }
        self.open_next()
    }

    fn open_next(&mut self) -> bool {
        self.reading = None;
        while let Some(segment) = self.segments.pop_front() {
            if self.live.lock().segment(segment.number).live == 0 {
                continue;
            }
            match self.dir.scan(segment.number, segment.base) {
                Ok(scan) => {
                    self.reading = Some((segment.number, scan));
                    return true;
                }
                Err(error) => unreadable(segment.number, &error),
            }
        }
        false
    }
}

/// What was readable a moment ago is not: its messages stay in the log for the next opening.
fn unreadable(segment: u64, error: &std::io::Error) {
    tracing::error!(segment, %error, "cannot read a segment of the log: its messages are missing");
}

fn message(
    live: &Liveness,
    record: &RecordView<'_>,
    segment: u64,
    offset: u64,
) -> Option<RecoveredMessage> {
    let Record::Enqueue { targets, body } = record.decode()? else { return None };
    let here = targets.targets().filter(|&(queue, seq)| live.is_at(queue, seq, segment, offset));
    let targets: Vec<_> = here
        .map(|(queue, seq)| RecoveredTarget { queue, seq, delivered: live.delivered(queue, seq) })
        .collect();
    (!targets.is_empty()).then(|| RecoveredMessage { bytes: Bytes::copy_from_slice(body), targets })
}

impl Iterator for Messages {
    type Item = RecoveredMessage;

    fn next(&mut self) -> Option<RecoveredMessage> {
        while self.ready.is_empty() {
            if !self.advance() {
                return None;
            }
        }
        self.ready.pop_front()
    }
}
