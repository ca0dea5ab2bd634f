//! A text with its escapes undone: what a secret looks like behind `\u0022`, `\x22`, `\/`, `%22`, `&quot;` and the
//! colours of a terminal. Secrets are looked for in the text as it came and in what is left when each level of
//! escapes is undone; every byte of the plain text remembers where it came from, so that marks go where the escaped
//! secret stands.

use std::ops::Range;

use super::text::floor;

/// Levels of escapes that are undone: JSON in JSON in a command needs three.
pub(super) const LEVELS_MAX: usize = 3;
/// Bytes of a terminal's control sequence, and of one that carries a title or a link.
const CONTROL_MAX: usize = 64;
const STRING_MAX: usize = 512;
/// Bytes of a named character reference, `&` and `;` among them.
const ENTITY_MAX: usize = 9;

/// Character references of HTML and XML for what stands around names and values.
const ENTITIES: &[(&str, &str)] = &[
    ("&quot;", "\""),
    ("&amp;", "&"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&apos;", "'"),
    ("&nbsp;", " "),
    ("&colon;", ":"),
    ("&equals;", "="),
    ("&lowbar;", "_"),
];

/// How a control sequence begins, as the byte it is or written out.
const ESCAPES: &[&str] = &["\x1b", "\\x1b", "\\u001b", "\\u{1b}", "\\033", "\\e", "%1b"];

/// A text without one level of escapes.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) text: String,
    /// Where each byte of the text came from.
    from: Vec<(u32, u32)>,
}

impl Plain {
    /// The text without its escapes; none if it has none that could stand before a secret.
    pub(super) fn of(text: &str) -> Option<Self> {
        may_be_escaped(text).then(|| undo(text)).filter(|plain| plain.text.len() < text.len())
    }

    /// The same one level deeper, with places in the first text.
    pub(super) fn deeper(&self) -> Option<Self> {
        let mut plain = Self::of(&self.text)?;
        for from in &mut plain.from {
            *from = (self.from[from.0 as usize].0, self.from[from.1 as usize - 1].1);
        }
        Some(plain)
    }

    /// Where in the first text a part of this one stands.
    pub(super) fn place(&self, part: Range<usize>) -> Option<Range<usize>> {
        let (first, last) = (self.from.get(part.start)?, self.from.get(part.end.checked_sub(1)?)?);
        (part.start < part.end).then_some(first.0 as usize..last.1 as usize)
    }
}

/// Whether a text holds an escape for something else than the quotes and ends of lines of simple JSON.
fn may_be_escaped(text: &str) -> bool {
    let bytes = text.as_bytes();
    let starts = |at: usize| match bytes[at] {
        b'\\' => matches!(bytes.get(at + 1), Some(b'u' | b'U' | b'x' | b'X' | b'/' | b'0' | b'e')),
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        _ => bytes.get(at + 1).is_some_and(|next| next.is_ascii_alphabetic() || *next == b'#'),
    };
    memchr::memchr(b'\x1b', bytes).is_some() || memchr::memchr3_iter(b'\\', b'%', b'&', bytes).any(starts)
}

fn undo(text: &str) -> Plain {
    let mut plain = Plain { text: String::with_capacity(text.len()), from: Vec::with_capacity(text.len()) };
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (length, replacement) = match rest.as_bytes()[0] {
            b'\x1b' | b'\\' | b'%' | b'&' => escape(rest),
            _ => {
                let next = memchr::memchr3(b'\\', b'%', b'&', rest.as_bytes()).unwrap_or(rest.len());
                let next = memchr::memchr(b'\x1b', &rest.as_bytes()[..next]).unwrap_or(next);
                plain.text.push_str(&rest[..next]);
                plain.from.extend((at..at + next).map(|place| (place as u32, place as u32 + 1)));
                at += next;
                continue;
            }
        };
        let span = (at as u32, (at + length) as u32);
        plain.from.extend(std::iter::repeat_n(span, replacement.len()));
        plain.text.push_str(&replacement);
        at += length;
    }
    plain
}

