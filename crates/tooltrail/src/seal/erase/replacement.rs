//! The line that stands in place of an erased one.

use crate::clock::Zone;
use crate::json::push_string;
use crate::query::Line;

/// The tool of a line that stands in place of an erased one.
const TOOL: &str = "tooltrail.erased";

/// Returns a line of the same length without anything of the old one but its time and user: a valid entry if that fits,
/// else only spaces.
pub(super) fn replacement(line: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let entry = Line::parse(text, &Zone::UTC);
    let entry = entry.and_then(|entry| Some((entry.string("ts")?.into_owned(), entry.string("user")?.into_owned())));
    let entry = entry.and_then(|(ts, user)| {
        let mut begin = "{\"ts\":".to_owned();
        push_string(&mut begin, &ts);
        begin.push_str(",\"user\":");
        push_string(&mut begin, &user);
        begin.push_str(&format!(",\"tool\":\"{TOOL}\",\"args\":{{"));
        let end = "},\"status\":\"ok\",\"result_chars\":0,\"result_snippet\":\"\"}";
        let spaces = line.len().checked_sub(begin.len() + end.len())?;
        Some(format!("{begin}{}{end}", " ".repeat(spaces)).into_bytes())
    });
    entry.unwrap_or_else(|| vec![b' '; line.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_same_length_and_nothing_else() {
        let line = r#"{"ts":"2026-11-23T08:15:00.123Z","user":"al\"ice","tool":"fs.read","args":{"path":"secret"},"status":"error","result_chars":5,"result_snippet":"hello","id":"x","salt":"y"}"#;
        let new = replacement(line.as_bytes());
        let text = String::from_utf8(new.clone()).unwrap();
        assert_eq!(new.len(), line.len());
        let parsed = crate::StoredEntry::parse(&text, &Zone::UTC).unwrap();
        assert_eq!((parsed.tool.as_str(), parsed.user.as_str()), (TOOL, "al\"ice"));
        assert!(!text.contains("secret") && !text.contains("hello"));
        assert_eq!(replacement(&new), new, "an erased line stays as it is");
        for short in
            ["", "{}", "no entry", r#"{"ts":"2026-11-23T08:15:00Z","user":"a","tool":"t","args":{},"status":"ok"}"#]
        {
            assert_eq!(replacement(short.as_bytes()), vec![b' '; short.len()], "{short}");
        }
    }
}
