//! `POST /api/audit/entries`: entries from whoever speaks HTTP, acknowledged once they are as durable as their tools ask for.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use serde_json::json;
use serde_json::value::RawValue;
use tooltrail::entry::receive;
use tooltrail::{Call, DURABLE_WAIT, Doors, Error, Event, Identity, Recorder, Via, Zone};

use crate::http::auth::Caller;
use crate::http::error::{Problem, Taken, taken};
use crate::http::params::Params;
use crate::http::service::Service;
use crate::tokens::Token;

/// Largest body: 256 of the largest lines, and far more than a sender should lose to one failed request.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Most entries of one body: all of them must fit the recorder's queue at once, or they never would.
const ENTRIES_MAX: usize = 10_000;

/// Longest pause within a body.
const BODY_PAUSE: Duration = Duration::from_secs(10);

/// Longest time for a whole body: the largest one over a slow line.
const BODY_WAIT: Duration = Duration::from_secs(60);

/// Longest text about one refused line: it may quote what was sent.
const REFUSAL_CHARS_MAX: usize = 300;

/// What some editors put before UTF-8.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The header in which a sender says how many entries it had to drop.
const LOST: &str = "tooltrail-lost";

/// Takes entries in.
pub(crate) async fn entries(
    State(service): State<Arc<Service>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.may_send()?;
    Params::of(request.uri(), &[])?;
    let lost = lost(request.headers())?;
    let recorder = Arc::clone(&service.opened()?.recorder);
    let place = service.post_place()?;
    let body = whole(request).await?;
    let (zone, token) = (service.zone().clone(), caller.0.clone());
    let keeper = Arc::clone(&recorder);
    let sorted = tokio::task::spawn_blocking(move || {
        // A sender that lost all it had still has that to say.
        let only_lost = lost > 0 && body.trim_ascii().is_empty();
        let sorted = if only_lost { Ok(Sorted::default()) } else { sort(&body, &token, &zone, &keeper) };
        drop((body, place));
        sorted
    });
    let Sorted { calls, lines, mut rejected } = sorted.await.map_err(|_| Problem::Broken)??;
    let unwritten = if calls.is_empty() { Vec::new() } else { durable(&recorder, service.doors(), calls).await? };
    let accepted = lines.len() - unwritten.len();
    // The others are in the trail: sending all again would store them twice.
    rejected.extend(unwritten.into_iter().filter_map(|place| {
        Some(Refused { line: *lines.get(place)?, error: "its day file could not be written".to_owned() })
    }));
    rejected.sort_by_key(|refused| refused.line);
    service.meters().sent(rejected.len(), lost);
    // Only now: a request that was told to come again will bring its count again.
    if lost > 0 {
        recorder.event(Event::Gap {
            user: caller.0.user.clone(),
            lost,
            why: vec![("sender".to_owned(), lost)],
            token: Some(caller.0.name.clone()),
        });
    }
    let how_much = match (accepted, rejected.len()) {
        (_, 0) => Taken::All,
        (0, _) => Taken::None,
        _ => Taken::Some,
    };
    let rejected = rejected.iter().map(|refused| json!({ "line": refused.line, "error": refused.error }));
    Ok(taken(how_much, json!({ "accepted": accepted, "rejected": rejected.collect::<Vec<_>>() }).to_string()))
}

/// Waits until every call is synced that is not buffered, and returns the places of those whose file alone could not be written.
///
/// If that is all of them, or nobody knows which, nothing of them is acknowledged.
async fn durable(recorder: &Recorder, doors: &Doors, calls: Vec<Call>) -> Result<Vec<usize>, Problem> {
    let sent = calls.len();
    let ack = recorder.record_through(doors, calls).map_err(|error| Problem::writing(&error))?;
    match tokio::time::timeout(DURABLE_WAIT, ack).await {
        Ok(Ok(())) => Ok(Vec::new()),
        Ok(Err(Error::Unwritten { which, .. })) if !which.is_empty() && which.len() < sent => Ok(which),
        Ok(Err(error)) => Err(Problem::writing(&error)),
        Err(_) => Err(Problem::Busy("the entries did not become durable in time")),
    }
}

