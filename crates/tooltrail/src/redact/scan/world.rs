//! Finds passwords after a word for "password" that is not ASCII: `пароль: …`, `密码是…`, `"şifre": "…"`.

use crate::redact::rules::benign::{is_benign, is_password, is_random};
use crate::redact::rules::words::WORLD;
use crate::redact::scan::boundaries::{VALUE_MAX, floor, right};
use crate::redact::scan::hit::Hit;

/// Maximum bytes between the word and its value, where the text may say whose password it is.
const BETWEEN_MAX: usize = 96;
/// Maximum number of words between the two.
const WORDS_MAX: usize = 5;
/// Bytes that end a value without quotes.
const ENDS: &[u8] = b"\"'`<>\\,;)]}";

/// Quotes and similar signs around names and values, ASCII or not.
const QUOTES: &[char] = &['"', '\'', '`', '«', '»', '„', '“', '”', '‘', '’', '「', '」', '『', '』', '*', '\\'];
/// Signs that join a name and its value.
const SIGNS: &[&str] = &["=>", "->", ":=", ":", "=", "：", "＝", "→", "—", "–", "|"];
/// Words that join a name and its value, and particles at the end of such a word.
const LINKS: &[&str] = &[
    "это",
    "е",
    "є",
    "είναι",
    "هي",
    "هو",
    "است",
    "היא",
    "הוא",
    "है",
    "คือ",
    "là",
    "is",
    "yra",
    "är",
    "é",
    "è",
    "jest",
    "to",
    "je",
    "este",
    "es",
];
const PARTICLES: &[&str] = &["是", "为", "為", "は", "는", "은", "คือ", "が", "が：", "です"];

/// Returns the words in lower case, with a first capital, and in upper case.
pub(in crate::redact) fn words() -> impl Iterator<Item = String> {
    WORLD.iter().flat_map(|word| {
        let title = word.chars().enumerate().flat_map(|(at, char)| {
            let upper = (at == 0).then(|| char.to_uppercase());
            upper.into_iter().flatten().chain((at > 0).then_some(char))
        });
        let mut forms = vec![(*word).to_owned(), title.collect(), word.to_uppercase()];
        forms.dedup();
        forms
    })
}

/// How a name and its value are joined.
#[derive(Clone, Copy, PartialEq)]
enum Joined {
    No,
    Sign,
    /// By a word of a sentence. The next word need not be the value.
    Word,
}

/// Returns the value that follows the word for "password" that ends at `end`.
pub(in crate::redact) fn named(text: &str, end: usize) -> Option<Hit> {
    let near = &text[..floor(text, end + BETWEEN_MAX)];
    let (mut at, mut joined, mut between) = (end, Joined::No, 0);
    loop {
        let rest = &near[at..];
        let gap = rest.len() - rest.trim_start_matches(|c: char| c == ' ' || c == '\t' || QUOTES.contains(&c)).len();
        let word = &rest[gap..];
        if let Some(sign) = SIGNS.iter().find(|sign| word.starts_with(**sign)) {
            (at, joined) = (at + gap + sign.len(), Joined::Sign);
            break;
        }
        let length = word.find(|c: char| c.is_whitespace() || !c.is_alphanumeric() && c.is_ascii() && c != '_');
        let length = length.unwrap_or(word.len());
        // Letters that are not ASCII may be followed directly by the value, which is the ASCII part of the run.
        let foreign = word.find(|c: char| c.is_ascii() || SIGNS.iter().any(|sign| sign.starts_with(c)));
        let foreign = foreign.unwrap_or(word.len()).min(length);
        if PARTICLES.iter().any(|particle| word[..foreign].ends_with(particle)) {
            (at, joined) = (at + gap + foreign, Joined::Word);
            break;
        }
        if gap > 0 && LINKS.contains(&word[..length].to_lowercase().as_str()) {
            (at, joined) = (at + gap + length, Joined::Word);
            break;
        }
        let step = if foreign > 0 { foreign } else { length };
        let plain = word[..step].chars().all(|c| c.is_alphabetic() || !c.is_ascii() || c == '_');
        if step == 0 || !plain || between == WORDS_MAX {
            break;
        }
        between += usize::from(gap > 0);
        at += gap + step;
    }
    value(text, at, joined, between)
}

fn value(text: &str, at: usize, joined: Joined, between: usize) -> Option<Hit> {
    let rest = &text[at..];
    let open = at + rest.len() - rest.trim_start_matches(|c: char| c == ' ' || c == '\t' || QUOTES.contains(&c)).len();
    let quoted = text[at..open].ends_with(QUOTES);
    let most = floor(text, open + VALUE_MAX);
    let stop = match text[at..open].chars().next_back().filter(|_| quoted) {
        Some(quote @ ('"' | '\'' | '`')) => text[open..most].find([quote, '\n', '\\']).map_or(most, |at| open + at),
        _ => right(&text[..most], open, |b| b.is_ascii_graphic() && !ENDS.contains(&b)),
    };
    let inner = text[open..stop].trim_end_matches(['.', ':', '!', '?']);
    let letters = inner.bytes().all(|b| b.is_ascii_alphabetic());
    let goes_on = text[stop..].strip_prefix(' ').is_some_and(|next| next.starts_with(char::is_alphabetic));
    let sure = joined == Joined::Sign && between == 0 && inner.len() >= 3 && (quoted || !(letters && goes_on));
    let believed = sure
        || (joined != Joined::No || quoted) && (is_password(inner) || is_random(inner))
        || is_password(inner) && is_random(inner);
    (believed && !is_benign(inner)).then(|| Hit::new(open, stop.max(open + inner.len()), "password"))
}
