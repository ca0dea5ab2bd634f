//! The writer's sleep: short while there is work, long otherwise; only who ends a long one asks the system for it.

use std::sync::PoisonError;
use std::time::Duration;

use crate::record::queue::sync::{AtomicU8, Mutex, Ordering, Thread, current, park};

/// How the writer sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// It looks again by itself soon: only who waits for it wakes it.
    Nap,
    /// Whoever comes wakes it.
    Deep,
}

const AWAKE: u8 = 0;
const NAPS: u8 = 1;
const SLEEPS: u8 = 2;

/// Whether the writer sleeps, and who it is.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    state: AtomicU8,
    writer: Mutex<Option<Thread>>,
}

impl Wake {
    /// Sleeps at most so long, unless there is something to do; returns for how long.
    ///
    /// `is_some` is asked once more after others can see that the writer sleeps, so that nobody is missed.
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

    /// Something has come that can wait for a nap to end.
    pub(crate) fn come(&self) {
        if self.state.load(Ordering::SeqCst) == SLEEPS {
            self.wake(SLEEPS);
        }
    }

    /// Something has come for which somebody waits.
    pub(crate) fn come_now(&self) {
        let state = self.state.load(Ordering::SeqCst);
        if state != AWAKE {
            self.wake(state);
        }
    }

    #[cold]
    fn wake(&self, state: u8) {
        // The first wakes for all.
        if self.state.compare_exchange(state, AWAKE, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            && let Some(writer) = &*self.writer.lock().unwrap_or_else(PoisonError::into_inner)
        {
            writer.unpark();
        }
    }
}
