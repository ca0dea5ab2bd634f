//! A response body that holds a memory permit until it is sent. It is sent in parts, so that the connection limit can
//! see whether the client reads them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use crate::service::quota::Permit;

/// Most bytes of one part.
const PART_BYTES: usize = 64 << 10;

/// The rest of a response body, and its permit.
#[derive(Debug)]
pub(crate) struct ReservedBody {
    rest: Bytes,
    _room: Permit,
}

impl ReservedBody {
    /// Returns a body that releases its permit when it has been sent.
    pub(crate) fn body(text: String, room: Permit) -> Body {
        Body::new(Self { rest: text.into(), _room: room })
    }
}

impl HttpBody for ReservedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.rest.len().min(PART_BYTES);
        let part = self.rest.split_to(part);
        Poll::Ready((!part.is_empty()).then_some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
