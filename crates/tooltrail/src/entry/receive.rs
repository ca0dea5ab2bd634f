//! Converts a received line to a call. It reads the common form, our own entries and the seed format.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::call::{Call, ClippedResult, DurationMs, EntryId, Outcome, Payload, Reason, Status, Via};
use crate::clock::{Timestamp, Zone};
use crate::error::Error;
use crate::json::{Flaw, OBJECT_MEMBERS_MAX, members, string};
use crate::limits::WINDOW_BEYOND;

/// The hint of every refusal of a line.
const HINT: &str = "docs/format.md lists the fields and their types";

/// The members that only a recorder sets. The marks are counted again.
const RECORDED: [&str; 6] = ["via", "identity", "claimed_user", "rule", "redacted", "salt"];

/// Reads one received line into a call. The line has the common form, or is one of our own entries, or an entry in the
/// seed format.
///
/// `user` is empty if the line has no user. Unknown fields, and fields that only the recorder may set, are moved to
/// `extra`. `via` keeps its default, because only the capture knows on which path the line arrived.
///
/// ```
/// use tooltrail::Zone;
///
/// let call = tooltrail::entry::receive(r#"{"tool":"fs.read","args":{"path":"a"},"status":"ok"}"#, &Zone::UTC)?;
/// assert_eq!(call.tool, "fs.read");
/// # Ok::<(), tooltrail::Error>(())
/// ```
///
/// # Errors
/// [`Error::Input`] for a line that is not a JSON object, has a top-level key twice, has no `tool`, or has a defined
/// field of the wrong type, an unknown status, an invalid time or more than 10,000 members.
pub fn receive(line: &str, zone: &Zone) -> Result<Call, Error> {
    read(line, Received::new(zone, false))
}

/// Like [`receive`], but a line that a recorder has finished keeps what only recorders set: `id`, `via`, `claimed_user`,
/// `rule` and `salt`. For senders that are trusted to record, and deliver later what they have recorded. Other lines are
/// read as by [`receive`]; [`Call::is_finished`] tells which one it was.
///
/// ```
/// use tooltrail::{Via, Zone};
///
/// let line = r#"{"ts":"2026-11-23T08:15:00.123Z","user":"alice","tool":"t","args":{},"status":"ok","result_chars":0,"result_snippet":"","id":"01a20779-001b-7000-8000-000000000000","via":"hook","salt":"AAAAAAAAAAAAAAAAAAAAAA"}"#;
/// let call = tooltrail::entry::receive_finished(line, &Zone::UTC)?;
/// assert!(call.is_finished() && call.via == Via::Hook);
/// # Ok::<(), tooltrail::Error>(())
/// ```
///
/// # Errors
/// As [`receive`].
pub fn receive_finished(line: &str, zone: &Zone) -> Result<Call, Error> {
    read(line, Received::new(zone, true))
}

fn read(line: &str, mut received: Received<'_>) -> Result<Call, Error> {
    let members = members(line).map_err(|flaw| match flaw {
        Flaw::Syntax(at) if at == line.len() => {
            refuse("not a whole JSON object: each entry stands on one line".to_owned())
        }
        Flaw::Syntax(at) => refuse(format!("not a JSON object (at byte {at})")),
        Flaw::TooManyMembers => refuse(format!("more than {OBJECT_MEMBERS_MAX} members")),
        _ => refuse("not a JSON object".to_owned()),
    })?;
    let mut seen = HashSet::new();
    if let Some((key, _)) = members.iter().find(|(key, _)| !seen.insert(key.as_ref())) {
        return Err(refuse(format!("the key {key:?} stands twice")));
    }
    for (key, value) in &members {
        if *value != "null" {
            received.member(key, value)?;
        }
    }
    received.finish()
}

/// Maximum characters of an error text. The text may quote the line, which can be megabytes long. The program that
/// shows the text redacts it first, and redaction needs its complete window.
const REFUSAL_CHARS_MAX: usize = 2 * WINDOW_BEYOND;

fn refuse(mut what: String) -> Error {
    if let Some((at, _)) = what.char_indices().nth(REFUSAL_CHARS_MAX) {
        what.truncate(at);
        what.push('…');
    }
    Error::input(what, HINT)
}

