//! The queue between callers and the writer: bounded in entries and bytes, never waited for by `record`.
//!
//! Callers leave their items in lanes, each with its place in the order of all: the weight of all items before it. The
//! writer takes them from all lanes in that order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::record::buffers::{Buffers, Chunk, Held, Stored, Text, What};
use crate::record::item::{Item, Source};
use crate::record::lanes::{Filled, LANES, Lanes, spin_lock};
use crate::record::offer::{Copied, Offer};
use crate::record::promise::{Ack, Promise, promise};
use crate::record::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, SpinMutex, bound};
use crate::record::turns::{Backlog, hash};
use crate::record::wake::{Sleep, Wake};

/// Entries that may wait or be in work: some seconds of a busy orchestrator.
pub(crate) const QUEUE_ENTRIES_MAX: usize = bound(65_536, 6);

/// Bytes that may wait or be in work, so that large calls cannot eat the machine's memory.
pub(crate) const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Entries of a batch for which somebody waits: enough that one sync serves many callers, few enough that whoever comes
/// next waits some ten milliseconds.
const AWAITED_ENTRIES_MAX: usize = bound(2_048, 3);

/// Bytes of such a batch, as large as a sequential write profits from, twice over.
const AWAITED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a batch for which nobody waits: the more lines one opening of a file serves, the better. A quarter of
/// what the queue holds, as whoever comes next and waits has this batch before him.
const BATCH_BYTES_MAX: usize = QUEUE_BYTES_MAX / 4;

/// Users who can have more than half of what waits, one by entries and one by bytes.
const NOISY_MAX: usize = 2;

/// How long the writer looks again by itself after there was work; then it sleeps until somebody wakes it.
const POLL: Duration = Duration::from_millis(1);

/// How many times it does so: waking a sleeping thread costs a caller ten times what recording costs.
const POLLS_BEFORE_SLEEP: usize = bound(50, 1);

/// How many times the writer looks again at entries for which nobody waits: opening a file for ten lines costs no more
/// than for one.
const LINGER_POLLS: usize = bound(10, 1);

/// Entries that make the writer look again: with fewer, who reads right after a call is to see it.
const LINGER_FROM: usize = bound(256, 2);

/// Full chunks for which a lane has room before its list grows, on a caller's time.
const FULL_CHUNKS: usize = 8;

/// A weight counts items in its lowest bits and bytes above them: sums of weights grow for ever, past the end of the
/// number too, and the difference of two is exact.
const WEIGHT_BITS: u32 = 24;

/// Ends of calls that may wait though the queue is full: beyond them a call counts as interrupted, and the count of
/// items stays far from its bits' end.
const ITEMS_MAX: usize = 1 << (WEIGHT_BITS - 1);

/// What callers and the writer share.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lanes: Lanes,
    /// The weight of all that was ever accepted: the place of the next item.
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
    untold: BTreeMap<&'static str, u64>,
    /// All that was ever shed.
    total: BTreeMap<&'static str, u64>,
}

/// What the writer has taken out of each lane, but not into a batch.
#[derive(Debug, Default)]
struct Swept {
    /// Item, place and weight.
    lanes: [VecDeque<(Item, u64, u64)>; LANES],
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
    pub(crate) shed: BTreeMap<&'static str, u64>,
    /// Nothing will come any more.
    pub(crate) closed: bool,
}

impl Queue {
    /// Adds an entry, or counts it as shed.
    #[inline]
    pub(crate) fn offer(&self, call: impl Offer, ends: u64) {
        let mut lane = self.lanes.any();
        if self.is_closed() {
            drop(lane);
            return self.count_shed("closed", 1);
        }
        if self.put(&mut lane, call, What::Entry, ends, None).is_err() {
            self.end_in(&mut lane, ends);
            drop(lane);
            return self.count_shed("queue_full", 1);
        }
        drop(lane);
        self.wake.come();
    }

