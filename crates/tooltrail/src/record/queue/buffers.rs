//! Reused buffers: callers fill them, the writer thread reads them and gives them back. Recording a small call
//! therefore allocates no memory.

use std::sync::Arc;

use crate::call::Call;
use crate::record::open_call_id::OpenCallId;
use crate::record::queue::offer::Copied;
use crate::record::queue::promise::Promise;
use crate::record::queue::shards::spin_lock;
use crate::record::queue::sync::{SpinMutex, bound};
use crate::redact::{PACKED_WORDS_MAX, Packed};

/// The bytes of a text buffer that calls are packed into. All but the largest calls need at most a quarter of it.
pub(crate) const TEXT_BYTES: usize = 256 * 1024;

/// The most bytes of a call that goes into a shared text buffer; a larger call gets a text of its own. Therefore a full
/// buffer wastes at most this much.
pub(crate) const SHARED_BYTES_MAX: usize = TEXT_BYTES / 4;

/// The most items of a chunk. With very small calls, a chunk has this many items before its text is full.
pub(crate) const CHUNK_ITEMS: usize = bound(128, 2);

/// The most chunks whose buffers are kept while there is work: 16 MiB, as much as waits between two batches in a busy
/// hour.
const KEPT_CHUNKS_MAX: usize = 64;

/// The chunks whose buffers are kept while there is no work. They are also allocated at the start, four for each shard.
/// The system provides memory only for the pages that are written.
const KEPT_CHUNKS_IDLE: usize = 32;

/// The items that callers put into a shard, together with their buffers.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) text: String,
    /// The packed calls of the items: offsets into the text, and other fields.
    pub(crate) words: Vec<u32>,
    pub(crate) items: Vec<QueuedItem>,
    /// The calls that callers gave away, in the order of their items.
    pub(crate) calls: Vec<Call>,
    /// The calls that were copied and not packed, in the order of their items.
    pub(crate) copied: Vec<Copied>,
    /// The promises, in the order of their items.
    pub(crate) promises: Vec<Promise>,
}

/// An item with its position. It has only numbers: everything larger would be copied twice, because the item is built
/// first and then moved into the chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueuedItem {
    /// The position: the weight of all items accepted before.
    pub(crate) key: u64,
    /// The weight of this item.
    pub(crate) weight: u64,
    /// The open call that ends or begins with this item.
    pub(crate) id: Option<OpenCallId>,
    pub(crate) slot: CallSlot,
    pub(crate) kind: ItemKind,
    /// Whether the item has a promise: the next one of the chunk.
    pub(crate) is_awaited: bool,
}

/// The kind of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Entry,
    Begin,
    Ended,
    Seen,
    Flush,
    Close,
}

/// The place of an item's call in the chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallSlot {
    /// The item has no call.
    Nowhere,
    /// In the words and the text of the chunk.
    Packed(Packed),
    /// The next one of `Chunk::calls`.
    Moved,
    /// The next one of `Chunk::copied`.
    Copied,
}

/// A text buffer that the writer thread reads. When the last reference is dropped, it goes back to the free buffers.
#[derive(Debug)]
pub(crate) struct Text {
    text: String,
    words: Vec<u32>,
    buffers: Arc<Buffers>,
}

/// The free buffers.
#[derive(Debug)]
pub(crate) struct Buffers(SpinMutex<FreeBuffers>);

#[derive(Debug, Default)]
struct FreeBuffers {
    texts: Vec<(String, Vec<u32>)>,
    items: Vec<Vec<QueuedItem>>,
    calls: Vec<Vec<Call>>,
}

impl Chunk {
    /// Whether the chunk has room for one more item with this many bytes of text.
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
        // A text of another size was made for one large call and is not kept.
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
    /// Allocates some buffers at once, so that callers do not have to allocate them.
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
    /// Returns an empty chunk. Allocates buffers if none are free.
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

    /// Takes back buffers that the writer thread has emptied.
    pub(crate) fn give(&self, items: Vec<QueuedItem>, calls: Vec<Call>) {
        debug_assert!(items.is_empty() && calls.is_empty(), "only empty buffers go round");
        let mut kept = spin_lock(&self.0);
        if kept.items.len() < KEPT_CHUNKS_MAX {
            kept.items.push(items);
            // Most chunks hold no call that was given away, and their `calls` has no memory to keep.
            if calls.capacity() > 0 {
                kept.calls.push(calls);
            }
        }
    }

    /// Frees most of the buffers. The writer thread calls it before a long sleep.
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