/// The bytes of the escape at the beginning of a text, and what it stands for; a byte that begins none stands for
/// itself.
fn escape(rest: &str) -> (usize, String) {
    if let Some(length) = control(rest) {
        return (length, String::new());
    }
    match rest.as_bytes()[0] {
        b'\\' => backslash(rest),
        b'%' => octets(rest, |text| pair(text.strip_prefix('%')?).map(|byte| (3, byte))),
        b'&' => entity(rest),
        _ => None,
    }
    .unwrap_or_else(|| (1, rest[..1].to_owned()))
}

/// The length of a terminal's control sequence (ECMA-48, sections 5.4 and 5.6): `ESC [ 31 m`, `ESC ] 8 ; … BEL`.
fn control(rest: &str) -> Option<usize> {
    let begins = |escape: &&&str| rest.get(..escape.len()).is_some_and(|head| head.eq_ignore_ascii_case(escape));
    let escape = ESCAPES.iter().find(begins)?.len();
    let bytes = rest.as_bytes();
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

fn backslash(rest: &str) -> Option<(usize, String)> {
    let simple = |text: &str| Some((2, text.to_owned()));
    match rest.as_bytes().get(1)? {
        b'n' => simple("\n"),
        b't' => simple("\t"),
        b'r' => simple("\r"),
        b'"' => simple("\""),
        b'\'' => simple("'"),
        b'/' => simple("/"),
        b'\\' => simple("\\"),
        b'x' | b'X' => octets(rest, |text| {
            let digits = text.strip_prefix("\\x").or_else(|| text.strip_prefix("\\X"))?;
            pair(digits).map(|byte| (4, byte))
        }),
        b'u' | b'U' => unicode(rest),
        _ => None,
    }
}

/// Bytes written as two hexadecimal digits each: one that is ASCII, or as many as make a character.
fn octets(rest: &str, next: impl Fn(&str) -> Option<(usize, u8)>) -> Option<(usize, String)> {
    let (mut length, first) = next(rest)?;
    let more = match first {
        0..0x80 => 0,
        0xC2..0xE0 => 1,
        0xE0..0xF0 => 2,
        0xF0..0xF5 => 3,
        _ => return None,
    };
    let mut bytes = vec![first];
    for _ in 0..more {
        let (step, byte) = next(&rest[length..])?;
        length += step;
        bytes.push(byte);
    }
    Some((length, String::from_utf8(bytes).ok()?))
}

fn pair(digits: &str) -> Option<u8> {
    let two = digits.get(..2).filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(two, 16).ok()
}

/// `\u0022`, `\ud83d\ude00`, `\u{22}`.
fn unicode(rest: &str) -> Option<(usize, String)> {
    if let Some(inner) = rest.get(2..).and_then(|text| text.strip_prefix('{')) {
        let digits = inner.get(..inner.find('}').filter(|end| (1..=6).contains(end))?)?;
        let char = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        return Some((digits.len() + 4, char.to_string()));
    }
    let unit = |text: &str| {
        let digits = text.get(2..6).filter(|four| four.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        text.get(..2).filter(|head| head.eq_ignore_ascii_case("\\u"))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(rest)?;
    let second = rest.get(6..).and_then(unit);
    match char::decode_utf16([first].into_iter().chain(second)).next()? {
        Ok(char) => Some((6 * char.len_utf16(), char.to_string())),
        Err(_) => None,
    }
}

/// `&quot;`, `&#34;`, `&#x22;`.
fn entity(rest: &str) -> Option<(usize, String)> {
    let end = rest.bytes().take(ENTITY_MAX).position(|byte| byte == b';')? + 1;
    let whole = rest.get(..end)?;
    if let Some(digits) = whole.strip_prefix("&#").map(|text| &text[..text.len() - 1]) {
        let code = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        };
        return Some((end, char::from_u32(code)?.to_string()));
    }
    let (_, replacement) = ENTITIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(whole))?;
    Some((end, (*replacement).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let plain = undo(text);
        assert_eq!(plain.text, expected, "{text}");
        assert_eq!(plain.from.len(), plain.text.len());
        assert!(plain.from.iter().all(|(from, until)| from < until && *until as usize <= text.len()));
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
        let two = Plain::of(text).and_then(|plain| plain.deeper()).unwrap();
        assert_eq!(two.text, "a \"b\" c");
        let quoted = two.place(2..5).unwrap();
        assert_eq!(&text[quoted], "\\\\u0022b\\\\u0022");
        assert!(Plain::of("plain \"text\\n\" 5 % & more").is_none());
    }
}