/// The parts of a line that have been read so far.
struct Received<'a> {
    zone: &'a Zone,
    call: Call,
    has_tool: bool,
    status: Option<Status>,
    reason: Option<Reason>,
    result: Option<Payload>,
    error: Option<String>,
    chars: Option<u64>,
    snippet: Option<String>,
    id: Option<EntryId>,
    /// What only a recorder sets, as received; `None` if the line is not trusted to have it.
    recorded: Option<Vec<(&'static str, String)>>,
    /// The names in `extra`, and for each repeated name the next number to try as its suffix.
    extra_names: HashSet<String>,
    extra_next: HashMap<String, usize>,
}

impl<'a> Received<'a> {
    fn new(zone: &'a Zone, may_be_finished: bool) -> Self {
        Self {
            zone,
            call: Call::default(),
            has_tool: false,
            status: None,
            reason: None,
            result: None,
            error: None,
            chars: None,
            snippet: None,
            id: None,
            recorded: may_be_finished.then(Vec::new),
            extra_names: HashSet::new(),
            extra_next: HashMap::new(),
        }
    }

    /// Reads one member whose value is not null.
    fn member(&mut self, key: &str, value: &str) -> Result<(), Error> {
        match key {
            "ts" if crate::json::is_number(value) => {
                let ts = Timestamp::of_epoch(value);
                self.call.ts = Some(ts.ok_or_else(|| refuse(format!("ts {value} is no time from 1970 to 9999")))?);
            }
            "ts" => self.call.ts = Some(Timestamp::parse(&text(key, value)?, self.zone)?),
            "user" => self.call.user = text(key, value)?,
            "tool" => {
                self.call.tool = text(key, value)?;
                self.has_tool = true;
            }
            "args" => self.call.args = value.to_owned(),
            "status" => {
                let word = text(key, value)?;
                self.status = Some(match Status::parse(&word) {
                    Some(status) => status,
                    None => {
                        let status = other_status(&word);
                        let status =
                            status.ok_or_else(|| refuse(format!("status {word:?} is not ok, error or denied")))?;
                        self.extra(key, value);
                        status
                    }
                });
            }
            "result" => {
                self.result = Some(match string(value) {
                    Some(text) => Payload::Text(text.into_owned()),
                    None => Payload::Json(value.to_owned()),
                });
            }
            "error" if value.starts_with('"') => self.error = Some(text(key, value)?),
            "result_chars" => {
                let chars = value.parse::<u64>();
                self.chars = Some(chars.map_err(|_| refuse(format!("result_chars {value} is no whole number")))?);
            }
            "result_snippet" => self.snippet = Some(text(key, value)?),
            "reason" => match Reason::parse(&text(key, value)?) {
                Some(reason) => self.reason = Some(reason),
                None => self.extra(key, value),
            },
            "duration_ms" => {
                if !crate::json::is_number(value) {
                    return Err(refuse(format!("duration_ms {value} is no number")));
                }
                match DurationMs::received(value) {
                    Some(duration) => self.call.duration_ms = Some(duration),
                    None => self.extra(key, value),
                }
            }
            "session" => self.call.session = Some(text(key, value)?),
            "call_id" => self.call.call_id = Some(text(key, value)?),
            "parent" => self.call.parent = Some(text(key, value)?),
            "agent" => self.call.agent = Some(text(key, value)?),
            "model" => self.call.model = Some(text(key, value)?),
            "client" => self.call.client = Some(text(key, value)?),
            "server" => self.call.server = Some(text(key, value)?),
            "trace_id" => self.call.trace_id = Some(text(key, value)?),
            "span_id" => self.call.span_id = Some(text(key, value)?),
            "id" => match string(value).and_then(|id| EntryId::parse(&id)) {
                Some(id) => self.id = Some(id),
                None => self.extra(key, value),
            },
            "extra" => {
                let inner = members(value).map_err(|flaw| match flaw {
                    Flaw::TooManyMembers => refuse(format!("extra has more than {OBJECT_MEMBERS_MAX} members")),
                    _ => refuse("extra is no object".to_owned()),
                })?;
                for (key, value) in inner {
                    self.extra(&key, value);
                }
            }
            _ => match (&mut self.recorded, RECORDED.iter().find(|name| **name == key)) {
                (Some(recorded), Some(name)) => recorded.push((name, value.to_owned())),
                _ => self.extra(key, value),
            },
        }
        Ok(())
    }

