//! Bounds a received call: of each value the part that can reach the line, and the full number of characters.

use crate::call::{Call, DurationMs, EntryId, Identity, Outcome, Payload, Reason, SALT_BYTES, Status, Via};
use crate::clock::Timestamp;
use crate::home::{OUTSIDE_SYSTEM_USER, SYSTEM_USER, UNKNOWN_USER, outside_folder};
use crate::json::{check, compact, push_string};
use crate::limits::{
    ARG_CHARS_MAX, CALL_BYTES_MAX, FIELD_CHARS_MAX, FINISHED_LINE, Limits, NEW_LINE, SNIPPET_CHARS_MAX, WINDOW_BEYOND,
};
use crate::redact::Redactor;
use crate::redact::value::chars::count_chars;
use crate::redact::value::tree::WindowedText;

/// The prefix of the tools that Tooltrail itself records, and the prefix that is added if a call from outside uses one.
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
    /// The salt of a finished line that is stored again; `None` for a new line.
    pub(crate) salt: Option<[u8; SALT_BYTES]>,
}

/// The id of a user, and values that must be computed from the whole id.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct User {
    pub(crate) seen: WindowedText,
    /// For an id longer than its window: the folder, and the keyed hash at the end of the folder of a redacted id.
    pub(crate) long: Option<(String, String)>,
}

/// Args or extra as JSON text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Structure {
    /// The text, or only its beginning if `cut` is true.
    pub(crate) text: String,
    /// Characters received. Only set if `cut` is true; see [`Structure::chars`].
    pub(crate) chars: u64,
    /// Whether the received text is longer than `text`.
    pub(crate) cut: bool,
}

impl BoundedCall {
    /// Copies from a call from outside what can reach the line. The call ended at `now` unless it has a time of its
    /// own.
    pub(crate) fn outside(call: &Call, now: Timestamp, redactor: &Redactor) -> Self {
        let user = if call.user.is_empty() { UNKNOWN_USER } else { &call.user };
        // Whoever reads a finished line has decided what it may say of its capture.
        let via = if call.salt.is_some() { call.via } else { outside_via(call.via) };
        Self::of(call, now, via, User::new(user, redactor))
    }

    /// Copies a call that Tooltrail itself records.
    pub(crate) fn own(call: &Call, now: Timestamp, redactor: &Redactor) -> Self {
        Self::of(call, now, Via::Tooltrail, User::new(&call.user, redactor))
    }

    /// Renames the tool and the user of a call from outside if they use names reserved for Tooltrail, so that a reader
    /// who uses only `jq` is not deceived. The original tool is kept in `extra`, the original user in `claimed_user`.
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

    /// Adds a member with a text to `extra`, unless `extra` was cut.
    fn add_extra(&mut self, name: &str, value: &str) {
        let extra = self.extra.get_or_insert_with(|| Structure::copy("{}"));
        let Some(text) = extra.text.trim_end().strip_suffix('}').filter(|_| !extra.cut) else { return };
        let is_first = text.trim_end().ends_with('{');
        let mut text = text.to_owned();
        if !is_first {
            text.push(',');
        }
        // The sender may have sent a member of that name.
        let is_taken = text.contains(&format!("\"{name}\""));
        push_string(&mut text, &if is_taken { format!("{name}#2") } else { name.to_owned() });
        text.push(':');
        push_string(&mut text, value);
        text.push('}');
        extra.text = text;
    }

    /// Returns the limits of the line of this call.
    pub(crate) fn limits(&self) -> &'static Limits {
        if self.salt.is_some() { &FINISHED_LINE } else { &NEW_LINE }
    }

    /// Returns an empty call, to be filled later.
    pub(crate) fn empty() -> Self {
        let user = User { seen: WindowedText::default(), long: None };
        Self::of(&Call::default(), Timestamp::from_millis(0), Via::default(), user)
    }

    /// Returns approximately how many bytes of memory the call uses.
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
            args: Structure::beginning(&call.args, call.args_chars),
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
            salt: call.salt,
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
    /// Copies the whole text if it has at most `CALL_BYTES_MAX` bytes, otherwise the window that can reach the line.
    fn copy(text: &str) -> Self {
        if text.len() <= CALL_BYTES_MAX {
            // The characters are counted only when the text is clipped.
            return Self { text: text.to_owned(), chars: 0, cut: false };
        }
        let seen = WindowedText::copy(text, ARG_CHARS_MAX);
        Self { text: seen.text, chars: seen.chars, cut: true }
    }

    /// Copies a text. With `chars`, it is only the beginning of a text of so many characters.
    fn beginning(text: &str, chars: Option<u64>) -> Self {
        let Some(chars) = chars else { return Self::copy(text) };
        Self { text: WindowedText::copy(text, ARG_CHARS_MAX).text, chars, cut: true }
    }

    /// Copies a text of at most `CALL_BYTES_MAX` bytes into the existing buffer.
    pub(in crate::redact) fn refill(&mut self, text: &str) {
        self.text.clear();
        self.text.push_str(text);
        (self.chars, self.cut) = (0, false);
    }

    /// Returns the number of characters received.
    pub(crate) fn chars(&self) -> u64 {
        if self.cut { self.chars } else { count_chars(&self.text) as u64 }
    }
}

/// Returns the characters and the window of the result. A non-empty error text replaces the window of the result.
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

/// Returns the window of a result that is JSON. The result `null` is empty.
pub(in crate::redact) fn json_result(text: &str) -> WindowedText {
    if text.trim() == "null" {
        return WindowedText::copy("", SNIPPET_CHARS_MAX);
    }
    // A text that our JSON reader rejects is kept as received.
    match check(text) {
        Err(_) => WindowedText::copy(text, SNIPPET_CHARS_MAX),
        Ok(_) => WindowedText::window(compact(text), SNIPPET_CHARS_MAX),
    }
}

/// Returns the characters of the result (of the error text, if there is no result), and the text for the snippet.
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

/// Returns the `via` of a call from outside. [`Via::Tooltrail`] becomes [`Via::Library`], because only calls that
/// Tooltrail itself records may have it.
pub(in crate::redact) fn outside_via(via: Via) -> Via {
    if via == Via::Tooltrail { Via::Library } else { via }
}

/// Returns the id if it has exactly `digits` lower-case hex digits; otherwise returns the text as a stray.
pub(in crate::redact) fn hex_id(text: &Option<String>, digits: usize) -> (Option<String>, Option<&str>) {
    match text {
        Some(id) if id.len() == digits && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
            (Some(id.clone()), None)
        }
        other => (None, other.as_deref()),
    }
}

/// Returns the JSON object of the other received members, as text. Members that are `null` are omitted.
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
        // A stray may have any length, so only its window is copied.
        let seen = WindowedText::copy(value, ARG_CHARS_MAX + WINDOW_BEYOND);
        add(name, &mut |text| push_string(text, &seen.text));
    }
    if text.is_empty() {
        return None;
    }
    text.push('}');
    Some(Structure::copy(&text))
}
