//! An acknowledgement: promised when a call is queued, kept when its batch is synced.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::Error;
use crate::record::queue::sync::{Condvar, Mutex, MutexGuard};

/// Longest wait for a batch to become durable: a disk that needs longer is broken, and the caller should know.
pub const DURABLE_WAIT: Duration = Duration::from_secs(2);

/// The caller's side: resolves when everything it stands for is durable, or is known not to be.
///
/// A future that needs no runtime, or [`Ack::wait`]. Dropping it loses nothing but the answer.
#[must_use = "an acknowledgement that nobody awaits acknowledges nothing"]
#[derive(Debug)]
pub struct Ack(Arc<Shared>);

/// The writer's side of one entry; dropped unkept, it counts as failed, so nobody waits for a dead writer.
#[derive(Debug)]
pub(crate) struct Promise {
    shared: Arc<Shared>,
    /// Which of the entries that the acknowledgement stands for.
    index: usize,
    kept: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    resolved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pending: usize,
    failed: u64,
    /// The places of entries that failed by themselves.
    which: Vec<usize>,
    why: Option<String>,
    waker: Option<Waker>,
    /// Nobody will hear the answer.
    unheard: bool,
}

/// Returns an acknowledgement of so many entries and a promise for each.
pub(crate) fn promise(entries: usize) -> (Ack, Vec<Promise>) {
    let shared = Arc::new(Shared::default());
    shared.lock().pending = entries;
    let promises = (0..entries).map(|index| Promise { shared: Arc::clone(&shared), index, kept: false }).collect();
    (Ack(shared), promises)
}

impl Promise {
    /// The entry is durable.
    pub(crate) fn keep(mut self) {
        self.keep_early();
    }

    /// As [`Promise::keep`], while there is still to be done what nobody waits for.
    pub(crate) fn keep_early(&mut self) {
        if !self.kept {
            self.resolve(None);
        }
    }

    /// Whether it was kept, or failed.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept
    }

    /// Whether nobody holds the acknowledgement any more: a failure is then to be told elsewhere.
    pub(crate) fn is_unheard(&self) -> bool {
        self.shared.lock().unheard
    }

    /// So many entries are not, because of this.
    pub(crate) fn fail(mut self, entries: u64, why: &str) {
        if !self.kept {
            self.resolve(Some((entries, why)));
        }
    }

    fn resolve(&mut self, failed: Option<(u64, &str)>) {
        self.kept = true;
        let mut state = self.shared.lock();
        state.pending -= 1;
        if let Some((entries, why)) = failed {
            state.failed += entries;
            state.which.push(self.index);
            state.why = Some(why.to_owned());
        }
        if state.pending == 0 {
            self.shared.resolved.notify_all();
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        self.0.lock().unheard = true;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if !self.kept {
            self.resolve(Some((1, "the writer stopped")));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A counter and a text are whole at every moment, whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&self) -> Result<(), Error> {
        match &self.why {
            None => Ok(()),
            Some(why) => Err(Error::Unwritten { entries: self.failed, why: why.clone(), which: self.which.clone() }),
        }
    }
}

impl Ack {
    /// Waits until all is durable, at most [`DURABLE_WAIT`].
    ///
    /// # Errors
    /// [`Error::Unwritten`] with how many entries are not, or not yet: after a time-out they may still be written.
    pub fn wait(self) -> Result<(), Error> {
        self.wait_for(DURABLE_WAIT)
    }

    /// Returns another that resolves with it, to be waited for: as futures they would share one waker.
    pub(crate) fn again(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Waits until all is durable, at most so long: for whoever would rather wait than not know.
    ///
    /// # Errors
    /// As [`Ack::wait`].
    pub fn wait_for(self, longest: Duration) -> Result<(), Error> {
        let state = self.0.lock();
        let waited = self.0.resolved.wait_timeout_while(state, longest, |state| state.pending > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.pending > 0 {
            let entries = state.pending as u64 + state.failed;
            return Err(Error::Unwritten {
                entries,
                why: format!("not durable within {longest:?}"),
                which: Vec::new(),
            });
        }
        state.answer()
    }
}

impl Future for Ack {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        if state.pending == 0 {
            return Poll::Ready(state.answer());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
