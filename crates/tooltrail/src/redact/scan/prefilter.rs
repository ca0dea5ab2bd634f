//! The first pass over a text: it finds the positions (candidates) that the rest of the scan has to look at.
//!
//! Words. The prefilter looks for the literals of all token shapes, vendor names, parts of secret names (`pass`,
//! `key`), leads (`://`, `bearer `, command names), the opening of a mark, and words for "password" in other scripts.
//!
//! Skipping, with AVX2. `byte_classes` reads 64 bytes at a time and sets one bit per byte in each of its masks.
//! - Names, leads, marks: `rare` chose three (or two) rare bytes of each word. A byte gets the `rare` bit only if four
//!   8-bit hashes of the three bytes there are all in the sets of known hashes. Only there is the word compared.
//! - First literal of a token: compared only where at least 12 bytes follow that can occur in tokens, and no letter or
//!   digit stands before (the end of an escape may). A bit table of two bytes and `WordIndex` reject most of these
//!   places.
//! - Literal inside a token: compared only where at least 32 such bytes follow.
//! - Vendor name: searched only in the few bytes before such a place, if an assignment sign lies between.
//! - Other scripts: searched only if the text contains a lead byte of their letters.
//!
//! Why no candidate is lost. Equal bytes have equal hashes, so a hash test only lets wrong places through. No token
//! shape is shorter than 12 bytes, or 32 with its literal inside (tests below), and `scan::text` rejects a token after
//! a letter or digit too. `tests/prefilter_equivalence.rs` compares the result with a search at every byte. One known
//! exception is base64 of 20 to 31 characters that `+`, `/`, `-` or `_` divides into parts below 20: it is not decoded.
//!
//! Without AVX2, [`Prefilter::candidates`] compares all words at every byte by means of `WordIndex`, and reports that
//! card numbers, base64 and escapes may be present. This is slower; it misses nothing that the AVX2 path finds.

use std::sync::OnceLock;

use crate::redact::rules::shapes::{PREFIXED, Piece, VENDORS};
use crate::redact::scan::boundaries::VENDOR_NAME_MAX;
use crate::redact::scan::byte_classes::{self, BLOCK, ByteClasses, Masks, Set};
use crate::redact::scan::hit::Trigger;
use crate::redact::scan::rare::{self, Rare};
use crate::redact::scan::word_index::WordIndex;

/// Kinds of bytes, as bits: bytes between a vendor name and its token, assignment signs (also between), bytes of names.
const BETWEEN: u8 = 1;
const ASSIGNING: u8 = 2;
const NAMING: u8 = 4;
static KINDS: [u8; 256] = kinds();

#[inline]
fn is(byte: u8, kind: u8) -> bool {
    KINDS[usize::from(byte)] & kind != 0
}

const fn kinds() -> [u8; 256] {
    let (mut kinds, mut byte) = ([0; 256], 0);
    while byte < 256 {
        let c = byte as u8;
        let assigning = matches!(c, b'=' | b'>' | b':' | b'|' | b'?' | b',');
        let between = assigning || matches!(c, b'\'' | b'"' | b'`' | b'\\' | b' ' | b'\t');
        let naming = c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.' | b' ' | b'\t');
        kinds[byte] =
            if between { BETWEEN } else { 0 } | if assigning { ASSIGNING } else { 0 } | if naming { NAMING } else { 0 };
        byte += 1;
    }
    kinds
}

/// A position in a text and the index of the word that was found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::redact) struct Candidate {
    start: usize,
    word: u16,
}

/// A word, and the reason why it is searched for.
#[derive(Debug)]
struct Word {
    bytes: Box<[u8]>,
    trigger: Trigger,
}

