//! Decodes escapes, so that secrets are found behind `\u0022`, `\x22`, `\/`, `%22`, `&quot;` and terminal colours.
//!
//! The scan runs on the text as received and again after each level of escapes is decoded. The decoded text keeps the
//! position of every byte in the original, so that the mark replaces the escaped secret.

use std::borrow::Cow;
use std::ops::Range;

use crate::redact::scan::boundaries::floor;

/// Levels of escapes that are decoded. JSON in JSON in a command needs three.
pub(in crate::redact) const LEVELS_MAX: usize = 3;
/// Maximum bytes of a terminal control sequence, and of one that contains a title or a link.
const CONTROL_MAX: usize = 64;
const STRING_MAX: usize = 512;
/// Maximum bytes of a character reference, including `&` and `;`.
const ENTITY_MAX: usize = 9;

/// Named character references of HTML and XML for the signs around names and values.
const ENTITIES: &[(&str, char)] = &[
    ("&quot;", '"'),
    ("&amp;", '&'),
    ("&lt;", '<'),
    ("&gt;", '>'),
    ("&apos;", '\''),
    ("&nbsp;", ' '),
    ("&colon;", ':'),
    ("&equals;", '='),
    ("&lowbar;", '_'),
];

/// The beginnings of a control sequence: the escape byte itself, or an escape that stands for it.
const ESCAPES: &[&str] = &["\x1b", "\\x1b", "\\u001b", "\\u{1b}", "\\033", "\\e", "%1b"];

/// A text with one level of escapes decoded.
#[derive(Debug)]
pub(in crate::redact) struct Plain {
    pub(in crate::redact) text: String,
    /// The source of each piece of `text`, sorted by offset in `text`.
    pieces: Vec<Piece>,
    /// Whether a control sequence was removed between two letters or digits.
    pub(in crate::redact) glues: bool,
    /// Whether only control sequences were removed.
    pub(in crate::redact) colours_alone: bool,
}

/// A run of copied bytes, or one escaped character.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// The offset in the decoded text, and in the original text.
    at: usize,
    from: usize,
    /// The length of the escape in bytes; 0 for copied bytes.
    escape: usize,
}

impl Plain {
    /// Returns the text with one level of escapes decoded, or `None` if no escape could be part of a secret or stand
    /// before one.
    pub(in crate::redact) fn of(text: &str) -> Option<Self> {
        may_be_escaped(text).then(|| undo(text, "")).filter(|plain| plain.text.len() < text.len())
    }

    /// Like [`Plain::of`], but with a space for each control sequence, so that the text on its two sides stays two
    /// words.
    pub(in crate::redact) fn parted(text: &str) -> Self {
        undo(text, " ")
    }

    /// Returns the range in the original text for a range of the decoded text.
    pub(in crate::redact) fn span(&self, part: Range<usize>) -> Option<Range<usize>> {
        let piece = |at: usize| self.pieces[..self.pieces.partition_point(|piece| piece.at <= at)].last();
        let (first, last) = (piece(part.start)?, piece(part.end.checked_sub(1)?)?);
        let start = first.from + if first.escape == 0 { part.start - first.at } else { 0 };
        let end = last.from + if last.escape == 0 { part.end - last.at } else { last.escape };
        (part.start < part.end).then_some(start..end)
    }
}

/// Returns a text with all levels of escapes decoded, at most `LEVELS_MAX + 1`.
pub(in crate::redact) fn undone(text: &str) -> Cow<'_, str> {
    let mut undone = Cow::Borrowed(text);
    for _ in 0..=LEVELS_MAX {
        match Plain::of(&undone) {
            Some(plain) => undone = Cow::Owned(plain.text),
            None => break,
        }
    }
    undone
}

/// Returns whether a text contains the escape byte of terminal control sequences.
pub(in crate::redact) fn has_colours(text: &str) -> bool {
    memchr::memchr(b'\x1b', text.as_bytes()).is_some()
}

/// Returns whether a text contains an escape that may be part of a secret or stand before one. Escapes that stand for
/// spaces, dashes or slashes do not count. Nor do the escaped quotes and line ends of simple JSON, because the scan
/// handles them undecoded.
fn may_be_escaped(text: &str) -> bool {
    let bytes = text.as_bytes();
    let starts = |at: usize| match &bytes[at..] {
        [b'\\', b'/', ..] => bytes[at + 2..].starts_with(b"\\/") || bytes[..at].ends_with(b"<"),
        [b'\\', b'u' | b'U' | b'x' | b'X' | b'0' | b'e', ..]
        | [b'&', b'#' | b'a'..=b'z' | b'A'..=b'Z', ..]
        | [b'%', ..] => escape(&text[at..]).is_some_and(|(_, stands_for)| stands_for.is_none_or(is_telling)),
        _ => false,
    };
    has_colours(text) || memchr::memchr3_iter(b'\\', b'%', b'&', bytes).any(starts)
}

