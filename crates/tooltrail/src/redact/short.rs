//! What was found of short keys, so that the same few keys of all calls are looked at once.

use std::sync::atomic::{AtomicU64, Ordering};

/// Keys that are remembered; a home's tools have a few dozen.
const SLOTS: usize = 1_024;
/// Bytes of a key that fit one number with its length and verdict.
const BYTES_MAX: usize = 7;

/// Verdicts on keys, each in one number with its whole key, so that threads need no lock and no two keys are confused.
#[derive(Debug)]
pub(super) struct Short(Box<[AtomicU64; SLOTS]>);

impl Default for Short {
    fn default() -> Self {
        Self(Box::new([const { AtomicU64::new(0) }; SLOTS]))
    }
}

impl Short {
    /// The verdict on a key, if it is remembered.
    pub(super) fn get(&self, key: &str) -> Option<bool> {
        let packed = pack(key)?;
        let found = self.0[slot(packed)].load(Ordering::Relaxed);
        (found & !1 == packed).then_some(found & 1 == 1)
    }

    /// Remembers a verdict, if the key is short enough.
    pub(super) fn put(&self, key: &str, verdict: bool) {
        if let Some(packed) = pack(key) {
            self.0[slot(packed)].store(packed | u64::from(verdict), Ordering::Relaxed);
        }
    }
}

/// The key in the upper seven bytes, its length in the lowest but for the verdict's bit; an empty slot is no key's.
fn pack(key: &str) -> Option<u64> {
    (key.len() <= BYTES_MAX)
        .then(|| key.bytes().fold(0, |packed, byte| packed << 8 | u64::from(byte)) << 8 | (key.len() as u64 + 1) << 1)
}

fn slot(packed: u64) -> usize {
    (packed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_own_verdict_or_none() {
        let short = Short::default();
        let keys = ["", "a", "\0", "\0a", "path", "url", "content", "contents", "é"];
        for key in keys {
            assert_eq!(short.get(key), None, "{key}");
        }
        for (n, key) in keys.iter().enumerate() {
            short.put(key, n % 2 == 0);
            assert_eq!(short.get(key), (key.len() <= BYTES_MAX).then_some(n % 2 == 0), "{key}");
        }
    }
}
