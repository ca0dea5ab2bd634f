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
        // Half a surrogate, or nested too deeply to be looked at: that is kept as its text.
        Err(_) => crate::hook::event::text(json).map_or_else(|| Outcome::ok_json(json), Outcome::ok),
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
            let structured = &value["structuredContent"];
            if !structured.is_null() {
                return Some(structured.to_string());
            }
            value["file"]["content"].as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// Whether one of the last lines of a text tells an exit code other than 0 between these words.
pub(super) fn failed_with(text: &str, (before, after): (&str, &str), lines: usize) -> bool {
    let last = text.trim_end().lines().rev().take(lines);
    let codes = last.filter_map(|line| {
        let (_, rest) = line.split_once(before).filter(|(head, _)| head.is_empty() || line.starts_with('<'))?;
        rest.strip_suffix(after)?.trim().parse::<i64>().ok()
    });
    codes.into_iter().next().is_some_and(|code| code != 0)
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
        check(r#"{"content":[],"structuredContent":{"b":1}}"#, Some(r#"{"b":1}"#));
        let failed = |text: &str| failed_with(text, ("Exit Code: ", ""), 3);
        assert!(failed("Output: x\nExit Code: 1\nMore: 2\n") && failed("Exit Code: -1"));
        assert!(
            !failed("Exit Code: 0") && !failed("x") && !failed("see Exit Code: 1") && !failed("Exit Code: 1\na\nb\nc")
        );
        let shell = |text: &str| failed_with(text, (" completed with exit code ", ">"), 1);
        assert!(shell("x\n<shellId: 0 completed with exit code 2>"));
        assert!(!shell("<shellId: 0 completed with exit code 2>\nx") && !shell("a completed with exit code 2>"));
    }
}
