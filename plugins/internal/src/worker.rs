//! One thread that hashes one password at a time: that bounds memory and leaves processors for
//! messages, however many logins come at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use argon2::Block;

use crate::password::{pretend, verify};

/// Logins that may wait. At about 30 ms each that is the time limit of a handshake.
const WAITING: usize = 300;

/// One password to hash.
pub(crate) struct Job {
    pub(crate) password: Vec<u8>,
    /// What to compare with; without it the work is for nothing.
    pub(crate) hash: Option<String>,
    /// Takes the result: whether it is the password, or why that cannot be said.
    pub(crate) done: Box<dyn FnOnce(Result<bool, String>) + Send>,
}

/// The thread, started when it is first needed; ends when this is dropped.
pub(crate) struct Worker(OnceLock<SyncSender<Job>>);

impl Worker {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Gives the job back if too many wait.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Job> {
        match self.0.get_or_init(start).try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => Err(job),
        }
    }
}

fn start() -> SyncSender<Job> {
    let (sender, jobs) = sync_channel(WAITING);
    // Without a thread the receiver is gone, and every submit gives its job back.
    let _ = thread::Builder::new().name("password-hash".to_owned()).spawn(move || run(&jobs));
    sender
}

fn run(jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        // The memory is kept while others wait, and given back then.
        let mut blocks = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            // A job that panics denies its login (it drops the completion) and no other.
            let _ = catch_unwind(AssertUnwindSafe(|| job.run(&mut blocks)));
            next = jobs.try_recv().ok();
        }
    }
}

impl Job {
    fn run(self, blocks: &mut Vec<Block>) {
        let verified = match &self.hash {
            Some(hash) => verify(&self.password, hash, blocks),
            None => {
                pretend(&self.password, blocks);
                Ok(false)
            }
        };
        (self.done)(verified);
    }
}
