//! The writer's side of the queue: waiting for something to come, and taking it in batches.

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

/// Entries of a batch for which somebody waits: enough that one sync serves many callers, few enough that whoever comes
/// next waits some ten milliseconds.
pub(super) const AWAITED_ENTRIES_MAX: usize = bound(2_048, 3);

/// Bytes of such a batch, as large as a sequential write profits from, twice over.
const AWAITED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a batch for which nobody waits: the more lines one opening of a file serves, the better. A quarter of
/// what the queue holds, as whoever comes next and waits has this batch before him.
pub(super) const BATCH_BYTES_MAX: usize = QUEUE_BYTES_MAX / 4;

/// How long the writer looks again by itself after there was work; then it sleeps until somebody wakes it.
const POLL: Duration = Duration::from_millis(1);

/// How many times it does so: waking a sleeping thread costs a caller ten times what recording costs.
const POLLS_BEFORE_SLEEP: usize = bound(50, 1);

/// How many times the writer looks again at entries for which nobody waits: opening a file for ten lines costs no more
/// than for one.
const LINGER_POLLS: usize = bound(10, 1);

/// Entries that make the writer look again: with fewer, who reads right after a call is to see it.
const LINGER_FROM: usize = bound(256, 2);

/// Full chunks for which a shard has room before its list grows, on a caller's time.
const FULL_CHUNKS: usize = 8;

impl Queue {
    /// Takes what is there; waits for something to come, at most until `longest`.
    pub(crate) fn take(&self, longest: Option<Duration>) -> Batch {
        let mut swept = spin_lock(&self.swept);
        if !swept.ended && swept.backlog.is_empty() {
            self.wait(longest);
            self.linger();
        }
        // Looked at before the shards: what was shed before something came is told before it.
        let shed = std::mem::take(&mut spin_lock(&self.shed).unreported);
        self.sweep(&mut swept);
        let items = self.batch(&mut swept);
        Batch { items, shed, closed: swept.ended }
    }

    /// Whether the next batch is there already, and as large as one can be.
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting().1 >= BATCH_BYTES_MAX
    }

    /// Waits for something to come.
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

    /// Empties the shards.
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

    /// Takes the items out of a chunk, and gives its buffers back.
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

    /// Takes a batch from what is next.
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

    /// Notes who has more than half of what waits in a queue that is filling up.
    fn note_noisy(&self, backlog: &Backlog) {
        let (entries, bytes) = counted(backlog.weight());
        // Well before it counts, so that it is known by then.
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
