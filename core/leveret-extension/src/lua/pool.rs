//! The threads on which auth scripts run, so that no connection waits for one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};

type Job = Box<dyn FnOnce() + Send>;

/// A few threads, started when the first job comes, ended with the pool.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: usize,
    capacity: usize,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    started: usize,
    idle: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(threads: usize, capacity: usize) -> Self {
        let shared = Shared { state: Mutex::default(), work: Condvar::new() };
        Self { shared: Arc::new(shared), threads: threads.max(1), capacity }
    }

    /// Runs `job` on a thread of the pool; drops it and says false if too many wait.
    pub(crate) fn run(&self, job: Job) -> bool {
        let mut state = self.shared.state.lock();
        if state.jobs.len() >= self.capacity {
            return false;
        }
        state.jobs.push_back(job);
        if state.idle < state.jobs.len() && state.started < self.threads {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("leveret-auth".into());
            state.started += usize::from(thread.spawn(move || shared.work()).is_ok());
        }
        if state.started == 0 {
            state.jobs.pop_back();
            return false;
        }
        self.shared.work.notify_one();
        true
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.state.lock();
        while !state.closed {
            let Some(job) = state.jobs.pop_front() else {
                state.idle += 1;
                self.work.wait(&mut state);
                state.idle -= 1;
                continue;
            };
            drop(state);
            // A completion may run the server's code: a panic there must not end the thread.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            state = self.state.lock();
        }
    }
}
