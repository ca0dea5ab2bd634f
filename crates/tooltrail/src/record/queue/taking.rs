//! The writer thread's side of the queue: it waits for items and takes them in batches.
//!
//! [`Queue::take`] works in three steps. First it waits until an item or a count of shed entries is there. Then it
//! sweeps: it locks the shards one after another and moves their items into [`Swept`]. Then it merges: it looks for the
//! shard whose first item has the position that comes next, moves this item to the backlog, adds its weight and
//! repeats.
//!
//! The merge stops if the next position is in no shard. This happens when a caller appended an item to a shard that was
//! already swept, while a later position was found in a shard that was swept after that. The items behind the gap stay
//! in [`Swept`] until a later sweep finds the missing one; the writer thread does not sleep meanwhile, because
//! `accepted` is still greater than `taken`. So the order of the positions is the order of the batches, and a barrier
//! is taken only after all items before it.
//!
//! If a caller waits for a durable entry, a batch has a bounded size and each user gets an equal share of it
//! (`queue/fair_batch.rs`). While the writer thread stores such a batch, the next callers queue up, and one sync serves
//! all of them. If no caller waits, a batch takes as much as possible, because fewer batches mean fewer opened files.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::record::queue::buffers::{CallSlot, Chunk, ItemKind, QueuedItem, Text};
use crate::record::queue::fair_batch::Backlog;
use crate::record::queue::item::{Item, Source};
use crate::record::queue::offer::Copied;
use crate::record::queue::shards::spin_lock;
use crate::record::queue::sync::{Ordering, bound};
use crate::record::queue::wake::Sleep;
use crate::record::queue::weight::counted;
use crate::record::queue::{Batch, NOISY_MAX, QUEUE_BYTES_MAX, QUEUE_ENTRIES_MAX, Queue, Swept};

/// The most entries of a batch that a caller waits for: enough that one sync serves many callers, and few enough that
/// the next caller waits only some ten milliseconds.
pub(super) const AWAITED_ENTRIES_MAX: usize = bound(2_048, 3);

/// The most bytes of such a batch: twice the size up to which a sequential write gets faster.
const AWAITED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most bytes of a batch that no caller waits for. A large batch means more lines for each opened file. It is only
/// a quarter of the queue, because the next caller that waits must wait for this batch too.
pub(super) const BATCH_BYTES_MAX: usize = QUEUE_BYTES_MAX / 4;

/// How long the writer thread naps before it checks the queue again by itself.
const POLL: Duration = Duration::from_millis(1);

/// The number of such naps before the writer thread sleeps until a caller wakes it. Waking a sleeping thread costs the
/// caller ten times as much as recording a call.
const POLLS_BEFORE_SLEEP: usize = bound(50, 1);

/// The number of naps in which the writer thread lets more entries come if no caller waits, because opening a file for
/// ten lines costs no more than for one.
const LINGER_POLLS: usize = bound(10, 1);

/// The number of entries from which the writer thread waits for more. With fewer it writes at once, so that a reader
/// sees a call right after it was recorded.
const LINGER_FROM: usize = bound(256, 2);

/// The capacity of a shard's list of full chunks. If it is exceeded, a caller has to grow the list.
const FULL_CHUNKS: usize = 8;

impl Queue {
    /// Takes a batch. Waits for items, at most for `longest`; `None` waits without a limit.
    pub(crate) fn take(&self, longest: Option<Duration>) -> Batch {
        let mut swept = spin_lock(&self.swept);
        if !swept.ended && swept.backlog.is_empty() {
            self.wait(longest);
            self.linger();
        }
        self.sweep(&mut swept);
        // The counts are read after the sweep. If the sweep found a caller's flush, it also sees what this caller lost
        // before it: the flush must not answer that all is durable.
        let shed = std::mem::take(&mut spin_lock(&self.shed).unreported);
        let items = self.batch(&mut swept);
        Batch { items, shed, closed: swept.ended }
    }

