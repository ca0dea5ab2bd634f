//! The first pass over a text: where any of the words stands that could begin a secret, and whether a card's number may.
//!
//! Three ways lead to a word. Names and leads are found by three rare bytes inside them. A token's word counts only
//! where a token could begin: with no letter or digit before it, at a run of bytes as long as the shortest token. A
//! vendor's word counts only shortly before such a run with a sign of assignment between. What is left out so could
//! not have led to anything; a machine without wide instructions looks at every byte and finds the rest, too.

use crate::redact::rules::shapes::{PREFIXED, Piece, VENDORS};
use crate::redact::scan::boundaries::VENDOR_NAME_MAX;
use crate::redact::scan::byte_classes::{self, BLOCK, ByteClasses, Masks, Set};
use crate::redact::scan::hit::Trigger;
use crate::redact::scan::rare::{self, Rare};
use crate::redact::scan::word_index::WordIndex;

/// What may stand between a vendor's name and its token, what of it assigns, and of what the name is made.
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

/// Which part of the words stands where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::redact) struct Candidate {
    start: usize,
    word: u16,
}

/// A word and what it leads to.
#[derive(Debug)]
struct Word {
    bytes: Box<[u8]>,
    trigger: Trigger,
}

/// Words, and the ways to them.
#[derive(Debug)]
pub(in crate::redact) struct Prefilter {
    /// From the shortest: of those that begin together the shorter is told first.
    words: Vec<Word>,
    /// Every word.
    all: WordIndex<u16>,
    /// Words with which tokens begin.
    heads: WordIndex<u16>,
    /// The first two bytes of these words, folded, as bits.
    pairs: Box<[u64; PAIRS]>,
    /// Words inside tokens: the first byte, where their tokens begin before it, and which word.
    inner: Vec<(u8, usize, u16)>,
    vendors: WordIndex<u16>,
    /// Words that are not written in ASCII: only texts that are not either are searched for them.
    world: WordIndex<u16>,
    vendor_bytes_max: usize,
    rare: Rare,
    byte_classes: ByteClasses,
    able: bool,
}

/// What may be in a text beside words.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::redact) struct May {
    /// A card's number.
    pub(in crate::redact) numbers: bool,
    /// Base64 that hides a text, or lines of a key.
    pub(in crate::redact) encoded: bool,
    /// An escape of any kind.
    pub(in crate::redact) escapes: bool,
}

/// Words of 64 bits in a set of two bytes.
const PAIRS: usize = 1 << 10;

/// Folds three bytes.
const FOLDED: u32 = 0x20_2020;

