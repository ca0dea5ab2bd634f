//! Finds numbers of payment cards: a plausible prefix, a correct check digit, and no other characters joined to them.

use crate::redact::rules::names::CARD;
use crate::redact::scan::boundaries::floor;
use crate::redact::scan::hit::Hit;

/// Digits of the shortest and the longest card number.
const DIGITS: (usize, usize) = (13, 19);
/// Maximum groups of digits that are tested together.
const GROUPS_MAX: usize = 6;
/// Bytes before a number in which a word may say that it is a card number.
const NEAR: usize = 40;

/// Pushes all card numbers of a text.
pub(in crate::redact) fn cards(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    let of_number = |b: &u8| b.is_ascii_digit() || matches!(b, b' ' | b'-');
    let mut at = 0;
    // A card number is at least one step long, so it contains the last byte of at least one step.
    while let Some(probe) = bytes.get(at + DIGITS.0 - 1) {
        if !of_number(probe) {
            at += DIGITS.0;
            continue;
        }
        let begun = bytes[at..at + DIGITS.0].iter().rposition(|b| !of_number(b)).map_or(at, |last| at + last + 1);
        let Some(start) =
            bytes[begun..].iter().take_while(|b| of_number(b)).position(u8::is_ascii_digit).map(|n| begun + n)
        else {
            at = begun + 1 + bytes[begun..].iter().take_while(|b| of_number(b)).count();
            continue;
        };
        let groups = groups(bytes, start);
        let first = groups.first().map_or(start + 1, |group| group.1);
        let hit = (0..groups.len()).rev().find_map(|last| card(text, &groups[..=last]));
        at = hit.as_ref().map_or(first, |hit| hit.end);
        hits.extend(hit);
    }
}

/// Returns the groups of digits from `start` that are joined by single spaces or hyphens.
fn groups(bytes: &[u8], start: usize) -> Vec<(usize, usize)> {
    let (mut groups, mut at) = (Vec::new(), start);
    while groups.len() < GROUPS_MAX {
        let end = bytes[at..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |length| at + length);
        groups.push((at, end));
        let joined = matches!(bytes.get(end), Some(b' ' | b'-')) && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !joined {
            break;
        }
        at = end + 1;
    }
    groups
}

/// Returns the card number that these groups form, if they form one.
fn card(text: &str, groups: &[(usize, usize)]) -> Option<Hit> {
    let bytes = text.as_bytes();
    let (start, end) = (groups.first()?.0, groups.last()?.1);
    let lengths: Vec<usize> = groups.iter().map(|group| group.1 - group.0).collect();
    // Four consecutive numbers are part of a table.
    let number = |group: &(usize, usize)| text[group.0..group.1].parse::<u32>().unwrap_or(0);
    if groups.len() == 4 && groups.windows(2).all(|two| number(&two[0]) + 1 == number(&two[1])) {
        return None;
    }
    let whole = matches!(lengths.as_slice(), [_] | [4, 4, 4, 1..=4] | [4, 6, 4 | 5] | [4, 4, 4, 4, 1..=3]);
    if !whole || !(DIGITS.0..=DIGITS.1).contains(&lengths.iter().sum()) {
        return None;
    }
    let joined = |b: &u8| b.is_ascii_alphanumeric() || b"_-./+#".contains(b);
    let free = (start == 0 || !joined(&bytes[start - 1]))
        && bytes.get(end).is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'-' && *b != b'_');
    let digits: Vec<u8> = bytes[start..end].iter().filter(|b| b.is_ascii_digit()).map(|b| b - b'0').collect();
    let believed =
        free && has_check_digit(&digits) && (is_common(&digits) || is_rare(&digits) && is_named(text, start));
    Hit::new(start, end, CARD).when(believed)
}

/// Returns whether a number has the prefix and length of a common card, so that no word beside it is needed.
fn is_common(digits: &[u8]) -> bool {
    let head = head(digits, 2);
    match digits.len() {
        15 => matches!(head, 34 | 37),
        16 => matches!(head, 40..=49 | 51..=55 | 22..=27 | 60 | 65 | 35),
        _ => false,
    }
}

fn is_rare(digits: &[u8]) -> bool {
    let head = head(digits, 2);
    match digits.len() {
        14 => matches!(head, 30 | 36 | 38 | 39),
        _ => matches!(head, 40..=49 | 50 | 56..=69 | 81),
    }
}

fn is_named(text: &str, start: usize) -> bool {
    let near = text[floor(text, start.saturating_sub(NEAR))..start].to_ascii_lowercase();
    ["card", "visa", "pan", "credit", "debit", "payment", "maestro", "diners", "unionpay", "cc"]
        .iter()
        .any(|word| near.contains(word))
}

fn head(digits: &[u8], length: usize) -> u32 {
    digits.iter().take(length).fold(0, |sum, digit| sum * 10 + u32::from(*digit))
}

fn has_check_digit(digits: &[u8]) -> bool {
    let doubled = |(at, digit): (usize, &u8)| match u32::from(*digit) * if at % 2 == 1 { 2 } else { 1 } {
        sum @ 10.. => sum - 9,
        sum => sum,
    };
    let sum: u32 = digits.iter().rev().enumerate().map(doubled).sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
}