/// Returns whether a character can be part of a name, quote it or join it to its value.
fn is_telling(char: char) -> bool {
    let quiet = matches!(char, ' ' | '/' | '-' | '.' | '+' | '~' | '(' | ')' | '!' | ';');
    if char.is_ascii() { !quiet } else { char.is_alphanumeric() || char == '：' }
}

fn undo(text: &str, colour: &str) -> Plain {
    let (bytes, mut copied, mut at) = (text.as_bytes(), 0, 0);
    let mut plain =
        Plain { text: String::with_capacity(text.len()), pieces: Vec::new(), glues: false, colours_alone: true };
    let copy = |plain: &mut Plain, part: Range<usize>, coloured: bool| {
        if !part.is_empty() {
            let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            plain.glues |= coloured && is_word(plain.text.as_bytes().last()) && is_word(bytes.get(part.start));
            plain.pieces.push(Piece { at: plain.text.len(), from: part.start, escape: 0 });
            plain.text.push_str(&text[part]);
        }
    };
    let mut coloured = false;
    let mut signs = Signs { bytes, colour: 0, other: 0 };
    while let Some(next) = signs.next(at) {
        at = next;
        let Some((length, stands_for)) = escape(&text[at..]) else {
            at += 1;
            continue;
        };
        copy(&mut plain, copied..at, coloured);
        coloured &= copied == at;
        match stands_for {
            Some(char) => {
                plain.pieces.push(Piece { at: plain.text.len(), from: at, escape: length });
                plain.text.push(char);
                plain.colours_alone = false;
            }
            None => {
                coloured = true;
                if !colour.is_empty() {
                    plain.pieces.push(Piece { at: plain.text.len(), from: at, escape: length });
                    plain.text.push_str(colour);
                }
            }
        }
        at += length;
        copied = at;
    }
    copy(&mut plain, copied..text.len(), coloured);
    plain
}

/// Finds the next byte at which an escape may begin. It keeps the next position of both kinds of bytes, so that each
/// part of the text is searched only once for each kind.
struct Signs<'a> {
    bytes: &'a [u8],
    colour: usize,
    other: usize,
}

impl Signs<'_> {
    fn next(&mut self, at: usize) -> Option<usize> {
        let end = self.bytes.len();
        if self.colour <= at {
            self.colour = memchr::memchr(0x1B, &self.bytes[at..]).map_or(end, |next| at + next);
        }
        if self.other <= at {
            self.other = memchr::memchr3(b'\\', b'%', b'&', &self.bytes[at..]).map_or(end, |next| at + next);
        }
        Some(self.colour.min(self.other)).filter(|next| *next < end)
    }
}

/// Returns the length in bytes of the escape with which the text begins, and the character that it stands for. For a
/// control sequence the character is `None`.
fn escape(rest: &str) -> Option<(usize, Option<char>)> {
    if let Some(length) = control(rest) {
        return Some((length, None));
    }
    let (length, char) = match rest.as_bytes()[0] {
        b'\\' => backslash(rest),
        b'%' => octets(rest, |text| pair(text.strip_prefix('%')?).map(|byte| (3, byte))),
        b'&' => entity(rest),
        _ => None,
    }?;
    Some((length, Some(char)))
}

/// Returns the length of a terminal control sequence (ECMA-48, sections 5.4 and 5.6): `ESC [ 31 m`, `ESC ] 8 ; … BEL`.
fn control(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let begins =
        |escape: &&&str| bytes.get(..escape.len()).is_some_and(|head| head.eq_ignore_ascii_case(escape.as_bytes()));
    let escape = if bytes[0] == 0x1B { 1 } else { ESCAPES.iter().find(begins)?.len() };
    match bytes.get(escape)? {
        b'[' => {
            let near = &bytes[escape + 1..bytes.len().min(escape + 1 + CONTROL_MAX)];
            let end = near.iter().position(|byte| !(0x20..0x40).contains(byte))?;
            (0x40..0x7F).contains(&near[end]).then_some(escape + 1 + end + 1)
        }
        b']' => {
            let near = &rest[escape + 1..floor(rest, escape + 1 + STRING_MAX)];
            let (bell, end) = (near.find('\x07').map(|at| at + 1), near.find("\x1b\\").map(|at| at + 2));
            Some(escape + 1 + bell.into_iter().chain(end).min()?)
        }
        _ => None,
    }
}

