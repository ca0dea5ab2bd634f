//! Lines: what others send, what stands in day files, and what we make of it.

use std::sync::LazyLock;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::folders::is_plain_name;
use crate::call::Call;
use crate::clock::{Date, Timestamp, Zone};
use crate::entry::{foreign_head, head, receive, write};
use crate::json::{self, Flaw, compact, members};
use crate::limits::{LINE_BYTES_MAX, SNIPPET_CHARS_MAX};
use crate::query;
use crate::query::instant;
use crate::redact::{BoundedCall, Redactor};

/// The moment at which calls without a time of their own are recorded.
const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

/// Bits of every id and salt: the line must follow from the call alone.
const BITS: [u8; 16] = [0xA5; 16];

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(None));

/// Any bytes as a line: sent by somebody, or standing in a day file.
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

/// Returns the line of a call from outside, and where it belongs.
pub(super) fn written(call: &Call) -> (String, (String, Date)) {
    let (mut line, windowed) = (String::new(), BoundedCall::outside(call, NOW, &REDACTOR));
    let day = write(&mut line, &REDACTOR, &windowed, BITS[..10].try_into().unwrap(), BITS);
    (line, day)
}

/// Our reader of JSON and another one take the same texts, and read the same in them.
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
    // The other reader takes neither deep nesting nor huge numbers.
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

/// The cheap readers of an instant never say another than the parser.
fn agrees_on_heads(text: &str, ts: Timestamp) {
    for cheap in [head(text.as_bytes()), foreign_head(text.as_bytes(), &Zone::UTC)].into_iter().flatten() {
        assert_eq!(cheap, ts);
    }
}

/// What was taken in becomes one good line, and that line is taken in again as what it says.
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
    // Where nothing was cut or taken out, nothing that anybody but the recorder sets changes on the second way.
    let cut = stored.string("result_snippet").unwrap().chars().count() >= SNIPPET_CHARS_MAX;
    if !cut && !["…[", "[redacted:", "{\"clipped\":"].iter().any(|mark| text.contains(mark)) {
        let (second, (again, _)) = written(&again);
        let own = |text: &str| text.split(",\"via\":").next().unwrap().to_owned();
        assert_eq!(own(&second), own(text));
        assert_eq!(again, folder);
    }
}
