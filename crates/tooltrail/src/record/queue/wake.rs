//! The sleep of the writer thread: short naps after there was work, and one long sleep otherwise.
//!
//! Only a wake-up costs a caller a system call. A call that is recorded without an acknowledgement wakes the writer
//! thread only from the long sleep; an item that a caller waits for also ends a nap.
//!
//! No wake-up is lost: the writer thread first stores its sleep state and then checks once more whether there is work,
//! and a caller first adds its work and then loads the sleep state. All four use `SeqCst`, so at least one side sees
//! the other.

use std::sync::PoisonError;
use std::time::Duration;

use crate::record::queue::sync::{AtomicU8, Mutex, Ordering, Thread, current, park};

/// The two ways in which the writer thread sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// A nap: the writer thread checks the queue again by itself soon. Only an item that a caller waits for ends it
    /// early.
    Nap,
    /// A long sleep: every item and every count of shed entries ends it.
    Deep,
}

const AWAKE: u8 = 0;
const NAPS: u8 = 1;
const SLEEPS: u8 = 2;

/// The sleep state of the writer thread, and its handle.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    state: AtomicU8,
    writer: Mutex<Option<Thread>>,
}

impl Wake {
    /// Sleeps at most for `longest`, unless there is work. Returns how long it slept.
    ///
    /// `is_some` says whether there is work. It is called after the sleep state is visible to callers, so that no
    /// wake-up is lost.
    pub(crate) fn sleep(&self, how: Sleep, longest: Option<Duration>, is_some: impl Fn() -> bool) -> Duration {
        let here = current();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.as_ref().is_none_or(|writer| writer.id() != here.id()) {
            *writer = Some(here);
        }
        drop(writer);
        let state = if how == Sleep::Nap { NAPS } else { SLEEPS };
        self.state.store(state, Ordering::SeqCst);
        let slept = if is_some() { Duration::ZERO } else { park(longest) };
        self.state.store(AWAKE, Ordering::SeqCst);
        slept
    }

    /// Reports new work that can wait until a nap ends.
    pub(crate) fn come(&self) {
        if self.state.load(Ordering::SeqCst) == SLEEPS {
            self.wake(SLEEPS);
        }
    }

    /// Reports new work that a caller waits for.
    pub(crate) fn come_now(&self) {
        let state = self.state.load(Ordering::SeqCst);
        if state != AWAKE {
            self.wake(state);
        }
    }

    #[cold]
    fn wake(&self, state: u8) {
        // Of several callers only the first one wakes the writer thread.
        if self.state.compare_exchange(state, AWAKE, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            && let Some(writer) = &*self.writer.lock().unwrap_or_else(PoisonError::into_inner)
        {
            writer.unpark();
        }
    }
}