impl Prefilter {
    pub(in crate::redact) fn new(words: Vec<(String, Trigger)>) -> Self {
        let mut words: Vec<Word> =
            words.into_iter().map(|(text, trigger)| Word { bytes: text.into_bytes().into(), trigger }).collect();
        words.sort_by_key(|word| word.bytes.len());
        let of = |fits: &dyn Fn(&Trigger) -> bool| {
            let all = (0_u16..).zip(&words).filter(|(_, word)| fits(&word.trigger));
            WordIndex::new(all.map(|(n, word)| (String::from_utf8_lossy(&word.bytes).into_owned(), n)).collect())
        };
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
            // Every head has two bytes at least.
            let two = u16::from_le_bytes([word.bytes[0], word.bytes[1]]) | 0x2020;
            pairs[usize::from(two >> 6)] |= 1 << (two & 63);
        }
        Self {
            all: of(&|_| true),
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

    /// Looks at every byte from now on, to hold the short way against it.
    #[cfg(test)]
    pub(in crate::redact) fn look_everywhere(&mut self) {
        self.able = false;
    }

    /// Collects where words stand that could lead to a secret, by beginnings; answers what else may be there. In a text
    /// that is cut, what is cut short of its form counts, too.
    pub(in crate::redact) fn candidates(&self, text: &str, cut: bool, candidates: &mut Vec<Candidate>) -> May {
        candidates.clear();
        if !self.able {
            self.all.each(text, |start, _, word| candidates.push(Candidate { start, word }));
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
                // A sign just before, or a quote or blank with more before that, and what may begin a vendor's token: one
                // that begins as no name does is long.
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
            // What is open at the end is judged by its beginning alone.
            let from =
                bytes.iter().rposition(|b| !b.is_ascii_graphic() || b"\"'`<>".contains(b)).map_or(0, |at| at + 1);
            self.all.each(&text[from..], |start, _, word| {
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

    /// The beginning, the end and the reason of what was collected.
    pub(in crate::redact) fn open(&self, candidate: Candidate) -> (usize, usize, Trigger) {
        let word = &self.words[usize::from(candidate.word)];
        (candidate.start, candidate.start + word.bytes.len(), word.trigger)
    }

    /// Every word of a short text, by beginnings.
    pub(in crate::redact) fn each(&self, text: &str, mut call: impl FnMut(usize, usize, Trigger)) {
        self.all.each(text, |start, end, word| call(start, end, self.words[usize::from(word)].trigger));
    }

    /// The words of which a rare three, or two, is a part.
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

    /// What begins where a long run begins but is known by a word inside or before it.
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
        // Back over what joins a token to its vendor's name; no token begins with a byte of that, so each is passed once.
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
        // The shortest vendor's word has three bytes.
        if name - from >= 3 {
            let near = &text[from..name];
            self.vendors.each(near, |start, _, word| candidates.push(Candidate { start: from + start, word }));
        }
    }
}

/// The bytes of which tokens are made.
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

/// Where tokens may begin, where those may that hold their word inside, and whether a run begins here as long as base64
/// has that hides a text: of 20 letters and digits, or of 32 bytes of tokens.
///
/// What a text in ASCII becomes in base64 is letters and digits but for the few characters whose last six bits are all
/// set, as those of `?` and `~` are; of what is drawn at random, as a key is, one sign in 32 is none.
#[inline]
fn starts(before: &Masks, masks: &Masks, behind: &Masks) -> (u64, u64, bool) {
    // Mostly no run is long enough even if the next block were one.
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
    // An escape's letter or digits are no part of a token: one letter after a backslash, two digits after a percent.
    let glued = masks.alphanumeric << 1 | before.alphanumeric >> 63;
    let escaped = masks.escape << 2 | before.escape >> 62 | masks.escape << 3 | before.escape >> 61;
    let plain = u128::from(masks.alphanumeric) | u128::from(behind.alphanumeric) << BLOCK;
    let twenty = [1, 2, 4, 8, 4].iter().fold(plain, |runs, step| runs & runs >> step) as u64;
    (twelve & (!glued | escaped), long, long | twenty != 0)
}

/// Whether a text holds letters of which words are made that are not written in ASCII. Nearly all else is punctuation,
/// lines of boxes and emoji, whose first bytes are others.
fn may_be_foreign(bytes: &[u8]) -> bool {
    !bytes.is_ascii() && bytes.iter().any(|byte| matches!(byte, 0xC3..=0xE1 | 0xE3..=0xED))
}

/// Whether a group of thirteen digits begins in a block, or one of four before a joint and four more.
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

    /// Bytes of the shortest run at which a token is looked for, and of one that holds its word inside.
    const RUN_MIN: usize = 12;
    const INNER_RUN_MIN: usize = 32;

    /// The fewest bytes of a form.
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
            // What begins as no name does is long.
            let named = first.iter().all(|byte| is(*byte, NAMING) || *byte == b'=');
            assert!(named || least(shape) >= INNER_RUN_MIN, "{}", shape.form);
            // An equals sign is passed over before the token begins.
            assert!(!first.iter().any(|byte| *byte != b'=' && is(*byte, BETWEEN)), "{}", shape.form);
        }
    }
}