    /// Adds all of these entries or none, each durable before its promise, where it has one, is kept.
    ///
    /// A single one may end an open call.
    pub(crate) fn offer_all(
        &self,
        calls: Vec<impl Offer>,
        promises: Vec<Option<Promise>>,
        ends: u64,
    ) -> Result<(), Error> {
        let bytes = calls.iter().map(|call| call.bytes() + size_of::<Stored>()).sum::<usize>();
        let mut lane = self.lanes.any();
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let is_noisy = calls.iter().any(|call| self.is_noisy(call));
        // A request larger than the whole queue is taken when the queue is empty: refusing it for ever helps nobody.
        let place = if is_noisy { None } else { self.accept(calls.len(), bytes, true) };
        let Some(mut place) = place else {
            self.end_in(&mut lane, ends);
            return Err(Error::Busy);
        };
        let awaited = promises.iter().flatten().count();
        self.awaited.fetch_add(awaited, Ordering::SeqCst);
        for (call, promise) in calls.into_iter().zip(promises) {
            let weight = weight(1, call.bytes() + size_of::<Stored>());
            let chunk = lane.room(call.text_bytes(), &self.buffers);
            let held = call.hold(chunk);
            let is_awaited = promise.is_some();
            chunk.promises.extend(promise);
            chunk.items.push(Stored { key: place, weight, id: ends, held, what: What::Entry, is_awaited });
            place = place.wrapping_add(weight);
        }
        drop(lane);
        self.wake.come_now();
        Ok(())
    }

    /// Adds that a call begins. Without a promise a full queue drops it: the outcome is what counts.
    pub(crate) fn begin(&self, id: u64, call: impl Offer, promise: Option<Promise>) -> Result<(), Error> {
        let mut lane = self.lanes.any();
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let awaited = promise.is_some();
        self.put(&mut lane, call, What::Begin, id, promise)?;
        drop(lane);
        match awaited {
            true => self.wake.come_now(),
            false => self.wake.come(),
        }
        Ok(())
    }

    /// Adds a barrier; the acknowledgement resolves when what was accepted before is in its day files.
    pub(crate) fn seen(&self) -> Ack {
        self.barrier(What::Seen)
    }

    /// Adds a barrier, and with `close` nothing may follow it; the acknowledgement resolves when all before is durable.
    pub(crate) fn flush(&self, close: bool) -> Ack {
        self.barrier(if close { What::Close } else { What::Flush })
    }

    fn barrier(&self, what: What) -> Ack {
        let mut closing = spin_lock(&self.closing);
        if let Some(closing) = &*closing {
            // Closing is a flush, nothing is taken since, and it may still be under way.
            return closing.again();
        }
        let (ack, promises) = promise(1);
        if what == What::Close {
            *closing = Some(ack.again());
            self.closed.store(true, Ordering::SeqCst);
            // Whoever saw the queue open has put its items into its lane when that is free.
            self.lanes.each().for_each(drop);
        }
        let mut lane = self.lanes.any();
        self.awaited.fetch_add(1, Ordering::SeqCst);
        let key = self.accepted.0.fetch_add(weight(1, 0), Ordering::SeqCst);
        let chunk = lane.room(0, &self.buffers);
        chunk.promises.extend(promises);
        let held = Held::Nowhere;
        chunk.items.push(Stored { key, weight: weight(1, 0), id: 0, held, what, is_awaited: true });
        drop(lane);
        drop(closing);
        self.wake.come_now();
        ack
    }

    /// Adds that an open call has an end that is counted as lost.
    pub(crate) fn end(&self, id: u64) {
        self.end_in(&mut self.lanes.any(), id);
        self.wake.come();
    }

    /// Counts entries that could not be recorded.
    #[cold]
    pub(crate) fn count_shed(&self, why: &'static str, entries: u64) {
        let mut shed = spin_lock(&self.shed);
        *shed.untold.entry(why).or_default() += entries;
        *shed.total.entry(why).or_default() += entries;
        drop(shed);
        self.wake.come();
    }

    /// Returns how many items and bytes wait, and all that was ever shed, by why.
    pub(crate) fn counts(&self) -> (usize, usize, BTreeMap<&'static str, u64>) {
        let (items, bytes) = self.waiting();
        (items, bytes, spin_lock(&self.shed).total.clone())
    }

