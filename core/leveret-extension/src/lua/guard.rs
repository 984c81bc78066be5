//! Stops scripts that run too long.
//!
//! A call costs two plain stores: its number goes up when it begins and when it ends. One thread
//! of the process looks at the numbers a few times per limit, and only where one has stood still
//! for the whole limit does it set the VM's interrupt. The limit is one of the thread's own time on
//! a processor, so that a busy machine ends no call that was hardly running. The interrupt looks
//! whether it was meant for the call that is running now, so that a late watchdog never ends the
//! next call.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr::{self, addr_of_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use mlua::ffi;
use parking_lot::{Condvar, Mutex};

use super::stack::Stack;

/// How long the watchdog sleeps at most while no VM is busy. Also how late it may notice a call
/// that began in the very moment in which it went to sleep.
const NAP: Duration = Duration::from_millis(250);
/// Rounds without a call before the watchdog naps.
const QUIET_ROUNDS: u32 = 16;
/// A call ends after this many limits even if its thread was hardly running.
const PATIENCE: u32 = 20;

thread_local! {
    /// The guard of the VM that this thread is running.
    static RUNNING: Cell<*const Guard> = const { Cell::new(ptr::null()) };
}

/// Where the VM looks whether it is to be interrupted.
struct Callbacks(*mut ffi::lua_Callbacks);

// SAFETY: the watchdog only stores to `interrupt`, which the VM allows from any thread, and only
// under the lock that `Guard::detach` takes before the VM goes away.
unsafe impl Send for Callbacks {}

/// Times the calls of one VM.
pub(crate) struct Guard {
    /// Odd while a call runs.
    number: AtomicU64,
    /// The call that is to end.
    target: AtomicU64,
    /// Whether the running call was told to end.
    fired: AtomicBool,
    /// Line at which it was told so first.
    line: AtomicU32,
    limit: Duration,
    /// Processor time of the thread that the VM belongs to.
    thread: ThreadClock,
    callbacks: Mutex<Option<Callbacks>>,
}

impl Guard {
    /// Watches the VM of `state`, which belongs to this thread.
    ///
    /// # Safety
    /// `state` lives until [`Self::detach`].
    pub(crate) unsafe fn attach(state: *mut ffi::lua_State, limit: Duration) -> Arc<Self> {
        // SAFETY: promised by the caller.
        let callbacks = Callbacks(unsafe { ffi::lua_callbacks(state) });
        let guard = Arc::new(Self {
            number: AtomicU64::new(0),
            target: AtomicU64::new(0),
            fired: AtomicBool::new(false),
            line: AtomicU32::new(0),
            limit,
            thread: ThreadClock::of_this_thread(),
            callbacks: Mutex::new(Some(callbacks)),
        });
        Watchdog::get().watch(&guard);
        guard
    }

    /// The VM is about to go away.
    pub(crate) fn detach(&self) {
        *self.callbacks.lock() = None;
    }

    /// A call begins; it ends when the value is dropped.
    #[inline]
    pub(crate) fn begin(&self) -> Running<'_> {
        let previous = RUNNING.replace(self);
        let number = self.number.load(Ordering::Relaxed);
        self.number.store(number + 1, Ordering::Relaxed);
        if Watchdog::get().napping.load(Ordering::Relaxed) {
            Watchdog::get().wake();
        }
        Running { guard: self, previous }
    }

    /// Whether the call that ended last was told to end, and at which line; forgets it.
    #[inline]
    pub(crate) fn overrun(&self) -> Option<u32> {
        if !self.fired.load(Ordering::Relaxed) {
            return None;
        }
        self.fired.store(false, Ordering::Relaxed);
        Some(self.line.swap(0, Ordering::Relaxed))
    }

    /// Tells the VM to end call `number`.
    fn interrupt(&self, number: u64) {
        let callbacks = self.callbacks.lock();
        let Some(Callbacks(callbacks)) = callbacks.as_ref() else { return };
        self.target.store(number, Ordering::Relaxed);
        // SAFETY: the VM lives while `callbacks` is there.
        let place = unsafe { place_of(*callbacks) };
        let handler: unsafe extern "C-unwind" fn(*mut ffi::lua_State, c_int) = on_interrupt;
        place.store(handler as *mut (), Ordering::Release);
    }
}

/// A call that is running.
pub(crate) struct Running<'a> {
    guard: &'a Guard,
    previous: *const Guard,
}

impl Drop for Running<'_> {
    #[inline]
    fn drop(&mut self) {
        let number = self.guard.number.load(Ordering::Relaxed);
        self.guard.number.store(number + 1, Ordering::Relaxed);
        RUNNING.set(self.previous);
    }
}

/// Called by the VM at loop edges, calls and within pattern matching once it is set.
unsafe extern "C-unwind" fn on_interrupt(state: *mut ffi::lua_State, gc: c_int) {
    if gc >= 0 {
        return; // the collector must not be left in the middle
    }
    // SAFETY: set by `begin` on this thread for as long as the call runs.
    let guard = unsafe { RUNNING.get().as_ref() };
    let due = guard.filter(|guard| {
        guard.target.load(Ordering::Relaxed) == guard.number.load(Ordering::Relaxed)
    });
    let Some(guard) = due else {
        // SAFETY: `state` is live. Should the watchdog set it again just now for this call, that
        // store is lost, and repeated in its next round.
        unsafe { place_of(ffi::lua_callbacks(state)) }.store(ptr::null_mut(), Ordering::Relaxed);
        return;
    };
    // SAFETY: the VM calls this within the protected call that it runs.
    let stack = unsafe { Stack::new(state) };
    if !guard.fired.swap(true, Ordering::Relaxed) {
        guard.line.store(stack.line().unwrap_or(0), Ordering::Relaxed);
    }
    stack.fail("time limit")
}

