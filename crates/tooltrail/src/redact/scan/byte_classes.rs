//! Classifies 64 bytes at a time with AVX2: which bytes may begin three rare bytes, belong to tokens, or are digits.
//!
//! Membership in a set of bytes is tested with two shuffles, one for the lower and one for the upper four bits. A block
//! costs a few dozen instructions; a table would cost three reads per byte. Without AVX2 this module is not used, and
//! the prefilter looks at every byte.

/// Bytes per block.
pub(in crate::redact) const BLOCK: usize = 64;
/// Bytes after a block that are read with it, because the last two triples of a block extend into the next block.
const BEYOND: usize = 2;
/// The bit that turns capitals into small letters. It also changes some other signs, so the result is good for a filter
/// only, not for a comparison.
pub(in crate::redact) const FOLD: u8 = 0x20;

/// A set of bytes. Index: the lower four bits of a byte. Bit: the upper four bits, less 8 in `above`.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::redact) struct Set {
    below: [u8; 16],
    above: [u8; 16],
}

impl Set {
    pub(in crate::redact) fn add(&mut self, byte: u8) {
        let half = if byte < 0x80 { &mut self.below } else { &mut self.above };
        half[usize::from(byte & 0xF)] |= 1 << (byte >> 4 & 7);
    }

    #[cfg(test)]
    pub(in crate::redact) fn of(bytes: impl IntoIterator<Item = u8>) -> Self {
        let mut set = Self::default();
        bytes.into_iter().for_each(|byte| set.add(byte));
        set
    }

    #[cfg(test)]
    pub(in crate::redact) fn holds(&self, byte: u8) -> bool {
        let half = if byte < 0x80 { &self.below } else { &self.above };
        half[usize::from(byte & 0xF)] >> (byte >> 4 & 7) & 1 == 1
    }
}

/// The sets of bytes that the masks are computed from.
#[derive(Clone, Debug)]
pub(in crate::redact) struct ByteClasses {
    /// The four [`hashes`] of every chosen triple of rare bytes.
    pub(in crate::redact) threes: [Set; 4],
    /// The chosen pairs of bytes, folded.
    pub(in crate::redact) twos: Vec<[u8; 2]>,
    /// Bytes that can occur in tokens; ASCII only.
    pub(in crate::redact) run: Set,
}

/// The masks of one block: bit n stands for byte n.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::redact) struct Masks {
    /// The byte may begin one of the chosen triples or pairs; false positives are possible.
    pub(in crate::redact) rare: u64,
    pub(in crate::redact) run: u64,
    pub(in crate::redact) alphanumeric: u64,
    pub(in crate::redact) digit: u64,
    /// Backslashes and percent signs.
    pub(in crate::redact) escape: u64,
    /// Whether the block contains a backslash, a percent sign, an ampersand or the terminal escape byte.
    pub(in crate::redact) escapes: bool,
}

/// Returns four 8-bit hashes of three folded bytes: one for each pair of them, and one for all three.
pub(in crate::redact) fn hashes([one, two, three]: [u8; 3]) -> [u8; 4] {
    let pair = |first: u8, second: u8| (first << 3) ^ second;
    [pair(one, two), pair(two, three), pair(one, three), pair(one, two).rotate_left(4) ^ three]
}

