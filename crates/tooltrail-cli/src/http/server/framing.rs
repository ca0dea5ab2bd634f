//! Where a request ends: a body has one length on which everybody agrees, or the connection ends with it.

use axum::http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use crate::http::status::Problem;

/// Refuses a body whose end a server before us might see elsewhere.
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

/// Whether a request has a body, and whether it comes in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framed {
    /// It has none.
    Empty,
    /// Its length is announced.
    Length,
    /// It comes in chunks. A length beside them is dropped before we see it (RFC 9112, 6.3), which a server before us
    /// may not have done.
    Chunks,
}

impl Framed {
    /// Looks at a request's headers.
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

    /// Ends the connection with the answer where what follows the body might be taken for a request by mistake.
    pub(crate) fn close(self, response: &mut Response) {
        let refused = response.status().is_client_error() || response.status().is_server_error();
        if self == Self::Chunks || (self == Self::Length && refused) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