/// Returns the whole body, as long as it is small and comes in time.
async fn whole(request: Request) -> Result<Vec<u8>, Problem> {
    let too_large = || Problem::TooLarge { detail: format!("the body is over {} MiB", BODY_BYTES_MAX >> 20) };
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    let read = async {
        while let Some(frame) = tokio::time::timeout(BODY_PAUSE, next(&mut body)).await.map_err(|_| Problem::TooSlow)? {
            let frame = frame.map_err(|_| Problem::unclear("the body ended early", "send it whole"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > BODY_BYTES_MAX {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    tokio::time::timeout(BODY_WAIT, read).await.map_err(|_| Problem::TooSlow)??;
    Ok(bytes)
}

/// Returns the next piece of a body.
async fn next(body: &mut Body) -> Option<Result<hyper::body::Frame<<Body as hyper::body::Body>::Data>, axum::Error>> {
    std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
}

/// Returns how many entries the sender says it had to drop.
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

/// A body's entries, understood or refused.
#[derive(Debug, Default)]
struct Sorted {
    calls: Vec<Call>,
    /// The line of each call.
    lines: Vec<usize>,
    rejected: Vec<Refused>,
}

/// A line that was not understood.
#[derive(Debug)]
struct Refused {
    /// From 1; in an array, which element.
    line: usize,
    error: String,
}

/// Splits a body into entries and reads each.
fn sort(body: &[u8], token: &Token, zone: &Zone, recorder: &Recorder) -> Result<Sorted, Problem> {
    let mut sorted = Sorted::default();
    for (line, bytes) in split(body)? {
        let received = match std::str::from_utf8(bytes) {
            Ok(text) => receive(text, zone).map_err(|error| error.to_string()),
            Err(error) => Err(format!("not UTF-8 at byte {}", error.valid_up_to())),
        };
        let kept = received.and_then(|call| recorder.too_late(&call).map_or(Ok(call), Err));
        match kept {
            Ok(call) => {
                sorted.calls.push(sent_by(token, call));
                sorted.lines.push(line);
            }
            Err(error) => {
                let error = error.chars().take(REFUSAL_CHARS_MAX).collect();
                sorted.rejected.push(Refused { line, error });
            }
        }
    }
    Ok(sorted)
}

/// Returns the entries of a body with their places, from 1: an array's elements, else lines that are not empty.
fn split(body: &[u8]) -> Result<Vec<(usize, &[u8])>, Problem> {
    let entries: Vec<(usize, &[u8])> = if body.trim_ascii_start().starts_with(b"[") {
        let elements = serde_json::from_slice::<Vec<&RawValue>>(body).map_err(|error| {
            Problem::unclear(format!("the array is not JSON: {error}"), "send an array, or one object a line")
        })?;
        elements.into_iter().enumerate().map(|(place, element)| (place + 1, element.get().as_bytes())).collect()
    } else {
        // A newline is one byte whatever is broken around it: one bad line spoils no other.
        let body = body.strip_prefix(BOM).unwrap_or(body);
        let lines = body.split(|byte| *byte == b'\n').enumerate().map(|(place, line)| (place + 1, line));
        lines.filter(|(_, line)| !line.trim_ascii().is_empty()).collect()
    };
    match entries.len() {
        0 => Err(Problem::unclear("the body holds no entries", "send an array, or one JSON object a line")),
        1..=ENTRIES_MAX => Ok(entries),
        count => Err(Problem::TooLarge { detail: format!("{count} entries are over {ENTRIES_MAX}") }),
    }
}

/// Says by which path a call came and whose word its user is: a token's user wins over the body's.
fn sent_by(token: &Token, mut call: Call) -> Call {
    call.via = Via::Http;
    match &token.user {
        Some(user) => {
            let claimed = std::mem::replace(&mut call.user, user.clone());
            call.claimed_user = (!claimed.is_empty() && claimed != *user).then_some(claimed);
            call.identity = Some(Identity::Verified);
        }
        None => call.identity = (!call.user.is_empty()).then_some(Identity::Claimed),
    }
    call
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES_MAX, lost, split};
    use axum::http::{HeaderMap, HeaderValue};

    #[test]
    fn a_body_is_an_array_or_lines() {
        let check = |body: &str, expected: Option<&[(usize, &str)]>| {
            let expected: Option<Vec<_>> =
                expected.map(|all| all.iter().map(|(place, text)| (*place, text.as_bytes())).collect());
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
