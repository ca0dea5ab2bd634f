//! The queue between the callers and the writer thread. It is bounded in entries and in bytes, and `record` never waits
//! for it.
//!
//! Order. A caller locks a free shard, reserves a position, appends its item to the shard and unlocks it. The position
//! is the sum of the weights of all items accepted before; it is reserved with one compare-and-swap on `accepted`
//! ([`Queue::accept`]), which also checks the bounds. Because the shard is locked from the reservation until the item
//! is in it, the positions within a shard only grow. Barriers and ends of calls use a plain atomic addition, because
//! they are accepted even if the queue is full. The writer thread merges the shards: the next item is always the one
//! whose position equals the position plus the weight of the item before (`queue/taking.rs`).
//!
//! Memory orderings. Sleeping needs `SeqCst`: the caller first changes `accepted` and then reads the sleep state, and
//! the writer thread first changes the sleep state and then reads `accepted`. With a weaker ordering both could read
//! the old value, and the writer thread would sleep although an item waits. The other counters use `SeqCst` too. Code
//! that compares two of them reads `done` or `taken` before `accepted`, so that the difference is never negative. In
//! [`Queue::put`], `awaited` is changed with `Relaxed`: the writer thread subtracts from it only after it has received
//! the item through the shard's lock, and if it sees the change late, it only naps at most a millisecond too long. The
//! noisy users are hints, so `Relaxed` is enough for them.
//!
//! Closing. [`Queue::flush`] with `close` sets `closed` and then locks each shard once. A caller checks `closed` while
//! it holds its shard. If it saw the queue open, its item is in the shard before the lock of the closing thread
//! succeeds; if it locks the shard later, it sees the queue closed. Therefore every accepted entry has a position
//! before the closing barrier, and the writer thread takes it before it ends. No flush can come after the closing
//! barrier, because the `closing` lock is held while a barrier is added.

pub(crate) mod buffers;
pub(crate) mod fair_batch;
pub(crate) mod item;
pub(crate) mod offer;
pub(crate) mod promise;
pub(crate) mod shards;
pub(crate) mod sync;
mod taking;
pub(crate) mod wake;
pub(crate) mod weight;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::error::Error;
use crate::record::loss::LossReason;
use crate::record::open_call_id::OpenCallId;
use crate::record::queue::buffers::{Buffers, CallSlot, ItemKind, QueuedItem};
use crate::record::queue::fair_batch::{Backlog, hash};
use crate::record::queue::item::Item;
use crate::record::queue::offer::Offer;
use crate::record::queue::promise::{Ack, Promise, promise};
use crate::record::queue::shards::{Filled, SHARDS, Shards, spin_lock};
use crate::record::queue::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, SpinMutex, bound};
use crate::record::queue::wake::Wake;
use crate::record::queue::weight::{WEIGHT_BITS, counted, weight};

/// The most entries that may wait or be in work: some seconds of a busy orchestrator.
pub(crate) const QUEUE_ENTRIES_MAX: usize = bound(65_536, 6);

/// The most bytes that may wait or be in work, so that large calls cannot use up the memory of the machine.
pub(crate) const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most users who can each have more than half of the waiting items: one by entries and one by bytes.
const NOISY_MAX: usize = 2;

/// The number of items below which ends of calls are accepted although the queue is full. Above it, an end is dropped
/// and the call counts as interrupted. The bound is half of what the item count of a weight can hold.
const ITEMS_MAX: usize = 1 << (WEIGHT_BITS - 1);

/// The data that the callers and the writer thread share.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    shards: Shards,
    // Written by callers.
    /// The weight of all items ever accepted, which is the position of the next item.
    accepted: Apart<AtomicU64>,
    // Written by the writer thread.
    /// The weight of all items that the writer thread has turned into lines.
    done: Apart<AtomicU64>,
    /// The weight of all items that the writer thread has taken.
    taken: AtomicU64,
    // Written by callers and by the writer thread.
    /// The number of items that a caller waits for and that the writer thread has not taken.
    awaited: AtomicUsize,
    // Written by the writer thread.
    /// The hashes of the users whose calls are refused while the queue is nearly full. `noisy_count` of them are valid.
    noisy: [AtomicU64; NOISY_MAX],
    noisy_count: AtomicUsize,
    // Written by the caller that closes the queue.
    closed: AtomicBool,
    /// The acknowledgement of the flush that closes the queue; `None` while the queue is open.
    closing: SpinMutex<Option<Ack>>,
    // Shared; each has its own lock or atomics.
    wake: Wake,
    buffers: Arc<Buffers>,
    shed: SpinMutex<Shed>,
    /// Used only by the writer thread.
    swept: SpinMutex<Swept>,
}

