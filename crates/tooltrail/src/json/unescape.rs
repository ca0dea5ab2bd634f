//! Decodes the escapes of JSON strings.

use std::borrow::Cow;

use super::classes::before_backslash;

/// Decodes the escapes in the text between the quotes of a checked string; a lone surrogate becomes U+FFFD.
pub(crate) fn unescape(inner: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    push_unescaped(&mut out, inner);
    Cow::Owned(out)
}

/// Appends the text between the quotes of a checked string with its escapes decoded; a lone surrogate becomes U+FFFD.
pub(crate) fn push_unescaped(out: &mut String, inner: &str) {
    // Decoded text is never longer than its escapes.
    out.reserve(inner.len());
    let mut rest = inner;
    loop {
        let found = before_backslash(rest.as_bytes());
        out.push_str(&rest[..found]);
        if found == rest.len() {
            return;
        }
        let escape = rest.as_bytes().get(found + 1).copied().unwrap_or(b'\\');
        rest = rest.get(found + 2..).unwrap_or("");
        out.push(match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => unicode(&mut rest),
            other => char::from(other),
        });
    }
}

/// Reads the digits after `\u`. If they are a high surrogate, also reads the escape of the low surrogate that follows.
fn unicode(rest: &mut &str) -> char {
    let unit = |rest: &mut &str| {
        let unit = rest.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
        *rest = rest.get(4..).unwrap_or("");
        unit.unwrap_or(0xFFFD)
    };
    let first = unit(rest);
    if (0xD800..=0xDBFF).contains(&first)
        && let Some(mut after) = rest.strip_prefix("\\u")
    {
        let second = unit(&mut after);
        if (0xDC00..=0xDFFF).contains(&second) {
            *rest = after;
            let pair = char::decode_utf16([first, second]).next();
            return pair.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
    }
    char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER)
}
