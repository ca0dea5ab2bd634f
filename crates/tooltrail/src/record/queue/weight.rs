//! The weight of waiting items: the number of items and their bytes in one number.

/// The number of low bits of a weight that count items; the bits above count bytes. Sums of weights may wrap around;
/// the difference of two sums is still exact, as long as it fits into these bits.
pub(crate) const WEIGHT_BITS: u32 = 24;

/// Returns the weight of `items` items with `bytes` bytes in total.
pub(crate) fn weight(items: usize, bytes: usize) -> u64 {
    (bytes as u64) << WEIGHT_BITS | items as u64
}

/// Returns the number of items and of bytes of a weight.
pub(crate) fn counted(weight: u64) -> (usize, usize) {
    let items = weight & ((1 << WEIGHT_BITS) - 1);
    (items as usize, (weight >> WEIGHT_BITS) as usize)
}
