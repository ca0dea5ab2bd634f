//! The items of the queue as the writer thread gets them, and the forms of a waiting call.

use std::sync::Arc;

use crate::call::{Call, Payload};
use crate::clock::Timestamp;
use crate::home::UNKNOWN_USER;
use crate::record::open_call_id::OpenCallId;
use crate::record::queue::buffers::Text;
use crate::record::queue::promise::Promise;
use crate::record::store::group::Day;
use crate::redact::{BoundedCall, Packed, Redactor};

/// One item of the queue.
#[derive(Debug)]
pub(crate) enum Item {
    /// An entry to write. If it has a promise, the entry is durable before the promise is kept. With an id, it ends
    /// that open call.
    Entry(Source, Option<Promise>, Option<OpenCallId>),
    /// A call begins. If it has a promise, this fact is durable before the promise is kept.
    Begin(OpenCallId, Source, Option<Promise>),
    /// An open call has ended, but the entry of its outcome is counted as lost.
    Ended(Option<OpenCallId>),
    /// A barrier: the promise is kept when all items before it are durable. The flag says that the queue is closed and
    /// that this is the last barrier.
    Flush(Promise, bool),
    /// A barrier: the promise is kept when all items before it are in their day files, durable or not.
    Seen(Promise),
}

/// A call as the writer thread takes it from the queue.
#[derive(Debug)]
pub(crate) enum Source {
    /// Borrowed from the caller and packed into a text buffer that many calls share.
    Packed(Packed, Arc<Text>),
    /// Given away by the caller. Its `ts` is set.
    Moved(Box<Call>),
    /// Borrowed, but too large or too unusual to be packed; or one of our own events.
    BoundedCall(Box<BoundedCall>),
    /// Already redacted and encoded on the caller's thread.
    Line(Box<Line>),
}

/// An entry that was encoded before it was put into the queue.
#[derive(Debug)]
pub(crate) struct Line {
    /// The day file of the entry; `None` if the entry could not be encoded.
    pub(crate) day: Option<Day>,
    pub(crate) text: String,
    pub(crate) user: String,
}

impl Item {
    /// Whether a caller waits for the item.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self, Self::Entry(_, Some(_), _) | Self::Begin(_, _, Some(_)) | Self::Flush(..) | Self::Seen(_))
    }
}

impl Item {
    /// Whether all items before this one must be written before it is done.
    pub(crate) fn is_barrier(&self) -> bool {
        matches!(self, Self::Flush(..) | Self::Seen(_))
    }

    /// Returns the user of the item's call; `None` if the item has no call.
    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Self::Entry(source, ..) | Self::Begin(_, source, _) => Some(source.user()),
            Self::Ended(_) | Self::Flush(..) | Self::Seen(_) => None,
        }
    }
}

impl Source {
    /// Returns the user of the call.
    fn user(&self) -> &str {
        match self {
            Self::Packed(packed, text) => packed.user(text.as_str(), text.words()),
            Self::Moved(call) => user_of(call),
            Self::BoundedCall(windowed) => &windowed.user.seen.text,
            Self::Line(line) => &line.user,
        }
    }

    /// Returns the parts of the call that can reach its line.
    pub(crate) fn windowed(self, redactor: &Redactor) -> Box<BoundedCall> {
        let mut windowed = match self {
            Self::Packed(packed, text) => Box::new(packed.windowed(text.as_str(), text.words())),
            Self::Moved(call) => {
                let now = call.ts.unwrap_or(Timestamp::from_millis(0));
                Box::new(BoundedCall::outside(&call, now, redactor))
            }
            Self::BoundedCall(windowed) => windowed,
            // Not reached: the encoder handles lines itself, and a call that begins is never a line.
            Self::Line(_) => Box::new(BoundedCall::empty()),
        };
        windowed.rename_ours();
        windowed
    }

    /// Like [`Source::windowed`], but writes into `into` and reuses its memory where possible.
    pub(crate) fn unpack(self, redactor: &Redactor, into: &mut BoundedCall) {
        match self {
            Self::Packed(packed, text) => {
                packed.unpack(text.as_str(), text.words(), into);
                into.rename_ours();
            }
            other => *into = *other.windowed(redactor),
        }
    }
}

/// Returns the user of the call; `UNKNOWN_USER` if the call names no user.
pub(crate) fn user_of(call: &Call) -> &str {
    if call.user.is_empty() { UNKNOWN_USER } else { &call.user }
}

/// Returns about how many bytes of memory a call uses.
pub(crate) fn call_bytes(call: &Call) -> usize {
    let fields = [
        &call.session,
        &call.call_id,
        &call.parent,
        &call.agent,
        &call.model,
        &call.client,
        &call.server,
        &call.claimed_user,
        &call.rule,
        &call.trace_id,
        &call.span_id,
    ];
    let fields = fields.into_iter().flatten().map(String::len).sum::<usize>();
    let outcome = call.outcome.as_ref().map_or(0, |outcome| {
        let result = outcome.result.as_ref().map_or(0, |result| match result {
            Payload::Text(text) | Payload::Json(text) => text.len(),
        });
        let kept = outcome.kept.as_ref().map_or(0, |kept| kept.result_snippet.len());
        result + kept + outcome.error.as_ref().map_or(0, String::len)
    });
    let extra = call.extra.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    size_of::<Call>() + call.user.len() + call.tool.len() + call.args.len() + fields + outcome + extra
}
