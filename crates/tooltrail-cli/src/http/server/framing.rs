//! Protection against request smuggling: if a proxy could see another end of a body than the service does, the request
//! is refused or the connection is closed after it.

use axum::http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use crate::http::status::Problem;

/// Refuses a body whose end a proxy in front of the service might see at another byte.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Problem::unclear(
            "the header Transfer-Encoding is not plainly chunked",
            "send `chunked` once, or a length",
        )),
    }
}

/// How the body of a request is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framed {
    /// There is no body.
    Empty,
    /// The body has a length (`Content-Length`).
    Length,
    /// The body comes in chunks. The HTTP library has already removed a `Content-Length` beside them (RFC 9112, 6.3),
    /// but a proxy in front of the service may have used it.
    Chunks,
}

impl Framed {
    /// Returns the framing that the headers of a request announce.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key(TRANSFER_ENCODING) {
            return Self::Chunks;
        }
        match headers.get(CONTENT_LENGTH) {
            None => Self::Empty,
            Some(length) if length == "0" => Self::Empty,
            Some(_) => Self::Length,
        }
    }

    /// Closes the connection after the answer if bytes of the body could be mistaken for the next request.
    pub(crate) fn close(self, response: &mut Response) {
        let refused = response.status().is_client_error() || response.status().is_server_error();
        if self == Self::Chunks || (self == Self::Length && refused) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