    /// Takes back the weight of what the writer is done with.
    pub(crate) fn done(&self, weight: u64) {
        self.done.0.fetch_add(weight, Ordering::SeqCst);
    }

    /// Takes what is there; waits for something to come, at most until `longest`.
    pub(crate) fn take(&self, longest: Option<Duration>) -> Batch {
        let mut swept = spin_lock(&self.swept);
        if !swept.ended && swept.backlog.is_empty() {
            self.wait(longest);
            self.linger();
        }
        // Looked at before the lanes: what was shed before something came is told before it.
        let shed = std::mem::take(&mut spin_lock(&self.shed).untold);
        self.sweep(&mut swept);
        let items = self.batch(&mut swept);
        Batch { items, shed, closed: swept.ended }
    }

    /// Waits for something to come.
    fn wait(&self, longest: Option<Duration>) {
        let is_some = || self.waiting().0 > 0 || !spin_lock(&self.shed).untold.is_empty();
        let mut waited = Duration::ZERO;
        for polls in 0.. {
            let left = longest.map(|longest| longest.saturating_sub(waited));
            if is_some() || left.is_some_and(|left| left.is_zero()) {
                return;
            }
            if polls < POLLS_BEFORE_SLEEP {
                waited += self.wake.sleep(Sleep::Nap, Some(POLL), is_some);
            } else {
                self.buffers.rest();
                waited += self.wake.sleep(Sleep::Deep, left, is_some);
            }
        }
    }

    /// Waits a little for more entries for which nobody waits.
    fn linger(&self) {
        for _ in 0..LINGER_POLLS {
            let (items, bytes) = self.waiting();
            let is_awaited = || self.awaited.load(Ordering::SeqCst) > 0;
            if is_awaited() || items < LINGER_FROM || bytes >= BATCH_BYTES_MAX {
                return;
            }
            self.wake.sleep(Sleep::Nap, Some(POLL), is_awaited);
        }
    }

    /// Empties the lanes.
    fn sweep(&self, swept: &mut Swept) {
        for (mut lane, swept) in self.lanes.each().zip(&mut swept.lanes) {
            if lane.chunk.items.is_empty() && lane.full.is_empty() {
                continue;
            }
            let last = std::mem::replace(&mut lane.chunk, self.buffers.chunk());
            let full = std::mem::replace(&mut lane.full, Vec::with_capacity(FULL_CHUNKS));
            drop(lane);
            for chunk in full.into_iter().chain([last]) {
                self.unpack(chunk, swept);
            }
        }
    }

    /// Takes the items out of a chunk, and gives its buffers back.
    fn unpack(&self, chunk: Chunk, swept: &mut VecDeque<(Item, u64, u64)>) {
        let Chunk { text, words, mut items, mut calls, copied, promises } = chunk;
        let text = self.text(text, words);
        let (mut moved, mut copied, mut promises) = (calls.drain(..), copied.into_iter(), promises.into_iter());
        for Stored { key, weight, id, held, what, is_awaited } in items.drain(..) {
            let source = match held {
                Held::Nowhere => None,
                Held::Packed(packed) => Some(Source::Packed(packed, Arc::clone(&text))),
                Held::Moved => moved.next().map(|call| Source::Moved(Box::new(call))),
                Held::Copied => copied.next().map(|copied| match copied {
                    Copied::Large(packed, text, words) => Source::Packed(packed, self.text(text, words)),
                    Copied::Windowed(call) => Source::Windowed(call),
                }),
            };
            let promise = if is_awaited { promises.next() } else { None };
            let item = match (what, source, promise) {
                (What::Entry, Some(source), promise) => Item::Entry(source, promise, id),
                (What::Begin, Some(source), promise) => Item::Begin(id, source, promise),
                (What::Flush | What::Close, _, Some(promise)) => Item::Flush(promise, what == What::Close),
                (What::Seen, _, Some(promise)) => Item::Seen(promise),
                _ => Item::Ended(id),
            };
            swept.push_back((item, key, weight));
        }
        drop(moved);
        self.buffers.give(items, calls);
    }

    fn text(&self, text: String, words: Vec<u32>) -> Arc<Text> {
        Arc::new(Text::new(text, words, Arc::clone(&self.buffers)))
    }

