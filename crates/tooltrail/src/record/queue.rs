//! The queue between callers and the writer: bounded in entries and bytes, never waited for by `record`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::PoisonError;
use std::time::Duration;

use crate::error::Error;
use crate::record::promise::{Ack, Promise, promise};
use crate::record::sync::{Condvar, Mutex, MutexGuard, bound, sleep};
use crate::redact::Windowed;

/// Entries that may wait: some seconds of a busy orchestrator.
pub(crate) const QUEUE_ENTRIES_MAX: usize = bound(65_536, 6);

/// Bytes that may wait, so that large calls cannot eat the machine's memory.
pub(crate) const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Entries of a batch for which somebody waits: enough that one sync serves many callers, few enough that the first
/// does not wait for long.
const AWAITED_ENTRIES_MAX: usize = bound(8_192, 3);

/// Bytes of such a batch, as large as a sequential write profits from, twice over.
const AWAITED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a batch for which nobody waits: the more lines one opening of a file serves, the better. A quarter of
/// what the queue holds, as whoever comes next and waits has this batch before him.
const BATCH_BYTES_MAX: usize = QUEUE_BYTES_MAX / 4;

/// Entries for which a fresh queue has room before it grows.
const QUEUE_ROOM: usize = 1_024;

/// How long the writer looks again by itself after there was work; then it sleeps until somebody wakes it.
const POLL: Duration = Duration::from_millis(1);

/// How many times it does so: waking a sleeping thread costs a caller ten times what recording costs.
const POLLS_BEFORE_SLEEP: usize = bound(50, 1);

/// How many times the writer looks again at entries for which nobody waits: opening a file for ten lines costs no more
/// than for one.
const LINGER_POLLS: usize = bound(10, 1);

/// Entries that make the writer look again: with fewer, who reads right after a call is to see it.
const LINGER_FROM: usize = bound(256, 2);

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
    /// Everything before this is to be in its day file, durable or not.
    Seen(Promise),
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
    /// Entries for which somebody waits.
    awaited: usize,
    shed: BTreeMap<&'static str, u64>,
    /// All that was ever shed.
    shed_total: BTreeMap<&'static str, u64>,
    asleep: bool,
    closed: bool,
    /// The flush that closing is.
    closing: Option<Ack>,
}

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) items: VecDeque<Item>,
    /// Entries that were not taken into the queue, by why.
    pub(crate) shed: BTreeMap<&'static str, u64>,
    /// Nothing will come any more.
    pub(crate) closed: bool,
}

impl Queue {
    /// Adds an entry, or counts it as shed.
    pub(crate) fn offer(&self, entry: Windowed, ends: u64) {
        // Nothing is allocated or freed under the lock: other callers wait for it.
        let bytes = entry.bytes();
        let entry = Box::new(entry);
        let mut inner = self.lock();
        if inner.closed {
            inner.count_shed("closed", 1);
        } else if inner.fits(1, bytes) {
            inner.bytes += bytes;
            inner.items.push_back(Item::Entry(entry, None, ends));
        } else {
            inner.count_shed("queue_full", 1);
            inner.end(ends);
        }
        self.woken(inner);
    }

    /// Adds all of these entries or none, each durable before its promise, where it has one, is kept.
    ///
    /// A single one may end an open call.
    pub(crate) fn offer_all(
        &self,
        entries: Vec<Windowed>,
        promises: Vec<Option<Promise>>,
        ends: u64,
    ) -> Result<(), Error> {
        let bytes = entries.iter().map(Windowed::bytes).sum::<usize>();
        let entries = entries.into_iter().map(Box::new).collect::<Vec<_>>();
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
        inner.awaited += promises.iter().flatten().count();
        for (entry, promise) in entries.into_iter().zip(promises) {
            inner.items.push_back(Item::Entry(entry, promise, ends));
        }
        self.woken(inner);
        Ok(())
    }

    /// Adds that a call begins. Without a promise a full queue drops it: the outcome is what counts.
    pub(crate) fn begin(&self, id: u64, call: Windowed, promise: Option<Promise>) -> Result<(), Error> {
        let bytes = call.bytes();
        let call = Box::new(call);
        let mut inner = self.lock();
        if inner.closed {
            return Err(Error::Closed);
        }
        if !inner.fits(1, bytes) {
            return Err(Error::Busy);
        }
        inner.bytes += bytes;
        inner.awaited += usize::from(promise.is_some());
        inner.items.push_back(Item::Begin(id, call, promise));
        self.woken(inner);
        Ok(())
    }

    /// Adds a barrier; the acknowledgement resolves when what was accepted before is in its day files.
    pub(crate) fn seen(&self) -> Ack {
        self.barrier(Item::Seen, false)
    }

    /// Adds a barrier, and with `close` nothing may follow it; the acknowledgement resolves when all before is durable.
    pub(crate) fn flush(&self, close: bool) -> Ack {
        self.barrier(Item::Flush, close)
    }

    fn barrier(&self, item: fn(Promise) -> Item, close: bool) -> Ack {
        let (ack, promises) = promise(1);
        let mut inner = self.lock();
        if let Some(closing) = &inner.closing {
            // Closing is a flush, nothing is taken since, and it may still be under way.
            return closing.again();
        }
        inner.items.extend(promises.into_iter().map(item));
        inner.closed = close;
        inner.closing = close.then(|| ack.again());
        self.woken(inner);
        ack
    }

