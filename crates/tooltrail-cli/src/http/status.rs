//! The HTTP status of each answer; no other file names a status. Errors are problem+json (RFC 9457).

use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tooltrail::Error;
use tooltrail::seal::WitnessAnswer;

use crate::service::Refusal;

/// Seconds after which a client should retry: by then, recovery, a full queue or a slow disk is usually over.
const RETRY_AFTER_S: &str = "1";

/// The content type of a page.
const HTML: &str = "text/html; charset=utf-8";

/// The reason why a request is refused or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The request is not valid.
    Unclear {
        /// What is wrong with the request.
        detail: String,
        /// What to send instead.
        hint: String,
    },
    /// The request has no token, or (`true`) one that is not valid.
    NoToken(bool),
    /// The token may not do this.
    Forbidden {
        /// What is not allowed.
        detail: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// No route has this path.
    NoSuchPath,
    /// The route does not support this method.
    NoSuchMethod,
    /// The body arrived too slowly.
    TooSlow,
    /// The body is too large.
    TooLarge {
        /// What is too large.
        detail: String,
    },
    /// The path and query are too long.
    UriTooLong,
    /// The client's address sent too many requests without a valid token; it may retry after this time.
    TooManyFailures(Duration),
    /// The request is for another host name.
    WrongHost,
    /// The service cannot do it now; none of the entries sent were acknowledged.
    Busy(&'static str),
    /// An internal error of the service.
    Broken,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy(why) => Self::Busy(why),
            Refusal::UnknownToken => Self::NoToken(true),
            Refusal::Reading(error) => Self::reading(&error),
            Refusal::Broken => Self::Broken,
        }
    }
}

impl Problem {
    /// Returns the problem of a request that is not valid.
    pub(crate) fn unclear(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unclear { detail: detail.into(), hint: hint.into() }
    }

    /// Returns the problem for an error while reading the home.
    pub(crate) fn reading(error: &Error) -> Self {
        match error {
            Error::Input { .. } | Error::Query { .. } => {
                Self::unclear(error.message(), error.hint().unwrap_or_default())
            }
            Error::Busy => Self::Busy("too many questions at once"),
            _ => {
                // The message may name files, so it goes only to the log of the service.
                tracing::error!(%error, "the home could not be read");
                Self::Broken
            }
        }
    }

    /// Returns the problem for entries that could not be written; the sender keeps them and retries.
    pub(crate) fn writing(error: &Error) -> Self {
        match error {
            Error::Input { .. } | Error::Query { .. } => {
                Self::unclear(error.message(), error.hint().unwrap_or_default())
            }
            Error::Busy => Self::Busy("the recorder's queue is full"),
            Error::Closed => Self::Busy("the service is stopping"),
            _ => {
                tracing::error!(%error, "entries could not be written");
                Self::Busy("the entries could not be made durable")
            }
        }
    }