    /// Takes a batch from what is next.
    fn batch(&self, swept: &mut Swept) -> VecDeque<(Item, u64)> {
        let taken = self.taken.load(Ordering::SeqCst);
        let mut next = taken.wrapping_add(swept.backlog.weight());
        while let Some(lane) =
            swept.lanes.iter_mut().find(|lane| lane.front().is_some_and(|(_, place, _)| *place == next))
        {
            let Some((item, _, weight)) = lane.pop_front() else { break };
            next = next.wrapping_add(weight);
            swept.backlog.push(item, weight);
        }
        self.note_noisy(&swept.backlog);
        let items = match self.awaited.load(Ordering::SeqCst) {
            0 => swept.backlog.take_first(QUEUE_ENTRIES_MAX, BATCH_BYTES_MAX),
            _ => swept.backlog.take(AWAITED_ENTRIES_MAX, AWAITED_BYTES_MAX),
        };
        let weight = items.iter().fold(0_u64, |sum, (_, weight)| sum.wrapping_add(*weight));
        swept.ended |= items.iter().any(|(item, _)| matches!(item, Item::Flush(_, true)));
        self.taken.store(taken.wrapping_add(weight), Ordering::SeqCst);
        self.awaited.fetch_sub(items.iter().filter(|(item, _)| item.is_awaited()).count(), Ordering::SeqCst);
        items
    }

    /// Notes who has more than half of what waits in a queue that is filling up.
    fn note_noisy(&self, backlog: &Backlog) {
        let (entries, bytes) = counted(backlog.weight());
        // Well before it counts, so that it is known by then.
        let mut noisy = match entries > QUEUE_ENTRIES_MAX / 3 * 2 || bytes > QUEUE_BYTES_MAX / 3 * 2 {
            true => backlog.over(entries / 2, bytes / 2),
            false => Vec::new(),
        };
        noisy.truncate(NOISY_MAX);
        for (place, user) in self.noisy.iter().zip(&noisy) {
            place.store(*user, Ordering::Relaxed);
        }
        self.noisy_count.store(noisy.len(), Ordering::Relaxed);
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

    /// Makes room for so many entries and bytes, and returns the place of the first; with `however_large` an empty
    /// queue takes them whatever they are.
    ///
    /// The lane must be held in which they are put: places in a lane only grow.
    fn accept(&self, entries: usize, bytes: usize, however_large: bool) -> Option<u64> {
        loop {
            // In this order, as what is done with had been accepted before.
            let done = self.done.0.load(Ordering::SeqCst);
            let place = self.accepted.0.load(Ordering::SeqCst);
            let (held_entries, held_bytes) = counted(place.wrapping_sub(done));
            let fits = held_entries + entries <= QUEUE_ENTRIES_MAX && held_bytes + bytes <= QUEUE_BYTES_MAX;
            let alone = however_large && place == done;
            if !(fits || alone) {
                return None;
            }
            let next = place.wrapping_add(weight(entries, bytes));
            if self.accepted.0.compare_exchange_weak(place, next, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return Some(place);
            }
        }
    }

    /// Puts one item into a lane, where there is room for it.
    #[inline]
    fn put(
        &self,
        lane: &mut Filled,
        call: impl Offer,
        what: What,
        id: u64,
        promise: Option<Promise>,
    ) -> Result<(), Error> {
        if self.is_noisy(&call) {
            return Err(Error::Busy);
        }
        let bytes = call.bytes() + size_of::<Stored>();
        let key = self.accept(1, bytes, false).ok_or(Error::Busy)?;
        let chunk = lane.room(call.text_bytes(), &self.buffers);
        let held = call.hold(chunk);
        let is_awaited = promise.is_some();
        if let Some(promise) = promise {
            self.awaited.fetch_add(1, Ordering::Relaxed);
            chunk.promises.push(promise);
        }
        chunk.items.push(Stored { key, weight: weight(1, bytes), id, held, what, is_awaited });
        Ok(())
    }

    /// Adds that a call has an end, whatever is full: there are no more of these than calls that began.
    fn end_in(&self, lane: &mut Filled, id: u64) {
        let done = self.done.0.load(Ordering::SeqCst);
        let items = counted(self.accepted.0.load(Ordering::SeqCst).wrapping_sub(done)).0;
        if id > 0 && items < ITEMS_MAX {
            let place = self.accepted.0.fetch_add(weight(1, 0), Ordering::SeqCst);
            let (held, what) = (Held::Nowhere, What::Ended);
            let item = Stored { key: place, weight: weight(1, 0), id, held, what, is_awaited: false };
            lane.room(0, &self.buffers).items.push(item);
        }
    }
}

/// The weight of so many items of so many bytes in all.
fn weight(items: usize, bytes: usize) -> u64 {
    (bytes as u64) << WEIGHT_BITS | items as u64
}

/// The items and bytes of a weight.
pub(crate) fn counted(weight: u64) -> (usize, usize) {
    let items = weight & ((1 << WEIGHT_BITS) - 1);
    (items as usize, (weight >> WEIGHT_BITS) as usize)
}

#[cfg(all(test, not(feature = "schedules")))]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::call::Call;
    use crate::clock::Timestamp;
    use crate::record::offer::Lent;
    use crate::redact::Redactor;

