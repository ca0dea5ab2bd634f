//! Spellings of the same text: composed and decomposed letters, upper and lower case.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::OnceLock;

use unicode_normalization::{UnicodeNormalization as _, is_nfc_quick};

/// Returns a text with composed letters (NFC); names are compared in this form.
pub(crate) fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == unicode_normalization::IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// Appends a text to a buffer in the form in which free text is compared: composed, and in lower case.
pub(crate) fn fold_into(buffer: &mut Vec<u8>, text: &str) {
    if text.is_ascii() {
        let start = buffer.len();
        buffer.extend_from_slice(text.as_bytes());
        buffer[start..].make_ascii_lowercase();
        return;
    }
    let mut bytes = [0; 4];
    for letter in text.nfc().flat_map(char::to_lowercase) {
        // A sigma at the end of a word has a different form.
        let letter = if letter == 'ς' { 'σ' } else { letter };
        buffer.extend_from_slice(letter.encode_utf8(&mut bytes).as_bytes());
    }
}

/// Whether a letter beyond ASCII has only one spelling: no other case, not composed of other letters, and not part of
/// one.
pub(crate) fn is_one_spelling(letter: char) -> bool {
    let mut lower = letter.to_lowercase();
    let mut upper = letter.to_uppercase();
    let is_same = |case: &mut dyn Iterator<Item = char>| case.next() == Some(letter) && case.next().is_none();
    let is_caseless = is_same(&mut lower) && is_same(&mut upper);
    let decomposed = std::iter::once(letter).nfd().eq(std::iter::once(letter));
    let combines = unicode_normalization::char::is_combining_mark(letter);
    // Hangul syllables are composed of these.
    let is_jamo = matches!(letter, '\u{1100}'..='\u{11FF}');
    is_caseless && decomposed && !combines && !is_jamo && !stands_for_others().contains(&letter)
}

/// The Unicode blocks that contain all letters which composing splits or replaces, as the tests check.
const REPLACED: [RangeInclusive<char>; 10] = [
    '\u{0340}'..='\u{03FF}',
    '\u{0900}'..='\u{0B7F}',
    '\u{0F00}'..='\u{0FFF}',
    '\u{1F00}'..='\u{1FFF}',
    '\u{2000}'..='\u{200F}',
    '\u{2100}'..='\u{23FF}',
    '\u{2A00}'..='\u{2AFF}',
    '\u{F900}'..='\u{FB4F}',
    '\u{1D100}'..='\u{1D1FF}',
    '\u{2F800}'..='\u{2FA1F}',
];

/// Returns the letters beyond ASCII that are the result of composing single other letters.
fn stands_for_others() -> &'static HashSet<char> {
    static LETTERS: OnceLock<HashSet<char>> = OnceLock::new();
    LETTERS.get_or_init(|| REPLACED.into_iter().flatten().flat_map(made_of).collect())
}

/// Returns the result of composing a single letter, nothing if it stays unchanged.
fn made_of(letter: char) -> impl Iterator<Item = char> {
    let changes = !std::iter::once(letter).nfc().eq(std::iter::once(letter));
    std::iter::once(letter).nfc().filter(move |_| changes)
}

/// Returns the spellings of a name that count as the same user in a search.
pub(crate) fn spellings(name: &str) -> Vec<String> {
    let mut all = vec![name.to_owned(), name.nfc().collect(), name.nfd().collect()];
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_that_composing_replaces_is_known() {
        let all = ('\0'..=char::MAX).flat_map(made_of).collect::<HashSet<_>>();
        assert_eq!(&all, stands_for_others());
    }
}