/// A value in a cache line of its own, so that threads that write to its neighbours do not slow it down.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// The number of entries that the queue did not accept, by reason.
#[derive(Debug, Default)]
struct Shed {
    unreported: BTreeMap<LossReason, u64>,
    /// The total since the recorder was opened. `unreported` counts only those not yet given to the writer thread.
    total: BTreeMap<LossReason, u64>,
}

/// The items that the writer thread has taken out of the shards but not yet put into a batch.
#[derive(Debug, Default)]
struct Swept {
    /// The items of each shard, each with its position and its weight.
    shards: [VecDeque<(Item, u64, u64)>; SHARDS],
    /// The items that directly follow the items already taken, in the order of their positions.
    backlog: Backlog,
    /// Whether the closing barrier was taken.
    ended: bool,
}

/// The items that the writer thread takes at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The items, each with its weight. The writer thread gives the weight back with [`Queue::done`].
    pub(crate) items: VecDeque<(Item, u64)>,
    /// The number of entries that the queue did not accept since the last batch, by reason.
    pub(crate) shed: BTreeMap<LossReason, u64>,
    /// Whether the queue is closed and this is the last batch.
    pub(crate) closed: bool,
}

impl Queue {
    /// Adds an entry. If the queue is full or closed, counts the entry as shed.
    #[inline]
    pub(crate) fn offer(&self, call: impl Offer, ends: Option<OpenCallId>) {
        let mut shard = self.shards.any();
        if self.is_closed() {
            drop(shard);
            return self.count_shed(LossReason::Closed, 1);
        }
        if self.put(&mut shard, call, ItemKind::Entry, ends, None).is_err() {
            self.end_in(&mut shard, ends);
            drop(shard);
            return self.count_shed(LossReason::QueueFull, 1);
        }
        drop(shard);
        self.wake.come();
    }

    /// Adds all of these entries or none. An entry that has a promise is durable before the promise is kept.
    ///
    /// With `ends`, the one entry ends that open call; if the queue is full, only the end of that call is added.
    ///
    /// # Errors
    /// [`Error::Busy`] if they do not fit into the queue; [`Error::Closed`].
    pub(crate) fn offer_all(
        &self,
        calls: Vec<impl Offer>,
        promises: Vec<Option<Promise>>,
        ends: Option<OpenCallId>,
    ) -> Result<(), Error> {
        self.put_all(calls, promises, ends)?;
        self.wake.come_now();
        Ok(())
    }

    /// Like [`Queue::offer_all`] for one call whose acknowledgement nobody waits for: the writer thread finishes its nap
    /// of a millisecond, so that a caller with many calls does not wake it for each.
    ///
    /// # Errors
    /// As [`Queue::offer_all`].
    pub(crate) fn offer_unhurried(&self, call: impl Offer, promise: Promise) -> Result<(), Error> {
        self.put_all(vec![call], vec![Some(promise)], None)?;
        self.wake.come();
        Ok(())
    }

    fn put_all(
        &self,
        calls: Vec<impl Offer>,
        promises: Vec<Option<Promise>>,
        ends: Option<OpenCallId>,
    ) -> Result<(), Error> {
        let bytes = calls.iter().map(|call| call.bytes() + size_of::<QueuedItem>()).sum::<usize>();
        let mut shard = self.shards.any();
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let is_noisy = calls.iter().any(|call| self.is_noisy(call));
        // A request that is larger than the whole queue is accepted when the queue is empty, because otherwise it would
        // be refused on every retry.
        let position = if is_noisy { None } else { self.accept(calls.len(), bytes, true) };
        let Some(mut position) = position else {
            self.end_in(&mut shard, ends);
            return Err(Error::Busy);
        };
        let awaited = promises.iter().flatten().count();
        self.awaited.fetch_add(awaited, Ordering::SeqCst);
        for (call, promise) in calls.into_iter().zip(promises) {
            let weight = weight(1, call.bytes() + size_of::<QueuedItem>());
            let chunk = shard.room(call.text_bytes(), &self.buffers);
            let slot = call.hold(chunk);
            let is_awaited = promise.is_some();
            chunk.promises.extend(promise);
            chunk.items.push(QueuedItem { key: position, weight, id: ends, slot, kind: ItemKind::Entry, is_awaited });
            position = position.wrapping_add(weight);
        }
        Ok(())
    }

