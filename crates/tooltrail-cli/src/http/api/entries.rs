//! `POST /api/audit/entries`: takes entries over HTTP and acknowledges them once they are as durable as the policy for
//! their tools requires.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::json;
use serde_json::value::RawValue;
use tooltrail::{
    Call, Cancel, DURABLE_WAIT, EntryId, Error, Event, Finished, LossReason, Prepared, Recorder, Timestamp,
};

use crate::http::api::params::Params;
use crate::http::api::reserved_body::ReservedBody;
use crate::http::api::sender::Sender;
use crate::http::auth::Caller;
use crate::http::status::{Problem, Taken, taken};
use crate::service::peer::Peer;
use crate::service::quota::Permit;
use crate::service::{GiveUp, PAGE_BYTES_MAX, Service};
use crate::tokens::Token;
use crate::typos::Typos;

/// Largest body: 256 of the largest lines, and far more than a sender should have to repeat after a failed request.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Most entries in one body. All of them must fit into the recorder's queue at the same time; a larger body could never
/// be accepted.
const ENTRIES_MAX: usize = 10_000;

/// Bytes of a line of the answer beside its text: keys, a number and brackets.
const ANSWER_LINE_BYTES: usize = 48;

/// Bytes that are reserved first for a body.
const BODY_BYTES_FIRST: usize = 16 << 10;

/// Size from which a body gets a buffer of [`BODY_BYTES_RESERVED`], of which only the received bytes use real memory.
///
/// The allocator returns a buffer of that size to the system as soon as it is freed (for glibc: more than 32 MiB, the
/// largest value of its dynamic `M_MMAP_THRESHOLD`, mallopt(3)). It keeps smaller buffers for the thread that freed
/// them, so after some large bodies, each thread would hold one.
const BODY_BYTES_APART: usize = 1 << 20;

/// Size of the buffer for a body of at least [`BODY_BYTES_APART`].
const BODY_BYTES_RESERVED: usize = 33 << 20;

/// Largest body that is parsed on the current thread. This takes at most a millisecond and saves waking another thread.
const SORTED_HERE_BYTES_MAX: usize = 2 << 10;

/// Longest pause between two parts of a body.
/// Bytes
const BODY_PAUSE: Duration = Duration::from_secs(10);

/// Longest time for a whole body: enough for the largest one over a slow connection.
const BODY_WAIT: Duration = Duration::from_secs(60);

/// Longest error text about one rejected line, because it may quote the line.
const REFUSAL_CHARS_MAX: usize = 300;

/// The byte order mark that some editors write at the beginning of UTF-8 text.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The header in which a sender reports how many entries it had to drop.
const LOST: &str = "tooltrail-lost";

