//! What callers leave for the writer, and the forms in which a call waits.

use std::sync::Arc;

use crate::call::{Call, Payload};
use crate::clock::Timestamp;
use crate::home::UNKNOWN_USER;
use crate::record::open_call_id::OpenCallId;
use crate::record::queue::buffers::Text;
use crate::record::queue::promise::Promise;
use crate::record::store::group::Day;
use crate::redact::{BoundedCall, Packed, Redactor};

/// One thing for the writer to do.
#[derive(Debug)]
pub(crate) enum Item {
    /// An entry to write; with a promise it is durable before the promise is kept. It ends the open call of this id.
    Entry(Source, Option<Promise>, Option<OpenCallId>),
    /// A call begins; with a promise that is durable before the promise is kept.
    Begin(OpenCallId, Source, Option<Promise>),
    /// An open call has an end that is counted as lost.
    Ended(Option<OpenCallId>),
    /// Everything before this is to be durable; if so said, nothing follows it.
    Flush(Promise, bool),
    /// Everything before this is to be in its day file, durable or not.
    Seen(Promise),
}

/// A call as the writer takes it from the queue.
#[derive(Debug)]
pub(crate) enum Source {
    /// Lent: packed into a text that many share.
    Packed(Packed, Arc<Text>),
    /// Given away; it says when.
    Moved(Box<Call>),
    /// Lent, but with more than is worth packing; or our own.
    BoundedCall(Box<BoundedCall>),
    /// Redacted and encoded by its caller.
    Line(Box<Line>),
}

/// An entry that was encoded before it came to the queue.
#[derive(Debug)]
pub(crate) struct Line {
    /// The file it belongs to; `None` if it could not be encoded.
    pub(crate) day: Option<Day>,
    pub(crate) text: String,
    pub(crate) user: String,
}

impl Item {
    /// Whether somebody waits until it is durable.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self, Self::Entry(_, Some(_), _) | Self::Begin(_, _, Some(_)) | Self::Flush(..) | Self::Seen(_))
    }
}

impl Item {
    /// Whether everything before it comes first.
    pub(crate) fn is_barrier(&self) -> bool {
        matches!(self, Self::Flush(..) | Self::Seen(_))
    }

    /// Returns whose call it is about, where it has one.
    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Self::Entry(source, ..) | Self::Begin(_, source, _) => Some(source.user()),
            Self::Ended(_) | Self::Flush(..) | Self::Seen(_) => None,
        }
    }
}

impl Source {
    /// Returns whose call it is.
    fn user(&self) -> &str {
        match self {
            Self::Packed(packed, text) => packed.user(text.as_str(), text.words()),
            Self::Moved(call) => user_of(call),
            Self::BoundedCall(windowed) => &windowed.user.seen.text,
            Self::Line(line) => &line.user,
        }
    }

    /// Takes of the call what can reach its line.
    pub(crate) fn windowed(self, redactor: &Redactor) -> Box<BoundedCall> {
        let mut windowed = match self {
            Self::Packed(packed, text) => Box::new(packed.windowed(text.as_str(), text.words())),
            Self::Moved(call) => {
                let now = call.ts.unwrap_or(Timestamp::from_millis(0));
                Box::new(BoundedCall::outside(&call, now, redactor))
            }
            Self::BoundedCall(windowed) => windowed,
            // Nothing asks for this: a line is an entry, and only a call that begins is held.
            Self::Line(_) => Box::new(BoundedCall::empty()),
        };
        windowed.rename_ours();
        windowed
    }

    /// As [`Source::windowed`], in the place of another call and where possible in its memory.
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

/// Returns whose call it is, also where nobody is named.
pub(crate) fn user_of(call: &Call) -> &str {
    if call.user.is_empty() { UNKNOWN_USER } else { &call.user }
}

/// Returns about how many bytes of memory a call holds.
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