    /// Adds that an open call has an end that is counted as lost.
    pub(crate) fn end(&self, id: u64) {
        let mut inner = self.lock();
        inner.end(id);
        self.woken(inner);
    }

    /// Counts entries that could not be recorded for a reason outside the queue.
    pub(crate) fn count_shed(&self, why: &'static str, entries: u64) {
        self.lock().count_shed(why, entries);
    }

    /// Returns how many items and bytes wait, and all that was ever shed, by why.
    pub(crate) fn counts(&self) -> (usize, usize, BTreeMap<&'static str, u64>) {
        let inner = self.lock();
        (inner.items.len(), inner.bytes, inner.shed_total.clone())
    }

    /// Takes what is there; waits for something to come, at most until `longest`.
    pub(crate) fn take(&self, longest: Option<Duration>) -> Batch {
        // What replaces a whole queue is allocated before callers have to wait for the lock.
        let room = VecDeque::with_capacity(QUEUE_ROOM);
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
                waited += sleep(POLL);
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
        for _ in 0..LINGER_POLLS {
            let awaited = inner.awaited > 0 || matches!(inner.items.back(), Some(Item::Flush(_) | Item::Seen(_)));
            if awaited || inner.closed || inner.items.len() < LINGER_FROM || inner.bytes >= BATCH_BYTES_MAX {
                break;
            }
            drop(inner);
            sleep(POLL);
            inner = self.lock();
        }
        let shed = std::mem::take(&mut inner.shed);
        let items = inner.batch(room);
        Batch { items, shed, closed: inner.closed && inner.items.is_empty() }
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
    fn count_shed(&mut self, why: &'static str, entries: u64) {
        *self.shed.entry(why).or_default() += entries;
        *self.shed_total.entry(why).or_default() += entries;
    }

    /// Adds that a call has an end, whatever is full: there are no more of these than calls that began.
    fn end(&mut self, id: u64) {
        if id > 0 {
            self.items.push_back(Item::Ended(id));
        }
    }

    fn fits(&self, entries: usize, bytes: usize) -> bool {
        self.items.len() + entries <= QUEUE_ENTRIES_MAX && self.bytes + bytes <= QUEUE_BYTES_MAX
    }

    /// Takes a batch from the front; `room` replaces the queue where all of it is one batch.
    fn batch(&mut self, room: VecDeque<Item>) -> VecDeque<Item> {
        let (entries_max, bytes_max) = match self.awaited {
            0 => (QUEUE_ENTRIES_MAX, BATCH_BYTES_MAX),
            _ => (AWAITED_ENTRIES_MAX, AWAITED_BYTES_MAX),
        };
        // A swap, as popping thousands would keep callers from the lock for as long as recording hundreds.
        if self.items.len() <= entries_max && self.bytes <= bytes_max {
            (self.bytes, self.awaited) = (0, 0);
            return std::mem::replace(&mut self.items, room);
        }
        let (mut items, mut bytes) = (room, 0);
        while items.len() < entries_max && bytes < bytes_max {
            let Some(item) = self.items.pop_front() else { break };
            if let Item::Entry(entry, promise, _) | Item::Begin(_, entry, promise) = &item {
                bytes += entry.bytes();
                self.awaited -= usize::from(promise.is_some());
            }
            items.push_back(item);
        }
        self.bytes -= bytes;
        items
    }
}

#[cfg(all(test, not(feature = "schedules")))]
mod tests {
    use super::*;
    use crate::call::Call;
    use crate::clock::Timestamp;
    use crate::redact::Redactor;

    /// Fills a queue with entries, some awaited, and checks how many come out at once.
    fn check(buffered: usize, awaited: usize, batches: &[usize]) {
        let (queue, redactor) = (Queue::default(), Redactor::new(None));
        let entry = || Windowed::outside(&Call::new("alice", "t", "{}"), Timestamp::from_millis(0), &redactor);
        (0..buffered).for_each(|_| queue.offer(entry(), 0));
        let (_ack, promises) = promise(awaited);
        let promises = promises.into_iter().map(Some).collect();
        queue.offer_all((0..awaited).map(|_| entry()).collect(), promises, 0).unwrap();
        let taken = batches.iter().map(|_| queue.take(Some(Duration::ZERO)).items.len()).collect::<Vec<_>>();
        assert_eq!(taken, batches);
        let inner = queue.lock();
        assert_eq!((inner.items.len(), inner.bytes, inner.awaited), (0, 0, 0), "{buffered} {awaited}");
    }

    #[test]
    fn a_batch_is_bounded_where_somebody_waits() {
        check(0, 0, &[0]);
        check(10, 0, &[10]);
        check(10_000, 0, &[10_000]);
        check(0, 10_000, &[AWAITED_ENTRIES_MAX, 10_000 - AWAITED_ENTRIES_MAX]);
        check(9_000, 10, &[AWAITED_ENTRIES_MAX, 9_010 - AWAITED_ENTRIES_MAX]);
    }

    #[test]
    fn a_batch_is_bounded_in_bytes() {
        let (queue, redactor) = (Queue::default(), Redactor::new(None));
        let call = Call::new("alice", "t", format!("{{\"a\":\"{}\"}}", "x".repeat(1_000_000)));
        (0..20).for_each(|_| queue.offer(Windowed::outside(&call, Timestamp::from_millis(0), &redactor), 0));
        assert_eq!(queue.take(None).items.len(), BATCH_BYTES_MAX.div_ceil(1_000_000));
        queue.take(None);
        assert_eq!(queue.lock().bytes, 0);
    }
}
