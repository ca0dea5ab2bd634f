//! Locks, wake-ups and waits of the queue and of acknowledgements: the system's, or a schedule explorer's.
//!
//! The explorer's stand here in this crate's own tests with the feature `schedules`, and nowhere else: whoever depends
//! on the crate gets the system's whatever the features.

#[cfg(all(test, feature = "schedules"))]
pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, feature = "schedules")))]
pub(super) use std::sync::{Condvar, Mutex, MutexGuard};

use std::time::Duration;

/// Lets whoever else can run do so; explored time passes by what is slept.
#[cfg(all(test, feature = "schedules"))]
pub(super) fn sleep(duration: Duration) -> Duration {
    shuttle::thread::yield_now();
    duration
}

/// Sleeps, and returns for how long: a busy machine makes it longer, and calls that are open are to be noted in time.
#[cfg(not(all(test, feature = "schedules")))]
pub(super) fn sleep(duration: Duration) -> Duration {
    use crate::clock::{Clock as _, SystemClock};
    let begun = SystemClock::default();
    std::thread::sleep(duration);
    begun.monotonic()
}

/// Returns a bound: the usual one, or one so low that an explored schedule of a few calls meets it.
pub(super) const fn bound(usual: usize, explored: usize) -> usize {
    if cfg!(all(test, feature = "schedules")) { explored } else { usual }
}