    /// Takes over what a recorder has set, if the line is finished; otherwise moves it to `extra`.
    fn take_recorded(&mut self) {
        let recorded = self.recorded.take().unwrap_or_default();
        let text = |name| recorded.iter().find(|(known, _)| *known == name).and_then(|(_, value)| string(value));
        let via = text("via").and_then(|via| Via::parse(&via));
        let salt = text("salt").and_then(|salt| URL_SAFE_NO_PAD.decode(salt.as_bytes()).ok()?.try_into().ok());
        let has_time = self.id.is_some_and(|id| Some(id.time()) == self.call.ts);
        let is_cut = self.snippet.is_some() && self.chars.is_some() && self.result.is_none() && self.error.is_none();
        if let (Some(via), Some(salt), true, Some(_)) = (via, salt, has_time && is_cut, self.status) {
            (self.call.via, self.call.salt) = (via, Some(salt));
            self.call.claimed_user = text("claimed_user").map(Cow::into_owned);
            self.call.rule = text("rule").map(Cow::into_owned);
        } else {
            recorded.iter().for_each(|(name, value)| self.extra(name, value));
        }
    }

    /// Adds a member to `extra` under a unique name. An entry that is received again already has members in `extra`
    /// from the first time.
    fn extra(&mut self, key: &str, value: &str) {
        let mut name = key.to_owned();
        if self.extra_names.contains(&name) {
            // Continues with the number after the last one, so that a thousand equal names need a thousand attempts in
            // total.
            let next = self.extra_next.entry(name.clone()).or_insert(2);
            while self.extra_names.contains(&name) {
                name = format!("{key}#{next}");
                *next += 1;
            }
        }
        self.extra_names.insert(name.clone());
        self.call.extra.push((name, value.to_owned()));
    }

    /// Builds the call after all members have been read.
    fn finish(mut self) -> Result<Call, Error> {
        if !self.has_tool {
            return Err(refuse("tool is missing".to_owned()));
        }
        self.take_recorded();
        // Our own entries and the seed format are recognised by their snippet. If the line has a complete result or an
        // error, the snippet is not needed.
        let cut = self.snippet.is_some() && self.result.is_none() && self.error.is_none();
        if let Some(id) = self.id {
            if cut {
                self.call.id = Some(id);
            } else {
                self.extra("id", &format!("\"{id}\""));
            }
        }
        if !cut {
            if let Some(chars) = self.chars {
                self.extra("result_chars", &chars.to_string());
            }
            if let Some(snippet) = self.snippet.take() {
                let mut json = String::new();
                crate::json::push_string(&mut json, &snippet);
                self.extra("result_snippet", &json);
            }
        }
        let reason = if self.status.is_none() { self.reason.or(Some(Reason::Interrupted)) } else { self.reason };
        self.call.outcome = Some(Outcome {
            status: self.status.unwrap_or_default(),
            reason,
            result: self.result,
            error: self.error,
            kept: self.snippet.map(|result_snippet| ClippedResult {
                result_chars: self.chars.unwrap_or_else(|| result_snippet.chars().count() as u64),
                result_snippet,
            }),
        });
        Ok(self.call)
    }
}

/// Returns the status for a word that other systems use.
fn other_status(word: &str) -> Option<Status> {
    match word {
        "success" | "succeeded" | "completed" => Some(Status::Ok),
        "failed" | "failure" => Some(Status::Error),
        "blocked" | "rejected" | "refused" => Some(Status::Denied),
        _ => None,
    }
}

/// Returns the text of a string field. If the string contains a lone surrogate, returns the text with all escapes
/// unchanged.
fn text(key: &str, value: &str) -> Result<String, Error> {
    match string(value) {
        Some(text) => Ok(text.into_owned()),
        None if value.starts_with('"') => Ok(value[1..value.len() - 1].to_owned()),
        None => Err(refuse(format!("{key} is no string"))),
    }
}