/// All words, and the indexes by which they are found.
#[derive(Debug)]
pub(in crate::redact) struct Prefilter {
    /// Sorted by length, so that a shorter word is reported before a longer one at the same position.
    words: Vec<Word>,
    /// All words; used when every byte is looked at.
    all: OnceLock<WordIndex<u16>>,
    /// The literals at the beginning of tokens.
    heads: WordIndex<u16>,
    /// A bit table of the first two folded bytes of `heads`.
    pairs: Box<[u64; PAIRS]>,
    /// Literals inside tokens: the first byte, the number of bytes of the token before it, and the index of the word.
    inner: Vec<(u8, usize, u16)>,
    vendors: WordIndex<u16>,
    /// Words that are not ASCII. They are searched only in a text that is not ASCII.
    world: WordIndex<u16>,
    vendor_bytes_max: usize,
    rare: Rare,
    byte_classes: ByteClasses,
    able: bool,
}

/// What a text may contain in addition to words.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::redact) struct May {
    /// A card number.
    pub(in crate::redact) numbers: bool,
    /// Base64 of a text, or lines of a private key.
    pub(in crate::redact) encoded: bool,
    /// An escape sequence of any kind.
    pub(in crate::redact) escapes: bool,
}

/// 64-bit words of the bit table over two bytes.
const PAIRS: usize = 1 << 10;

/// Folds three bytes to lower case.
const FOLDED: u32 = 0x20_2020;

/// Returns the index of the words whose trigger fits.
fn index(words: &[Word], fits: &dyn Fn(&Trigger) -> bool) -> WordIndex<u16> {
    let fitting = (0_u16..).zip(words).filter(|(_, word)| fits(&word.trigger));
    WordIndex::new(fitting.map(|(n, word)| (String::from_utf8_lossy(&word.bytes).into_owned(), n)).collect())
}

impl Prefilter {
    pub(in crate::redact) fn new(words: Vec<(String, Trigger)>) -> Self {
        let mut words: Vec<Word> =
            words.into_iter().map(|(text, trigger)| Word { bytes: text.into_bytes().into(), trigger }).collect();
        words.sort_by_key(|word| word.bytes.len());
        let of = |fits: &dyn Fn(&Trigger) -> bool| index(&words, fits);
        let before = |trigger: &Trigger| match trigger {
            Trigger::Shape(index) => PREFIXED[*index].inner.map(|(_, before)| before).filter(|before| *before > 0),
            _ => None,
        };
        let mut byte_classes = ByteClasses { threes: [Set::default(); 4], twos: Vec::new(), run: runs() };
        let led = (0..)
            .zip(&words)
            .filter(|(_, word)| !matches!(word.trigger, Trigger::Shape(_) | Trigger::Vendor | Trigger::World));
        let rare = rare::choose(led.map(|(n, word)| (n, &*word.bytes)), &mut byte_classes);
        let is_head = |trigger: &Trigger| matches!(trigger, Trigger::Shape(_)) && before(trigger).is_none();
        let mut pairs = Box::new([0; PAIRS]);
        for word in words.iter().filter(|word| is_head(&word.trigger)) {
            // Every such word has at least two bytes.
            let two = u16::from_le_bytes([word.bytes[0], word.bytes[1]]) | 0x2020;
            pairs[usize::from(two >> 6)] |= 1 << (two & 63);
        }
        Self {
            all: OnceLock::new(),
            heads: of(&is_head),
            pairs,
            inner: (0..)
                .zip(&words)
                .filter_map(|(n, word)| before(&word.trigger).map(|before| (word.bytes[0], before, n)))
                .collect(),
            vendors: of(&|trigger| matches!(trigger, Trigger::Vendor)),
            world: of(&|trigger| matches!(trigger, Trigger::World)),
            vendor_bytes_max: VENDORS.iter().flat_map(|shape| shape.words).map(|word| word.len()).max().unwrap_or(0),
            words,
            rare,
            byte_classes,
            able: byte_classes::is_able(),
        }
    }

    /// Returns the index of all words, which few texts need.
    fn all(&self) -> &WordIndex<u16> {
        self.all.get_or_init(|| index(&self.words, &|_| true))
    }

    /// Switches to the search at every byte. Tests compare the AVX2 path with it.
    #[cfg(test)]
    pub(in crate::redact) fn look_everywhere(&mut self) {
        self.able = false;
    }