/// Handles a request that sends entries.
pub(crate) async fn entries(
    State(service): State<Arc<Service>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.may_send()?;
    Params::of(request.uri(), &[])?;
    let lost = lost(request.headers())?;
    let recorder = Arc::clone(&service.opened()?.recorder);
    let uid = request.extensions().get::<Peer>().and_then(Peer::socket_user);
    let sender = Sender { token: caller.0.clone(), uid };
    let (body, room) = read_body(request, &service, &caller.0).await?;
    let turn = if sender.delivers() { Some(service.turns().take(&caller.0, &recorder).await?) } else { None };
    let permit = service.parse_permit(&caller.0).await?;
    let cancel = Cancel::default();
    let given_up = GiveUp::new(&cancel);
    let keeper = Arc::clone(&recorder);
    let shared = Arc::clone(&service);
    let small = body.len() <= SORTED_HERE_BYTES_MAX;
    let sort = move || {
        // A sender that lost all its entries may send an empty body with only the header.
        let only_lost = lost > 0 && body.trim_ascii().is_empty();
        let sorter = Sorter { service: &shared, sender: &sender, recorder: &keeper, cancel: &cancel };
        let sorted = if only_lost { Ok(Sorted::default()) } else { sorter.sort(&body) };
        drop((body, room, permit));
        sorted
    };
    // A panic while parsing affects only this request.
    let sorted = if small {
        tokio::task::block_in_place(|| catch_unwind(AssertUnwindSafe(sort)).ok())
    } else {
        tokio::task::spawn_blocking(sort).await.ok()
    };
    drop(given_up);
    let Sorted { calls, lines, before, other_ids, mut rejected, late, typos, .. } = sorted.ok_or(Problem::Broken)??;
    // Taken before anything is recorded: a request that is refused later would be sent, and stored, again.
    let room = service.answer_permit(&caller.0, answer_bytes(&rejected, &typos))?;
    let unwritten = if calls.is_empty() { Vec::new() } else { durable(&recorder, calls).await? };
    if let Some(turn) = turn {
        turn.end();
    }
    for id in other_ids {
        let facts = vec![("token".to_owned(), caller.0.name.clone()), ("id".to_owned(), id.to_string())];
        recorder.event(Event::Incident { what: "an id was delivered again with another entry".to_owned(), facts });
    }
    let accepted = lines.len() - unwritten.len() + before;
    // The other entries are in the trail, so only these are rejected; a retry of all would store the others twice.
    rejected.extend(
        unwritten
            .into_iter()
            .filter_map(|index| Some(Refused::new(*lines.get(index)?, "its day file could not be written"))),
    );
    rejected.sort_by_key(|refused| refused.line);
    service.meters().sent(rejected.len(), lost);
    service.meters().late(late);
    // Recorded only now, because a request that is told to retry sends its count again.
    if lost > 0 {
        recorder.event(Event::Gap {
            user: caller.0.user.clone(),
            lost,
            why: vec![(LossReason::Sender, lost)],
            token: Some(caller.0.name.clone()),
        });
    }
    let how_much = match (accepted, rejected.len()) {
        (_, 0) => Taken::All,
        (0, _) => Taken::None,
        _ => Taken::Some,
    };
    let rejected = rejected.iter().map(|refused| {
        let mut rejected = json!({ "line": refused.line, "error": refused.error });
        if refused.is_erased {
            rejected["erased"] = true.into();
        }
        rejected
    });
    let mut answer = json!({ "accepted": accepted, "rejected": rejected.collect::<Vec<_>>() });
    if !typos.warnings.is_empty() {
        let warning = |(line, warning): &(u64, String)| json!({ "line": line, "warning": recorder.excerpt(warning, b"", REFUSAL_CHARS_MAX) });
        answer["warnings"] = typos.warnings.iter().map(warning).collect();
    }
    Ok(taken(how_much, ReservedBody::body(answer.to_string(), room)))
}

/// Returns about how many bytes the answer takes: clients that do not read their answers must not fill the memory.
fn answer_bytes(rejected: &[Refused], typos: &Typos) -> usize {
    let text = |text: &str| text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let lines = rejected.iter().map(|refused| ANSWER_LINE_BYTES + text(&refused.error)).sum::<usize>();
    let warnings = typos.warnings.iter().map(|(_, warning)| ANSWER_LINE_BYTES + text(warning)).sum::<usize>();
    (ANSWER_LINE_BYTES + lines + warnings).min(PAGE_BYTES_MAX)
}

/// Records the calls and waits until all calls are synced that are not buffered. If only some day files could not be
/// written, returns the indexes of their calls.
///
/// If this affects all calls, or if it is unknown which ones, returns an error, and no call is acknowledged.
async fn durable(recorder: &Recorder, calls: Vec<Prepared>) -> Result<Vec<usize>, Problem> {
    let sent = calls.len();
    let ack = recorder.record_prepared(calls).map_err(|error| Problem::writing(&error))?;
    match tokio::time::timeout(DURABLE_WAIT, ack).await {
        Ok(Ok(())) => Ok(Vec::new()),
        Ok(Err(Error::Unwritten { which, .. })) if !which.is_empty() && which.len() < sent => Ok(which),
        Ok(Err(error)) => Err(Problem::writing(&error)),
        Err(_) => Err(Problem::Busy("the entries did not become durable in time")),
    }
}

