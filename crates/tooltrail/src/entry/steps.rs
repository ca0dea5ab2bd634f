//! The writer's steps one by one, for the bench alone: what the writer itself calls, with nothing in between.

use crate::call::Call;
use crate::clip::Clipped;
use crate::clock::Timestamp;
use crate::entry::encode::{encode, write};
use crate::redact::{BoundedCall, Redacted, Redactor};

/// Random bits and a salt; any are as good as others for measuring.
const BITS: ([u8; 10], [u8; 16]) = ([7; 10], [9; 16]);

/// A call as it stands in the queue.
#[derive(Clone, Debug)]
pub struct Taken(Box<BoundedCall>);

/// A call without secrets.
#[derive(Debug)]
pub struct Hidden(Redacted);

/// A call whose every value fits.
#[derive(Debug)]
pub struct Fitting(Clipped);

impl Taken {
    /// Takes a call as recording does.
    #[must_use]
    pub fn of(call: &Call, redactor: &Redactor) -> Self {
        Self(Box::new(BoundedCall::outside(call, Timestamp::from_millis(1_764_000_000_123), redactor)))
    }

    /// Makes its line as the writer does.
    #[must_use]
    pub fn write(self, redactor: &Redactor) -> String {
        let mut line = String::new();
        write(&mut line, redactor, &self.0, BITS.0, BITS.1);
        line
    }

    /// Redacts it, whatever it holds.
    #[must_use]
    pub fn redact(self, redactor: &Redactor) -> Hidden {
        Hidden(redactor.redact(*self.0))
    }
}

impl Hidden {
    /// Clips it.
    #[must_use]
    pub fn clip(self) -> Fitting {
        Fitting(Clipped::of(self.0))
    }
}

impl Fitting {
    /// Encodes it.
    #[must_use]
    pub fn encode(self) -> String {
        let mut line = String::new();
        encode(&mut line, self.0, BITS.0, BITS.1);
        line
    }
}