    /// Adds that a call begins. A caller without a promise may ignore [`Error::Busy`], because the outcome of the call
    /// is recorded by itself.
    ///
    /// # Errors
    /// [`Error::Busy`] if the queue is full; [`Error::Closed`].
    pub(crate) fn begin(&self, id: OpenCallId, call: impl Offer, promise: Option<Promise>) -> Result<(), Error> {
        let mut shard = self.shards.any();
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let awaited = promise.is_some();
        self.put(&mut shard, call, ItemKind::Begin, Some(id), promise)?;
        drop(shard);
        if awaited {
            self.wake.come_now()
        } else {
            self.wake.come()
        }
        Ok(())
    }

    /// Adds a barrier. Its acknowledgement resolves when all items accepted before it are in their day files.
    pub(crate) fn seen(&self) -> Ack {
        self.barrier(ItemKind::Seen)
    }

    /// Adds a barrier. Its acknowledgement resolves when all items accepted before it are durable.
    pub(crate) fn flush(&self) -> Ack {
        self.barrier(ItemKind::Flush)
    }

    /// Adds a barrier that nothing may follow: calls that come later are shed, because the recorder is closed. The
    /// acknowledgement resolves when all before it is durable.
    pub(crate) fn close(&self) -> Ack {
        self.barrier(ItemKind::Close)
    }

    fn barrier(&self, kind: ItemKind) -> Ack {
        let mut closing = spin_lock(&self.closing);
        if let Some(closing) = &*closing {
            // Closing is a flush that may still be running, and nothing was accepted after it.
            return closing.again();
        }
        let (ack, promises) = promise(1);
        if kind == ItemKind::Close {
            *closing = Some(ack.again());
            self.closed.store(true, Ordering::SeqCst);
            // A caller that saw the queue open holds its shard until its items are in it.
            self.shards.each().for_each(drop);
        }
        let mut shard = self.shards.any();
        self.awaited.fetch_add(1, Ordering::SeqCst);
        let key = self.accepted.0.fetch_add(weight(1, 0), Ordering::SeqCst);
        let chunk = shard.room(0, &self.buffers);
        chunk.promises.extend(promises);
        let slot = CallSlot::Nowhere;
        chunk.items.push(QueuedItem { key, weight: weight(1, 0), id: None, slot, kind, is_awaited: true });
        drop(shard);
        drop(closing);
        self.wake.come_now();
        ack
    }

    /// Returns the number of shed entries that the writer thread has not been told about yet.
    pub(crate) fn unreported_shed(&self) -> u64 {
        spin_lock(&self.shed).unreported.values().sum()
    }

    /// Adds that an open call has ended, although the entry of its outcome is not recorded and counted as lost.
    pub(crate) fn end(&self, id: Option<OpenCallId>) {
        self.end_in(&mut self.shards.any(), id);
        self.wake.come();
    }

    /// Counts entries that the queue did not accept.
    #[cold]
    pub(crate) fn count_shed(&self, why: LossReason, entries: u64) {
        let mut shed = spin_lock(&self.shed);
        *shed.unreported.entry(why).or_default() += entries;
        *shed.total.entry(why).or_default() += entries;
        drop(shed);
        self.wake.come();
    }

    /// Returns the number of waiting items, their bytes, and the total of shed entries by reason.
    pub(crate) fn counts(&self) -> (usize, usize, BTreeMap<LossReason, u64>) {
        let (items, bytes) = self.waiting();
        (items, bytes, spin_lock(&self.shed).total.clone())
    }

    /// Gives back the weight of items that the writer thread has turned into lines, which makes room for new ones.
    pub(crate) fn done(&self, weight: u64) {
        self.done.0.fetch_add(weight, Ordering::SeqCst);
    }

