//! The queue between callers and the writer: bounded in entries and bytes, never waited for by `record`.
//!
//! Callers leave their items in shards, each with its position in the order of all: the weight of all items before it. The
//! writer takes them from all shards in that order (`queue/taking.rs`).

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

/// Entries that may wait or be in work: some seconds of a busy orchestrator.
pub(crate) const QUEUE_ENTRIES_MAX: usize = bound(65_536, 6);

/// Bytes that may wait or be in work, so that large calls cannot eat the machine's memory.
pub(crate) const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Users who can have more than half of what waits, one by entries and one by bytes.
const NOISY_MAX: usize = 2;

/// Ends of calls that may wait though the queue is full: beyond them a call counts as interrupted, and the count of
/// items stays far from its bits' end.
const ITEMS_MAX: usize = 1 << (WEIGHT_BITS - 1);

/// What callers and the writer share.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    shards: Shards,
    /// The weight of all that was ever accepted: the position of the next item.
    accepted: Apart<AtomicU64>,
    /// The weight of all that the writer has done with.
    done: Apart<AtomicU64>,
    /// The weight of all that the writer has taken.
    taken: AtomicU64,
    /// Items for which somebody waits, and that the writer has not taken.
    awaited: AtomicUsize,
    /// Hashes of users who find no room while the queue is nearly full, and how many.
    noisy: [AtomicU64; NOISY_MAX],
    noisy_count: AtomicUsize,
    closed: AtomicBool,
    /// The flush that closing is.
    closing: SpinMutex<Option<Ack>>,
    wake: Wake,
    buffers: Arc<Buffers>,
    shed: SpinMutex<Shed>,
    /// Only the writer locks it.
    swept: SpinMutex<Swept>,
}

/// A number alone in its part of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// What was not taken, by why.
#[derive(Debug, Default)]
struct Shed {
    unreported: BTreeMap<LossReason, u64>,
    /// All that was ever shed.
    total: BTreeMap<LossReason, u64>,
}

/// What the writer has taken out of each shard, but not into a batch.
#[derive(Debug, Default)]
struct Swept {
    /// Item, position and weight.
    shards: [VecDeque<(Item, u64, u64)>; SHARDS],
    /// What follows what was taken, in the order of all.
    backlog: Backlog,
    /// The last of all items was taken.
    ended: bool,
}

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Each with its weight, which is given back when the item is done with.
    pub(crate) items: VecDeque<(Item, u64)>,
    /// Entries that were not taken into the queue, by why.
    pub(crate) shed: BTreeMap<LossReason, u64>,
    /// Nothing will come any more.
    pub(crate) closed: bool,
}

impl Queue {
    /// Adds an entry, or counts it as shed.
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

    /// Adds all of these entries or none, each durable before its promise, where it has one, is kept.
    ///
    /// A single one may end an open call.
    pub(crate) fn offer_all(
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
        // A request larger than the whole queue is taken when the queue is empty: refusing it for ever helps nobody.
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
        drop(shard);
        self.wake.come_now();
        Ok(())
    }

    /// Adds that a call begins. Without a promise a full queue drops it: the outcome is what counts.
    pub(crate) fn begin(
        &self,
        id: Option<OpenCallId>,
        call: impl Offer,
        promise: Option<Promise>,
    ) -> Result<(), Error> {
        let mut shard = self.shards.any();
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let awaited = promise.is_some();
        self.put(&mut shard, call, ItemKind::Begin, id, promise)?;
        drop(shard);
        if awaited {
            self.wake.come_now()
        } else {
            self.wake.come()
        }
        Ok(())
    }

    /// Adds a barrier; the acknowledgement resolves when what was accepted before is in its day files.
    pub(crate) fn seen(&self) -> Ack {
        self.barrier(ItemKind::Seen)
    }

    /// Adds a barrier, and with `close` nothing may follow it; the acknowledgement resolves when all before is durable.
    pub(crate) fn flush(&self, close: bool) -> Ack {
        self.barrier(if close { ItemKind::Close } else { ItemKind::Flush })
    }

    fn barrier(&self, kind: ItemKind) -> Ack {
        let mut closing = spin_lock(&self.closing);
        if let Some(closing) = &*closing {
            // Closing is a flush, nothing is taken since, and it may still be under way.
            return closing.again();
        }
        let (ack, promises) = promise(1);
        if kind == ItemKind::Close {
            *closing = Some(ack.again());
            self.closed.store(true, Ordering::SeqCst);
            // Whoever saw the queue open has put its items into its shard when that is free.
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

    /// Adds that an open call has an end that is counted as lost.
    pub(crate) fn end(&self, id: Option<OpenCallId>) {
        self.end_in(&mut self.shards.any(), id);
        self.wake.come();
    }

    /// Counts entries that could not be recorded.
    #[cold]
    pub(crate) fn count_shed(&self, why: LossReason, entries: u64) {
        let mut shed = spin_lock(&self.shed);
        *shed.unreported.entry(why).or_default() += entries;
        *shed.total.entry(why).or_default() += entries;
        drop(shed);
        self.wake.come();
    }

    /// Returns how many items and bytes wait, and all that was ever shed, by why.
    pub(crate) fn counts(&self) -> (usize, usize, BTreeMap<LossReason, u64>) {
        let (items, bytes) = self.waiting();
        (items, bytes, spin_lock(&self.shed).total.clone())
    }

    /// Takes back the weight of what the writer is done with.
    pub(crate) fn done(&self, weight: u64) {
        self.done.0.fetch_add(weight, Ordering::SeqCst);
    }

    /// Whether a call's user has more than half of a queue that is nearly full: the rest is for others.
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

    /// Items and bytes that the writer has not taken.
    fn waiting(&self) -> (usize, usize) {
        // In this order, as what was taken had been accepted before.
        let taken = self.taken.load(Ordering::SeqCst);
        counted(self.accepted.0.load(Ordering::SeqCst).wrapping_sub(taken))
    }

    /// Makes room for so many entries and bytes, and returns the position of the first; with `however_large` an empty
    /// queue takes them whatever they are.
    ///
    /// The shard must be held in which they are put: places in a shard only grow.
    fn accept(&self, entries: usize, bytes: usize, however_large: bool) -> Option<u64> {
        loop {
            // In this order, as what is done with had been accepted before.
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

    /// Puts one item into a shard, where there is room for it.
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

    /// Adds that a call has an end, whatever is full: there are no more of these than calls that began.
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
