//! A day file of a spool, as it was found.

/// A day file of a spool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DayFile {
    /// The date, so that the oldest comes first.
    pub(super) date: String,
    pub(super) folder: String,
    pub(super) len: u64,
}

impl DayFile {
    /// Returns the name of the file in the notes of a spool.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.folder, self.date)
    }
}
