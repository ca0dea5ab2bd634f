//! Escapes text from a trail, so that it is harmless on a terminal.

use std::borrow::Cow;

/// Returns the text on one line. Escapes every character that controls a terminal, or that hides, breaks or reverses
/// text.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    replaced(text, escape_of)
}

/// Returns the escape of a character, which has no line break.
pub(crate) fn escape_of(c: char) -> String {
    match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c => json_escape(c),
    }
}

/// Returns JSON text with the same meaning, in which every such character is escaped.
pub(crate) fn escaped_json(line: &str) -> Cow<'_, str> {
    replaced(line, json_escape)
}

/// Returns whether a character must be escaped before a terminal or a page shows it: controls, C1, line breaks, bidi
/// marks and invisible tags.
pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns a character as JSON escape: `\u` and four hex digits for each UTF-16 unit.
fn json_escape(c: char) -> String {
    let mut units = [0; 2];
    c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// Returns the text with each hostile character replaced.
fn replaced(text: &str, with: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hostile(c) { clean.push_str(&with(c)) } else { clean.push(c) }
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::{escaped, escaped_json};

    #[test]
    fn hostile_characters_become_visible() {
        let check = |text: &str, expected: &str| assert_eq!(escaped(text), expected);
        check("plain é 漢 👩‍💻", "plain é 漢 👩‍💻");
        check("a\nb\r\tc\0", "a\\nb\\r\\tc\\u0000");
        check("\u{1b}[31mred\u{7f}\u{9b}2J", "\\u001b[31mred\\u007f\\u009b2J");
        check("\u{202e}evil\u{2066}\u{200f}", "\\u202eevil\\u2066\\u200f");
        check("\u{e0041}", "\\udb40\\udc41");
        check("C:\\temp", "C:\\temp");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let line = "{\"a\":\"x\u{9b}y\u{202e}\u{7f}\u{e0041}\"}";
        let clean = escaped_json(line);
        assert!(clean.chars().all(|c| !super::is_hostile(c)));
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parsed(&clean), parsed(line));
    }
}
