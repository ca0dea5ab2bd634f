//! Masked event ids, which do not show how many events lie between two of them.

use sha2::{Digest as _, Sha256};

/// Rounds of the Feistel network. Four rounds make a permutation that looks random (Luby and Rackoff, 1988).
const ROUNDS: u8 = 4;

/// A secret permutation of the event numbers. A client that may see only some events cannot learn from their ids how
/// many other events there were.
#[derive(Clone, Debug)]
pub(crate) struct Mask([u8; 32]);

impl Mask {
    /// Returns the mask for a token name under a secret. The same name and secret always give the same mask.
    pub(crate) fn new(secret: &[u8], name: &str) -> Self {
        Self(Sha256::new().chain_update(secret).chain_update(name.as_bytes()).finalize().into())
    }

    /// Returns the masked form of a number.
    pub(crate) fn hide(&self, n: u64) -> u64 {
        let (mut left, mut right) = ((n >> 32) as u32, n as u32);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.mix(round, right));
        }
        u64::from(left) << 32 | u64::from(right)
    }

    /// Returns the original number of a masked one.
    pub(crate) fn show(&self, hidden: u64) -> u64 {
        let (mut left, mut right) = ((hidden >> 32) as u32, hidden as u32);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.mix(round, left), left);
        }
        u64::from(left) << 32 | u64::from(right)
    }

    fn mix(&self, round: u8, half: u32) -> u32 {
        let hash = Sha256::new().chain_update(self.0).chain_update([round]).chain_update(half.to_le_bytes()).finalize();
        u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn hidden_numbers_come_back_and_lie_far_apart() {
        let (mask, other) = (Mask::new(b"secret", "alice"), Mask::new(b"secret", "bob"));
        for n in (0..500).chain([u64::MAX, 1 << 40]) {
            assert_eq!(mask.show(mask.hide(n)), n);
            assert_ne!(mask.hide(n), other.hide(n));
            assert!(mask.hide(n).abs_diff(mask.hide(n ^ 1)) > 1_000, "{n}");
        }
    }
}
