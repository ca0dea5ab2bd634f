//! The id of an open call.

use std::num::NonZeroU64;

/// The id under which the writer thread and the journal know a call that has begun and has not ended. A recorder counts
/// from 1. The journal writes 0 in a record that belongs to no open call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OpenCallId(NonZeroU64);

impl OpenCallId {
    /// Returns the id with this number; `None` for 0.
    pub(crate) fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Returns the id of a recorder's call after so many others.
    pub(crate) fn after(earlier: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(earlier))
    }

    /// Returns the number as the journal writes it.
    pub(crate) fn get(self) -> u64 {
        self.0.get()
    }
}

/// Returns the number that the journal writes: 0 for `None`.
pub(crate) fn number(id: Option<OpenCallId>) -> u64 {
    id.map_or(0, OpenCallId::get)
}
