//! What counts the calls of an answer: one by one, or many together.

use crate::call::Status;
use crate::clock::{Date, Timestamp};
use crate::rollup::{Cell, SessionRow, Sighting};

/// Counts calls.
pub(super) trait CountCalls {
    /// Whether the clients of the calls are counted too.
    const WANTS_CLIENTS: bool = false;

    /// Returns the longest time of which calls may be counted together.
    fn grain(&self) -> Grain {
        Grain::Call
    }

    /// Whether the calls of each user are counted too.
    fn wants_users(&self) -> bool {
        true
    }

    /// Whether the calls of each tool are counted too.
    fn wants_tools(&self) -> bool {
        true
    }

    /// Takes note of an entry that the question asks for, whether it counts as a call or not.
    fn see(&mut self, _sighting: &Sighting) {}

    /// Counts one call.
    fn count(&mut self, call: &Sighting);

    /// Counts several calls that have user, tool, status and a part of time in common.
    fn count_cell(&mut self, _cell: &CountedCell<'_>) {}

    /// Counts the calls of a session in one file.
    fn count_session(&mut self, _user: &str, _session: &str, _row: &SessionRow) {}

    /// Counts for users what [`CountCalls::count_cell`] has counted without their names.
    fn count_user(&mut self, _user: &str, _calls: u64) {}
}

/// The time of which calls may be counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grain {
    Call,
    Hour,
    Day,
    /// All calls of a session in a file.
    Session,
}

/// Several calls that have much in common.
#[derive(Debug)]
pub(super) struct CountedCell<'a> {
    /// `None` for the calls of all users together.
    pub(super) user: Option<&'a str>,
    pub(super) tool: &'a str,
    pub(super) status: Status,
    /// The begin of the hour or the day in which they ended.
    pub(super) start: Timestamp,
    /// The day that they count for.
    pub(super) day: Date,
    pub(super) calls: &'a Cell,
}

/// Where the numbers of an answer are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sources {
    /// Day files whose rollups were used.
    pub rollups: u64,
    /// Day files, or parts of them, whose lines were read.
    pub files: u64,
}

impl Sources {
    /// Returns `rollup`, `scan` or `both`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match (self.rollups, self.files) {
            (0, _) => "scan",
            (_, 0) => "rollup",
            _ => "both",
        }
    }
}
