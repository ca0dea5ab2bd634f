//! Chooses for each word three consecutive bytes that are rare in texts. The word is found by these bytes.

use crate::redact::scan::byte_classes::{self, ByteClasses, FOLD};

/// Letters and the space, ordered from rare to frequent in texts. All other bytes count as rare.
const LETTERS_BY_RARITY: &[u8] = b"qjzxkvbywgpfmucdlhrsnioate ";
/// Triples that occur in many ordinary words, so that nearly any other triple is a better choice.
const USUAL: &str = "con mod use cre add wor mon pen win ong ard ode ser ing ion ent ate ter est the and for ers tra tri \
                     ile ore age ess ect nec net ord rec eco ver res set unt ount igi omp pro com";

/// Slots of the hash table. The table is nearly empty, so that an unknown triple is usually rejected at the first slot.
const SLOTS: usize = 4_096;

/// The chosen bytes of all words, by their folded value. Two bytes count as three with a zero as the third.
#[derive(Debug)]
pub(in crate::redact) struct Rare {
    slots: Box<[u16; SLOTS]>,
    /// The folded value, the index of the word, and the offset of the bytes in the word.
    places: Vec<(u32, u16, u8)>,
    /// The values that consist of two bytes only.
    pub(in crate::redact) twos: Vec<u32>,
}

impl Rare {
    fn new(mut places: Vec<(u32, u16, u8)>) -> Self {
        places.sort_unstable();
        let mut slots = Box::new([u16::MAX; SLOTS]);
        for (n, (value, ..)) in (0..).zip(&places) {
            let mut slot = Self::slot(*value);
            while slots[slot] != u16::MAX && places[usize::from(slots[slot])].0 != *value {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = slots[slot].min(n);
        }
        let twos = places.iter().map(|position| position.0).filter(|value| *value <= 0xFFFF).collect();
        Self { slots, places, twos }
    }

    fn slot(value: u32) -> usize {
        (value.wrapping_mul(0x9E37_79B1) >> 20) as usize % SLOTS
    }

    /// Returns the entries for a folded value: the words that contain these bytes, and where.
    #[inline]
    pub(in crate::redact) fn places(&self, value: u32) -> &[(u32, u16, u8)] {
        let mut slot = Self::slot(value);
        loop {
            let Some(first) = self.places.get(usize::from(self.slots[slot])) else { return &[] };
            if first.0 == value {
                let from = &self.places[usize::from(self.slots[slot])..];
                return &from[..from.iter().position(|position| position.0 != value).unwrap_or(from.len())];
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

/// Chooses three bytes (two, if the word has only two) of each name and lead. A triple that an earlier word already
/// uses is preferred, so that there are few triples in total; otherwise the rarest one is chosen.
pub(in crate::redact) fn choose<'w>(
    words: impl Iterator<Item = (u16, &'w [u8])>,
    byte_classes: &mut ByteClasses,
) -> Rare {
    let fold = |bytes: &[u8]| (0..).zip(bytes).fold(0, |value, (n, byte)| value | u32::from(byte | FOLD) << (8 * n));
    let commonness = |bytes: &[u8]| {
        let letter =
            |byte: &u8| LETTERS_BY_RARITY.iter().position(|letter| *letter == byte | FOLD).map_or(4, |n| n + 2);
        let usual = USUAL.split_whitespace().any(|usual| usual.as_bytes().eq_ignore_ascii_case(bytes));
        bytes.iter().map(letter).product::<usize>() * if usual { 1_000 } else { 1 }
    };
    let (mut places, mut chosen) = (Vec::new(), Vec::<u32>::new());
    for (n, word) in words {
        let size = word.len().min(3);
        let known = word.windows(size).position(|bytes| chosen.contains(&fold(bytes)));
        let rarest = || (0..=word.len() - size).min_by_key(|at| commonness(&word[*at..at + size]));
        let at = known.or_else(rarest).unwrap_or(0);
        let bytes = &word[at..at + size];
        places.push((fold(bytes), n, at as u8));
        if known.is_some() {
            continue;
        }
        chosen.push(fold(bytes));
        match *bytes {
            [one, two] => byte_classes.twos.push([one | FOLD, two | FOLD]),
            [one, two, three] => {
                let hashes = byte_classes::hashes([one, two, three].map(|byte| byte | FOLD));
                byte_classes.threes.iter_mut().zip(hashes).for_each(|(set, hash)| set.add(hash));
            }
            _ => {}
        }
    }
    Rare::new(places)
}
