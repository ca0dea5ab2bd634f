//! The text of a result, in the shapes in which clients tell it.

use serde_json::Value;
use tooltrail::Outcome;

use crate::transcripts::text_of;

/// Returns the outcome `ok` with the result of a call, given as JSON text.
pub(super) fn ok(json: Option<&str>) -> Outcome {
    let Some(json) = json else { return Outcome::ok("") };
    match serde_json::from_str::<Value>(json) {
        Ok(value) => match text(&value) {
            Some(text) => Outcome::ok(text),
            None => Outcome::ok_json(json),
        },
        // Nested too deeply to be looked at, or half a surrogate: it is kept as its text.
        Err(_) => Outcome::ok_json(json),
    }
}

/// Returns the text of a result; `None` if only its JSON says what it is.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = |name: &str| value[name].as_str();
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) if blocks.iter().all(|block| block["type"].is_string() || block["text"].is_string()) => {
            Some(text_of(value))
        }
        Value::Object(_) => {
            if let (Some(out), Some(error)) = (text("stdout"), text("stderr")) {
                let parts = [out, error].into_iter().filter(|part| !part.is_empty());
                return Some(parts.collect::<Vec<_>>().join("\n"));
            }
            let content = &value["content"];
            if content.as_array().is_some_and(|blocks| !blocks.is_empty() && blocks.iter().all(Value::is_object)) {
                return Some(text_of(content));
            }
            value["file"]["content"].as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// Returns the exit code that follows these words in a text, if it is not 0.
pub(super) fn failed_with(text: &str, words: &str) -> bool {
    let Some((_, rest)) = text.rsplit_once(words) else { return false };
    let digits = rest.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(digits.len());
    digits[..end].parse::<i64>().is_ok_and(|code| code != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_result_is_what_the_tool_said() {
        let check = |json: &str, expected: Option<&str>| {
            assert_eq!(text(&serde_json::from_str(json).unwrap()).as_deref(), expected, "{json}");
        };
        check(r#""out""#, Some("out"));
        check("null", Some(""));
        check(
            r#"[{"type":"text","text":"a"},{"type":"image","data":"QUJD","mimeType":"image/png"}]"#,
            Some("a\n[image/png, 3 B]"),
        );
        check(r#"{"stdout":"out","stderr":"","interrupted":false}"#, Some("out"));
        check(r#"{"stdout":"out","stderr":"err"}"#, Some("out\nerr"));
        check(r#"{"content":[{"type":"text","text":"a"}],"structuredContent":{"b":1}}"#, Some("a"));
        check(r#"{"type":"text","file":{"filePath":"/a","content":"one\n"}}"#, Some("one\n"));
        check(r#"{"filePath":"/a","content":"one"}"#, None);
        check("7", None);
        check(r#"[1,2]"#, None);
        assert!(failed_with("Output: x\nExit Code: 1\n", "Exit Code: "));
        assert!(!failed_with("Exit Code: 0", "Exit Code: ") && !failed_with("x", "Exit Code: "));
    }
}
