//! A cache of short texts without secrets, because the same few tool names and keys occur in nearly all calls.

use std::sync::OnceLock;

/// Maximum texts in the cache. The tools of a home and their keys are a few hundred.
const SLOTS: usize = 1_024;
/// Maximum bytes of a text in the cache.
const BYTES_MAX: usize = 40;
/// Slots in which a text may be stored.
const TRIES: usize = 2;

/// The cached texts. A slot is set once and never changed, so threads need no lock. A full cache only helps less.
#[derive(Debug)]
pub(in crate::redact) struct CleanCache(Box<[OnceLock<Box<str>>; SLOTS]>);

impl Default for CleanCache {
    fn default() -> Self {
        Self(Box::new([const { OnceLock::new() }; SLOTS]))
    }
}

impl CleanCache {
    /// Returns true if the cache contains a text. Otherwise returns the result of `passes`, and adds the text if that
    /// is true.
    pub(in crate::redact) fn holds_or(&self, text: &str, passes: impl FnOnce() -> bool) -> bool {
        if text.len() > BYTES_MAX {
            return passes();
        }
        let first = position(text);
        let places = || (0..TRIES).map(|n| &self.0[(first + n) % SLOTS]);
        if places().any(|known| known.get().is_some_and(|known| **known == *text)) {
            return true;
        }
        let passed = passes();
        if passed {
            // A text that did not pass may contain a secret, so it is never stored.
            let _ = places().find_map(|free| free.set(text.into()).ok());
        }
        passed
    }
}

fn position(text: &str) -> usize {
    let (eights, rest) = text.as_bytes().as_chunks::<8>();
    let rest = rest.iter().fold(text.len() as u64, |rest, byte| rest << 8 | u64::from(*byte));
    let mixed = eights.iter().fold(rest, |all, eight| {
        (all ^ u64::from_le_bytes(*eight)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    });
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passed_once_is_known() {
        let known = CleanCache::default();
        let texts = (0..3_000).map(|n| format!("key{}_{n}", "x".repeat(n % 45))).collect::<Vec<_>>();
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(known.holds_or(text, || n % 3 == 0), n % 3 == 0);
        }
        let mut kept = 0;
        for (n, text) in texts.iter().enumerate() {
            let held = known.holds_or(text, || false);
            assert!(!held || n % 3 == 0 && text.len() <= BYTES_MAX, "{text}");
            kept += usize::from(held);
        }
        assert!((SLOTS / 2..=SLOTS).contains(&kept), "{kept}");
    }
}
