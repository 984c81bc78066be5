//! A value that one thread makes and one future waits for. No runtime is needed.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

enum State<T> {
    Waiting(Option<Waker>),
    Done(T),
    /// The maker went away, or the value was taken.
    Empty,
}

/// The side that makes the value.
pub(crate) struct Completer<T>(Arc<Mutex<State<T>>>);

/// The side that waits. Resolves to `None` if the maker went away without a value.
pub(crate) struct Completion<T>(Arc<Mutex<State<T>>>);

/// Both sides of one value.
pub(crate) fn completion<T>() -> (Completer<T>, Completion<T>) {
    let state = Arc::new(Mutex::new(State::Waiting(None)));
    (Completer(Arc::clone(&state)), Completion(state))
}

impl<T> Completer<T> {
    pub(crate) fn complete(self, value: T) {
        self.finish(State::Done(value));
    }

    fn finish(&self, end: State<T>) {
        let mut state = self.0.lock();
        let State::Waiting(waker) = &mut *state else { return };
        let waker = waker.take();
        *state = end;
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> Drop for Completer<T> {
    fn drop(&mut self) {
        self.finish(State::Empty);
    }
}

impl<T> Future for Completion<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        if let State::Waiting(waker) = &mut *state {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        match std::mem::replace(&mut *state, State::Empty) {
            State::Done(value) => Poll::Ready(Some(value)),
            _ => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        sync::Arc,
        task::{Context, Poll, Wake, Waker},
        thread::{self, Thread},
    };

    use super::*;

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Runs a future to its end on this thread.
    pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => return value,
                Poll::Pending => thread::park(),
            }
        }
    }

    #[test]
    fn a_value_made_on_another_thread_arrives() {
        let (completer, completion) = completion();
        let maker = thread::spawn(move || completer.complete(7));
        assert_eq!(block_on(completion), Some(7));
        maker.join().expect("the maker does not panic");
    }

    #[test]
    fn a_maker_that_goes_away_resolves_to_none() {
        let (completer, completion) = completion::<u8>();
        let maker = thread::spawn(move || drop(completer));
        assert_eq!(block_on(completion), None);
        maker.join().expect("the maker does not panic");
    }
}
