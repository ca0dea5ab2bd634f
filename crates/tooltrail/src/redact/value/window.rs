//! What of a call is seen at all: each value so far as it can reach the line, and the length of the rest.

use crate::call::{Call, DurationMs, EntryId, Identity, Outcome, Payload, Reason, Status, Via};
use crate::clock::Timestamp;
use crate::home::{OUTSIDE_SYSTEM_USER, SYSTEM_USER, UNKNOWN_USER, outside_folder};
use crate::json::{check, compact, push_string};
use crate::limits::{ARG_CHARS_MAX, CALL_BYTES_MAX, FIELD_CHARS_MAX, SNIPPET_CHARS_MAX, WINDOW_BEYOND};
use crate::redact::Redactor;
use crate::redact::value::chars::count_chars;
use crate::redact::value::tree::WindowedText;

/// How the tools of our own candidates begin, and what comes before a name of ours that is used from outside.
const OWN_TOOLS: &str = "tooltrail.";
const OUTSIDE: &str = "outside.";

/// A call as the recorder takes it from its caller: owned, bounded, not yet redacted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BoundedCall {
    pub(crate) ts: Timestamp,
    pub(crate) id: Option<EntryId>,
    pub(crate) user: User,
    pub(crate) tool: WindowedText,
    pub(crate) args: Structure,
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) result_chars: u64,
    pub(crate) result: WindowedText,
    pub(crate) duration_ms: Option<DurationMs>,
    pub(crate) session: Option<WindowedText>,
    pub(crate) call_id: Option<WindowedText>,
    pub(crate) parent: Option<WindowedText>,
    pub(crate) agent: Option<WindowedText>,
    pub(crate) model: Option<WindowedText>,
    pub(crate) client: Option<WindowedText>,
    pub(crate) server: Option<WindowedText>,
    pub(crate) via: Via,
    pub(crate) identity: Option<Identity>,
    pub(crate) claimed_user: Option<WindowedText>,
    pub(crate) rule: Option<WindowedText>,
    pub(crate) trace_id: Option<String>,
    pub(crate) span_id: Option<String>,
    pub(crate) extra: Option<Structure>,
}

/// A user's id, and what can only be known from the whole of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct User {
    pub(crate) seen: WindowedText,
    /// Of an id longer than its window: the folder, and the keyed hash that a redacted id's folder ends in.
    pub(crate) long: Option<(String, String)>,
}

/// Args or extra as JSON text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Structure {
    /// The text; if `cut`, only its beginning.
    pub(crate) text: String,
    /// Characters received.
    pub(crate) chars: u64,
    /// Whether more was received than is copied.
    pub(crate) cut: bool,
}

impl BoundedCall {
    /// Takes what can reach the line of a call from outside, which ended at `now` unless it says otherwise.
    pub(crate) fn outside(call: &Call, now: Timestamp, redactor: &Redactor) -> Self {
        let user = if call.user.is_empty() { UNKNOWN_USER } else { &call.user };
        Self::of(call, now, outside_via(call.via), User::new(user, redactor))
    }

    /// Takes one of our own candidates.
    pub(crate) fn own(call: &Call, now: Timestamp, redactor: &Redactor) -> Self {
        Self::of(call, now, Via::Tooltrail, User::new(&call.user, redactor))
    }

    /// Gives names that are ours another form where a call from outside bears them, so that a reader with nothing but `jq`
    /// is not deceived. What was sent is kept beside.
    pub(crate) fn rename_ours(&mut self) {
        if self.via == Via::Tooltrail {
            return;
        }
        if self.tool.text.starts_with(OWN_TOOLS) {
            let sent = self.tool.clone();
            self.tool.text.insert_str(0, OUTSIDE);
            self.tool.chars += OUTSIDE.len() as u64;
            self.add_extra("tool", &sent.text);
        }
        if self.user.seen.text == SYSTEM_USER {
            let sent = std::mem::replace(&mut self.user.seen, WindowedText::copy(OUTSIDE_SYSTEM_USER, FIELD_CHARS_MAX));
            self.claimed_user.get_or_insert(sent);
        }
    }

    /// Adds a text to what else was received.
    fn add_extra(&mut self, name: &str, value: &str) {
        let extra = self.extra.get_or_insert_with(|| Structure::copy("{}"));
        let Some(text) = extra.text.trim_end().strip_suffix('}').filter(|_| !extra.cut) else { return };
        let is_first = text.trim_end().ends_with('{');
        let mut text = text.to_owned();
        if !is_first {
            text.push(',');
        }
        // A sender may have one of that name there.
        let is_taken = text.contains(&format!("\"{name}\""));
        push_string(&mut text, &if is_taken { format!("{name}#2") } else { name.to_owned() });
        text.push(':');
        push_string(&mut text, value);
        text.push('}');
        extra.text = text;
    }

    /// Returns one that holds nothing yet, to be filled.
    pub(crate) fn empty() -> Self {
        let user = User { seen: WindowedText::default(), long: None };
        Self::of(&Call::default(), Timestamp::from_millis(0), Via::default(), user)
    }

    /// Returns about how many bytes of memory it holds.
    pub(crate) fn bytes(&self) -> usize {
        let extra = self.extra.as_ref().map_or(0, |extra| extra.text.len());
        size_of::<Self>() + self.args.text.len() + self.result.text.len() + self.user.seen.text.len() + extra
    }

