//! The arguments with which a call was requested, if it was made with others.

use crate::clock::Zone;
use crate::entry::StoredEntry;
use crate::json::{DEPTH_MAX, Json};
use crate::limits::ARG_CHARS_MAX;

/// How the end of a clipped string begins.
const CLIPPED: &str = " …[";

/// How it ends.
const CLIPPED_END: &str = " chars total]";

/// Returns the arguments in the line that was noted when the call began, if they differ from those in the line of its
/// end: another hook has changed them. Both are compared as they are stored.
pub(super) fn requested(begun: &[u8], ended: &[u8]) -> Option<String> {
    let args = |line: &[u8]| {
        let line = std::str::from_utf8(line).ok()?.trim_end();
        Some(StoredEntry::parse(line, &Zone::UTC).ok()?.args)
    };
    let (begun, ended) = (args(begun)?, args(ended)?);
    (!is_same(&begun, &ended)).then(|| shortened(&begun))
}

/// Whether two JSON texts say the same. Clients change the order of members.
fn is_same(a: &str, b: &str) -> bool {
    let sorted = |text: &str| Json::read(text, DEPTH_MAX).map(sorted);
    a == b || matches!((sorted(a), sorted(b)), (Ok(a), Ok(b)) if a == b)
}

fn sorted(json: Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.into_iter().map(sorted).collect()),
        Json::Object(members) => {
            let mut members = members.into_iter().map(|(key, value)| (key, sorted(value))).collect::<Vec<_>>();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(members)
        }
        other => other,
    }
}

/// Shortens the clipped strings in a JSON text until each has no more characters than a string may have. Otherwise they
/// would be clipped a second time, and say a wrong number of characters.
fn shortened(args: &str) -> String {
    let mut out = String::with_capacity(args.len());
    let mut rest = args;
    while let Some(start) = rest.find('"') {
        let end = string_end(rest, start + 1);
        out.push_str(&rest[..=start]);
        push_string(&mut out, &rest[start + 1..end]);
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix('"') {
            out.push('"');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// Returns where a string ends whose first character is at `from`.
fn string_end(text: &str, from: usize) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(from) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    text.len()
}

fn push_string(out: &mut String, text: &str) {
    let clipped = text.strip_suffix(CLIPPED_END).and_then(|head| head.rfind(CLIPPED)).map(|at| text.split_at(at));
    let Some((head, end)) = clipped else {
        out.push_str(text);
        return;
    };
    let room = ARG_CHARS_MAX.saturating_sub(end.chars().count());
    let (mut taken, mut at) = (0, 0);
    while taken < room && at < head.len() {
        at += character(&head[at..]);
        taken += 1;
    }
    out.push_str(&head[..at.min(head.len())]);
    out.push_str(end);
}

/// Returns the bytes of the first character of a JSON string, which may be an escape.
fn character(text: &str) -> usize {
    let bytes = match text.as_bytes() {
        [b'\\', b'u', ..] => 6,
        [b'\\', ..] => 2,
        _ => text.chars().next().map_or(1, char::len_utf8),
    };
    bytes.min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &str) -> Vec<u8> {
        format!(
            "{{\"ts\":\"2026-11-23T08:15:00.123Z\",\"user\":\"a\",\"tool\":\"t\",\"args\":{args},\"status\":\"ok\",\"result_chars\":0,\"result_snippet\":\"\"}}\n"
        )
        .into_bytes()
    }

    fn check(begun: &str, ended: &str, expected: Option<&str>) {
        assert_eq!(requested(&line(begun), &line(ended)).as_deref(), expected, "{begun}");
    }

    #[test]
    fn only_arguments_that_were_changed_are_told() {
        check(r#"{"a":1}"#, r#"{"a":1}"#, None);
        check(r#"{"a":1,"b":{"c":2,"d":[3]}}"#, r#"{"b":{"d":[3],"c":2},"a":1}"#, None);
        check(r#"{"a":[{"b":1,"c":2}]}"#, r#"{"a":[{"c":2,"b":1}]}"#, None);
        check(r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, Some(r#"{"a":[1,2]}"#));
        check(r#"{"a":"x\"y"}"#, r#"{"a":2}"#, Some(r#"{"a":"x\"y"}"#));
        let long = "x".repeat(499);
        let clipped = format!(r#"{{"a":"{long}\n …[900 chars total]","b":"\\"}}"#);
        let end = " …[900 chars total]";
        let room = 500 - end.chars().count();
        check(&clipped, "{}", Some(&format!(r#"{{"a":"{}{end}","b":"\\"}}"#, &long[..room])));
        let escapes = format!(r#"{{"a":"{} …[900 chars total]"}}"#, r"\u0007".repeat(500));
        check(&escapes, "{}", Some(&format!(r#"{{"a":"{}{end}"}}"#, r"\u0007".repeat(room))));
        assert_eq!(requested(b"", &line("{}")), None);
    }
}
