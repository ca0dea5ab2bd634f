//! Writes compact JSON text, with escapes that keep a line one line on any terminal.

use super::classes::unescaped;
use super::unescape::unescape;

/// Returns whether a character is written as `\u` and four hex digits, or as a short escape.
///
/// This includes characters that JSON allows: C1 controls, which some terminals interpret, and characters that break
/// lines or change the direction of text.
pub(crate) const fn is_escaped(c: char) -> bool {
    matches!(
        c,
        '"' | '\\'
            | '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// Appends a string as JSON, including its quotes.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let (mut rest, mut from) = (text, 0);
    loop {
        // Skips to the next byte of a class that contains escaped characters; other bytes are never escaped.
        from += unescaped(&rest.as_bytes()[from..]);
        let Some(c) = rest[from..].chars().next() else { break };
        if !is_escaped(c) {
            from += c.len_utf8();
            continue;
        }
        out.push_str(&rest[..from]);
        rest = &rest[from + c.len_utf8()..];
        from = 0;
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => push_unit(out, c as u32),
        }
    }
    out.push_str(rest);
    out.push('"');
}

/// Appends `\u` and four lower-case hex digits. Every escaped character is below U+10000.
fn push_unit(out: &mut String, unit: u32) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.push(char::from_digit(unit >> shift & 0xF, 16).unwrap_or('0'));
    }
}

/// Returns the compact form of a checked text: no white space between tokens, and strings with our own escapes.
///
/// Does not recurse, so it accepts any depth of nesting.
pub(crate) fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            b'"' => {
                let start = at + 1;
                let mut end = start;
                while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[end..]) {
                    end += found;
                    if bytes[end] == b'"' {
                        break;
                    }
                    end += 2;
                }
                push_string(&mut out, &unescape(&text[start..end]));
                at = end + 1;
            }
            _ => {
                out.push(char::from(*byte));
                at += 1;
            }
        }
    }
    out
}
