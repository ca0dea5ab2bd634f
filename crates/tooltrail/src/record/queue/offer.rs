//! The forms in which a caller hands a call to the queue: how much memory each needs there, and how it is put into a
//! shard.

use crate::call::Call;
use crate::clock::Timestamp;
use crate::record::queue::buffers::{CallSlot, Chunk, SHARED_BYTES_MAX};
use crate::record::queue::item::{Line, call_bytes, user_of};
use crate::redact::{BoundedCall, Packed, Plan, Redactor};

/// A call that can be put into a shard.
pub(crate) trait Offer {
    /// Returns about how many bytes of memory the call uses while it waits.
    fn bytes(&self) -> usize;

    /// Returns how many bytes the call needs in the text buffer that the calls of a chunk share.
    fn text_bytes(&self) -> usize {
        0
    }

    /// Returns the user of the call.
    fn user(&self) -> &str;

    /// Puts the call into a chunk that has room for it.
    fn hold(self, chunk: &mut Chunk) -> CallSlot;
}

/// A small call that is borrowed from the caller. It is packed into the shared text buffer.
#[derive(Debug)]
pub(crate) struct Small<'a>(Plan<'a>, Timestamp);

/// Any other borrowed call. It is copied before the shard is locked, so that other callers do not wait for the copy.
#[derive(Debug)]
pub(crate) enum Copied {
    Large(Packed, String, Vec<u32>),
    BoundedCall(Box<BoundedCall>),
    Line(Box<Line>),
}

/// A call that is borrowed from the caller.
#[derive(Debug)]
pub(crate) enum Lent<'a> {
    Small(Small<'a>),
    Copied(Copied),
}

impl<'a> Lent<'a> {
    #[inline]
    pub(crate) fn new(call: &'a Call, now: Timestamp, redactor: &Redactor) -> Self {
        match Plan::of(call) {
            Some(plan) if plan.bytes() <= SHARED_BYTES_MAX => Self::Small(Small(plan, now)),
            plan => Self::Copied(Copied::new(plan, call, now, redactor)),
        }
    }
}

impl Copied {
    #[cold]
    fn new(plan: Option<Plan<'_>>, call: &Call, now: Timestamp, redactor: &Redactor) -> Self {
        let Some(plan) = plan else {
            return Self::BoundedCall(Box::new(BoundedCall::outside(call, now, redactor)));
        };
        let (mut text, mut words) = (String::with_capacity(plan.bytes()), Vec::new());
        Self::Large(plan.pack(now, &mut text, &mut words), text, words)
    }

    /// Returns a copy of one of our own events.
    pub(crate) fn own(call: &Call, now: Timestamp, redactor: &Redactor) -> Self {
        Self::BoundedCall(Box::new(BoundedCall::own(call, now, redactor)))
    }
}

impl Offer for Small<'_> {
    #[inline]
    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    #[inline]
    fn text_bytes(&self) -> usize {
        self.0.bytes()
    }

    fn user(&self) -> &str {
        self.0.user()
    }

    #[inline]
    fn hold(self, chunk: &mut Chunk) -> CallSlot {
        CallSlot::Packed(self.0.pack(self.1, &mut chunk.text, &mut chunk.words))
    }
}

impl Offer for Copied {
    fn bytes(&self) -> usize {
        match self {
            Self::Large(_, text, _) => text.len(),
            Self::BoundedCall(call) => call.bytes(),
            Self::Line(line) => line.text.len() + line.user.len(),
        }
    }

    fn user(&self) -> &str {
        match self {
            Self::Large(packed, text, words) => packed.user(text, words),
            Self::BoundedCall(call) => &call.user.seen.text,
            Self::Line(line) => &line.user,
        }
    }

    fn hold(self, chunk: &mut Chunk) -> CallSlot {
        chunk.copied.push(self);
        CallSlot::Copied
    }
}

impl Offer for Lent<'_> {
    fn bytes(&self) -> usize {
        match self {
            Self::Small(call) => call.bytes(),
            Self::Copied(call) => call.bytes(),
        }
    }

    fn text_bytes(&self) -> usize {
        match self {
            Self::Small(call) => call.text_bytes(),
            Self::Copied(call) => call.text_bytes(),
        }
    }

    fn user(&self) -> &str {
        match self {
            Self::Small(call) => call.user(),
            Self::Copied(call) => call.user(),
        }
    }

    fn hold(self, chunk: &mut Chunk) -> CallSlot {
        match self {
            Self::Small(call) => call.hold(chunk),
            Self::Copied(call) => call.hold(chunk),
        }
    }
}

/// A call that the caller gives away. Its `ts` is set. It has no wrapper type, because each wrapper would copy it once
/// more.
impl Offer for Call {
    #[inline]
    fn bytes(&self) -> usize {
        call_bytes(self)
    }

    fn user(&self) -> &str {
        user_of(self)
    }

    #[inline]
    fn hold(self, chunk: &mut Chunk) -> CallSlot {
        if chunk.calls.capacity() == 0 {
            chunk.calls.reserve_exact(chunk.items.capacity());
        }
        chunk.calls.push(self);
        CallSlot::Moved
    }
}
