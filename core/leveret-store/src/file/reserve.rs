//! Space kept aside: given up when the disk is full, so that settles can still be written, and
//! settles are what makes space.

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{disk::is_full, file::log_dir::LogDir};

/// How long after a failed attempt the space is asked for again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A file of which only the size matters.
pub(crate) struct Reserve {
    dir: LogDir,
    bytes: u64,
    state: State,
}

enum State {
    Held,
    /// Given up; when it may be tried to take it again.
    Spent(Instant),
    /// The file system cannot do it, or it is not wanted.
    Unsupported,
}

impl Reserve {
    /// Takes `bytes` of space, 0 for none.
    pub(crate) fn take(dir: &LogDir, bytes: u64) -> Self {
        let mut reserve = Self { dir: dir.clone(), bytes, state: State::Unsupported };
        if bytes > 0 {
            reserve.fill();
        }
        reserve
    }

    /// Gives the space up. False if there was none to give.
    pub(crate) fn spend(&mut self) -> bool {
        if !matches!(self.state, State::Held) {
            return false;
        }
        self.state = State::Spent(Instant::now() + RETRY_AFTER);
        self.dir.disk.remove(&self.path()).is_ok()
    }

    /// Whether new messages may be written: not while the space is given up and cannot be had
    /// back.
    pub(crate) fn is_ready(&mut self) -> bool {
        if let State::Spent(retry_at) = self.state
            && Instant::now() >= retry_at
        {
            self.fill();
        }
        !matches!(self.state, State::Spent(_))
    }

    fn fill(&mut self) {
        self.state = match self.allocate() {
            Ok(()) => State::Held,
            Err(error) if is_full(&error) => State::Spent(Instant::now() + RETRY_AFTER),
            Err(_) => State::Unsupported,
        };
        if !matches!(self.state, State::Held) {
            // A part of it is of no use, and none may be there.
            let _ = self.dir.disk.remove(&self.path());
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let path = self.path();
        let file = match self.dir.disk.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.dir.disk.open(&path)?
            }
            made => made?,
        };
        file.reserve(self.bytes)
    }

    fn path(&self) -> PathBuf {
        self.dir.path.join("reserve")
    }
}
