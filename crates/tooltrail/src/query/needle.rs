//! Prefilter: bytes that every matching line must contain. They are searched before a line is parsed.

use memchr::{memchr_iter, memchr2_iter, memchr3_iter, memmem};

use super::spelling::is_one_spelling;

/// Bytes that a line must contain in one of these spellings.
#[derive(Clone, Debug)]
pub(super) enum Needle {
    /// ASCII characters that JSON writers do not escape.
    Plain(Box<memmem::Finder<'static>>),
    /// The same, in upper or lower case.
    AnyCase(Vec<u8>),
    /// One character beyond ASCII: raw, or as `\u` escapes with hex digits in either case.
    Wide { raw: Vec<u8>, escaped: Vec<u8> },
}

/// The most bytes of a needle: enough to exclude most lines, and few comparisons per byte of a line.
const NEEDLE_BYTES_MAX: usize = 32;

impl Needle {
    /// Returns the needle for a text that must be inside one string, `None` if no bytes are certain.
    pub(super) fn of(text: &str, any_case: bool) -> Option<Self> {
        let runs = text.split(|c: char| !is_plain(c));
        let longest = runs.max_by_key(|run| run.len()).filter(|run| !run.is_empty());
        if let Some(run) = longest {
            let run = &run[..run.len().min(NEEDLE_BYTES_MAX)];
            return Some(if any_case {
                Self::AnyCase(run.to_ascii_lowercase().into_bytes())
            } else {
                Self::Plain(Box::new(memmem::Finder::new(run.as_bytes()).into_owned()))
            });
        }
        // Other letters may have another case, or be composed of two characters.
        let wide = text.chars().find(|c| !c.is_ascii() && is_one_spelling(*c))?;
        let escaped = wide.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
        Some(Self::Wide { raw: wide.to_string().into_bytes(), escaped: escaped.into_bytes() })
    }

    /// Returns its length in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain(finder) => finder.needle().len(),
            Self::AnyCase(lower) => lower.len(),
            Self::Wide { raw, .. } => raw.len(),
        }
    }

    /// Whether the line may contain the text; always true for a line that writes characters of it in an unusual way.
    pub(super) fn may_stand_in(&self, line: &[u8], odd: &mut OddSpellings) -> bool {
        match self {
            Self::Plain(finder) => finder.find(line).is_some() || odd.may_spell(line, finder.needle()),
            Self::AnyCase(lower) => holds_any_case(line, lower) || odd.may_spell(line, lower),
            Self::Wide { raw, escaped } => memmem::find(line, raw).is_some() || holds_any_case(line, escaped),
        }
    }
}

/// Whether every usual JSON writer leaves the character unescaped.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\')
}

/// What is known about unusual spellings in one line. They are looked for only if a needle was not found as it is.
#[derive(Debug, Default)]
pub(super) struct OddSpellings {
    escapes: Option<bool>,
    equals: Option<bool>,
}

impl OddSpellings {
    /// Whether a line may hold this ASCII text in another spelling: with escapes that are valid JSON but unusual, or with
    /// letters that are equal to ASCII ones.
    fn may_spell(&mut self, line: &[u8], needle: &[u8]) -> bool {
        let has_equal = || needle.iter().any(|byte| matches!(byte, b'k' | b'K' | b'`' | b';'));
        *self.escapes.get_or_insert_with(|| has_unusual_escape(line))
            || has_equal() && *self.equals.get_or_insert_with(|| has_equal_letter(line))
    }
}

/// Whether a line escapes a character that needs no escape, or writes a letter that is equal to an ASCII one as an
/// escape.
fn has_unusual_escape(line: &[u8]) -> bool {
    memchr_iter(b'\\', line).any(|at| match line.get(at + 1) {
        Some(b'/') => true,
        Some(b'u') => {
            let digits = line.get(at + 2..at + 6).unwrap_or_default();
            let is_printable = digits.starts_with(b"00") && matches!(digits.get(2), Some(b'2'..=b'7'));
            is_printable || [b"212a", b"1fef", b"037e"].iter().any(|known| digits.eq_ignore_ascii_case(*known))
        }
        _ => false,
    })
}

/// Whether a line has one of the three letters beyond ASCII that are equal to ASCII ones: the Kelvin sign, a grave accent,
/// a Greek question mark.
fn has_equal_letter(line: &[u8]) -> bool {
    let letters = [&b"\xE2\x84\xAA"[..], b"\xE1\xBF\xAF", b"\xCD\xBE"];
    memchr3_iter(0xE2, 0xE1, 0xCD, line).any(|at| letters.iter().any(|letter| line[at..].starts_with(letter)))
}

/// Whether the line contains these lower-case bytes, with letters in either case.
fn holds_any_case(line: &[u8], lower: &[u8]) -> bool {
    // The rarest byte is the anchor, because white space and vowels occur everywhere.
    let rarity = |byte: u8| match byte {
        b' ' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 0,
        b'a'..=b'z' => 1,
        _ => 2,
    };
    let Some(anchor) = (0..lower.len()).max_by_key(|at| rarity(lower[*at])) else { return true };
    let byte = lower[anchor];
    memchr2_iter(byte, byte.to_ascii_uppercase(), line).any(|at| {
        let found = at.checked_sub(anchor).and_then(|start| line.get(start..start + lower.len()));
        found.is_some_and(|found| found.eq_ignore_ascii_case(lower))
    })
}
