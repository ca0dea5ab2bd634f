//! Locks, wake-ups and waits of the queue and of acknowledgements: the system's, or a schedule explorer's.
//!
//! The explorer's stand here in this crate's own tests with the feature `schedules`, and nowhere else: whoever depends
//! on the crate gets the system's whatever the features.

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

/// Waits until it is woken, or for so long; returns for how long: a busy machine makes it longer, and calls that are
/// open are to be noted in time.
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

/// Returns a bound: the usual one, or one so low that an explored schedule of a few calls meets it.
pub(super) const fn bound(usual: usize, explored: usize) -> usize {
    if cfg!(all(test, feature = "schedules")) { explored } else { usual }
}

/// Returns a number of the thread's own, the same for as long as it lives.
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

    /// The explorer's lock with the other's one way to take it.
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

    /// Waits until it is woken; a wait that would end lets whoever else can run do so instead, and explored time passes.
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
