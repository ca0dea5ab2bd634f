//! A call as it comes to the queue: what it takes while it waits, and how it is put into a shard.

use crate::call::Call;
use crate::clock::Timestamp;
use crate::record::queue::buffers::{CallSlot, Chunk, SHARED_BYTES_MAX};
use crate::record::queue::item::{Line, call_bytes, user_of};
use crate::redact::{BoundedCall, Packed, Plan, Redactor};

/// A call that is to be put into a shard.
pub(crate) trait Offer {
    /// Returns about how many bytes of memory it takes while it waits.
    fn bytes(&self) -> usize;

    /// Returns how many bytes it needs of a text that calls share.
    fn text_bytes(&self) -> usize {
        0
    }

    /// Returns whose call it is.
    fn user(&self) -> &str;

    /// Puts it into a chunk, which has room for it.
    fn hold(self, chunk: &mut Chunk) -> CallSlot;
}

/// A small call of somebody who keeps it.
#[derive(Debug)]
pub(crate) struct Small<'a>(Plan<'a>, Timestamp);

/// Any other call of somebody who keeps it: copied before others have to wait for the shard.
#[derive(Debug)]
pub(crate) enum Copied {
    Large(Packed, String, Vec<u32>),
    BoundedCall(Box<BoundedCall>),
    Line(Box<Line>),
}

/// A call of somebody who keeps it.
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

    /// One of our own events.
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

/// A call that is given away, and says when it ended. Passed on as it is: each wrapping would copy it once more.
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
