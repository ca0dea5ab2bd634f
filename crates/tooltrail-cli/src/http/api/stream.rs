//! `GET /api/audit/stream`: new entries as server-sent events.

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

/// The header with which a client resumes a stream.
const LAST_EVENT_ID: &str = "last-event-id";

/// Longest time without any data, because proxies may close a connection that is silent for longer.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Pause between two checks whether the token is still valid. Together with the pause between two reads of the token
/// file, a revoked token ends its streams in less than a second.
const TOKEN_LOOK: Duration = Duration::from_millis(400);

/// Most parts that are queued for one client.
const SENT_MAX: usize = 64;

/// Most bytes that are queued for one client, in addition to one event that does not fit any more. For the largest
/// number of streams, this is 32 MiB in total.
const SENT_BYTES_MAX: usize = 256 << 10;

/// Events that are converted to text in one step; after that, the task yields to other tasks.
const TEXTS_AT_ONCE: usize = 16;

/// How long a client may read nothing while events wait for it.
const CLIENT_WAIT: Duration = Duration::from_secs(10);

/// Tells the client to wait 2 s before it reconnects.
const RETRY: &str = "retry: 2000\n\n";

/// Answers with a stream. It ends when the service stops, the token is revoked, or the client is too slow or gone.
///
/// Only the task of this stream waits for a slow client.
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
    // A client that may see only one user must not learn from event numbers how many events other users have.
    let mask = question.exact_user.then(|| hub.mask(&caller.0.name));
    let subscriber = hub.subscribe(&since(&headers, mask.as_ref()));
    let (sender, sent) = mpsc::channel(SENT_MAX);
    let room = Arc::new(Semaphore::new(SENT_BYTES_MAX));
    let trail = Arc::clone(&opened.trail);
    let feed = Feed { service: Arc::clone(&service), token: caller.0, trail, question, mask, sender, room };
    tokio::spawn(feed.run(subscriber, permit));
    Ok(events(Body::new(Sent(sent))))
}

/// Returns the point from which the client wants events, from its header `Last-Event-ID`.
fn since(headers: &HeaderMap, mask: Option<&Mask>) -> Since {
    let Some(id) = headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) else { return Since::Now };
    let id = id.to_str().ok().and_then(EventId::parse);
    let id = id.map(|id| mask.map_or_else(|| id.clone(), |mask| id.map(|n| mask.show(n))));
    id.map_or(Since::Unknown, Since::After)
}

/// A part of the stream, and the permit for its bytes until it is sent.
type Part = (Bytes, Option<OwnedSemaphorePermit>);

/// The response body: the parts that the feed has queued.
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

/// The client reads too slowly, so the stream must end.
#[derive(Debug)]
struct Over;

/// The task that sends events to one client.
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
    /// Sends events until the client is gone or too slow, its token is revoked, or the service stops. Then releases the
    /// permit.
    async fn run(self, mut subscriber: Subscriber, permit: Permit) {
        // Reserves one place in the queue for the last event to a client that is too slow.
        let Ok(last_word) = self.sender.clone().reserve_owned().await else { return };
        let mut slow = false;
        if self.send(RETRY.to_owned()).await.is_ok() {
            slow = self.deliver(&mut subscriber).await;
        }
        if slow {
            // This event has no id, so a client that reconnects gets the events it missed, if they are still in the
            // ring.
            last_word.send((gap(None, None, "slow").into(), None));
        }
        drop(permit);
    }

    /// Sends events; returns whether it ended because the client is too slow.
    async fn deliver(&self, subscriber: &mut Subscriber) -> bool {
        let mut silent_until = Instant::now() + HEARTBEAT;
        let mut first = true;
        // The newest event, even if it did not match. A heartbeat sends its id, so that the client can resume after it.
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
            // Lost events in the first batch mean that the client was away; later they mean that it is too slow.
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
                // A block without data is not an event, but the client remembers its id.
                let id = passed.take().map_or_else(String::new, |id| format!("id: {id}\n"));
                if let Err(slow) = self.send(format!(": still here\n{id}\n")).await {
                    return slow.is_some();
                }
                silent_until = Instant::now() + HEARTBEAT;
            }
        }
    }

    /// Queues a text for the client.
    ///
    /// # Errors
    /// `Some(Over)` if the client reads nothing for [`CLIENT_WAIT`], `None` if it is gone.
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

    /// Returns each event as text; `None` for an event that does not match the query.
    fn texts(&self, events: &[(EventId, StreamEvent)]) -> Vec<Option<String>> {
        let entries = events.iter().filter_map(|(_, event)| match event {
            StreamEvent::Entry(entry) => Some(&**entry),
            _ => None,
        });
        // The query was checked when the request arrived, so this does not fail.
        let mut answers = self.trail.answers(&self.question, entries).unwrap_or_default().into_iter();
        let text = |(id, event): &(EventId, StreamEvent)| {
            let shown = self.mask.as_ref().map_or_else(|| id.clone(), |mask| id.map(|n| mask.hide(n)));
            match event {
                StreamEvent::Entry(entry) => answers.next().unwrap_or(false).then(|| entry_text(&shown, &entry.line)),
                StreamEvent::Broken { folder, why } => {
                    self.may_know(folder).then(|| gap(Some(&shown), None, word(*why)))
                }
                // The number of lost events covers all users, so it is hidden from a client that may see only one.
                StreamEvent::Lost(lost) => Some(gap(Some(&shown), lost.filter(|_| self.mask.is_none()), "gone")),
            }
        };
        events.iter().map(text).collect()
    }

    /// Whether this client may know what happens to the day files of a folder.
    fn may_know(&self, folder: &str) -> bool {
        self.question.user.as_deref().is_none_or(|user| folder == folder_of(user) || folder == outside_folder(user))
    }
}

/// Returns an entry as an event.
fn entry_text(id: &EventId, line: &str) -> String {
    let mut text = format!("id: {id}\nevent: entry\n");
    // An entry of another writer may have a carriage return between two JSON tokens, which JSON allows.
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

/// Returns the name of the gap reason for what happened to a day file.
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