/// Returns whether this machine has AVX2.
pub(in crate::redact) fn is_able() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Calls `call` with the offset of each block, its masks and the masks of the next block.
///
/// # Panics
/// If this machine does not have AVX2; see [`is_able`].
#[cfg(target_arch = "x86_64")]
pub(in crate::redact) fn each(byte_classes: &ByteClasses, text: &[u8], call: impl FnMut(usize, &Masks, &Masks)) {
    assert!(is_able(), "this machine lacks AVX2");
    // SAFETY: the only requirement of the function is AVX2, which the assertion above checks.
    #[expect(unsafe_code, reason = "the way to instructions that not every machine has")]
    unsafe {
        avx2::each(byte_classes, text, call);
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(in crate::redact) fn each(_: &ByteClasses, _: &[u8], _: impl FnMut(usize, &Masks, &Masks)) {
    assert!(is_able(), "this machine lacks AVX2");
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{BEYOND, BLOCK, ByteClasses, FOLD, Masks, Set};

    /// A block and the bytes after it.
    type Block = [u8; BLOCK + BEYOND];

    /// A set in the layout that the shuffle needs: each half appears twice.
    #[derive(Clone, Copy)]
    struct Wide {
        below: __m256i,
        above: __m256i,
    }

    struct Wides {
        threes: [Wide; 4],
        run: __m256i,
        alphanumeric: __m256i,
        digit: __m256i,
        upper: __m256i,
    }

    #[target_feature(enable = "avx2")]
    pub(in crate::redact) fn each(
        byte_classes: &ByteClasses,
        text: &[u8],
        mut call: impl FnMut(usize, &Masks, &Masks),
    ) {
        let ascii = |set: Set| wide(set).below;
        let wides = Wides {
            threes: [
                wide(byte_classes.threes[0]),
                wide(byte_classes.threes[1]),
                wide(byte_classes.threes[2]),
                wide(byte_classes.threes[3]),
            ],
            run: ascii(byte_classes.run),
            alphanumeric: ascii(ALPHANUMERIC),
            digit: ascii(DIGITS),
            upper: twice([1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128]),
        };
        let mut padded = [0; BLOCK + BEYOND + BLOCK];
        let whole = text.len().saturating_sub(BEYOND) / BLOCK * BLOCK;
        let (full, rest) = text.split_at(whole);
        padded[..rest.len()].copy_from_slice(rest);
        let block = |at: usize| match text.get(at..).and_then(|text| text.first_chunk::<{ BLOCK + BEYOND }>()) {
            Some(block) => Some(block),
            None if at < text.len() => padded.get(at - full.len()..).and_then(|padded| padded.first_chunk()),
            None => None,
        };
        // Two buffers used in turn, because copying masks that were just written is slow.
        let mut turns = [Masks::default(); 2];
        let Some(first) = block(0) else { return };
        masks(byte_classes, &wides, first, &mut turns[0]);
        let (mut at, mut turn) = (0, 0);
        while at < text.len() {
            match block(at + BLOCK) {
                Some(block) => masks(byte_classes, &wides, block, &mut turns[1 - turn]),
                None => turns[1 - turn] = Masks::default(),
            }
            call(at, &turns[turn], &turns[1 - turn]);
            (at, turn) = (at + BLOCK, 1 - turn);
        }
    }

    const ALPHANUMERIC: Set = Set {
        below: [0xA8, 0xF8, 0xF8, 0xF8, 0xF8, 0xF8, 0xF8, 0xF8, 0xF8, 0xF8, 0xF0, 0x50, 0x50, 0x50, 0x50, 0x50],
        above: [0; 16],
    };
    const DIGITS: Set = Set { below: [8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 0, 0, 0, 0, 0, 0], above: [0; 16] };

    #[target_feature(enable = "avx2")]
    #[inline]
    fn masks(byte_classes: &ByteClasses, wides: &Wides, block: &Block, masks: &mut Masks) {
        let (low, high) = (half(byte_classes, wides, block, 0), half(byte_classes, wides, block, BLOCK / 2));
        let joined = |n: usize| u64::from(low[n]) | u64::from(high[n]) << 32;
        masks.rare = joined(0);
        masks.run = joined(1);
        masks.alphanumeric = joined(2);
        masks.digit = joined(3);
        masks.escape = joined(4);
        masks.escapes = (low[4] | high[4] | low[5] | high[5]) != 0;
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn half(byte_classes: &ByteClasses, wides: &Wides, block: &Block, from: usize) -> [u32; 6] {
        let (first, fold) = (load(block, from), _mm256_set1_epi8(FOLD as i8));
        let folded = [0, 1, 2].map(|n| _mm256_or_si256(load(block, from + n), fold));
        let hash = |one: __m256i, other: __m256i| {
            let shifted = _mm256_and_si256(_mm256_slli_epi16::<3>(one), _mm256_set1_epi8(0xF8_u8 as i8));
            _mm256_xor_si256(shifted, other)
        };
        let pair = hash(folded[0], folded[1]);
        let upper = _mm256_and_si256(_mm256_slli_epi16::<4>(pair), _mm256_set1_epi8(0xF0_u8 as i8));
        let turned = _mm256_or_si256(upper, upper_half(pair));
        let hashes =
            [pair, hash(folded[1], folded[2]), hash(folded[0], folded[2]), _mm256_xor_si256(turned, folded[2])];
        // The minimum is zero where at least one of the four lookups is zero, that is, where a hash is unknown.
        let mut found = _mm256_set1_epi8(-1);
        for (hash, set) in hashes.into_iter().zip(wides.threes) {
            found = _mm256_min_epu8(found, within_all(hash, set, wides.upper));
        }
        for two in &byte_classes.twos {
            let one = _mm256_cmpeq_epi8(folded[0], _mm256_set1_epi8(two[0] as i8));
            let other = _mm256_cmpeq_epi8(folded[1], _mm256_set1_epi8(two[1] as i8));
            found = _mm256_or_si256(found, _mm256_and_si256(one, other));
        }
        let rare = !bits(_mm256_cmpeq_epi8(found, _mm256_setzero_si256()));
        let row = _mm256_shuffle_epi8(wides.upper, upper_half(first));
        let within = |set: __m256i| {
            let found = _mm256_and_si256(_mm256_shuffle_epi8(set, first), row);
            !bits(_mm256_cmpeq_epi8(found, _mm256_setzero_si256()))
        };
        let equal = |byte: u8| _mm256_cmpeq_epi8(first, _mm256_set1_epi8(byte as i8));
        let escape = bits(_mm256_or_si256(equal(b'\\'), equal(b'%')));
        let others = bits(_mm256_or_si256(equal(b'&'), equal(0x1B)));
        [rare, within(wides.run), within(wides.alphanumeric), within(wides.digit), escape, others]
    }

    /// Returns zero at each byte that is not in the set.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn within_all(bytes: __m256i, set: Wide, upper: __m256i) -> __m256i {
        // A shuffle returns zero for an index from 0x80 on, so at most one of the two is not zero.
        let below = _mm256_shuffle_epi8(set.below, bytes);
        let above = _mm256_shuffle_epi8(set.above, _mm256_xor_si256(bytes, _mm256_set1_epi8(0x80_u8 as i8)));
        let row = _mm256_shuffle_epi8(upper, upper_half(bytes));
        _mm256_and_si256(_mm256_or_si256(below, above), row)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn upper_half(bytes: __m256i) -> __m256i {
        _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(0xF))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn bits(mask: __m256i) -> u32 {
        _mm256_movemask_epi8(mask) as u32
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn wide(set: Set) -> Wide {
        Wide { below: twice(set.below), above: twice(set.above) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn twice(half: [u8; 16]) -> __m256i {
        let [low, high] = [0, 8].map(|from| number(&half, from));
        _mm256_setr_epi64x(low, high, low, high)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn load(block: &Block, from: usize) -> __m256i {
        let [a, b, c, d] = [0, 8, 16, 24].map(|n| number(block, from + n));
        _mm256_setr_epi64x(a, b, c, d)
    }

    #[inline]
    fn number(bytes: &[u8], from: usize) -> i64 {
        i64::from_le_bytes(*bytes[from..].first_chunk().unwrap_or(&[0; 8]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares each mask with a plain computation, at every text length and position.
    #[test]
    fn masks_say_what_they_mean() {
        if !is_able() {
            return;
        }
        let byte_classes = ByteClasses {
            threes: hashes(*b"key").map(|hash| Set::of([hash])),
            twos: vec![*b"pw"],
            run: Set::of(b"abcKEY0123_-./".iter().copied()),
        };
        let unit = "key PW 4-1 \\n%41 aKEYb_.é\u{7f}kEy and no more escapes for quite a while, so that some blocks have none of them at all, &\u{1b}";
        for length in (0..unit.len() * 9).filter(|length| unit.repeat(9).is_char_boundary(*length)) {
            let text = &unit.repeat(9)[..length];
            let bytes = text.as_bytes();
            let mut seen = Vec::new();
            each(&byte_classes, bytes, |at, masks, behind| {
                assert_eq!(at, seen.len() * BLOCK);
                if let Some((_, last)) = seen.last() {
                    let last: &Masks = last;
                    assert_eq!(last.run, masks.run);
                }
                seen.push((*masks, *behind));
            });
            assert_eq!(seen.len(), length.div_ceil(BLOCK));
            for (at, &byte) in bytes.iter().enumerate() {
                let masks = seen[at / BLOCK].0;
                let is = |mask: u64| mask >> (at % BLOCK) & 1 == 1;
                let (head, two) = (bytes.get(at..at + 3), bytes.get(at..at + 2));
                let key = head.is_some_and(|head| head.eq_ignore_ascii_case(b"key"));
                let pair = two.is_some_and(|two| two.eq_ignore_ascii_case(b"pw"));
                assert!(is(masks.rare) || !key && !pair, "{at} {text}");
                assert_eq!(is(masks.run), byte < 128 && byte_classes.run.holds(byte), "{at} {text}");
                assert_eq!(is(masks.alphanumeric), byte.is_ascii_alphanumeric(), "{at} {text}");
                assert_eq!(is(masks.digit), byte.is_ascii_digit(), "{at} {text}");
                assert_eq!(is(masks.escape), byte == b'\\' || byte == b'%', "{at} {text}");
                let block = &bytes[at / BLOCK * BLOCK..bytes.len().min((at / BLOCK + 1) * BLOCK)];
                assert_eq!(masks.escapes, block.iter().any(|byte| b"\\%&\x1b".contains(byte)), "{at} {text}");
            }
        }
    }

    #[test]
    fn a_set_holds_what_was_added() {
        let set = Set::of((0..=255).filter(|byte| byte % 3 == 0));
        assert!((0..=255).all(|byte| set.holds(byte) == (byte % 3 == 0)));
    }
}