    /// Building one takes longer than all tests here.
    static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(None));

    fn call(user: &str, args: String) -> Call {
        Call::new(user, "t", args)
    }

    fn offer(queue: &Queue, call: &Call, moved: bool) {
        let now = Timestamp::from_millis(0);
        match moved {
            true => queue.offer(call.clone(), 0),
            false => queue.offer(Lent::new(call, now, &REDACTOR), 0),
        }
    }

    fn user(item: Item) -> String {
        match item {
            Item::Entry(source, ..) => source.windowed(&REDACTOR).user.seen.text,
            other => panic!("no entry: {other:?}"),
        }
    }

    /// Fills a queue with entries, some awaited, and checks how many come out at once.
    fn check(buffered: usize, awaited: usize, batches: &[usize]) {
        let queue = Queue::default();
        let call = call("alice", "{}".to_owned());
        (0..buffered).for_each(|n| offer(&queue, &call, n % 3 == 0));
        let (_ack, promises) = promise(awaited);
        let promises = promises.into_iter().map(Some).collect();
        let offers = (0..awaited).map(|_| call.clone()).collect();
        queue.offer_all(offers, promises, 0).unwrap();
        for expected in batches {
            let batch = queue.take(Some(Duration::ZERO));
            assert_eq!(batch.items.len(), *expected);
            batch.items.into_iter().for_each(|(_, weight)| queue.done(weight));
        }
        assert_eq!(queue.waiting(), (0, 0), "{buffered} {awaited}");
        assert_eq!(queue.accepted.0.load(Ordering::SeqCst), queue.done.0.load(Ordering::SeqCst));
    }

    #[test]
    fn a_batch_is_bounded_where_somebody_waits() {
        check(0, 0, &[0]);
        check(10, 0, &[10]);
        check(10_000, 0, &[10_000]);
        check(0, 3_000, &[AWAITED_ENTRIES_MAX, 3_000 - AWAITED_ENTRIES_MAX]);
        check(3_000, 10, &[AWAITED_ENTRIES_MAX, 3_010 - AWAITED_ENTRIES_MAX]);
    }

    #[test]
    fn a_batch_is_bounded_in_bytes() {
        let queue = Queue::default();
        let call = call("alice", format!("[{}]", "1".repeat(1_000_000)));
        (0..20).for_each(|n| offer(&queue, &call, n % 2 == 0));
        assert_eq!(queue.take(None).items.len(), BATCH_BYTES_MAX.div_ceil(1_001_000));
        queue.take(None);
        assert_eq!(queue.waiting(), (0, 0));
    }

    #[test]
    fn what_is_in_work_counts_until_it_is_done() {
        let queue = Queue::default();
        let calls = ["alice", "bob"].map(|user| call(user, "{}".to_owned()));
        let shed = |queue: &Queue| queue.counts().2.get("queue_full").copied().unwrap_or(0);
        (0..QUEUE_ENTRIES_MAX + 7).for_each(|n| offer(&queue, &calls[n % 2], false));
        assert_eq!(shed(&queue), 7);
        let batch = queue.take(None);
        assert_eq!(batch.shed, BTreeMap::from([("queue_full", 7)]));
        offer(&queue, &calls[0], true);
        assert_eq!(shed(&queue), 8);
        let first = batch.items.iter().map(|(_, weight)| weight).take(5);
        first.for_each(|weight| queue.done(*weight));
        (0..6).for_each(|_| offer(&queue, &calls[1], false));
        assert_eq!(shed(&queue), 9);
    }

    #[test]
    fn bytes_are_bounded_exactly() {
        let queue = Queue::default();
        let large = call("a", "1".repeat(1_000_000));
        let each = Lent::new(&large, Timestamp::from_millis(0), &REDACTOR).bytes() + size_of::<Stored>();
        (0..100).for_each(|_| offer(&queue, &large, false));
        assert_eq!(queue.waiting(), (QUEUE_BYTES_MAX / each, QUEUE_BYTES_MAX / each * each));
        let left = QUEUE_BYTES_MAX % each - size_of::<Stored>() - "at".len();
        offer(&queue, &call("a", "1".repeat(left + 1)), false);
        assert_eq!(queue.waiting().0, QUEUE_BYTES_MAX / each);
        offer(&queue, &call("a", "1".repeat(left)), false);
        assert_eq!(queue.waiting(), (QUEUE_BYTES_MAX / each + 1, QUEUE_BYTES_MAX));
    }

    #[test]
    fn sums_of_weights_may_pass_the_end_of_the_number() {
        let queue = Queue::default();
        let start = u64::MAX - weight(3, 1_000);
        for counter in [&queue.accepted.0, &queue.done.0, &queue.taken] {
            counter.store(start, Ordering::SeqCst);
        }
        for n in 0..50 {
            offer(&queue, &call(&format!("u{n}"), "{}".to_owned()), n % 2 == 0);
        }
        let users = queue.take(None).items.into_iter().map(|(item, _)| user(item)).collect::<Vec<_>>();
        assert_eq!(users, (0..50).map(|n| format!("u{n}")).collect::<Vec<_>>());
    }

    /// More callers than lanes, each with its own numbers, while batches are taken: each caller's stay in order, none
    /// is lost, and a flush finds before it all that came before it.
    #[test]
    fn every_callers_order_stays() {
        const CALLERS: usize = 11;
        const EACH: usize = 3_000;
        let queue = Queue::default();
        let mut next = [0; CALLERS];
        let mut flushes = 0;
        let mut see = |batch: Batch| {
            for (item, weight) in batch.items {
                queue.done(weight);
                if let Item::Flush(promise, close) = item {
                    // A caller flushes after each hundred; what it says is that they came before.
                    flushes += usize::from(!close);
                    promise.keep();
                    continue;
                }
                let user = user(item);
                let (caller, number) = user.split_once('-').unwrap();
                let caller = caller.parse::<usize>().unwrap();
                assert_eq!(number, next[caller].to_string());
                next[caller] += 1;
            }
            batch.closed
        };
        std::thread::scope(|scope| {
            let callers = (0..CALLERS).map(|caller| {
                let queue = &queue;
                scope.spawn(move || {
                    for n in 0..EACH {
                        offer(queue, &call(&format!("{caller}-{n}"), "{}".to_owned()), n % 5 == 0);
                        if n % 100 == 99 {
                            queue.flush(false).wait().unwrap();
                        }
                    }
                })
            });
            let callers = callers.collect::<Vec<_>>();
            while !callers.iter().all(|caller| caller.is_finished()) {
                see(queue.take(Some(Duration::ZERO)));
            }
        });
        let _ack = queue.flush(true);
        offer(&queue, &call("late", "{}".to_owned()), false);
        while !see(queue.take(Some(Duration::ZERO))) {}
        assert_eq!((next, flushes), ([EACH; CALLERS], CALLERS * EACH / 100));
        assert_eq!(queue.counts().2, BTreeMap::from([("closed", 1)]));
    }
}