/// Reads the whole body and returns it with the permits for its memory.
///
/// # Errors
/// The body is too large, arrives too slowly or ends early, or no memory permit is free.
async fn read_body(request: Request, service: &Service, token: &Token) -> Result<(Vec<u8>, Vec<Permit>), Problem> {
    let too_large = || Problem::TooLarge { detail: format!("the body is over {} MiB", BODY_BYTES_MAX >> 20) };
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let mut body = request.into_body();
    let (mut bytes, mut room, mut granted) = (Vec::new(), Vec::new(), 0);
    let read = async {
        while let Some(frame) = tokio::time::timeout(BODY_PAUSE, next(&mut body)).await.map_err(|_| Problem::TooSlow)? {
            let frame = frame.map_err(|_| Problem::unclear("the body ended early", "send it whole"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > BODY_BYTES_MAX {
                return Err(too_large());
            }
            // Permits are taken as the bytes arrive, in doubling steps, so that an incomplete body holds little more
            // than it has sent.
            let needed = bytes.len() + data.len();
            if needed > granted {
                let size = needed.next_power_of_two().max(BODY_BYTES_FIRST);
                room.push(service.body_permit(token, size - granted)?);
                granted = size;
                let reserved = if size >= BODY_BYTES_APART { BODY_BYTES_RESERVED } else { size };
                bytes.reserve_exact(reserved.saturating_sub(bytes.len()));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    tokio::time::timeout(BODY_WAIT, read).await.map_err(|_| Problem::TooSlow)??;
    Ok((bytes, room))
}

/// Returns the next frame of a body.
async fn next(body: &mut Body) -> Option<Result<hyper::body::Frame<<Body as hyper::body::Body>::Data>, axum::Error>> {
    std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
}

/// Returns how many entries the sender reports as dropped; 0 without the header.
fn lost(headers: &HeaderMap) -> Result<u64, Problem> {
    let mut all = headers.get_all(LOST).iter();
    let (first, second) = (all.next(), all.next());
    let Some(value) = first else { return Ok(0) };
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match value.to_str().ok().filter(digits).and_then(|text| text.parse().ok()) {
        Some(lost) if second.is_none() => Ok(lost),
        _ => Err(Problem::unclear("the header Tooltrail-Lost is no count", "send a whole number, once")),
    }
}

/// The entries of a body, accepted or rejected.
#[derive(Debug, Default)]
struct Sorted {
    calls: Vec<Prepared>,
    /// The line number of each call in `calls`.
    lines: Vec<usize>,
    /// The finished entries that are to be looked for, with their line numbers.
    finished: Vec<(usize, Call)>,
    /// How many entries are in the trail already.
    before: usize,
    /// The ids of entries that got another id, because the trail has other entries with them.
    other_ids: Vec<EntryId>,
    rejected: Vec<Refused>,
    /// How many of the rejected lines are of days that are too old to be kept.
    late: usize,
    /// Keys that are probably misspelt.
    typos: Typos,
}

/// A rejected line.
#[derive(Debug)]
struct Refused {
    /// The line number, counted from 1; for an array, the number of the element.
    line: usize,
    error: String,
    is_erased: bool,
}

impl Refused {
    fn new(line: usize, error: impl Into<String>) -> Self {
        Self { line, error: error.into(), is_erased: false }
    }
}

/// Splits a body into entries and parses each one.
struct Sorter<'a> {
    service: &'a Service,
    sender: &'a Sender,
    recorder: &'a Recorder,
    cancel: &'a Cancel,
}

impl Sorter<'_> {
    fn sort(&self, body: &[u8]) -> Result<Sorted, Problem> {
        let mut sorted = Sorted::default();
        let now = crate::clock::now();
        for (line, bytes) in split(body)? {
            if self.cancel.is_cancelled() {
                return Err(Problem::Busy("the sender is gone"));
            }
            match self.read(line, bytes, now, &mut sorted) {
                Ok(()) => {}
                Err(error) => {
                    let error = self.recorder.excerpt(&error, bytes, REFUSAL_CHARS_MAX);
                    sorted.rejected.push(Refused::new(line, error));
                }
            }
        }
        self.sort_finished(&mut sorted)?;
        Ok(sorted)
    }

    /// Parses one entry, or returns why it is rejected.
    fn read(&self, line: usize, bytes: &[u8], now: Timestamp, sorted: &mut Sorted) -> Result<(), String> {
        let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
        let call = self.sender.read(text, self.service.zone(), now)?;
        if !call.is_finished() {
            sorted.typos.look(line as u64, &call);
        }
        if let Some(why) = self.recorder.too_late(&call) {
            sorted.late += 1;
            return Err(why);
        }
        if !self.service.may_name(&self.sender.token, &call.user, self.recorder) {
            return Err("too many users that are new here at once: send this entry again in a minute".to_owned());
        }
        if call.is_finished() {
            sorted.finished.push((line, call));
            return Ok(());
        }
        // Redacts here, on the thread of this request, so that the cost does not delay other senders.
        let prepared = self.recorder.prepare(self.service.durability(), call).map_err(|error| error.message())?;
        sorted.calls.push(prepared);
        sorted.lines.push(line);
        Ok(())
    }

    /// Finds out which of the finished entries are new.
    fn sort_finished(&self, sorted: &mut Sorted) -> Result<(), Problem> {
        let (lines, calls): (Vec<_>, Vec<_>) = std::mem::take(&mut sorted.finished).into_iter().unzip();
        let found = self.recorder.prepare_finished(self.service.durability(), calls);
        let found = found.map_err(|error| Problem::writing(&error))?;
        for (line, finished) in lines.into_iter().zip(found) {
            let prepared = match finished {
                Finished::New(prepared) => prepared,
                Finished::OtherId { entry, sent } => {
                    sorted.other_ids.push(sent);
                    entry
                }
                Finished::Before => {
                    sorted.before += 1;
                    continue;
                }
                Finished::Erased => {
                    let refused = Refused::new(line, "this entry was erased");
                    sorted.rejected.push(Refused { is_erased: true, ..refused });
                    continue;
                }
                Finished::TooLate(why) => {
                    sorted.late += 1;
                    sorted.rejected.push(Refused::new(line, why));
                    continue;
                }
                _ => continue,
            };
            sorted.calls.push(prepared);
            sorted.lines.push(line);
        }
        Ok(())
    }
}

/// Returns the entries of a body with their numbers, from 1: the elements of an array, else the lines that are not
/// empty.
fn split(body: &[u8]) -> Result<Vec<(usize, &[u8])>, Problem> {
    // Collects at most one entry more than a body may have, to detect that there are too many.
    let entries: Vec<(usize, &[u8])> = if body.trim_ascii_start().starts_with(b"[") {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let elements = reader.deserialize_seq(Elements).and_then(|elements| reader.end().map(|()| elements));
        let elements = elements.map_err(|error| {
            Problem::unclear(format!("the array is not JSON: {error}"), "send an array, or one object a line")
        })?;
        elements.into_iter().enumerate().map(|(index, element)| (index + 1, element.get().as_bytes())).collect()
    } else {
        // Splits at the newline byte before decoding UTF-8, so that one broken line does not affect the others.
        let body = body.strip_prefix(BOM).unwrap_or(body);
        let lines = body.split(|byte| *byte == b'\n').enumerate().map(|(index, line)| (index + 1, line));
        lines.filter(|(_, line)| !line.trim_ascii().is_empty()).take(ENTRIES_MAX + 1).collect()
    };
    match entries.len() {
        0 => Err(Problem::unclear("the body holds no entries", "send an array, or one JSON object a line")),
        1..=ENTRIES_MAX => Ok(entries),
        _ => Err(Problem::TooLarge { detail: format!("there are more than {ENTRIES_MAX} entries") }),
    }
}

/// Collects the elements of an array, at most one more than a body may have. The other elements are only validated.
struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while found.len() <= ENTRIES_MAX
            && let Some(element) = elements.next_element::<&RawValue>()?
        {
            found.push(element);
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES_MAX, lost, split};
    use axum::http::{HeaderMap, HeaderValue};

    #[test]
    fn a_body_is_an_array_or_lines() {
        let check = |body: &str, expected: Option<&[(usize, &str)]>| {
            let expected: Option<Vec<_>> =
                expected.map(|all| all.iter().map(|(index, text)| (*index, text.as_bytes())).collect());
            assert_eq!(split(body.as_bytes()).ok(), expected, "{body}");
        };
        check("{}", Some(&[(1, "{}")]));
        check("{}\n\n \r\n{\"a\":1}\n", Some(&[(1, "{}"), (4, "{\"a\":1}")]));
        check(" \n [ {\"n\":1.50} ,2]", Some(&[(1, "{\"n\":1.50}"), (2, "2")]));
        check("nonsense", Some(&[(1, "nonsense")]));
        check("", None);
        check(" \n\n", None);
        check("[]", None);
        check("[{}", None);
        check("[{}]{}", None);
        check(&"1\n".repeat(ENTRIES_MAX + 1), None);
        assert!(split(b"[{\"a\":\"\xff\"}]").is_err());
    }

    #[test]
    fn a_sender_says_once_what_it_lost() {
        let check = |values: &[&'static str], expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("tooltrail-lost", HeaderValue::from_static(value));
            }
            assert_eq!(lost(&headers).ok(), expected, "{values:?}");
        };
        check(&[], Some(0));
        check(&["0"], Some(0));
        check(&["17"], Some(17));
        for bad in ["", "-1", "+1", "1.5", "many", "99999999999999999999"] {
            check(&[bad], None);
        }
        check(&["1", "1"], None);
    }
}