    /// Collects the candidates of a text, sorted by position, and returns what else the text may contain. If the text
    /// was cut at its end, a token that the cut shortened is a candidate too.
    pub(in crate::redact) fn candidates(&self, text: &str, cut: bool, candidates: &mut Vec<Candidate>) -> May {
        candidates.clear();
        if !self.able {
            self.all().each(text, |start, _, word| candidates.push(Candidate { start, word }));
            candidates.sort_unstable();
            return May { numbers: true, encoded: true, escapes: true };
        }
        let bytes = text.as_bytes();
        let (mut before, mut may) = (Masks::default(), May::default());
        byte_classes::each(&self.byte_classes, bytes, |at, masks, behind| {
            each_bit(masks.rare, |bit| self.rare(bytes, at + bit, candidates));
            let (starts, long, encoded) = starts(&before, masks, behind);
            may.encoded |= encoded;
            may.escapes |= masks.escapes;
            each_bit(starts, |bit| {
                let (at, long) = (at + bit, long >> bit & 1 == 1);
                // An assignment sign stands directly before, or two bytes that may stand between name and token. The
                // first byte may begin a vendor's token: a token whose first byte cannot be in a name has at least 32
                // bytes.
                let joined = at > 1
                    && (is(bytes[at - 1], ASSIGNING) || is(bytes[at - 1], BETWEEN) && is(bytes[at - 2], BETWEEN))
                    && !is(bytes[at], BETWEEN)
                    && (is(bytes[at], NAMING) || long);
                let two = u16::from_le_bytes([bytes[at], bytes.get(at + 1).copied().unwrap_or(0)]) | 0x2020;
                if self.pairs[usize::from(two >> 6)] >> (two & 63) & 1 == 1 && self.heads.may_begin(bytes, at) {
                    self.heads.at(bytes, at, |start, _, word| candidates.push(Candidate { start, word }));
                }
                if joined || long {
                    self.start(text, at, long, candidates);
                }
            });
            may.numbers = may.numbers || masks.digit != 0 && may_be_number(bytes, at, &before, masks, behind);
            before.alphanumeric = masks.alphanumeric;
            before.digit = masks.digit;
            before.escape = masks.escape;
        });
        if may_be_foreign(bytes) {
            self.world.each(text, |start, _, word| candidates.push(Candidate { start, word }));
        }
        if cut {
            // The last run may be a token that was cut, so it is searched without the minimum length.
            let from =
                bytes.iter().rposition(|b| !b.is_ascii_graphic() || b"\"'`<>".contains(b)).map_or(0, |at| at + 1);
            self.all().each(&text[from..], |start, _, word| {
                if matches!(self.words[usize::from(word)].trigger, Trigger::Shape(_)) {
                    candidates.push(Candidate { start: from + start, word });
                }
            });
        }
        if candidates.len() > 1 {
            candidates.sort_unstable();
            candidates.dedup();
        }
        may
    }

    /// Returns the start, the end and the reason of a candidate.
    pub(in crate::redact) fn open(&self, candidate: Candidate) -> (usize, usize, Trigger) {
        let word = &self.words[usize::from(candidate.word)];
        (candidate.start, candidate.start + word.bytes.len(), word.trigger)
    }

    /// Calls `call` with the start, the end and the reason of every word in a short text, by position.
    pub(in crate::redact) fn each(&self, text: &str, mut call: impl FnMut(usize, usize, Trigger)) {
        self.all().each(text, |start, end, word| call(start, end, self.words[usize::from(word)].trigger));
    }

    /// Adds the words that contain the three, or two, rare bytes at a position.
    #[inline]
    fn rare(&self, bytes: &[u8], at: usize, candidates: &mut Vec<Candidate>) {
        let three = match bytes[at..].first_chunk::<4>() {
            Some(chunk) => u32::from_le_bytes(*chunk) & 0xFF_FFFF,
            None => (0..3).fold(0, |value, n| value | u32::from(bytes.get(at + n).map_or(0, |byte| *byte)) << (8 * n)),
        } | FOLDED;
        let (places, two) = (self.rare.places(three), three & 0xFFFF);
        if !places.is_empty() {
            self.words_at(bytes, at, places, candidates);
        }
        if self.rare.twos.contains(&two) {
            self.words_at(bytes, at, self.rare.places(two), candidates);
        }
    }

