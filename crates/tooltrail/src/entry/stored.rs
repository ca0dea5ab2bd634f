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
    /// All other members as pairs of name and JSON text, in the order of the line.
    pub other: Vec<(String, String)>,
}

impl StoredEntry {
    /// Parses a stored line. A time without an offset, which other programs write, is read in `zone`.
    ///
    /// # Errors
    /// [`Error::Input`] for a line that is not a JSON object or lacks one of the seven fields that every entry has.
    pub fn parse(line: &str, zone: &Zone) -> Result<Self, Error> {
        let members = members(line).map_err(|_| refuse("not a JSON object"))?;
        let mut rest = members.into_iter().map(|(key, value)| (key.into_owned(), value)).collect::<Vec<_>>();
        let mut take = |name: &str| {
            let at = rest.iter().position(|(key, _)| key == name)?;
            Some(rest.remove(at).1)
        };
        let required = |name: &'static str, value: Option<&str>| {
            value.and_then(|value| Some(string(value)?.into_owned())).ok_or_else(|| refuse(name))
        };
        let ts = Timestamp::parse(&required("ts", take("ts"))?, zone)?;
        let user = required("user", take("user"))?;
        let tool = required("tool", take("tool"))?;
        let args = take("args").ok_or_else(|| refuse("args"))?.to_owned();
        let status = Status::parse(&required("status", take("status"))?).ok_or_else(|| refuse("status"))?;
        let result_chars =
            take("result_chars").and_then(|text| text.parse().ok()).ok_or_else(|| refuse("result_chars"))?;
        let result_snippet = required("result_snippet", take("result_snippet"))?;
        let mut text = |name: &str| take(name).and_then(|value| Some(string(value)?.into_owned()));
        let mut entry = Self {
            ts,
            user,
            tool,
            args,
            status,
            result_chars,
            result_snippet,
            id: text("id").and_then(|id| EntryId::parse(&id)),
            reason: text("reason").and_then(|word| Reason::parse(&word)),
            duration_ms: None,
            session: text("session"),
            call_id: text("call_id"),
            parent: text("parent"),
            agent: text("agent"),
            model: text("model"),
            client: text("client"),
            server: text("server"),
            trace_id: text("trace_id"),
            span_id: text("span_id"),
            rule: text("rule"),
            via: text("via").and_then(|word| Via::parse(&word)),
            identity: text("identity").and_then(|word| Identity::parse(&word)),
            other: Vec::new(),
        };
        entry.duration_ms = take("duration_ms").and_then(DurationMs::received);
        entry.other = rest.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
        Ok(entry)
    }
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
        let line = r#"{"ts":"2026-11-23 12:00:00","user":"a","tool":"t","args":[1.50],"status":"denied","result_chars":3,"result_snippet":"n\u006f!","reason":"gate","duration_ms":1.5,"via":"http","session":"s","later":{"x":1}}"#;
        let entry = StoredEntry::parse(line, &Zone::UTC).unwrap();
        assert_eq!((entry.status, &*entry.args, &*entry.result_snippet), (Status::Denied, "[1.50]", "no!"));
        assert_eq!((entry.via, entry.session.as_deref()), (Some(Via::Http), Some("s")));
        assert_eq!(entry.duration_ms.map(|took| took.as_str().to_owned()).as_deref(), Some("1.5"));
        assert_eq!(entry.other, [("later".to_owned(), r#"{"x":1}"#.to_owned())]);
    }
}
