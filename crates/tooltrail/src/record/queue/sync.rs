//! The locks, atomics and thread functions of the queue and of acknowledgements: those of the standard library and of
//! `spin`, or those of the schedule explorer `shuttle`.
//!
//! The explorer's types are used only in this crate's own tests with the feature `schedules`. A crate that depends on
//! this one never gets them, whatever features it enables.

#[cfg(all(test, feature = "schedules"))]
pub(super) use explored::*;
#[cfg(not(all(test, feature = "schedules")))]
pub(super) use {
    spin::mutex::{SpinMutex, SpinMutexGuard},
    std::{
        hint::spin_loop,
        sync::{
            Condvar, Mutex, MutexGuard,
            atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
        },
        thread::{Thread, current, yield_now},
    },
};

/// Waits until the thread is woken, at most for `longest`. Returns how long it waited, because on a busy machine this
/// can be longer than `longest`, and open calls must be noted in time.
#[cfg(not(all(test, feature = "schedules")))]
pub(super) fn park(longest: Option<std::time::Duration>) -> std::time::Duration {
    use crate::clock::{Clock as _, SystemClock};
    let begun = SystemClock::default();
    match longest {
        Some(longest) => std::thread::park_timeout(longest),
        None => std::thread::park(),
    }
    begun.monotonic()
}

/// Returns the usual bound, or under the schedule explorer a bound that is low enough to be reached with a few calls.
pub(super) const fn bound(usual: usize, explored: usize) -> usize {
    if cfg!(all(test, feature = "schedules")) { explored } else { usual }
}

/// Returns the number of the current thread; it stays the same for the life of the thread.
#[cfg(not(all(test, feature = "schedules")))]
pub(super) fn own_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
    }
    let own = OWN.get();
    if own != usize::MAX {
        return own;
    }
    let own = NEXT.fetch_add(1, Ordering::Relaxed);
    OWN.set(own);
    own
}

#[cfg(all(test, feature = "schedules"))]
mod explored {
    pub(crate) use shuttle::hint::spin_loop;
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, MutexGuard as SpinMutexGuard};
    pub(crate) use shuttle::thread::{Thread, current, yield_now};

    /// The explorer's mutex with the `try_lock` of the spin mutex, which returns an `Option`.
    #[derive(Debug, Default)]
    pub(crate) struct SpinMutex<T>(Mutex<T>);

    impl<T> SpinMutex<T> {
        pub(crate) fn new(held: T) -> Self {
            Self(Mutex::new(held))
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    /// Waits until the thread is woken. A wait with a limit does not wait: it lets other threads run and returns the
    /// limit, as if that time had passed.
    pub(crate) fn park(longest: Option<std::time::Duration>) -> std::time::Duration {
        match longest {
            Some(_) => yield_now(),
            None => shuttle::thread::park(),
        }
        longest.unwrap_or_default()
    }

    pub(crate) fn own_number() -> usize {
        shuttle::current::me().into()
    }
}