    #[inline(never)]
    fn words_at(&self, bytes: &[u8], at: usize, places: &[(u32, u16, u8)], candidates: &mut Vec<Candidate>) {
        for &(_, word, before) in places {
            let bytes_of = &self.words[usize::from(word)].bytes;
            let Some(start) = at.checked_sub(usize::from(before)) else { continue };
            if bytes.get(start..start + bytes_of.len()).is_some_and(|here| here.eq_ignore_ascii_case(bytes_of)) {
                candidates.push(Candidate { start, word });
            }
        }
    }

    /// Adds the words that are not at the start of a token but inside it (`long` only), or the vendor name before it.
    #[inline(never)]
    fn start(&self, text: &str, at: usize, long: bool, candidates: &mut Vec<Candidate>) {
        let bytes = text.as_bytes();
        if long {
            for &(first, before, word) in &self.inner {
                let start = at + before;
                if bytes.get(start) == Some(&first) && bytes[start..].starts_with(&self.words[usize::from(word)].bytes)
                {
                    candidates.push(Candidate { start, word });
                }
            }
        }
        // Go back over the bytes between name and token. No token begins with such a byte, so each is passed only once.
        let (mut name, mut assigned) = (at, false);
        while !is(bytes[at], BETWEEN) && name > 0 && is(bytes[name - 1], BETWEEN) {
            name -= 1;
            assigned |= is(bytes[name], ASSIGNING);
        }
        let mut from = name;
        while assigned
            && from > 0
            && name - from < VENDOR_NAME_MAX + self.vendor_bytes_max
            && is(bytes[from - 1], NAMING)
        {
            from -= 1;
        }
        // The shortest vendor name has three bytes.
        if name - from >= 3 {
            let near = &text[from..name];
            self.vendors.each(near, |start, _, word| candidates.push(Candidate { start: from + start, word }));
        }
    }
}

/// Returns all bytes that can occur in a token.
fn runs() -> Set {
    let mut set = Set::default();
    for (shape, piece) in
        PREFIXED.iter().chain(VENDORS).flat_map(|shape| shape.pieces().into_iter().map(move |p| (shape, p)))
    {
        let bytes = match piece {
            Piece::Literal(text) => text.into_bytes(),
            Piece::Run(bytes, ..) => bytes,
            Piece::Choice(texts) => texts.concat().into_bytes(),
        };
        for byte in bytes {
            set.add(byte);
            if shape.either_case() {
                set.add(byte.to_ascii_lowercase());
                set.add(byte.to_ascii_uppercase());
            }
        }
    }
    set
}

/// Returns three results for a block: where tokens may begin, where runs of 32 token bytes begin, and whether base64
/// may begin: a run of 20 letters and digits, or of 32 token bytes.
///
/// Base64 of ASCII text contains a sign other than letters and digits only for `>`, `?` and `~` as every third byte.
/// Base64 of random data, such as a key, contains one such sign in 32 characters on average.
#[inline]
fn starts(before: &Masks, masks: &Masks, behind: &Masks) -> (u64, u64, bool) {
    // Fast exit: in most blocks no run is long enough, even if the whole next block continued it.
    let two = masks.run & (masks.run >> 1 | !0 << 63);
    let four = two & (two >> 2 | !0 << 62);
    let eight = four & (four >> 4 | !0 << 60);
    if eight & (four >> 8 | !0 << 56) == 0 {
        return (0, 0, false);
    }
    let one = u128::from(masks.run) | u128::from(behind.run) << BLOCK;
    let two = one & one >> 1;
    let four = two & two >> 2;
    let eight = four & four >> 4;
    let twelve = (eight & four >> 8) as u64;
    let sixteen = eight & eight >> 8;
    let long = (sixteen & sixteen >> 16) as u64;
    // A token may follow an escape, whose last byte is a letter or digit: `\n`, `%22`.
    let glued = masks.alphanumeric << 1 | before.alphanumeric >> 63;
    let escaped = masks.escape << 2 | before.escape >> 62 | masks.escape << 3 | before.escape >> 61;
    let plain = u128::from(masks.alphanumeric) | u128::from(behind.alphanumeric) << BLOCK;
    let twenty = [1, 2, 4, 8, 4].iter().fold(plain, |runs, step| runs & runs >> step) as u64;
    (twelve & (!glued | escaped), long, long | twenty != 0)
}

