//! Typed access to a stored line, for programs that read the trail.

use crate::call::{DurationMs, EntryId, Identity, Reason, Status, Via};
use crate::clock::{Timestamp, Zone};
use crate::error::Error;
use crate::json::{members, string};

/// The hint of every refusal of a line.
const HINT: &str = "docs/format.md lists the fields and their types";

/// A stored entry with typed fields.
///
/// The stored line stays authoritative; [`Page::lines`](crate::Page::lines) contains it byte for byte. Fields that this
/// version does not know are in `other`.
///
/// ```
/// use tooltrail::{Status, StoredEntry, Zone};
///
/// let line = r#"{"ts":"2026-11-23T12:00:00.000Z","user":"alice","tool":"fs.read","args":{"path":"a"},"status":"ok","result_chars":5,"result_snippet":"hello"}"#;
/// let entry = StoredEntry::parse(line, &Zone::UTC)?;
/// assert_eq!((entry.tool.as_str(), entry.status), ("fs.read", Status::Ok));
/// assert_eq!(entry.args, r#"{"path":"a"}"#);
/// # Ok::<(), tooltrail::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredEntry {
    /// When the call ended.
    pub ts: Timestamp,
    /// The user whose agent made the call.
    pub user: String,
    /// The tool's name.
    pub tool: String,
    /// The arguments as JSON text, redacted and clipped.
    pub args: String,
    /// How the call ended.
    pub status: Status,
    /// The length of the complete result in characters.
    pub result_chars: u64,
    /// The beginning of the result, redacted.
    pub result_snippet: String,
    /// The entry's id; lines from other programs have none.
    pub id: Option<EntryId>,
    /// Why the call failed or was denied.
    pub reason: Option<Reason>,
    /// How long the call took.
    pub duration_ms: Option<DurationMs>,
    /// The conversation or run that the call belongs to.
    pub session: Option<String>,
    /// The id that the model or the client gave the call.
    pub call_id: Option<String>,
    /// The call or agent that caused this one.
    pub parent: Option<String>,
    /// The agent's name.
    pub agent: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// The program in which the agent runs.
    pub client: Option<String>,
    /// The server that offers the tool.
    pub server: Option<String>,
    /// W3C trace id.
    pub trace_id: Option<String>,
    /// W3C span id.
    pub span_id: Option<String>,
    /// The name of the gate rule that decided about the call.
    pub rule: Option<String>,
    /// The capture that received the call.
    pub via: Option<Via>,
    /// Whether the user was verified by a token or only claimed by the sender.
    pub identity: Option<Identity>,
    /// All other members as pairs of name and JSON text, in the order of the line: fields that this version does not
    /// know, values that it cannot read, and of equal names all but the first.
    pub other: Vec<(String, String)>,
}

impl StoredEntry {
    /// Parses a stored line. A time without an offset, which other programs write, is read in `zone`.
    ///
    /// # Errors
    /// [`Error::Input`] for a line that is not a JSON object or lacks one of the seven fields that every entry has.
    pub fn parse(line: &str, zone: &Zone) -> Result<Self, Error> {
        let members = members(line).map_err(|_| refuse("not a JSON object"))?;
        let mut members = members.into_iter().map(|(key, value)| (key.into_owned(), value)).collect::<Vec<_>>();
        let rest = &mut members;
        let required = |rest: &mut Vec<_>, name| take(rest, name, written).ok_or_else(|| refuse(name));
        let ts = Timestamp::parse(&required(rest, "ts")?, zone)?;
        let user = required(rest, "user")?;
        let tool = required(rest, "tool")?;
        let args = take(rest, "args", |value| Some(value.to_owned())).ok_or_else(|| refuse("args"))?;
        let status = take(rest, "status", |value| Status::parse(&string(value)?)).ok_or_else(|| refuse("status"))?;
        let result_chars = take(rest, "result_chars", |value| value.parse().ok());
        let result_chars = result_chars.ok_or_else(|| refuse("result_chars"))?;
        let result_snippet = required(rest, "result_snippet")?;
        let mut entry = Self {
            ts,
            user,
            tool,
            args,
            status,
            result_chars,
            result_snippet,
            id: take(rest, "id", |value| EntryId::parse(&string(value)?)),
            reason: take(rest, "reason", |value| Reason::parse(&string(value)?)),
            duration_ms: take(rest, "duration_ms", DurationMs::received),
            session: take(rest, "session", text),
            call_id: take(rest, "call_id", text),
            parent: take(rest, "parent", text),
            agent: take(rest, "agent", text),
            model: take(rest, "model", text),
            client: take(rest, "client", text),
            server: take(rest, "server", text),
            trace_id: take(rest, "trace_id", text),
            span_id: take(rest, "span_id", text),
            rule: take(rest, "rule", text),
            via: take(rest, "via", |value| Via::parse(&string(value)?)),
            identity: take(rest, "identity", |value| Identity::parse(&string(value)?)),
            other: Vec::new(),
        };
        entry.other = members.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
        Ok(entry)
    }
}