    /// Whether the queue is more than three quarters full and the user of this call has more than half of the waiting
    /// items. The rest of the room is then kept for other users.
    fn is_noisy(&self, call: &impl Offer) -> bool {
        let count = self.noisy_count.load(Ordering::Relaxed);
        if count == 0 {
            return false;
        }
        let done = self.done.0.load(Ordering::SeqCst);
        let (entries, bytes) = counted(self.accepted.0.load(Ordering::SeqCst).wrapping_sub(done));
        if entries <= QUEUE_ENTRIES_MAX / 4 * 3 && bytes <= QUEUE_BYTES_MAX / 4 * 3 {
            return false;
        }
        let user = hash(call.user());
        self.noisy.iter().take(count).any(|noisy| noisy.load(Ordering::Relaxed) == user)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Returns the number and the bytes of the items that the writer thread has not taken.
    fn waiting(&self) -> (usize, usize) {
        // `taken` is read first: items are accepted before they are taken, so the difference cannot be negative.
        let taken = self.taken.load(Ordering::SeqCst);
        counted(self.accepted.0.load(Ordering::SeqCst).wrapping_sub(taken))
    }

    /// Reserves room for this many entries and bytes and returns the position of the first entry; `None` if the queue
    /// is full. With `however_large`, an empty queue accepts any number.
    ///
    /// The caller holds the shard into which it puts the entries, because positions within a shard must only grow.
    fn accept(&self, entries: usize, bytes: usize, however_large: bool) -> Option<u64> {
        loop {
            // `done` is read first: items are accepted before they are done, so the difference cannot be negative. If
            // `done` has grown since, the queue only looks fuller than it is.
            let done = self.done.0.load(Ordering::SeqCst);
            let position = self.accepted.0.load(Ordering::SeqCst);
            let (held_entries, held_bytes) = counted(position.wrapping_sub(done));
            let fits = held_entries + entries <= QUEUE_ENTRIES_MAX && held_bytes + bytes <= QUEUE_BYTES_MAX;
            let alone = however_large && position == done;
            if !(fits || alone) {
                return None;
            }
            let next = position.wrapping_add(weight(entries, bytes));
            if self.accepted.0.compare_exchange_weak(position, next, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return Some(position);
            }
        }
    }

    /// Puts one item into a shard.
    ///
    /// # Errors
    /// [`Error::Busy`] if the queue is full or the user has more than its share.
    #[inline]
    fn put(
        &self,
        shard: &mut Filled,
        call: impl Offer,
        kind: ItemKind,
        id: Option<OpenCallId>,
        promise: Option<Promise>,
    ) -> Result<(), Error> {
        if self.is_noisy(&call) {
            return Err(Error::Busy);
        }
        let bytes = call.bytes() + size_of::<QueuedItem>();
        let key = self.accept(1, bytes, false).ok_or(Error::Busy)?;
        let chunk = shard.room(call.text_bytes(), &self.buffers);
        let slot = call.hold(chunk);
        let is_awaited = promise.is_some();
        if let Some(promise) = promise {
            self.awaited.fetch_add(1, Ordering::Relaxed);
            chunk.promises.push(promise);
        }
        chunk.items.push(QueuedItem { key, weight: weight(1, bytes), id, slot, kind, is_awaited });
        Ok(())
    }

    /// Adds that a call has ended, even if the queue is full. There are no more ends than calls that began.
    fn end_in(&self, shard: &mut Filled, id: Option<OpenCallId>) {
        let done = self.done.0.load(Ordering::SeqCst);
        let items = counted(self.accepted.0.load(Ordering::SeqCst).wrapping_sub(done)).0;
        if id.is_some() && items < ITEMS_MAX {
            let position = self.accepted.0.fetch_add(weight(1, 0), Ordering::SeqCst);
            let (slot, kind) = (CallSlot::Nowhere, ItemKind::Ended);
            let item = QueuedItem { key: position, weight: weight(1, 0), id, slot, kind, is_awaited: false };
            shard.room(0, &self.buffers).items.push(item);
        }
    }
}

#[cfg(all(test, not(feature = "schedules")))]
mod tests;