    /// Returns the HTTP status of this problem.
    const fn status(&self) -> StatusCode {
        match self {
            Self::Unclear { .. } => StatusCode::BAD_REQUEST,
            Self::NoToken(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::TooManyFailures(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns two texts: what is wrong, and what to do next.
    pub(crate) fn words(&self) -> (&str, &str) {
        match self {
            Self::Unclear { detail, hint } => (detail, hint),
            Self::NoToken(false) => {
                ("this needs a token", "send `Authorization: Bearer TOKEN`; `tooltrail token add` makes one")
            }
            Self::NoToken(true) => {
                ("this token is not valid", "it may be mistyped or revoked; `tooltrail token add` makes a new one")
            }
            Self::Forbidden { detail, hint } => (detail, hint),
            Self::NoSuchPath => ("nothing is here", "GET /openapi.json lists every path"),
            Self::NoSuchMethod => ("this path does not know this method", "the header Allow names those it knows"),
            Self::TooSlow => ("the body came too slowly", "send less at once"),
            Self::TooLarge { detail } => (detail, "send it in several requests"),
            Self::UriTooLong => ("the path and query are too long", "ask a shorter question"),
            Self::TooManyFailures(_) => {
                ("too many requests without a valid token came from this address", "come again with a valid one")
            }
            Self::WrongHost => {
                ("this service does not go by that name", "call it by its address, as in http://127.0.0.1:7420")
            }
            Self::Busy(detail) => (detail, "try again after the time in Retry-After"),
            Self::Broken => ("something went wrong here", "the service's log says more"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let (detail, hint) = self.words();
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": detail,
            "hint": hint,
        });
        self.with_headers(typed(status, "application/problem+json", body.to_string()))
    }
}

impl Problem {
    /// Returns the problem as an HTML page.
    pub(crate) fn into_page(self, html: String) -> Response {
        let response = typed(self.status(), HTML, html);
        self.with_headers(response)
    }

    /// Returns the response with the headers that belong to the problem.
    fn with_headers(self, mut response: Response) -> Response {
        if let Self::TooManyFailures(wait) = self {
            let seconds = HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        let mut header = |name: HeaderName, value| {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        };
        match self {
            Self::NoToken(false) => header(WWW_AUTHENTICATE, r#"Bearer realm="tooltrail""#),
            Self::NoToken(true) => header(WWW_AUTHENTICATE, r#"Bearer realm="tooltrail", error="invalid_token""#),
            Self::Busy(_) => header(RETRY_AFTER, RETRY_AFTER_S),
            // The service does not read the rest of the body, so the connection cannot be reused.
            Self::TooSlow | Self::TooLarge { .. } => header(CONNECTION, "close"),
            _ => {}
        }
        response
    }
}

/// Whether an answer refuses a request because it has no valid token.
pub(crate) fn is_without_token(response: &Response) -> bool {
    response.status() == StatusCode::UNAUTHORIZED
}

/// How many of the entries sent are now in the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Every entry.
    All,
    /// Some entries; the answer names the rejected ones.
    Some,
    /// No entry; the answer names each rejected one.
    None,
}

/// Returns the answer to a request that sent entries.
pub(crate) fn taken(taken: Taken, body: impl Into<axum::body::Body>) -> Response {
    let status = match taken {
        Taken::All => StatusCode::OK,
        Taken::Some => StatusCode::MULTI_STATUS,
        Taken::None => StatusCode::BAD_REQUEST,
    };
    typed(status, "application/json", body)
}

/// Returns an answer with JSON.
pub(crate) fn answer(body: impl Into<axum::body::Body>) -> Response {
    typed(StatusCode::OK, "application/json", body)
}

/// Returns an answer with metrics in the OpenMetrics text format.
pub(crate) fn metrics_answer(body: String) -> Response {
    typed(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", body)
}

/// Returns an answer with a signed note.
pub(crate) fn note(text: String) -> Response {
    typed(StatusCode::OK, "text/plain; charset=utf-8", text)
}

/// Returns an answer with a part of the log, which never changes.
pub(crate) fn tile(bytes: Vec<u8>) -> Response {
    let mut response = typed(StatusCode::OK, "application/octet-stream", bytes);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=31536000, immutable"));
    response
}

/// Returns the answer of a witness, with the status that its protocol names.
pub(crate) fn witness_answer(answer: WitnessAnswer) -> Response {
    let plain = |status, text: &str| typed(status, "text/plain; charset=utf-8", text.to_owned());
    match answer {
        WitnessAnswer::Cosigned(lines) => note(lines),
        WitnessAnswer::Malformed => plain(StatusCode::BAD_REQUEST, "not a request of tlog-witness\n"),
        WitnessAnswer::Unsigned => plain(StatusCode::FORBIDDEN, "no signature of a key that is known for this log\n"),
        WitnessAnswer::UnknownLog => plain(StatusCode::NOT_FOUND, "this log is not known here\n"),
        WitnessAnswer::Conflict(size) => typed(StatusCode::CONFLICT, "text/x.tlog.size", format!("{size}\n")),
        _ => plain(StatusCode::UNPROCESSABLE_ENTITY, "the proof does not hold\n"),
    }
}

/// Returns an answer with an HTML page.
pub(crate) fn page(html: String) -> Response {
    typed(StatusCode::OK, HTML, html)
}

/// Returns a static file with its entity tag, or status 304 without a body if the caller already has it (`known`).
pub(crate) fn file(content_type: &'static str, tag: &str, body: &'static str, known: bool) -> Response {
    let mut response =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { typed(StatusCode::OK, content_type, body) };
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Redirects the browser to another address after a form; to `/` if the address is not a valid header value.
pub(crate) fn see_other(address: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let address = HeaderValue::from_str(address).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, address);
    response
}

/// Returns a stream of events, with a header that tells proxies not to buffer it.
pub(crate) fn events(body: axum::body::Body) -> Response {
    streamed("text/event-stream", body)
}

/// Returns a response whose body is made while it is sent.
pub(crate) fn streamed(content_type: &'static str, body: axum::body::Body) -> Response {
    let mut response = typed(StatusCode::OK, content_type, body);
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Returns a response with this status and content type.
fn typed(status: StatusCode, content_type: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
