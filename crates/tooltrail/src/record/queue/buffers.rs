//! Buffers that go round: filled by callers, read by the writer, given back, so that recording allocates nothing.

use std::sync::Arc;

use crate::call::Call;
use crate::record::open_call_id::OpenCallId;
use crate::record::queue::offer::Copied;
use crate::record::queue::promise::Promise;
use crate::record::queue::shards::spin_lock;
use crate::record::queue::sync::{SpinMutex, bound};
use crate::redact::{PACKED_WORDS_MAX, Packed};

/// Bytes of a text that calls are packed into: a quarter of it takes all but the largest calls.
pub(crate) const TEXT_BYTES: usize = 256 * 1024;

/// A call with more bytes than these has a text of its own, so that no shared one is left much emptier than this.
pub(crate) const SHARED_BYTES_MAX: usize = TEXT_BYTES / 4;

/// Items of a chunk; with smaller calls than these are made for, its text is not filled.
pub(crate) const CHUNK_ITEMS: usize = bound(128, 2);

/// Chunks whose buffers are kept while there is work: what waits between two batches of a busy hour, 16 MiB.
const KEPT_CHUNKS_MAX: usize = 64;

/// Chunks whose buffers are kept while there is none, and are there from the start: four for each shard, of
/// which the system gives only what is written to.
const KEPT_CHUNKS_IDLE: usize = 32;

/// What callers put into a shard until the writer takes it.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) text: String,
    /// What else is known of them.
    pub(crate) words: Vec<u32>,
    pub(crate) items: Vec<QueuedItem>,
    /// Calls that were given away, in the order of their items.
    pub(crate) calls: Vec<Call>,
    /// Calls that were copied otherwise, likewise.
    pub(crate) copied: Vec<Copied>,
    /// What was promised, likewise.
    pub(crate) promises: Vec<Promise>,
}

/// An item with its place in the order of all: numbers only, as what is more than that is written twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueuedItem {
    /// The weight of all that came before it.
    pub(crate) key: u64,
    /// Its own weight.
    pub(crate) weight: u64,
    /// The open call that it ends or that begins with it; 0 for none.
    pub(crate) id: Option<OpenCallId>,
    pub(crate) slot: CallSlot,
    pub(crate) kind: ItemKind,
    /// Whether the next of the chunk's promises is its own.
    pub(crate) is_awaited: bool,
}

/// What an item is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Entry,
    Begin,
    Ended,
    Seen,
    Flush,
    Close,
}

/// Where the call of an item is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallSlot {
    /// There is none.
    Nowhere,
    /// Here in the chunk's words and text.
    Packed(Packed),
    /// The next of the calls that were given away.
    Moved,
    /// The next of those that were copied otherwise.
    Copied,
}

/// A text that the writer reads; the last who does gives it back.
#[derive(Debug)]
pub(crate) struct Text {
    text: String,
    words: Vec<u32>,
    buffers: Arc<Buffers>,
}

/// Empty buffers.
#[derive(Debug)]
pub(crate) struct Buffers(SpinMutex<FreeBuffers>);

#[derive(Debug, Default)]
struct FreeBuffers {
    texts: Vec<(String, Vec<u32>)>,
    items: Vec<Vec<QueuedItem>>,
    calls: Vec<Vec<Call>>,
}

impl Chunk {
    /// Whether it has room for one more item with so many bytes of text.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.items.len() < self.items.capacity() && self.text.len() + bytes <= self.text.capacity()
    }
}

impl Text {
    pub(crate) fn new(text: String, words: Vec<u32>, buffers: Arc<Buffers>) -> Self {
        Self { text, words, buffers }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn words(&self) -> &[u32] {
        &self.words
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // One that was made for a large call is not kept.
        if self.text.capacity() == TEXT_BYTES {
            let (mut text, mut words) = (std::mem::take(&mut self.text), std::mem::take(&mut self.words));
            text.clear();
            words.clear();
            let mut kept = spin_lock(&self.buffers.0);
            if kept.texts.len() < KEPT_CHUNKS_MAX {
                kept.texts.push((text, words));
            }
        }
    }
}

impl Default for Buffers {
    /// Has some: what callers would have to make themselves would be made by the system, on their time.
    fn default() -> Self {
        let texts = (0..KEPT_CHUNKS_IDLE).map(|_| FreeBuffers::text()).collect();
        let items = (0..KEPT_CHUNKS_IDLE).map(|_| FreeBuffers::items()).collect();
        Self(SpinMutex::new(FreeBuffers { texts, items, calls: Vec::new() }))
    }
}

impl FreeBuffers {
    fn text() -> (String, Vec<u32>) {
        (String::with_capacity(TEXT_BYTES), Vec::with_capacity(CHUNK_ITEMS * PACKED_WORDS_MAX))
    }

    fn items() -> Vec<QueuedItem> {
        Vec::with_capacity(CHUNK_ITEMS)
    }
}

impl Buffers {
    /// Returns an empty chunk; new buffers are made where none are left.
    pub(crate) fn chunk(&self) -> Chunk {
        let mut kept = spin_lock(&self.0);
        let (text, items, calls) = (kept.texts.pop(), kept.items.pop(), kept.calls.pop());
        drop(kept);
        let (text, words) = text.unwrap_or_else(FreeBuffers::text);
        Chunk {
            text,
            words,
            items: items.unwrap_or_else(FreeBuffers::items),
            calls: calls.unwrap_or_default(),
            copied: Vec::new(),
            promises: Vec::new(),
        }
    }

    /// Takes back what the writer has emptied.
    pub(crate) fn give(&self, items: Vec<QueuedItem>, calls: Vec<Call>) {
        debug_assert!(items.is_empty() && calls.is_empty(), "only empty buffers go round");
        let mut kept = spin_lock(&self.0);
        if kept.items.len() < KEPT_CHUNKS_MAX {
            kept.items.push(items);
            // Most have never held a call: those go round by themselves.
            if calls.capacity() > 0 {
                kept.calls.push(calls);
            }
        }
    }

    /// Frees most of them: there is nothing to do.
    pub(crate) fn rest(&self) {
        let mut kept = spin_lock(&self.0);
        let texts = kept.texts.len().min(KEPT_CHUNKS_IDLE);
        let items = kept.items.len().min(KEPT_CHUNKS_IDLE);
        let calls = kept.calls.len().min(KEPT_CHUNKS_IDLE);
        let freed = (kept.texts.split_off(texts), kept.items.split_off(items), kept.calls.split_off(calls));
        drop(kept);
        drop(freed);
    }
}
