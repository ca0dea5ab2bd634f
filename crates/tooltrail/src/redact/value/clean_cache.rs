//! Short texts in which nothing was found: the same few tools and keys stand in nearly all calls.

use std::sync::OnceLock;

/// Texts that are remembered; a home's tools and their keys are some hundred.
const SLOTS: usize = 1_024;
/// Bytes of a text that is remembered.
const BYTES_MAX: usize = 40;
/// Places at which a text may stand.
const TRIES: usize = 2;

/// Texts, each in a place of its own for good: threads need no lock, and what is full only helps less.
#[derive(Debug)]
pub(in crate::redact) struct CleanCache(Box<[OnceLock<Box<str>>; SLOTS]>);

impl Default for CleanCache {
    fn default() -> Self {
        Self(Box::new([const { OnceLock::new() }; SLOTS]))
    }
}

impl CleanCache {
    /// Whether a text is among them; one that is not yet is added if it passes.
    pub(in crate::redact) fn holds_or(&self, text: &str, passes: impl FnOnce() -> bool) -> bool {
        if text.len() > BYTES_MAX {
            return passes();
        }
        let first = place(text);
        let places = || (0..TRIES).map(|n| &self.0[(first + n) % SLOTS]);
        if places().any(|known| known.get().is_some_and(|known| **known == *text)) {
            return true;
        }
        let passed = passes();
        if passed {
            // What holds a secret is not kept.
            let _full = places().find_map(|free| free.set(text.into()).ok());
        }
        passed
    }
}

fn place(text: &str) -> usize {
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
