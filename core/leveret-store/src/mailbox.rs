//! Requests on their way to the thread that serves them: bounded, and empty ones cost nothing.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::{Condvar, Mutex};

/// No more requests than this wait; who sends another waits for room. Far more than a broker that
/// heeds [`Writer::pending_bytes`](crate::Writer::pending_bytes) ever has under way.
pub(crate) const MAX_WAITING: usize = 65_536;

struct Shared<T> {
    state: Mutex<State<T>>,
    /// There is something to take, or nothing will come any more.
    filled: Condvar,
    /// There is room, or nobody takes any more.
    emptied: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    senders: usize,
    is_served: bool,
}

/// Where requests are put in.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// Where they are taken out.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

/// Nothing waits, for now or for good.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Nothing {
    Yet,
    Ever,
}

pub(crate) fn mailbox<T>() -> (Sender<T>, Receiver<T>) {
    let state = State { waiting: VecDeque::new(), senders: 1, is_served: true };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        filled: Condvar::new(),
        emptied: Condvar::new(),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// False (and the request dropped) if nobody serves it any more.
    pub(crate) fn send(&self, request: T) -> bool {
        let mut state = self.0.state.lock();
        while state.is_served && state.waiting.len() >= MAX_WAITING {
            self.0.emptied.wait(&mut state);
        }
        if !state.is_served {
            drop(state);
            drop(request);
            return false;
        }
        state.waiting.push_back(request);
        if state.waiting.len() == 1 {
            self.0.filled.notify_one();
        }
        true
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state.lock().senders -= 1;
        self.0.filled.notify_one();
    }
}

impl<T> Receiver<T> {
    pub(crate) fn try_recv(&self) -> Result<T, Nothing> {
        self.take(&mut self.0.state.lock())
    }

    /// Waits for a request; `None` when no more can come.
    pub(crate) fn recv(&self) -> Option<T> {
        let mut state = self.0.state.lock();
        loop {
            match self.take(&mut state) {
                Ok(request) => return Some(request),
                Err(Nothing::Ever) => return None,
                Err(Nothing::Yet) => self.0.filled.wait(&mut state),
            }
        }
    }

    fn take(&self, state: &mut State<T>) -> Result<T, Nothing> {
        let Some(request) = state.waiting.pop_front() else {
            return Err(if state.senders == 0 { Nothing::Ever } else { Nothing::Yet });
        };
        if state.waiting.len() == MAX_WAITING - 1 {
            self.0.emptied.notify_all();
        }
        Ok(request)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_served = false;
        let unserved = std::mem::take(&mut state.waiting);
        self.0.emptied.notify_all();
        drop(state);
        drop(unserved);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn requests_arrive_in_order_and_a_full_mailbox_makes_the_sender_wait() {
        let (sender, receiver) = mailbox();
        let count = MAX_WAITING * 2;
        let sending = thread::spawn(move || (0..count).all(|number| sender.send(number)));
        let received: Vec<_> = std::iter::from_fn(|| receiver.recv()).collect();
        assert!(received.into_iter().eq(0..count));
        assert!(sending.join().expect("the sender does not panic"));
    }

    #[test]
    fn nothing_is_accepted_when_nobody_serves() {
        let (sender, receiver) = mailbox();
        assert_eq!(receiver.try_recv(), Err(Nothing::Yet));
        drop(receiver);
        assert!(!sender.send(1));
        let (sender, receiver) = mailbox::<u8>();
        drop(sender);
        assert_eq!(receiver.try_recv(), Err(Nothing::Ever));
    }
}
