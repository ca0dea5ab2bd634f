//! The weight of things that wait: entries and bytes in one number.

/// A weight counts items in its lowest bits and bytes above them: sums of weights grow for ever, past the end of the
/// number too, and the difference of two is exact.
pub(crate) const WEIGHT_BITS: u32 = 24;

/// The weight of so many items of so many bytes in all.
pub(crate) fn weight(items: usize, bytes: usize) -> u64 {
    (bytes as u64) << WEIGHT_BITS | items as u64
}

/// The items and bytes of a weight.
pub(crate) fn counted(weight: u64) -> (usize, usize) {
    let items = weight & ((1 << WEIGHT_BITS) - 1);
    (items as usize, (weight >> WEIGHT_BITS) as usize)
}
