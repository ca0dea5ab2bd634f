//! Sources of random bytes: the operating system, or a test's seed.

use std::fmt;

/// A source of random bytes for ids and salts.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills the buffer with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's random bytes.
#[derive(Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    /// Panics if the system has no source of randomness, because with a guessable salt an erased line could be
    /// reconstructed.
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the system gives random bytes");
    }
}