    fn of(call: &Call, now: Timestamp, via: Via, user: User) -> Self {
        let field = |text: &Option<String>| text.as_deref().map(|text| WindowedText::copy(text, FIELD_CHARS_MAX));
        let interrupted = Outcome { reason: Some(Reason::Interrupted), ..Outcome::default() };
        let outcome = call.outcome.as_ref().unwrap_or(&interrupted);
        let (result_chars, result) = result_of(outcome);
        let (trace_id, stray_trace) = hex_id(&call.trace_id, 32);
        let (span_id, stray_span) = hex_id(&call.span_id, 16);
        let strays = [("trace_id", stray_trace), ("span_id", stray_span)];
        Self {
            ts: call.ts.unwrap_or(now),
            id: call.id,
            user,
            tool: WindowedText::copy(&call.tool, FIELD_CHARS_MAX),
            args: Structure::copy(&call.args),
            status: outcome.status,
            reason: outcome.reason,
            result_chars,
            result,
            duration_ms: call.duration_ms.clone(),
            session: field(&call.session),
            call_id: field(&call.call_id),
            parent: field(&call.parent),
            agent: field(&call.agent),
            model: field(&call.model),
            client: field(&call.client),
            server: field(&call.server),
            via,
            identity: call.identity,
            claimed_user: field(&call.claimed_user),
            rule: field(&call.rule),
            trace_id,
            span_id,
            extra: extra_of(&call.extra, strays),
        }
    }
}

impl User {
    fn new(id: &str, redactor: &Redactor) -> Self {
        let seen = WindowedText::copy(id, FIELD_CHARS_MAX);
        let long = seen.cut.then(|| (outside_folder(id), redactor.keyed_hash(id)));
        Self { seen, long }
    }
}

impl Structure {
    /// Copies a text whole if it is within the bound of a call, else the beginning that can reach the line.
    fn copy(text: &str) -> Self {
        if text.len() <= CALL_BYTES_MAX {
            // Counted only where it is needed: when the text is clipped.
            return Self { text: text.to_owned(), chars: 0, cut: false };
        }
        let seen = WindowedText::copy(text, ARG_CHARS_MAX);
        Self { text: seen.text, chars: seen.chars, cut: true }
    }

    /// Takes a text within the bound of a call into its own memory.
    pub(in crate::redact) fn refill(&mut self, text: &str) {
        self.text.clear();
        self.text.push_str(text);
        (self.chars, self.cut) = (0, false);
    }

    /// Returns the characters received.
    pub(crate) fn chars(&self) -> u64 {
        if self.cut { self.chars } else { count_chars(&self.text) as u64 }
    }
}

/// Returns the characters and the window of a result; the error text wins where both exist.
fn result_of(outcome: &Outcome) -> (u64, WindowedText) {
    if let Some(kept) = &outcome.kept {
        return (kept.result_chars, WindowedText::copy(&kept.result_snippet, SNIPPET_CHARS_MAX));
    }
    let result = outcome.result.as_ref().map(|result| match result {
        Payload::Text(text) => WindowedText::copy(text, SNIPPET_CHARS_MAX),
        Payload::Json(text) => json_result(text),
    });
    let error = outcome.error.as_deref().map(|text| WindowedText::copy(text, SNIPPET_CHARS_MAX));
    result_and_error(result, error)
}

/// Returns what is seen of a result that is JSON.
pub(in crate::redact) fn json_result(text: &str) -> WindowedText {
    if text.trim() == "null" {
        return WindowedText::copy("", SNIPPET_CHARS_MAX);
    }
    // What JSON cannot carry faithfully is its text as it came.
    match check(text) {
        Err(_) => WindowedText::copy(text, SNIPPET_CHARS_MAX),
        Ok(_) => WindowedText::window(compact(text), SNIPPET_CHARS_MAX),
    }
}

/// Returns the characters of the result, and what stands in the snippet's place.
pub(in crate::redact) fn result_and_error(
    result: Option<WindowedText>,
    error: Option<WindowedText>,
) -> (u64, WindowedText) {
    match (result, error) {
        (Some(result), Some(error)) => (result.chars, if error.text.is_empty() { result } else { error }),
        (Some(seen), None) | (None, Some(seen)) => (seen.chars, seen),
        (None, None) => (0, WindowedText::copy("", SNIPPET_CHARS_MAX)),
    }
}

/// Only our own candidates are ours, whatever a caller writes into the field.
pub(in crate::redact) fn outside_via(via: Via) -> Via {
    if via == Via::Tooltrail { Via::Library } else { via }
}

/// Returns an id of so many lower-case hex digits; anything else is returned as a stray.
pub(in crate::redact) fn hex_id(text: &Option<String>, digits: usize) -> (Option<String>, Option<&str>) {
    match text {
        Some(id) if id.len() == digits && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
            (Some(id.clone()), None)
        }
        other => (None, other.as_deref()),
    }
}

/// Returns the object of what else was received, as text; nulls are left out.
fn extra_of(extra: &[(String, String)], strays: [(&str, Option<&str>); 2]) -> Option<Structure> {
    let mut text = String::new();
    let mut add = |name: &str, write: &mut dyn FnMut(&mut String)| {
        text.push(if text.is_empty() { '{' } else { ',' });
        push_string(&mut text, name);
        text.push(':');
        write(&mut text);
    };
    for (name, value) in extra.iter().filter(|(_, value)| value.trim() != "null") {
        add(name, &mut |text| text.push_str(value));
    }
    for (name, value) in strays.iter().filter_map(|(name, value)| value.map(|value| (*name, value))) {
        // An id of any length is no reason to copy more than a window of it.
        let seen = WindowedText::copy(value, ARG_CHARS_MAX + WINDOW_BEYOND);
        add(name, &mut |text| push_string(text, &seen.text));
    }
    if text.is_empty() {
        return None;
    }
    text.push('}');
    Some(Structure::copy(&text))
}
