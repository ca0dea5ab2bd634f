//! Finds one-time codes in messages, and seed phrases, which restore a wallet.

use crate::redact::rules::names::{ONE_TIME, SEED};
use crate::redact::rules::words::{OTHER_CODES, PROSE};
use crate::redact::scan::boundaries::{floor, right};
use crate::redact::scan::hit::Hit;

/// Bytes before and after a code in which a word must say that the code is for signing in.
const NEAR: usize = 72;
/// Parts of words that say that a code is for signing in.
const QUALIFIERS: &[&str] = &[
    "verif",
    "login",
    "log in",
    "sign in",
    "sign-in",
    "signin",
    "security",
    "one-time",
    "one time",
    "otp",
    "2fa",
    "mfa",
    "authent",
    "expire",
    "passcode",
    "not share",
    "confirm",
    "bestätig",
    "access code",
    "temporary",
    "your code",
    "two-factor",
    "two-step",
];
/// The possible numbers of words of a seed phrase.
const SEED_WORDS: [usize; 5] = [12, 15, 18, 21, 24];

/// Returns the number after the word `code`, or before it as in `482913 is your login code`.
pub(in crate::redact) fn code(text: &str, start: usize, end: usize) -> Option<Hit> {
    let after = text.as_bytes().get(end).copied().unwrap_or(b' ');
    if after.is_ascii_alphanumeric() || matches!(after, b'_' | b'"' | b'\'') {
        return None;
    }
    let before = text[floor(text, start.saturating_sub(24))..start].trim_end_matches([' ', '-']);
    let word = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or("").to_ascii_lowercase();
    if OTHER_CODES.contains(word.as_str()) {
        return None;
    }
    following(text, end).or_else(|| preceding(text, start)).filter(|hit| qualified(text, hit))
}

/// Returns the number before its purpose: `Enter 847261 to sign in`.
pub(in crate::redact) fn purpose(text: &str, start: usize) -> Option<Hit> {
    let head = text[..start].trim_end_matches(' ');
    let from = head.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let before = head[floor(head, from.saturating_sub(16))..from].trim_end().to_ascii_lowercase();
    if !["enter", "use", "code", "type", "pin", "otp", "code:"].iter().any(|word| before.ends_with(word)) {
        return None;
    }
    number(text, from).filter(|hit| hit.end == head.len())
}

fn following(text: &str, end: usize) -> Option<Hit> {
    let mut at = end;
    for _ in 0..3 {
        at = right(text, at, |b| b" :=\t\"'*`-".contains(&b));
        let word = &text[at..right(text, at, |b| b.is_ascii_alphabetic())];
        match word {
            "" => break,
            "is" | "lautet" | "ist" | "was" | "est" | "es" => at += word.len(),
            "G" | "FB" if text[at + word.len()..].starts_with('-') => at += word.len() + 1,
            _ => return None,
        }
    }
    number(text, at)
}

fn preceding(text: &str, start: usize) -> Option<Hit> {
    let near = &text[floor(text, start.saturating_sub(NEAR))..start];
    let at = [" is your ", " is the ", " as your ", " ("].iter().find_map(|link| near.rfind(link))?;
    let head = &text[..start - near.len() + at];
    let from = head.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    number(text, from).filter(|hit| hit.end == head.len())
}

/// Returns the number of four to eight digits at a position, in one piece or as two groups of three digits.
fn number(text: &str, from: usize) -> Option<Hit> {
    let bytes = text.as_bytes();
    let mut end = right(text, from, |b| b.is_ascii_digit());
    if end - from == 3 && matches!(bytes.get(end), Some(b' ' | b'-')) {
        let half = right(text, end + 1, |b| b.is_ascii_digit());
        end = if half - end == 4 { half } else { end };
    }
    let free = bytes.get(end).is_none_or(|b| !b.is_ascii_alphanumeric() && !b"_%/-".contains(b));
    let year = end - from == 4 && (text[from..end].starts_with("19") || text[from..end].starts_with("20"));
    let part = bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
    ((4..=8).contains(&(end - from)) && free && !year && !part).then_some(Hit::new(from, end, ONE_TIME))
}

fn qualified(text: &str, hit: &Hit) -> bool {
    let near = text[floor(text, hit.start.saturating_sub(NEAR))..floor(text, hit.end + NEAR)].to_lowercase();
    QUALIFIERS.iter().any(|word| near.contains(word))
}

/// Pushes each run of plain words whose number of words is that of a seed phrase.
pub(in crate::redact) fn seeds(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    let (mut at, mut run, mut count) = (0, 0, 0);
    while at <= bytes.len() {
        let end = right(text, at, |b| b.is_ascii_lowercase());
        let word = &text[at..end];
        let plain = (3..=8).contains(&word.len()) && !PROSE.contains(word);
        if plain {
            run = if count == 0 { at } else { run };
            count += 1;
        }
        let goes_on = plain && bytes.get(end) == Some(&b' ') && bytes.get(end + 1).is_some_and(u8::is_ascii_lowercase);
        if !goes_on {
            let alone = bytes.get(end).is_none_or(|b| b"\n\r\"'`.,;)<\\".contains(b));
            if plain && alone && SEED_WORDS.contains(&count) {
                hits.push(Hit::new(run, end, SEED));
            }
            count = 0;
        }
        at = end.max(at) + 1;
        while at < bytes.len() && !text.is_char_boundary(at) {
            at += 1;
        }
    }
}

/// Returns whether the whole text may be a seed phrase.
pub(in crate::redact) fn may_be_seed(text: &str) -> bool {
    let text = text.trim();
    let few = text.len() <= 24 * 9 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b' ');
    few && SEED_WORDS.contains(&text.split(' ').count())
}
