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

    /// Whether the line may contain the text; always true for a line that escapes plain ASCII characters.
    pub(super) fn may_stand_in(&self, line: &[u8], is_odd: &mut Option<bool>) -> bool {
        let mut odd = || *is_odd.get_or_insert_with(|| self::is_odd(line));
        match self {
            Self::Plain(finder) => finder.find(line).is_some() || odd(),
            Self::AnyCase(lower) => holds_any_case(line, lower) || odd(),
            Self::Wide { raw, escaped } => memmem::find(line, raw).is_some() || holds_any_case(line, escaped),
        }
    }
}

/// Whether every usual JSON writer leaves the character unescaped.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\')
}

/// Whether a line escapes a plain character: valid JSON, but unusual.
fn is_odd(line: &[u8]) -> bool {
    let printable = |at: usize| line[at + 2..].starts_with(b"00") && matches!(line.get(at + 4), Some(b'2'..=b'7'));
    // Three characters beyond ASCII are equivalent to ASCII ones: the Kelvin sign, a grave accent, a Greek question
    // mark.
    let stands_for_ascii = |at: usize| {
        [&b"\xE2\x84\xAA"[..], b"\xE1\xBF\xAF", b"\xCD\xBE"].iter().any(|letter| line[at..].starts_with(letter))
    };
    // The same three characters as escapes.
    let is_one_of_them = |at: usize| {
        let digits = line.get(at + 2..at + 6);
        digits.is_some_and(|digits| [b"212a", b"1fef", b"037e"].iter().any(|known| digits.eq_ignore_ascii_case(*known)))
    };
    // Most lines have few backslashes, and are searched once for all of these.
    let escapes = |at: usize| match line.get(at + 1) {
        Some(b'/') => true,
        Some(b'u') => printable(at) || is_one_of_them(at),
        _ => false,
    };
    memchr_iter(b'\\', line).any(escapes) || memchr3_iter(0xE2, 0xE1, 0xCD, line).any(stands_for_ascii)
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
