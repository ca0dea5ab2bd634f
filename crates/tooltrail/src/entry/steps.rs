//! The writer's steps as separate functions, used only by the bench. They call the same functions as the writer.

use crate::call::Call;
use crate::clip::Clipped;
use crate::clock::Timestamp;
use crate::entry::encode::{encode, write};
use crate::redact::{BoundedCall, Redacted, Redactor};

/// Random bits and a salt; their values do not matter for measuring.
const BITS: ([u8; 10], [u8; 16]) = ([7; 10], [9; 16]);

/// A call as it is stored in the queue.
#[derive(Clone, Debug)]
pub struct Taken(Box<BoundedCall>);

/// A call after redaction.
#[derive(Debug)]
pub struct Hidden(Redacted);

/// A call after clipping.
#[derive(Debug)]
pub struct Fitting(Clipped);

impl Taken {
    /// Copies a call as recording does.
    #[must_use]
    pub fn of(call: &Call, redactor: &Redactor) -> Self {
        Self(Box::new(BoundedCall::outside(call, Timestamp::from_millis(1_764_000_000_123), redactor)))
    }

    /// Returns the line as the writer makes it.
    #[must_use]
    pub fn write(self, redactor: &Redactor) -> String {
        let mut line = String::new();
        write(&mut line, redactor, &self.0, BITS.0, BITS.1);
        line
    }

    /// Redacts the call, without the writer's short path for calls without secrets.
    #[must_use]
    pub fn redact(self, redactor: &Redactor) -> Hidden {
        Hidden(redactor.redact(*self.0))
    }
}

impl Hidden {
    /// Clips the call.
    #[must_use]
    pub fn clip(self) -> Fitting {
        Fitting(Clipped::of(self.0))
    }
}

impl Fitting {
    /// Encodes the call as its line.
    #[must_use]
    pub fn encode(self) -> String {
        let mut line = String::new();
        encode(&mut line, self.0, BITS.0, BITS.1);
        line
    }
}