    /// Whether enough bytes wait to fill the next batch.
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting().1 >= BATCH_BYTES_MAX
    }

    /// Waits until an item or a count of shed entries is there: first with short naps, then with a long sleep.
    fn wait(&self, longest: Option<Duration>) {
        let is_some = || self.waiting().0 > 0 || !spin_lock(&self.shed).unreported.is_empty();
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

    /// Waits a little for more entries if no caller waits.
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

    /// Moves all items from the shards into `swept`.
    fn sweep(&self, swept: &mut Swept) {
        for (mut shard, swept) in self.shards.each().zip(&mut swept.shards) {
            if shard.chunk.items.is_empty() && shard.full.is_empty() {
                continue;
            }
            let last = std::mem::replace(&mut shard.chunk, self.buffers.chunk());
            let full = std::mem::replace(&mut shard.full, Vec::with_capacity(FULL_CHUNKS));
            drop(shard);
            for chunk in full.into_iter().chain([last]) {
                self.unpack(chunk, swept);
            }
        }
    }

    /// Takes the items out of a chunk and gives its buffers back.
    fn unpack(&self, chunk: Chunk, swept: &mut VecDeque<(Item, u64, u64)>) {
        let Chunk { text, words, mut items, mut calls, copied, promises } = chunk;
        let text = self.text(text, words);
        let (mut moved, mut copied, mut promises) = (calls.drain(..), copied.into_iter(), promises.into_iter());
        for QueuedItem { key, weight, id, slot, kind, is_awaited } in items.drain(..) {
            let source = match slot {
                CallSlot::Nowhere => None,
                CallSlot::Packed(packed) => Some(Source::Packed(packed, Arc::clone(&text))),
                CallSlot::Moved => moved.next().map(|call| Source::Moved(Box::new(call))),
                CallSlot::Copied => copied.next().map(|copied| match copied {
                    Copied::Large(packed, text, words) => Source::Packed(packed, self.text(text, words)),
                    Copied::BoundedCall(call) => Source::BoundedCall(call),
                    Copied::Line(line) => Source::Line(line),
                }),
            };
            let promise = if is_awaited { promises.next() } else { None };
            let item = match (kind, source, promise, id) {
                (ItemKind::Entry, Some(source), promise, id) => Item::Entry(source, promise, id),
                (ItemKind::Begin, Some(source), promise, Some(id)) => Item::Begin(id, source, promise),
                (ItemKind::Flush | ItemKind::Close, _, Some(promise), _) => {
                    Item::Flush(promise, kind == ItemKind::Close)
                }
                (ItemKind::Seen, _, Some(promise), _) => Item::Seen(promise),
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

    /// Merges the swept items in the order of their positions, up to the first gap, and takes a batch from them.
    fn batch(&self, swept: &mut Swept) -> VecDeque<(Item, u64)> {
        let taken = self.taken.load(Ordering::SeqCst);
        let mut next = taken.wrapping_add(swept.backlog.weight());
        while let Some(shard) =
            swept.shards.iter_mut().find(|shard| shard.front().is_some_and(|(_, position, _)| *position == next))
        {
            let Some((item, _, weight)) = shard.pop_front() else { break };
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

    /// Notes the users who have more than half of the waiting entries or bytes in a queue that is filling up.
    fn note_noisy(&self, backlog: &Backlog) {
        let (entries, bytes) = counted(backlog.weight());
        // Two thirds: users are refused from three quarters on, and must be known by then.
        let mut noisy = if entries > QUEUE_ENTRIES_MAX / 3 * 2 || bytes > QUEUE_BYTES_MAX / 3 * 2 {
            backlog.over(entries / 2, bytes / 2)
        } else {
            Vec::new()
        };
        noisy.truncate(NOISY_MAX);
        for (position, user) in self.noisy.iter().zip(&noisy) {
            position.store(*user, Ordering::Relaxed);
        }
        self.noisy_count.store(noisy.len(), Ordering::Relaxed);
    }
}