/// Returns whether a text contains the first byte of a letter that is not ASCII. Punctuation, box lines and emoji
/// mostly have other first bytes.
fn may_be_foreign(bytes: &[u8]) -> bool {
    !bytes.is_ascii() && bytes.iter().any(|byte| matches!(byte, 0xC3..=0xE1 | 0xE3..=0xED))
}

/// Returns whether a card number may begin in a block: thirteen digits, or four digits, a space or hyphen, four digits.
fn may_be_number(bytes: &[u8], at: usize, before: &Masks, masks: &Masks, behind: &Masks) -> bool {
    let digit = u128::from(masks.digit) | u128::from(behind.digit) << BLOCK;
    let two = digit & digit >> 1;
    let four = two & two >> 2;
    let thirteen = four & four >> 4 & four >> 8 & four >> 9;
    let begun = !(masks.digit << 1 | before.digit >> 63);
    let mut grouped = (four & four >> 5) as u64 & begun;
    while grouped != 0 {
        if matches!(bytes.get(at + grouped.trailing_zeros() as usize + 4), Some(b' ' | b'-')) {
            return true;
        }
        grouped &= grouped - 1;
    }
    thirteen as u64 != 0
}

#[inline]
fn each_bit(mut mask: u64, mut call: impl FnMut(usize)) {
    while mask != 0 {
        call(mask.trailing_zeros() as usize);
        mask &= mask - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::rules::shapes::Shape;

    /// The shortest run at which a token is looked for, in bytes, and the shortest for a token with its literal inside.
    const RUN_MIN: usize = 12;
    const INNER_RUN_MIN: usize = 32;

    /// Returns the smallest number of bytes of a form.
    fn least(shape: &Shape) -> usize {
        let bytes = |piece: &Piece| match piece {
            Piece::Literal(text) => text.len(),
            Piece::Run(_, least, _) => *least,
            Piece::Choice(texts) => texts.iter().map(String::len).min().unwrap_or(0),
        };
        shape.pieces().iter().map(bytes).sum()
    }

    #[test]
    fn no_form_is_shorter_than_the_runs_that_are_looked_at() {
        for shape in PREFIXED.iter().chain(VENDORS) {
            let inside = shape.inner.is_some_and(|(_, before)| before > 0);
            assert!(least(shape) >= if inside { INNER_RUN_MIN } else { RUN_MIN }, "{} {}", shape.rule, shape.form);
        }
    }

    #[test]
    fn what_joins_a_vendor_to_its_token_is_in_no_vendors_word() {
        for word in VENDORS.iter().flat_map(|shape| shape.words) {
            let fits = |byte| is(byte, NAMING) && !is(byte, BETWEEN);
            assert!(word.len() >= 3 && word.bytes().all(fits), "{word}");
        }
        for shape in VENDORS {
            let first = match shape.pieces().into_iter().next().unwrap() {
                Piece::Literal(text) => text.into_bytes()[..1].to_vec(),
                Piece::Run(bytes, ..) => bytes,
                Piece::Choice(texts) => texts.iter().map(|text| text.as_bytes()[0]).collect(),
            };
            // A token whose first byte cannot be in a name has at least 32 bytes.
            let named = first.iter().all(|byte| is(*byte, NAMING) || *byte == b'=');
            assert!(named || least(shape) >= INNER_RUN_MIN, "{}", shape.form);
            // An equals sign at the beginning of a token is skipped before the token is matched.
            assert!(!first.iter().any(|byte| *byte != b'=' && is(*byte, BETWEEN)), "{}", shape.form);
        }
    }
}