/// Ends a call that is overdue from within a long loop of the host.
pub(crate) fn check_time(stack: &Stack) {
    // SAFETY: the state is live, and runs within a protected call.
    unsafe {
        if !place_of(ffi::lua_callbacks(stack.raw())).load(Ordering::Relaxed).is_null() {
            on_interrupt(stack.raw(), -1);
        }
    }
}

/// The field that holds the interrupt: a nullable function pointer, which has the layout of a
/// pointer.
///
/// # Safety
/// `callbacks` are those of a VM that lives for `'a`.
unsafe fn place_of<'a>(callbacks: *mut ffi::lua_Callbacks) -> &'a AtomicPtr<()> {
    // SAFETY: promised by the caller; everybody on this side uses it atomically.
    unsafe { AtomicPtr::from_ptr(addr_of_mut!((*callbacks).interrupt).cast()) }
}

/// What the watchdog knows of one VM.
struct Watched {
    guard: Arc<Guard>,
    number: u64,
    /// When the call with this number was first seen, and the processor time of its thread then.
    since: Instant,
    since_running: Duration,
}

impl Watched {
    fn is_overdue(&self, now: Instant) -> bool {
        let (limit, passed) = (self.guard.limit, now.duration_since(self.since));
        if passed < limit {
            return false;
        }
        let ran = self.guard.thread.now().map(|ran| ran.saturating_sub(self.since_running));
        ran.is_none_or(|ran| ran >= limit) || passed >= limit * PATIENCE
    }
}

/// The thread that watches all VMs of the process.
struct Watchdog {
    watched: Mutex<Vec<Watched>>,
    wakeup: Condvar,
    napping: AtomicBool,
}

impl Watchdog {
    #[inline]
    fn get() -> &'static Self {
        static WATCHDOG: OnceLock<Watchdog> = OnceLock::new();
        WATCHDOG.get_or_init(Self::start)
    }

    #[cold]
    fn start() -> Self {
        let spawned =
            thread::Builder::new().name("leveret-watchdog".into()).spawn(|| Self::get().run());
        assert!(spawned.is_ok(), "no thread for the watchdog of scripts");
        Self {
            watched: Mutex::new(Vec::new()),
            wakeup: Condvar::new(),
            napping: AtomicBool::new(false),
        }
    }

    fn watch(&self, guard: &Arc<Guard>) {
        let guard = Arc::clone(guard);
        let (since, since_running) = (Instant::now(), Duration::ZERO);
        self.watched.lock().push(Watched { guard, number: 0, since, since_running });
        self.wake();
    }

    #[cold]
    fn wake(&self) {
        self.napping.store(false, Ordering::Relaxed);
        let _watched = self.watched.lock();
        self.wakeup.notify_one();
    }

    fn run(&self) {
        let mut quiet = 0;
        let mut watched = self.watched.lock();
        loop {
            watched.retain(|one| Arc::strong_count(&one.guard) > 1);
            quiet = if look(&mut watched) { 0 } else { quiet + 1 };
            if watched.is_empty() {
                self.wakeup.wait(&mut watched);
            } else if quiet < QUIET_ROUNDS {
                let round = round_of(&watched);
                self.wakeup.wait_for(&mut watched, round);
            } else {
                self.napping.store(true, Ordering::SeqCst);
                if !look(&mut watched) {
                    self.wakeup.wait_for(&mut watched, NAP);
                }
                self.napping.store(false, Ordering::Relaxed);
            }
        }
    }
}

/// An eighth of the shortest limit.
fn round_of(watched: &[Watched]) -> Duration {
    let shortest = watched.iter().map(|one| one.guard.limit).min().unwrap_or(NAP);
    (shortest / 8).clamp(Duration::from_millis(1), Duration::from_millis(25))
}

/// Interrupts what stands still for too long. Whether anything runs or ran since the last round.
fn look(watched: &mut [Watched]) -> bool {
    let now = Instant::now();
    let mut busy = false;
    for one in watched {
        let number = one.guard.number.load(Ordering::Relaxed);
        let running = number % 2 == 1;
        if number != one.number {
            (one.number, one.since) = (number, now);
            if running {
                one.since_running = one.guard.thread.now().unwrap_or_default();
            }
            busy = true;
        } else if running {
            busy = true;
            if one.is_overdue(now) {
                one.guard.interrupt(number);
            }
        }
    }
    busy
}

/// The time that one thread has spent on a processor, readable from any thread.
struct ThreadClock(Option<libc::clockid_t>);

impl ThreadClock {
    #[cfg(target_os = "linux")]
    fn of_this_thread() -> Self {
        let mut clock = 0;
        // SAFETY: asks for the clock of the calling thread.
        let failed = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
        Self((failed == 0).then_some(clock))
    }

    /// Elsewhere there is no such clock: time is what passes.
    #[cfg(not(target_os = "linux"))]
    fn of_this_thread() -> Self {
        Self(None)
    }

    /// `None` if there is no such clock, or no such thread any more.
    fn now(&self) -> Option<Duration> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a clock that is gone is refused.
        if unsafe { libc::clock_gettime(self.0?, &mut time) } != 0 {
            return None;
        }
        let (secs, nanos) = (u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
        Some(Duration::new(secs, nanos))
    }
}
