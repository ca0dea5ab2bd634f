//! Counts characters fast: each byte that is not a UTF-8 continuation byte begins a character.

/// Bytes per block. The count of a block is summed in a `u8`, so a block must be shorter than 256 bytes.
const BLOCK: usize = 192;

/// Returns the number of characters of a text.
pub(crate) fn count_chars(text: &str) -> usize {
    let (blocks, rest) = text.as_bytes().as_chunks::<BLOCK>();
    blocks.iter().map(starts).sum::<usize>() + rest.iter().map(|byte| usize::from(is_start(*byte))).sum::<usize>()
}

/// Returns the offset of the character after the first `count` characters, or the length of a text that has no more.
pub(crate) fn end_of_chars(text: &str, count: usize) -> usize {
    let mut left = count;
    let mut at = 0;
    for block in text.as_bytes().as_chunks::<BLOCK>().0 {
        let starts = starts(block);
        if starts > left {
            break;
        }
        left -= starts;
        at += BLOCK;
    }
    // A block may end inside a character. That character is already counted.
    let rest = &text.as_bytes()[at..];
    let mut starts = rest.iter().enumerate().filter(|(_, byte)| is_start(**byte));
    starts.nth(left).map_or(text.len(), |(more, _)| at + more)
}

fn is_start(byte: u8) -> bool {
    // 0x80 to 0xBF are continuation bytes.
    byte.cast_signed() >= -0x40
}

/// Counts the characters that begin in a block. The compiler turns this form into vector instructions.
fn starts(block: &[u8; BLOCK]) -> usize {
    usize::from(block.iter().map(|byte| u8::from(is_start(*byte))).sum::<u8>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) {
        assert_eq!(count_chars(text), text.chars().count());
        for count in [0, 1, 2, 63, 64, 191, 192, 193, 383, 384, 385, 500, 1_000, 10_000] {
            let expected = text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
            assert_eq!(end_of_chars(text, count), expected, "{count} of {} bytes", text.len());
        }
    }

    #[test]
    fn characters_are_those_that_the_language_counts() {
        for piece in ["a", "é", "日", "😀", "aé日😀", "ab\u{1b}é", "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10ffff}"]
        {
            for times in [0, 1, 2, 31, 32, 47, 48, 49, 63, 64, 95, 96, 97, 191, 192, 193, 400, 1_001] {
                check(&piece.repeat(times));
                check(&format!("x{}", piece.repeat(times)));
            }
        }
    }
}
