//! `GET /api/audit/export`: the whole answer to a question, in a format of other programs.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tooltrail::ExportOrder;

use crate::export::{Format, Output, Part};
use crate::http::api::params::Params;
use crate::http::api::read_log;
use crate::http::auth::Caller;
use crate::http::status::{Problem, streamed};
use crate::service::quota::Permit;
use crate::service::{Refusal, Service};
use crate::tokens::Token;

/// Most parts that are queued for one client. Each has at most 1,000 entries.
const PARTS_MAX: usize = 1;

/// Longest wait for a client that reads nothing, and for a turn to read when many ask at once.
const WAIT: Duration = Duration::from_secs(60);

/// Pause before another attempt to read when many ask at once.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// The orders with their words.
const ORDERS: [(ExportOrder, &str); 2] = [(ExportOrder::Newest, "newest"), (ExportOrder::Oldest, "oldest")];

/// Answers with a stream of all entries that match. If it cannot go on, the connection breaks, so that nobody takes the
/// part for the whole; with `cursors=true` the last `next` line tells where to go on.
pub(crate) async fn export(State(service): State<Arc<Service>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    caller.may_read()?;
    let known = ["user", "days", "from", "to", "q", "cursor", "format", "order", "cursors"];
    let params = Params::of(&uri, &known)?;
    let mut question = params.question(service.zone())?;
    let format = params.one_of("format", &Format::ALL)?.unwrap_or(Format::Jsonl);
    let order = params.one_of("order", &ORDERS)?.unwrap_or(ExportOrder::Newest);
    let has_cursors = params.choice("cursors", &["true", "false"])? == Some("true");
    if has_cursors && format == Format::Csv {
        return Err(Problem::unclear("cursors can't stand in a table", "ask for jsonl or ocsf, or read the trailer"));
    }
    if format == Format::Bundle && (question.cursor.is_some() || order == ExportOrder::Oldest) {
        return Err(Problem::unclear("a bundle has no order and no cursor", "leave out cursor and order"));
    }
    caller.narrow(&mut question)?;
    service.opened()?;
    let permit = service.stream_permit(&caller.0)?;
    read_log::note(&service, &caller, "export", &params)?;
    let output = Arc::new(Mutex::new(Output::new(question, order, format, service.zone().clone())));
    let feed = Feed { service, token: caller.0, output, has_cursors };
    // What is wrong with the question or the home shows in the first part, and is answered as such.
    let first = feed.read().await.map_err(Problem::from)?;
    let (sender, sent) = mpsc::channel(PARTS_MAX);
    tokio::spawn(feed.run(first, sender, permit));
    Ok(streamed(format.media_type(), Body::new(Sent(sent))))
}

/// The response body: the parts that the feed has queued, and an error if it could not go on.
struct Sent(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| part.map(Frame::data)))
    }
}

/// The task that reads part by part and sends them to one client.
struct Feed {
    service: Arc<Service>,
    token: Token,
    output: Arc<Mutex<Output>>,
    has_cursors: bool,
}

impl Feed {
    /// Sends parts until the end, or until the client is gone or too slow, its token is revoked, or the service stops.
    async fn run(self, first: Option<Part>, sender: mpsc::Sender<io::Result<Bytes>>, permit: Permit) {
        if let Err(why) = self.send(first, &sender).await {
            let _ = sender.send(Err(io::Error::other(why))).await;
        }
        drop(permit);
    }

    async fn send(&self, first: Option<Part>, sender: &mpsc::Sender<io::Result<Bytes>>) -> Result<(), &'static str> {
        let mut next = first;
        while let Some(part) = next {
            let bytes = self.bytes(part);
            if !bytes.is_empty() {
                let sent = timeout(WAIT, sender.send(Ok(bytes.into()))).await;
                sent.map_err(|_| "the client is too slow")?.map_err(|_| "the client is gone")?;
            }
            if !self.service.tokens().iter().any(|token| *token == self.token) {
                return Err("the token was revoked");
            }
            next = self.read().await.map_err(|_| "the home could not be read")?;
        }
        let done = self.output.lock().unwrap_or_else(PoisonError::into_inner).done();
        self.service.meters().skipped(&done.0.skipped);
        Ok(())
    }

    /// Reads the next part. Waits for a turn if many ask at once.
    async fn read(&self) -> Result<Option<Part>, Refusal> {
        let begun = Instant::now();
        loop {
            let output = Arc::clone(&self.output);
            let step =
                move |trail: &tooltrail::Trail| output.lock().unwrap_or_else(PoisonError::into_inner).step(trail);
            match self.service.read(&self.token, step).await {
                Err(Refusal::Busy(_)) if begun.elapsed() < WAIT => sleep(BUSY_PAUSE).await,
                read => return read,
            }
        }
    }

    /// Returns the bytes of a part, with the cursor after it if the client asked for cursors.
    fn bytes(&self, part: Part) -> Vec<u8> {
        let mut bytes = part.bytes;
        if let Some(next) = part.next.filter(|_| self.has_cursors && !bytes.is_empty()) {
            bytes.extend(json!({ "next": next }).to_string().into_bytes());
            bytes.push(b'\n');
        }
        bytes
    }
}
