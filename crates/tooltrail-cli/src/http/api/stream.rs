//! `GET /api/audit/stream`: entries as they arrive, as server-sent events.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tooltrail::{GapWhy, Question, Trail, folder_of, outside_folder};

use crate::http::api::params::Params;
use crate::http::api::read_log;
use crate::http::auth::Caller;
use crate::http::status::{Problem, events};
use crate::service::Service;
use crate::service::live::{EventId, LIVE_DAYS, Mask, Since, StreamEvent, Subscriber};
use crate::service::quota::Permit;
use crate::tokens::Token;

/// The header with which a client comes back.
const LAST_EVENT_ID: &str = "last-event-id";

/// Longest silence: proxies take a connection that is silent for longer for a dead one.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Longest time until a revoked token ends its streams: with the service's own look at the tokens below a second.
const TOKEN_LOOK: Duration = Duration::from_millis(400);

/// Events on their way to one client.
const SENT_MAX: usize = 64;

/// Bytes on their way to one client, beside the event that does not fit any more: times the streams there may be, 32 MiB.
const SENT_BYTES_MAX: usize = 256 << 10;

/// Events that are turned into text at once; then others have a turn.
const TEXTS_AT_ONCE: usize = 16;

/// How long a client may take nothing while events wait for it.
const CLIENT_WAIT: Duration = Duration::from_secs(10);

/// How long a client waits before it comes back.
const RETRY: &str = "retry: 2000\n\n";

/// Answers with a stream that ends with the service, the token, or the client's patience.
///
/// Whoever reads nothing is never waited for by anybody but its own task.
pub(crate) async fn stream(
    State(service): State<Arc<Service>>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.may_read()?;
    let params = Params::of(&uri, &["user", "q"])?;
    let mut question = params.question(service.zone())?;
    caller.narrow(&mut question)?;
    question.days = LIVE_DAYS;
    let (opened, hub) = (service.opened()?, service.hub()?);
    let permit = service.stream_permit(&caller.0)?;
    read_log::note(&service, &caller, "stream", &params)?;
    // Who sees one user alone learns nothing of the others from the numbers of events.
    let mask = question.exact_user.then(|| hub.mask(&caller.0.name));
    let subscriber = hub.subscribe(&since(&headers, mask.as_ref()));
    let (sender, sent) = mpsc::channel(SENT_MAX);
    let room = Arc::new(Semaphore::new(SENT_BYTES_MAX));
    let trail = Arc::clone(&opened.trail);
    let feed = Feed { service: Arc::clone(&service), token: caller.0, trail, question, mask, sender, room };
    tokio::spawn(feed.run(subscriber, permit));
    Ok(events(Body::new(Sent(sent))))
}

/// Reads from where a client wants events.
fn since(headers: &HeaderMap, mask: Option<&Mask>) -> Since {
    let Some(id) = headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) else { return Since::Now };
    let id = id.to_str().ok().and_then(EventId::parse);
    let id = id.map(|id| mask.map_or_else(|| id.clone(), |mask| id.map(|n| mask.show(n))));
    id.map_or(Since::Unknown, Since::After)
}

/// A part of the stream, and the room it takes until it is handed over.
type Part = (Bytes, Option<OwnedSemaphorePermit>);

/// The body: what the feed has sent.
#[derive(Debug)]
struct Sent(mpsc::Receiver<Part>);

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|part| part.map(|(bytes, _room)| Ok(Frame::data(bytes))))
    }
}

/// Why a stream is over.
#[derive(Debug)]
struct Over;

/// What brings events to one client.
#[derive(Debug)]
struct Feed {
    service: Arc<Service>,
    token: Token,
    trail: Arc<Trail>,
    question: Question,
    mask: Option<Mask>,
    sender: mpsc::Sender<Part>,
    room: Arc<Semaphore>,
}

impl Feed {
    /// Brings events until the client, its token or the service is gone; the place is free again then.
    async fn run(self, mut subscriber: Subscriber, permit: Permit) {
        // Kept back for the last word to a client that takes nothing.
        let Ok(last_word) = self.sender.clone().reserve_owned().await else { return };
        let mut slow = false;
        if self.send(RETRY.to_owned()).await.is_ok() {
            slow = self.deliver(&mut subscriber).await;
        }
        if slow {
            // It has no id: a client that comes back gets what it did not take, as far as that is still held.
            last_word.send((gap(None, None, "slow").into(), None));
        }
        drop(permit);
    }

