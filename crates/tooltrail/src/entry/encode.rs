//! Encodes a clipped call as the bytes of its line.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::call::{EntryId, SALT_BYTES};
use crate::clip::{Clipped, field_within, push_plain, snippet};
use crate::clock::Date;
use crate::entry::digits::{push_id, push_instant, push_number};
use crate::json::push_string;
use crate::limits::{ARGS_BYTES_MAX, LINE_BYTES_MAX, Limits};
use crate::redact::{BoundedCall, Plain, Redactor, WindowedText, count_marks};

/// The usual length of a line in bytes without args and snippet. This capacity is reserved at the start, so that the
/// buffer does not grow and move.
const REST_BYTES_USUAL: usize = 512;

/// Redacts, clips and encodes a call, and appends its line with the newline to `out`. Returns the folder of the call's
/// user and the UTC date of its `ts`. The same call, random bits and salt always give the same bytes.
///
/// `bits` are used for the id if the call has none, and `salt` unless the call is of a finished line, which has one.
pub(crate) fn write(
    out: &mut String,
    redactor: &Redactor,
    call: &BoundedCall,
    bits: [u8; 10],
    salt: [u8; SALT_BYTES],
) -> (String, Date) {
    let start = out.len();
    if call.salt.is_none()
        && let Some(clean) = redactor.clean(call)
    {
        let whole = line(out, clean.fields(), Body::Plain(clean.args()), clean.extra().map(Body::Plain), bits, salt);
        if whole.is_some() && out.len() - start <= LINE_BYTES_MAX {
            return (clean.into_folder(), call.ts.date());
        }
        // Some value is too long, so the call goes through the complete redaction and clipping below.
        out.truncate(start);
    }
    encode(out, Clipped::of(redactor.redact(call.clone())), bits, salt)
}

/// Encodes a clipped call and appends its line to `out`; returns the same values as [`write()`].
pub(crate) fn encode(out: &mut String, mut call: Clipped, bits: [u8; 10], salt: [u8; SALT_BYTES]) -> (String, Date) {
    let start = out.len();
    clipped_line(out, &call, bits, salt);
    if out.len() - start > LINE_BYTES_MAX && call.extra().is_some() {
        call.give_up_extra();
        out.truncate(start);
        clipped_line(out, &call, bits, salt);
    }
    if out.len() - start > LINE_BYTES_MAX {
        call.give_up_args();
        out.truncate(start);
        clipped_line(out, &call, bits, salt);
    }
    (call.redacted().folder().to_owned(), call.redacted().fields().ts.date())
}

fn clipped_line(out: &mut String, call: &Clipped, bits: [u8; 10], salt: [u8; SALT_BYTES]) {
    let (args, extra) = (Body::Encoded(call.args()), call.extra().map(Body::Encoded));
    // `line` returns `None` only for a body that is not clipped yet, so this call always succeeds.
    let _ = line(out, call.redacted().fields(), args, extra, bits, salt);
}

/// The args or `extra` before they are written into the line.
#[derive(Clone, Copy)]
enum Body<'a> {
    Encoded(&'a str),
    Plain(&'a Plain<'a>),
}

impl Body<'_> {
    fn bytes_usual(self) -> usize {
        match self {
            Self::Encoded(text) => text.len(),
            Self::Plain(plain) => plain.text.len().min(ARGS_BYTES_MAX),
        }
    }
}

/// Appends a line to `text`. If an unclipped body is longer than its limit, returns `None` and leaves a partial line in
/// `text`.
fn line(
    text: &mut String,
    fields: &BoundedCall,
    args: Body<'_>,
    extra: Option<Body<'_>>,
    bits: [u8; 10],
    salt: [u8; SALT_BYTES],
) -> Option<()> {
    let limits = fields.limits();
    let snippet = snippet(&fields.result, limits);
    let start = text.len();
    text.reserve(REST_BYTES_USUAL + args.bytes_usual() + snippet.len());
    let mut out = Members { text, limits };
    out.text.push_str("{\"ts\":\"");
    push_instant(out.text, fields.ts);
    out.text.push_str("\",\"user\":");
    push_string(out.text, &field_within(&fields.user.seen, limits.field_chars));
    out.text.push_str(",\"tool\":");
    push_string(out.text, &field_within(&fields.tool, limits.field_chars));
    out.text.push_str(",\"args\":");
    out.body(args, limits.args_bytes)?;
    out.text.push_str(",\"status\":\"");
    out.text.push_str(fields.status.as_str());
    out.text.push_str("\",\"result_chars\":");
    push_number(out.text, fields.result_chars);
    out.text.push_str(",\"result_snippet\":");
    push_string(out.text, snippet);

    out.text.push_str(",\"id\":\"");
    push_id(out.text, fields.id.unwrap_or_else(|| EntryId::new(fields.ts, bits)));
    out.text.push('"');
    if let Some(duration) = &fields.duration_ms {
        out.raw("duration_ms", duration.as_str());
    }
    out.known("reason", fields.reason.map(|reason| reason.as_str()));
    out.seen("session", fields.session.as_ref());
    out.seen("call_id", fields.call_id.as_ref());
    out.seen("parent", fields.parent.as_ref());
    out.seen("agent", fields.agent.as_ref());
    out.seen("model", fields.model.as_ref());
    out.seen("client", fields.client.as_ref());
    out.seen("server", fields.server.as_ref());
    out.text.push_str(",\"via\":\"");
    out.text.push_str(fields.via.as_str());
    out.text.push('"');
    out.known("identity", fields.identity.map(|identity| identity.as_str()));
    out.seen("claimed_user", fields.claimed_user.as_ref());
    out.seen("rule", fields.rule.as_ref());

    let mut rest = String::new();
    let mut tail = Members { text: &mut rest, limits };
    tail.known("trace_id", fields.trace_id.as_deref());
    tail.known("span_id", fields.span_id.as_deref());
    if let Some(extra) = extra {
        tail.name("extra");
        tail.body(extra, limits.extra_bytes)?;
    }
    // `redacted` comes before `trace_id`, `span_id` and `extra` in the line but also counts their marks, so these are
    // encoded first.
    let marks = count_marks(&out.text[start..]) + count_marks(tail.text);
    if marks > 0 {
        out.name("redacted");
        push_number(out.text, marks as u64);
    }
    out.text.push_str(&rest);
    out.text.push_str(",\"salt\":\"");
    URL_SAFE_NO_PAD.encode_string(salt, out.text);
    out.text.push_str("\"}\n");
    Some(())
}

/// Writes the members of an object after its first member.
struct Members<'t> {
    text: &'t mut String,
    limits: &'static Limits,
}

impl Members<'_> {
    /// Writes the name of a member; the caller writes the value next.
    fn name(&mut self, name: &str) {
        self.text.push_str(",\"");
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    fn body(&mut self, body: Body<'_>, bytes_max: usize) -> Option<()> {
        let start = self.text.len();
        match body {
            Body::Encoded(text) => self.text.push_str(text),
            Body::Plain(plain) => {
                push_plain(self.text, plain);
                if self.text.len() - start > bytes_max {
                    return None;
                }
            }
        }
        Some(())
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.text.push_str(json);
    }

    fn known(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.name(name);
            push_string(self.text, value);
        }
    }

    fn seen(&mut self, name: &str, value: Option<&WindowedText>) {
        self.known(name, value.map(|value| field_within(value, self.limits.field_chars)).as_deref());
    }
}
