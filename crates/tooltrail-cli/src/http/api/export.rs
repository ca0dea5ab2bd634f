//! `GET /api/audit/export`: the whole answer to a question, in a format of other programs.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::Response;
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tooltrail::ExportOrder;

use crate::export::{Format, Output, Part};
use crate::http::api::params::Params;
use crate::http::api::read_log;
use crate::http::auth::Caller;
use crate::http::status::{Problem, streamed};
use crate::service::Service;
use crate::service::quota::Permit;
use crate::tokens::Token;

/// The trailer with the cursor of the next page. It comes if the export ended before the end.
const NEXT: &str = "tooltrail-next";

/// Most pages that are queued for one client. Each has at most 1,000 entries.
const PAGES_MAX: usize = 2;

/// Longest wait for a client that reads nothing.
const CLIENT_WAIT: Duration = Duration::from_secs(60);

/// The orders with their words.
const ORDERS: [(ExportOrder, &str); 2] = [(ExportOrder::Newest, "newest"), (ExportOrder::Oldest, "oldest")];

/// Answers with a stream of all entries that match. If it breaks, the last `next` line (with `cursors=true`) or the
/// trailer tells the cursor.
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
    let next = question.cursor.as_ref().map(ToString::to_string);
    let (sender, sent) = mpsc::channel(PAGES_MAX);
    let zone = service.zone().clone();
    let output = Output::new(question, order, format, zone);
    let feed = Feed { service, token: caller.0, output: Some(output), has_cursors, next };
    tokio::spawn(feed.run(sender, permit));
    let mut response = streamed(format.media_type(), Body::new(Sent(sent)));
    response.headers_mut().insert(header::TRAILER, HeaderValue::from_static(NEXT));
    Ok(response)
}

/// A part of the body.
enum Sending {
    Bytes(Bytes),
    /// The cursor with which the export goes on.
    Next(String),
}

/// The response body: the parts that the feed has queued.
struct Sent(mpsc::Receiver<Sending>);

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|part| {
            part.map(|part| {
                Ok(match part {
                    Sending::Bytes(bytes) => Frame::data(bytes),
                    Sending::Next(next) => {
                        let value = HeaderValue::from_str(&next).unwrap_or(HeaderValue::from_static(""));
                        Frame::trailers(HeaderMap::from_iter([(HeaderName::from_static(NEXT), value)]))
                    }
                })
            })
        })
    }
}

/// The task that reads page by page and sends them to one client.
struct Feed {
    service: Arc<Service>,
    token: Token,
    /// The output; `None` while it is away to be read, and after it failed.
    output: Option<Output>,
    has_cursors: bool,
    /// The cursor after what was sent.
    next: Option<String>,
}

impl Feed {
    /// Sends pages until the end, or until the client is gone or too slow, its token is revoked, or the service stops.
    async fn run(mut self, sender: mpsc::Sender<Sending>, permit: Permit) {
        while self.step(&sender).await {}
        if let Some(next) = self.next {
            let _ = sender.try_send(Sending::Next(next));
        }
        drop(permit);
    }

    /// Reads and sends one part. Returns whether there may be another one.
    async fn step(&mut self, sender: &mpsc::Sender<Sending>) -> bool {
        if sender.is_closed() || !self.service.tokens().iter().any(|token| *token == self.token) {
            return false;
        }
        let Some(mut output) = self.output.take() else { return false };
        let read = self.service.read(&self.token, move |trail| {
            let part = output.step(trail)?;
            Ok((output, part))
        });
        let Ok((output, part)) = read.await else { return false };
        let Some(Part { mut bytes, next }) = part else {
            self.next = None;
            self.service.meters().skipped(&output.done().0.skipped);
            return false;
        };
        self.output = Some(output);
        if let Some(next) = next.as_ref().filter(|_| self.has_cursors && !bytes.is_empty()) {
            bytes.extend(json!({ "next": next }).to_string().into_bytes());
            bytes.push(b'\n');
        }
        if !bytes.is_empty() && !send(sender, bytes).await {
            return false;
        }
        self.next = next.or_else(|| self.next.take());
        true
    }
}

/// Queues bytes for the client. Returns false if it is gone or too slow.
async fn send(sender: &mpsc::Sender<Sending>, bytes: Vec<u8>) -> bool {
    timeout(CLIENT_WAIT, sender.send(Sending::Bytes(bytes.into()))).await.is_ok_and(|sent| sent.is_ok())
}
