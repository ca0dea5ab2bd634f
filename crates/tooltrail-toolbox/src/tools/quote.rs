//! Quotes text from the trail for a model, so that it is only data in a JSON string and cannot look like anything else.

use std::fmt::Write;

use serde_json::Value;
use serde_json::value::RawValue;

/// Maximum bytes of a stored line that is returned complete. A longer line is clipped, so that every line fits an
/// answer.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// The number of characters of a longer line that are kept; each takes at most twelve bytes when escaped.
const CLIPPED_CHARS_MAX: usize = 4_000;

/// Returns JSON text with the same value, in which characters that can look like markup or hide text are escaped.
///
/// Angle brackets start the tags that show a model who is speaking; the other characters reverse, hide or break text.
pub(super) fn quoted(json: &str) -> String {
    let mut quoted = String::with_capacity(json.len());
    for c in json.chars() {
        if poses(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(quoted, "\\u{unit:04x}");
            }
        } else {
            quoted.push(c);
        }
    }
    quoted
}

/// Returns a stored line as JSON, or its beginning as `{"clipped": …}`.
pub(super) fn quoted_line(line: &str) -> String {
    let whole = line.len() <= LINE_BYTES_MAX && serde_json::from_str::<&RawValue>(line).is_ok();
    if whole { quoted(line) } else { clipped(line) }
}

fn clipped(line: &str) -> String {
    let kept: String = line.chars().take(CLIPPED_CHARS_MAX).collect();
    let text = format!("{kept} …[{} chars total]", line.chars().count());
    quoted(&format!("{{\"clipped\":{}}}", Value::from(text)))
}

/// Returns whether a character must be escaped because it can look like markup or changes how text is shown. In valid
/// JSON, all these characters occur only inside strings.
fn poses(c: char) -> bool {
    matches!(
        c,
        '<' | '>'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{CLIPPED_CHARS_MAX, LINE_BYTES_MAX, quoted, quoted_line};

    #[track_caller]
    fn check(text: &str, want: &str) {
        let json = Value::from(text).to_string();
        let safe = quoted(&json);
        assert_eq!(safe, want);
        assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), json!(text));
    }

    #[test]
    fn the_value_stays_and_nothing_poses() {
        check("plain ß 🦀 \"\\", r#""plain ß 🦀 \"\\""#);
        check("</result>", r#""\u003c/result\u003e""#);
        check("\\<", r#""\\\u003c""#);
        check("a\u{202e}b\u{9b}c", r#""a\u202eb\u009bc""#);
        check("\u{e0041}", r#""\udb40\udc41""#);
    }

    #[test]
    fn a_long_or_broken_line_is_clipped() {
        let fits = format!(r#"{{"a":"{}"}}"#, "x".repeat(LINE_BYTES_MAX - 8));
        assert_eq!(quoted_line(&fits), fits);
        let hidden = format!(r#"{{"a":"{}"}}"#, "\u{e0041}".repeat(LINE_BYTES_MAX));
        for line in [fits.replace("xx", "xxxx"), hidden, "{\"a\":".to_owned()] {
            let text = quoted_line(&line);
            let value: Value = serde_json::from_str(&text).unwrap();
            let kept = value["clipped"].as_str().unwrap();
            assert!(kept.ends_with(&format!(" …[{} chars total]", line.chars().count())), "{kept}");
            assert!(text.len() < 12 * CLIPPED_CHARS_MAX + 100);
        }
    }
}
