//! Where callers leave things for the writer: several shards, so that they seldom meet, and none ever waits for another.

use crate::record::queue::buffers::{Buffers, Chunk};
use crate::record::queue::sync::{SpinMutex, SpinMutexGuard, bound, own_number, spin_loop, yield_now};

/// Shards: more than processors that are likely to record at the same moment.
pub(crate) const SHARDS: usize = bound(8, 2);

/// Times that all shards are tried before the processor is left to whoever holds them.
const ROUNDS_BEFORE_YIELD: usize = bound(100, 1);

/// The shards of a queue.
#[derive(Debug, Default)]
pub(crate) struct Shards([Shard; SHARDS]);

/// One shard, alone in its part of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(SpinMutex<Filled>);

/// What was left in a shard, in its order.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    pub(crate) chunk: Chunk,
    pub(crate) full: Vec<Chunk>,
}

impl Shards {
    /// Returns a shard that is free: the thread's own, else any.
    ///
    /// Never waits in the system: a shard is held for as long as copying a call takes, and a holder that was stopped
    /// meanwhile holds up nobody while another shard is free.
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

    /// Returns one shard after another, each as soon as it is free.
    pub(crate) fn each(&self) -> impl Iterator<Item = SpinMutexGuard<'_, Filled>> {
        self.0.iter().map(|shard| spin_lock(&shard.0))
    }
}

impl Filled {
    /// Returns the chunk that takes so many bytes of text more; no more than a text is made for.
    pub(crate) fn room(&mut self, bytes: usize, buffers: &Buffers) -> &mut Chunk {
        if !self.chunk.fits(bytes) {
            let full = std::mem::replace(&mut self.chunk, buffers.chunk());
            // Before the first item there is none.
            if !full.items.is_empty() {
                self.full.push(full);
            }
        }
        &mut self.chunk
    }
}

/// Locks without ever waiting in the system, so that whoever unlocks need not ask it to wake anybody either.
pub(crate) fn spin_lock<T>(mutex: &SpinMutex<T>) -> SpinMutexGuard<'_, T> {
    for round in 0.. {
        if let Some(locked) = mutex.try_lock() {
            return locked;
        }
        if round < ROUNDS_BEFORE_YIELD { spin_loop() } else { yield_now() }
    }
    unreachable!("the rounds have no end");
}