    /// Brings events; returns whether it ends because the client is too slow.
    async fn deliver(&self, subscriber: &mut Subscriber) -> bool {
        let mut silent_until = Instant::now() + HEARTBEAT;
        let mut first = true;
        // The newest event that was passed over: its id tells a client that comes back where to go on.
        let mut passed = None;
        loop {
            let look = (Instant::now() + TOKEN_LOOK).min(silent_until);
            let events = tokio::select! {
                events = subscriber.next() => match events {
                    Some(events) => events,
                    None => return false,
                },
                () = self.sender.closed() => return false,
                () = sleep_until(look) => Vec::new(),
            };
            if !self.service.tokens().iter().any(|token| *token == self.token) {
                return false;
            }
            // At the beginning it was away; later it let the ring overtake it.
            let overtaken = !first && events.iter().any(|(_, event)| matches!(event, StreamEvent::Lost(_)));
            first = first && events.is_empty();
            if let Some((id, _)) = events.last().filter(|_| self.mask.is_none()) {
                passed = Some(id.clone());
            }
            for events in events.chunks(TEXTS_AT_ONCE) {
                for text in self.texts(events).into_iter().flatten() {
                    match self.send(text).await {
                        Ok(()) => silent_until = Instant::now() + HEARTBEAT,
                        Err(slow) => return slow.is_some(),
                    }
                }
                tokio::task::yield_now().await;
            }
            if overtaken {
                return false;
            }
            if Instant::now() >= silent_until {
                // Without data it is no event, but its id counts.
                let id = passed.take().map_or_else(String::new, |id| format!("id: {id}\n"));
                if let Err(slow) = self.send(format!(": still here\n{id}\n")).await {
                    return slow.is_some();
                }
                silent_until = Instant::now() + HEARTBEAT;
            }
        }
    }

    /// Sends a text; fails with [`Over`] if the client takes nothing, with nothing if it is gone.
    async fn send(&self, text: String) -> Result<(), Option<Over>> {
        let send = async {
            let bytes = u32::try_from(text.len().min(SENT_BYTES_MAX)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.ok();
            self.sender.send((text.into(), room)).await
        };
        match timeout(CLIENT_WAIT, send).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some(Over)),
        }
    }

    /// Returns each event as text, `None` for one that does not answer.
    fn texts(&self, events: &[(EventId, StreamEvent)]) -> Vec<Option<String>> {
        let entries = events.iter().filter_map(|(_, event)| match event {
            StreamEvent::Entry(entry) => Some(&**entry),
            _ => None,
        });
        // The question was checked when it came.
        let mut answers = self.trail.answers(&self.question, entries).unwrap_or_default().into_iter();
        let text = |(id, event): &(EventId, StreamEvent)| {
            let shown = self.mask.as_ref().map_or_else(|| id.clone(), |mask| id.map(|n| mask.hide(n)));
            match event {
                StreamEvent::Entry(entry) => answers.next().unwrap_or(false).then(|| entry_text(&shown, &entry.line)),
                StreamEvent::Broken { folder, why } => {
                    self.may_know(folder).then(|| gap(Some(&shown), None, word(*why)))
                }
                // How many of everybody's there were is not for who sees one user alone.
                StreamEvent::Lost(lost) => Some(gap(Some(&shown), lost.filter(|_| self.mask.is_none()), "gone")),
            }
        };
        events.iter().map(text).collect()
    }

    /// Whether what happens to a folder's files is this client's business.
    fn may_know(&self, folder: &str) -> bool {
        self.question.user.as_deref().is_none_or(|user| folder == folder_of(user) || folder == outside_folder(user))
    }
}

/// Returns an entry as an event.
fn entry_text(id: &EventId, line: &str) -> String {
    let mut text = format!("id: {id}\nevent: entry\n");
    // Other writers may have put a carriage return between two tokens, where JSON allows it.
    for part in line.split('\r') {
        let _ = writeln!(text, "data: {part}");
    }
    text.push('\n');
    text
}

/// Returns a gap as an event.
fn gap(id: Option<&EventId>, lost: Option<u64>, why: &str) -> String {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!("{id}event: gap\ndata: {}\n\n", json!({ "lost": lost, "why": why }))
}

/// Returns the word for what happened to a day file.
fn word(why: GapWhy) -> &'static str {
    match why {
        GapWhy::Cut => "cut",
        GapWhy::Replaced => "replaced",
        GapWhy::Removed => "removed",
        _ => "unreadable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lines_that_no_entry_can_break_out_of() {
        let id = EventId::parse("ab-7").unwrap();
        assert_eq!(entry_text(&id, r#"{"a":1}"#), "id: ab-7\nevent: entry\ndata: {\"a\":1}\n\n");
        assert_eq!(entry_text(&id, "{\r}"), "id: ab-7\nevent: entry\ndata: {\ndata: }\n\n");
        assert_eq!(gap(Some(&id), Some(3), "gone"), "id: ab-7\nevent: gap\ndata: {\"lost\":3,\"why\":\"gone\"}\n\n");
        assert_eq!(gap(None, None, "slow"), "event: gap\ndata: {\"lost\":null,\"why\":\"slow\"}\n\n");
    }

    #[test]
    fn a_client_comes_back_with_an_id_or_something_else() {
        let check = |id: Option<&str>, expected: Since| {
            let mut headers = HeaderMap::new();
            if let Some(id) = id {
                headers.insert(LAST_EVENT_ID, id.parse().unwrap());
            }
            assert_eq!(since(&headers, None), expected, "{id:?}");
        };
        check(None, Since::Now);
        check(Some(""), Since::Now);
        check(Some("ab-7"), Since::After(EventId::parse("ab-7").unwrap()));
        check(Some("ab"), Since::Unknown);
        check(Some("é-7"), Since::Unknown);
    }
}