/// Takes the first member of this name out of the others, if its value can be read; else it stays with them.
fn take<T>(rest: &mut Vec<(String, &str)>, name: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    let at = rest.iter().position(|(key, _)| key == name)?;
    let value = read(rest[at].1)?;
    rest.remove(at);
    Some(value)
}

/// Returns the text of a JSON string.
fn text(value: &str) -> Option<String> {
    Some(string(value)?.into_owned())
}

/// Returns the text of a JSON string; one with half a surrogate pair, which no text can hold, as it is written.
fn written(value: &str) -> Option<String> {
    text(value).or_else(|| Some(value.strip_prefix('"')?.strip_suffix('"')?.to_owned()))
}

fn refuse(what: &str) -> Error {
    let what = if what.contains(' ') { what.to_owned() } else { format!("{what} is missing or of the wrong type") };
    Error::input(what, HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_lacks_a_field_is_refused_with_its_name() {
        let whole = r#"{"ts":"2026-11-23T12:00:00.000Z","user":"a","tool":"t","args":{},"status":"ok","result_chars":0,"result_snippet":""}"#;
        assert!(StoredEntry::parse(whole, &Zone::UTC).is_ok());
        for (field, cut) in [
            ("ts", r#""ts":"2026-11-23T12:00:00.000Z","#),
            ("user", r#""user":"a","#),
            ("tool", r#""tool":"t","#),
            ("args", r#""args":{},"#),
            ("status", r#""status":"ok","#),
            ("result_chars", r#""result_chars":0,"#),
            ("result_snippet", r#","result_snippet":"""#),
        ] {
            let refused = StoredEntry::parse(&whole.replacen(cut, "", 1), &Zone::UTC).unwrap_err().to_string();
            assert!(refused.starts_with(field), "{field}: {refused}");
        }
        assert!(StoredEntry::parse("nonsense", &Zone::UTC).is_err());
    }

    #[test]
    fn known_fields_are_typed_and_others_are_kept() {
        let line = r#"{"ts":"2026-11-23 12:00:00","user":"a","tool":"t","args":[1.50],"status":"denied","result_chars":3,"result_snippet":"n\u006f!","reason":"policy","duration_ms":1.5,"via":"http","session":"s","later":{"x":1}}"#;
        let entry = StoredEntry::parse(line, &Zone::UTC).unwrap();
        assert_eq!((entry.status, &*entry.args, &*entry.result_snippet), (Status::Denied, "[1.50]", "no!"));
        assert_eq!((entry.via, entry.session.as_deref()), (Some(Via::Http), Some("s")));
        assert_eq!(entry.duration_ms.map(|took| took.as_str().to_owned()).as_deref(), Some("1.5"));
        assert_eq!(entry.other, [("later".to_owned(), r#"{"x":1}"#.to_owned())]);
    }

    #[test]
    fn what_cannot_be_read_stays_among_the_others() {
        let line = |more: &str| {
            format!(
                r#"{{"ts":"2026-11-23T12:00:00.000Z","user":"\ud800","tool":"t","args":{{}},"status":"ok","result_chars":0,"result_snippet":"",{more}}}"#
            )
        };
        for (key, value) in [
            ("session", "5"),
            ("session", r#""\ud800""#),
            ("reason", r#""weird""#),
            ("via", r#""odd""#),
            ("id", r#""zz""#),
            ("duration_ms", "-5"),
            ("duration_ms", "1e400"),
            ("user", r#""second""#),
        ] {
            let entry = StoredEntry::parse(&line(&format!("\"{key}\":{value}")), &Zone::UTC).unwrap();
            assert_eq!(entry.user, r"\ud800");
            assert_eq!(entry.other, [(key.to_owned(), value.to_owned())], "{key}");
        }
    }
}
