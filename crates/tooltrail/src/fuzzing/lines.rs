//! Fuzzing of lines: lines that other programs send, lines in day files, and lines that we write.

use std::sync::LazyLock;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::folders::is_plain_name;
use crate::call::Call;
use crate::clock::{Date, Timestamp, Zone};
use crate::entry::{foreign_head, head, receive, receive_finished, write};
use crate::json::{self, Flaw, compact, members};
use crate::limits::{LINE_BYTES_MAX, SNIPPET_CHARS_MAX};
use crate::query;
use crate::query::instant;
use crate::redact::{BoundedCall, Redactor};

/// The recording time of calls without a time.
const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

/// The random bits of every id and salt, so that the line depends only on the call.
const BITS: [u8; 16] = [0xA5; 16];

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(None));

/// Tests any bytes as a received line and as a line of a day file.
pub(super) fn line(data: &[u8]) {
    let read = instant(data, &Zone::UTC);
    let Ok(text) = std::str::from_utf8(data) else { return };
    is_json(text);
    if let Some(line) = query::Line::parse(text, &Zone::UTC) {
        assert_eq!(read, Some(line.ts), "one line, two instants");
        agrees_on_heads(text, line.ts);
    }
    if let Ok(call) = receive(text, &Zone::UTC) {
        is_written_and_read_back(&call);
    }
}

/// Returns the line of a call from outside, with the folder and date of its day file.
pub(super) fn written(call: &Call) -> (String, (String, Date)) {
    let (mut line, windowed) = (String::new(), BoundedCall::outside(call, NOW, &REDACTOR));
    let day = write(&mut line, &REDACTOR, &windowed, BITS[..10].try_into().unwrap(), BITS);
    (line, day)
}

/// Checks that our JSON reader and `serde_json` accept the same texts and read the same values.
fn is_json(text: &str) {
    let checked = json::check(text);
    let theirs = serde_json::from_str::<IgnoredAny>(text);
    assert_eq!(!matches!(checked, Err(Flaw::Syntax(_))), theirs.is_ok(), "JSON or not: {checked:?}, {theirs:?}");
    if let Err(Flaw::Syntax(at)) = checked {
        assert!(at <= text.len(), "a fault beyond the end");
        assert!(members(text).is_err());
        return;
    }
    if checked.is_err() {
        return;
    }
    let short = compact(text);
    assert_eq!(json::check(&short), Ok(()), "{short}");
    assert_eq!(compact(&short), short);
    assert!(!short.contains(['\n', '\r']));
    // `serde_json` accepts neither deep nesting nor huge numbers.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    assert_eq!(serde_json::from_str::<Value>(&short).unwrap(), value);
    let found = members(text);
    let Value::Object(map) = &value else { return assert!(found.is_err()) };
    let found = found.unwrap();
    assert_eq!(found.len(), map.len());
    for (key, part) in found {
        assert_eq!(serde_json::from_str::<Value>(part).unwrap(), map[&*key], "{key}");
        if let Value::String(string) = &map[&*key] {
            assert_eq!(json::string(part).as_deref(), Some(&**string));
        }
    }
}

/// Checks that the fast readers of the time return the same time as the parser, or none.
fn agrees_on_heads(text: &str, ts: Timestamp) {
    for cheap in [head(text.as_bytes()), foreign_head(text.as_bytes(), &Zone::UTC)].into_iter().flatten() {
        assert_eq!(cheap, ts);
    }
}

/// Checks that a received call becomes one valid line, and that receiving this line again gives the same values.
fn is_written_and_read_back(call: &Call) {
    let (line, (folder, date)) = written(call);
    assert!(is_plain_name(&folder), "folder {folder:?}");
    assert!(line.len() <= LINE_BYTES_MAX, "{} bytes", line.len());
    let text = line.strip_suffix('\n').unwrap();
    assert!(!text.contains(|c: char| json::is_escaped(c) && !matches!(c, '"' | '\\')), "{text}");
    assert_eq!(json::check(text), Ok(()), "{text}");
    let stored = query::Line::parse(text, &Zone::UTC).unwrap();
    assert_eq!(Some(stored.ts), head(text.as_bytes()));
    assert_eq!(stored.ts, call.ts.unwrap_or(NOW));
    assert_eq!(stored.ts.date(), date);
    assert_eq!(Some(stored.status), call.outcome.as_ref().map(|outcome| outcome.status));
    agrees_on_heads(text, stored.ts);

    let again = receive(text, &Zone::UTC).unwrap();
    assert_eq!(again.id.map(|id| id.to_string()).as_deref(), stored.string("id").as_deref());
    assert_eq!(again.ts, Some(stored.ts));
    if call.id.is_some() {
        assert_eq!(again.id, call.id);
    }
    // A finished line stays as it is, also if values were clipped or redacted.
    let mut finished = receive_finished(text, &Zone::UTC).unwrap();
    if finished.is_finished() {
        finished.identity = call.identity;
        assert_eq!(written(&finished).0, line);
    } else {
        assert_ne!(again.id.map(crate::call::EntryId::time), Some(stored.ts), "it has all that a recorder sets");
    }
    // If no value was clipped or redacted, writing the line again changes only fields that the recorder itself sets.
    let cut = stored.string("result_snippet").unwrap().chars().count() >= SNIPPET_CHARS_MAX;
    if !cut && !["…[", "[redacted:", "{\"clipped\":"].iter().any(|mark| text.contains(mark)) {
        let (second, (again, _)) = written(&again);
        let own = |text: &str| text.split(",\"via\":").next().unwrap().to_owned();
        assert_eq!(own(&second), own(text));
        assert_eq!(again, folder);
    }
}
