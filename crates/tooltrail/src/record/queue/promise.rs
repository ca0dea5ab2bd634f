//! Acknowledgements. The caller gets an [`Ack`] when its entries are queued; the writer thread keeps the [`Promise`] of
//! each entry when its batch is durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::Error;
use crate::record::queue::sync::{Condvar, Mutex, MutexGuard};

/// The longest wait for a batch to become durable. A disk that needs longer is broken, and the caller should know it.
pub const DURABLE_WAIT: Duration = Duration::from_secs(2);

/// The caller's side of an acknowledgement: resolves when all of its entries are durable or known not to be.
///
/// Await it as a future, which needs no particular runtime, or call [`Ack::wait`]. If it is dropped, the entries are
/// still written; only the answer is lost.
#[must_use = "an acknowledgement that nobody awaits acknowledges nothing"]
#[derive(Debug)]
pub struct Ack(Arc<Shared>);

/// The writer thread's side of one entry. If it is dropped before it is kept, it counts as failed, so that no caller
/// waits for a writer thread that has died.
#[derive(Debug)]
pub(crate) struct Promise {
    shared: Arc<Shared>,
    /// The index of the entry among the entries of the acknowledgement.
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
    /// The indexes of the entries that failed.
    which: Vec<usize>,
    why: Option<String>,
    waker: Option<Waker>,
    /// Whether an acknowledgement was dropped, so that the caller does not get the answer.
    unheard: bool,
}

/// Returns an acknowledgement for this many entries, and a promise for each of them.
pub(crate) fn promise(entries: usize) -> (Ack, Vec<Promise>) {
    let shared = Arc::new(Shared::default());
    shared.lock().pending = entries;
    let promises = (0..entries).map(|index| Promise { shared: Arc::clone(&shared), index, kept: false }).collect();
    (Ack(shared), promises)
}

impl Promise {
    /// Reports that the entry is durable.
    pub(crate) fn keep(mut self) {
        self.keep_early();
    }

    /// Like [`Promise::keep`], but the promise can still be used afterwards.
    pub(crate) fn keep_early(&mut self) {
        if !self.kept {
            self.resolve(None);
        }
    }

    /// Whether the promise was kept or has failed.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept
    }

    /// Whether the acknowledgement was dropped. A failure must then be counted as a loss, because no caller sees it.
    pub(crate) fn is_unheard(&self) -> bool {
        self.shared.lock().unheard
    }

    /// Reports that `entries` entries are not durable, and why.
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
        // The state is valid at every moment, so it can be used even if a thread panicked while it held the lock.
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
    /// Waits until all entries are durable, at most [`DURABLE_WAIT`].
    ///
    /// # Errors
    /// [`Error::Unwritten`] with the number of entries that are not durable, or not yet. After a timeout they may still
    /// be written.
    pub fn wait(self) -> Result<(), Error> {
        self.wait_for(DURABLE_WAIT)
    }

    /// Returns another acknowledgement of the same entries. Use [`Ack::wait`] or [`Ack::wait_for`] with it: as futures
    /// the two would share one waker.
    pub(crate) fn again(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Waits until all entries are durable, at most `longest`.
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
