//! Classes of the bytes inside a JSON string, tested 16 bytes at a time.

/// A quote or a backslash, which ends the plain text.
const STOP: u8 = 1;
/// A control character.
const CONTROL: u8 = 2;
/// A byte that may begin any other character that we escape.
const ODD: u8 = 4;

/// `ONES` has the value 1 in each of eight bytes, `HIGHS` only the highest bit.
const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// The number of bytes that are tested in one step.
const CHUNK: usize = 16;

static CLASSES: [u8; 256] = {
    let (mut classes, mut byte) = ([0; 256], 0);
    while byte < 256 {
        classes[byte] = class(byte as u8);
        byte += 1;
    }
    classes
};

/// Returns the class of a byte.
const fn class(byte: u8) -> u8 {
    match byte {
        b'"' | b'\\' => STOP,
        0..=0x1F => CONTROL,
        0x7F | 0xC2 | 0xD8 | 0xE2 => ODD,
        _ => 0,
    }
}

/// Returns how many bytes come before the first quote, backslash or control character, and whether [`ODD`] bytes are
/// among them.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> (usize, bool) {
    let (mut at, mut odd) = (0, false);
    for chunk in bytes.as_chunks::<CHUNK>().0 {
        // Has no branches, so that the compiler can test all bytes of a chunk at once.
        let (stops, odds) = chunk.iter().fold((false, false), |(stops, odds), &b| {
            (
                stops | (b == b'"') | (b == b'\\') | (b < b' '),
                odds | (b == 0x7F) | (b == 0xC2) | (b == 0xD8) | (b == 0xE2),
            )
        });
        if stops {
            break;
        }
        odd |= odds;
        at += CHUNK;
    }
    let (tail, classes) = tail(&bytes[at..], STOP | CONTROL);
    (at + tail, odd | (classes & ODD != 0))
}

/// Returns how many bytes come before the first byte that may need an escape.
#[inline]
pub(super) fn unescaped(bytes: &[u8]) -> usize {
    let mut at = 0;
    for chunk in bytes.as_chunks::<CHUNK>().0 {
        let stops = chunk.iter().fold(false, |stops, &b| {
            stops | (b == b'"') | (b == b'\\') | (b < b' ') | (b == 0x7F) | (b == 0xC2) | (b == 0xD8) | (b == 0xE2)
        });
        if stops {
            break;
        }
        at += CHUNK;
    }
    at + tail(&bytes[at..], STOP | CONTROL | ODD).0
}

/// Returns how many bytes come before the first backslash. The first 64 bytes are searched here, because in a string
/// with escapes the next backslash is usually near.
#[inline]
pub(super) fn before_backslash(bytes: &[u8]) -> usize {
    let (mut at, slash) = (0, ONES * u64::from(b'\\'));
    while at < 4 * CHUNK {
        let Some(eight) = bytes[at..].first_chunk() else { break };
        let other = u64::from_le_bytes(*eight) ^ slash;
        let found = other.wrapping_sub(ONES) & !other & HIGHS;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + memchr::memchr(b'\\', &bytes[at..]).unwrap_or(bytes.len() - at)
}

#[inline]
fn tail(bytes: &[u8], until: u8) -> (usize, u8) {
    let (mut at, mut classes) = (0, 0);
    while at < bytes.len() {
        if let Some(eight) = bytes[at..].first_chunk() {
            let plain = usual(u64::from_le_bytes(*eight));
            at += plain;
            if plain == 8 {
                continue;
            }
        }
        let here = CLASSES[usize::from(bytes[at])];
        if here & until != 0 {
            return (at, classes);
        }
        classes |= here;
        at += 1;
    }
    (at, classes)
}

/// Returns how many of eight bytes come before the first byte that is a quote, a backslash or not printable ASCII.
#[inline]
fn usual(eight: u64) -> usize {
    // Each expression sets the high bit of a matching byte. It may also set the high bit of higher bytes, which does
    // not matter because only the first match is used.
    let is = |byte: u8| {
        let other = eight ^ (ONES * u64::from(byte));
        other.wrapping_sub(ONES) & !other
    };
    let control = eight.wrapping_sub(ONES * 0x20) & !eight;
    let odd = (control | is(b'"') | is(b'\\') | is(0x7F) | eight) & HIGHS;
    (odd.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_matters_is_found_at_any_place() {
        for (byte, odd) in [(b'"', false), (b'\\', false), (0x1F, false), (0x7F, true), (0xC2, true), (0xE2, true)] {
            for position in 0..50 {
                let mut bytes = vec![b'a'; 50];
                bytes[position] = byte;
                assert_eq!(unescaped(&bytes), position);
                assert_eq!(plain(&bytes), if odd { (50, true) } else { (position, false) });
            }
        }
        for position in 0..150 {
            let mut bytes = vec![b']'; 150];
            bytes[position] = b'\\';
            assert_eq!(before_backslash(&bytes), position);
        }
        assert_eq!(before_backslash(&[b'a'; 99]), 99);
        assert_eq!((unescaped(&[b'~'; 40]), plain(&[0xF0; 40])), (40, (40, false)));
    }
}
