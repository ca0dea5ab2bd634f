//! The shards: callers append their items to one of several buffers, so that two callers seldom need the same lock.
//!
//! Each thread prefers the shard of its own number and takes the next free one if that shard is locked. A shard is
//! locked with a spin lock and only while a call is copied into it. Neither side ever blocks in the operating system
//! for a shard: after a hundred rounds a thread yields the processor and tries again. If a thread is stopped while it
//! holds a shard, other callers use the other shards; only the writer thread, which empties all shards, and a thread
//! that closes the queue wait for it.
//!
//! The lock of a shard also gives the order: a caller reserves its position while it holds the shard, so the positions
//! in one shard only grow. The items become visible to the writer thread when the caller unlocks the shard and the
//! writer thread locks it (release and acquire), so the items themselves need no atomics.

use crate::record::queue::buffers::{Buffers, Chunk};
use crate::record::queue::sync::{SpinMutex, SpinMutexGuard, bound, own_number, spin_loop, yield_now};

/// The number of shards: more than the number of processors that are likely to record at the same moment.
pub(crate) const SHARDS: usize = bound(8, 2);

/// The number of rounds over all shards before a thread yields the processor to the threads that hold them.
const ROUNDS_BEFORE_YIELD: usize = bound(100, 1);

/// The shards of a queue.
#[derive(Debug, Default)]
pub(crate) struct Shards([Shard; SHARDS]);

/// One shard, in a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(SpinMutex<Filled>);

/// The items in a shard, in order: first the full chunks, then the current chunk.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    pub(crate) chunk: Chunk,
    pub(crate) full: Vec<Chunk>,
}

impl Shards {
    /// Locks and returns a free shard: the thread's own shard if it is free, otherwise any other.
    ///
    /// It never blocks in the operating system. A shard is held only while a call is copied, and a thread that was
    /// stopped while it holds a shard does not delay others as long as another shard is free.
    pub(crate) fn any(&self) -> SpinMutexGuard<'_, Filled> {
        let own = own_number();
        for round in 0.. {
            for n in 0..SHARDS {
                if let Some(filled) = self.0[(own + n) % SHARDS].0.try_lock() {
                    return filled;
                }
                spin_loop();
            }
            if round >= ROUNDS_BEFORE_YIELD {
                yield_now();
            }
        }
        unreachable!("the rounds have no end");
    }

    /// Locks and returns all shards, one after another, each as soon as it is free.
    pub(crate) fn each(&self) -> impl Iterator<Item = SpinMutexGuard<'_, Filled>> {
        self.0.iter().map(|shard| spin_lock(&shard.0))
    }
}

impl Filled {
    /// Returns a chunk with room for `bytes` more bytes of text; starts a new chunk if the current one is full. `bytes`
    /// is at most what a new chunk can hold.
    pub(crate) fn room(&mut self, bytes: usize, buffers: &Buffers) -> &mut Chunk {
        if !self.chunk.fits(bytes) {
            let full = std::mem::replace(&mut self.chunk, buffers.chunk());
            // The first chunk of a shard has no capacity and no items.
            if !full.items.is_empty() {
                self.full.push(full);
            }
        }
        &mut self.chunk
    }
}

/// Locks without blocking in the operating system. Therefore the thread that unlocks needs no system call to wake
/// another one.
pub(crate) fn spin_lock<T>(mutex: &SpinMutex<T>) -> SpinMutexGuard<'_, T> {
    for round in 0.. {
        if let Some(locked) = mutex.try_lock() {
            return locked;
        }
        if round < ROUNDS_BEFORE_YIELD { spin_loop() } else { yield_now() }
    }
    unreachable!("the rounds have no end");
}
