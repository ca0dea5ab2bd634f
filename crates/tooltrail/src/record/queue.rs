//! The queue between callers and the writer: bounded in entries and bytes, never waited for by `record`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::record::promise::Promise;
use crate::redact::Windowed;

/// Entries that may wait: some seconds of a busy orchestrator.
pub(crate) const QUEUE_ENTRIES_MAX: usize = 65_536;

/// Bytes that may wait, so that large calls cannot eat the machine's memory.
pub(crate) const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Entries of one batch: enough that one sync serves many callers, few enough that the first does not wait for long.
const BATCH_ENTRIES_MAX: usize = 8_192;

/// Bytes of one batch, as large as a sequential write profits from, twice over.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long the writer looks again by itself after there was work; then it sleeps until somebody wakes it.
const POLL: Duration = Duration::from_millis(1);

/// How many times it does so: waking a sleeping thread costs a caller ten times what recording costs.
const POLLS_BEFORE_SLEEP: u32 = 50;

/// One thing for the writer to do.
#[derive(Debug)]
pub(crate) enum Item {
    /// An entry to write; with a promise it is durable before the promise is kept. It ends the open call of this id.
    Entry(Box<Windowed>, Option<Promise>, u64),
    /// A call begins; with a promise that is durable before the promise is kept.
    Begin(u64, Box<Windowed>, Option<Promise>),
    /// An open call has an end that is counted as lost.
    Ended(u64),
    /// Everything before this is to be durable.
    Flush(Promise),
}

/// What callers and the writer share.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Item>,
    bytes: usize,
    shed: BTreeMap<&'static str, u64>,
    asleep: bool,
    closed: bool,
}

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// Entries that were not taken into the queue, by why.
    pub(crate) shed: BTreeMap<&'static str, u64>,
    /// Nothing will come any more.
    pub(crate) closed: bool,
}

impl Queue {
    /// Adds an entry, or counts it as shed.
    pub(crate) fn offer(&self, entry: Windowed, ends: u64) {
        let mut inner = self.lock();
        let bytes = entry.bytes();
        if inner.closed {
            *inner.shed.entry("closed").or_default() += 1;
        } else if inner.fits(1, bytes) {
            inner.bytes += bytes;
            inner.items.push_back(Item::Entry(Box::new(entry), None, ends));
        } else {
            *inner.shed.entry("queue_full").or_default() += 1;
            inner.end(ends);
        }
        self.woken(inner);
    }

    /// Adds all of these entries or none.
    ///
    /// A single one may end an open call.
    pub(crate) fn offer_all(&self, entries: Vec<Windowed>, promises: Vec<Promise>, ends: u64) -> Result<(), Error> {
        let bytes = entries.iter().map(Windowed::bytes).sum::<usize>();
        let mut inner = self.lock();
        if inner.closed {
            return Err(Error::Closed);
        }
        // A request larger than the whole queue is taken when the queue is empty: refusing it for ever helps nobody.
        if !inner.fits(entries.len(), bytes) && !inner.items.is_empty() {
            inner.end(ends);
            return Err(Error::Busy);
        }
        inner.bytes += bytes;
        for (entry, promise) in entries.into_iter().zip(promises) {
            inner.items.push_back(Item::Entry(Box::new(entry), Some(promise), ends));
        }
        self.woken(inner);
        Ok(())
    }

    /// Adds that a call begins. Without a promise a full queue drops it: the outcome is what counts.
    pub(crate) fn begin(&self, id: u64, call: Windowed, promise: Option<Promise>) -> Result<(), Error> {
        let bytes = call.bytes();
        let mut inner = self.lock();
        if inner.closed {
            return Err(Error::Closed);
        }
        if !inner.fits(1, bytes) {
            return Err(Error::Busy);
        }
        inner.bytes += bytes;
        inner.items.push_back(Item::Begin(id, Box::new(call), promise));
        self.woken(inner);
        Ok(())
    }

    /// Adds a barrier, and with `close` nothing may follow it.
    pub(crate) fn flush(&self, promise: Promise, close: bool) {
        let mut inner = self.lock();
        if inner.closed {
            // Closing was a flush, and nothing was taken since.
            promise.keep();
            return;
        }
        inner.items.push_back(Item::Flush(promise));
        inner.closed = close;
        self.woken(inner);
    }

    /// Counts entries that could not be recorded for a reason outside the queue.
    pub(crate) fn count_shed(&self, why: &'static str, entries: u64) {
        *self.lock().shed.entry(why).or_default() += entries;
    }

    /// Takes what is there; waits for something to come, at most until `longest`.
    pub(crate) fn take(&self, longest: Option<Duration>) -> Batch {
        let mut inner = self.lock();
        let mut polls = 0;
        let mut waited = Duration::ZERO;
        while inner.items.is_empty() && inner.shed.is_empty() && !inner.closed {
            if longest.is_some_and(|longest| waited >= longest) {
                break;
            }
            polls += 1;
            if polls <= POLLS_BEFORE_SLEEP {
                drop(inner);
                std::thread::sleep(POLL);
                waited += POLL;
                inner = self.lock();
                continue;
            }
            inner.asleep = true;
            inner = match longest {
                None => self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(longest) => {
                    let left = longest.saturating_sub(waited);
                    waited = longest;
                    self.wake.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            inner.asleep = false;
        }
        let mut batch = Batch { shed: std::mem::take(&mut inner.shed), ..Batch::default() };
        let mut bytes = 0;
        while batch.items.len() < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX {
            let Some(item) = inner.items.pop_front() else { break };
            if let Item::Entry(entry, ..) | Item::Begin(_, entry, _) = &item {
                bytes += entry.bytes();
            }
            batch.items.push(item);
        }
        inner.bytes -= bytes;
        batch.closed = inner.closed && inner.items.is_empty();
        batch
    }

    fn woken(&self, inner: MutexGuard<'_, Inner>) {
        let asleep = inner.asleep;
        drop(inner);
        if asleep {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code of others runs under the lock, and every step leaves the queue whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Adds that a call has an end, whatever is full: there are no more of these than calls that began.
    fn end(&mut self, id: u64) {
        if id > 0 {
            self.items.push_back(Item::Ended(id));
        }
    }

    fn fits(&self, entries: usize, bytes: usize) -> bool {
        self.items.len() + entries <= QUEUE_ENTRIES_MAX && self.bytes + bytes <= QUEUE_BYTES_MAX
    }
}