fn backslash(rest: &str) -> Option<(usize, char)> {
    match rest.as_bytes().get(1)? {
        b'n' => Some((2, '\n')),
        b't' => Some((2, '\t')),
        b'r' => Some((2, '\r')),
        sign @ (b'"' | b'\'' | b'/' | b'\\') => Some((2, char::from(*sign))),
        b'x' | b'X' => octets(rest, |text| {
            let digits = text.strip_prefix("\\x").or_else(|| text.strip_prefix("\\X"))?;
            pair(digits).map(|byte| (4, byte))
        }),
        b'u' | b'U' => unicode(rest),
        _ => None,
    }
}

/// Decodes bytes that are written as two hexadecimal digits each: one ASCII byte, or all bytes of one UTF-8 character.
fn octets(rest: &str, next: impl Fn(&str) -> Option<(usize, u8)>) -> Option<(usize, char)> {
    let (mut length, first) = next(rest)?;
    let more = match first {
        0..0x80 => 0,
        0xC2..0xE0 => 1,
        0xE0..0xF0 => 2,
        0xF0..0xF5 => 3,
        _ => return None,
    };
    let mut bytes = [first, 0, 0, 0];
    for position in &mut bytes[1..=more] {
        let (step, byte) = next(&rest[length..])?;
        length += step;
        *position = byte;
    }
    Some((length, std::str::from_utf8(&bytes[..=more]).ok()?.chars().next()?))
}

fn pair(digits: &str) -> Option<u8> {
    let two = digits.get(..2).filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(two, 16).ok()
}

/// Decodes `\u0022`, `\ud83d\ude00`, `\u{22}`.
fn unicode(rest: &str) -> Option<(usize, char)> {
    if let Some(inner) = rest.get(2..).and_then(|text| text.strip_prefix('{')) {
        let digits = inner.get(..inner.find('}').filter(|end| (1..=6).contains(end))?)?;
        let char = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        return Some((digits.len() + 4, char));
    }
    let unit = |text: &str| {
        let digits = text.get(2..6).filter(|four| four.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        text.get(..2).filter(|head| head.eq_ignore_ascii_case("\\u"))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(rest)?;
    let second = rest.get(6..).and_then(unit);
    match char::decode_utf16([first].into_iter().chain(second)).next()? {
        Ok(char) => Some((6 * char.len_utf16(), char)),
        Err(_) => None,
    }
}

/// Decodes `&quot;`, `&#34;`, `&#x22;`.
fn entity(rest: &str) -> Option<(usize, char)> {
    let end = rest.bytes().take(ENTITY_MAX).position(|byte| byte == b';')? + 1;
    let whole = rest.get(..end)?;
    if let Some(digits) = whole.strip_prefix("&#").map(|text| &text[..text.len() - 1]) {
        let code = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        };
        return Some((end, char::from_u32(code)?));
    }
    let (_, char) = ENTITIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(whole))?;
    Some((end, *char))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let plain = undo(text, "");
        assert_eq!(plain.text, expected, "{text}");
        for (at, char) in plain.text.char_indices() {
            let span = plain.span(at..at + char.len_utf8()).unwrap();
            let source = &text[span];
            assert!(source.starts_with(char) || source.starts_with(['\\', '%', '&']), "{char} from {source}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        check("{\\u0022p\\u0061ss\\u0022:\\x22a\\x22}", "{\"pass\":\"a\"}");
        check("a%3Db %C3%B1 %zz 100%", "a=b ñ %zz 100%");
        check("&lt;a b=&#34;c&#x22;&gt; &unknown; & ;", "<a b=\"c\"> &unknown; & ;");
        check("\x1b[1;31mred\x1b[m \x1b]8;;http://a\x07link\x1b]8;;\x07 \\x1b[31mx \\033[0m", "red link x ");
        check("contrase\\u00f1a \\ud83d\\ude00 \\u{e9} \\xc3\\xa9 \\ud83d \\u12", "contraseña 😀 é é \\ud83d \\u12");
        check("\\/ \\\\ \\\" \\q \x1b \\", "/ \\ \" \\q \x1b \\");
    }

    #[test]
    fn a_part_of_the_plain_text_is_found_in_the_first() {
        let text = "a \\\\u0022b\\\\u0022 c";
        let one = Plain::of(text).unwrap();
        let two = Plain::of(&one.text).unwrap();
        assert_eq!(two.text, "a \"b\" c");
        let quoted = one.span(two.span(2..5).unwrap()).unwrap();
        assert_eq!(&text[quoted], "\\\\u0022b\\\\u0022");
        assert!(Plain::of("plain \"text\\n\" 5 % & more").is_none());
    }
}
