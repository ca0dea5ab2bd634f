//! The reasons for which an entry is not in the trail.

/// The reason for which an entry is not in the trail. Gaps and the metric `lost_entries` use these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The queue was full.
    QueueFull,
    /// The recorder was closed.
    Closed,
    /// The entry's day is older than the retention.
    Retention,
    /// The sender reported that it dropped the entry.
    Sender,
    /// The entry could not be encoded.
    Panicked,
    /// The day file could not be written.
    Unwritten,
    /// The entry was written, but its day file could not be synced.
    Unsynced,
    /// The entry was written, but another program removed, replaced or cut its day file before the entry was durable.
    Removed,
    /// The home could not be opened for writing, so that there was no recorder.
    Unopened,
    /// Too much waited for a service that did not take it.
    SpoolFull,
}

impl LossReason {
    /// All reasons, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::QueueFull,
        Self::Closed,
        Self::Retention,
        Self::Sender,
        Self::Panicked,
        Self::Unwritten,
        Self::Unsynced,
        Self::Removed,
        Self::Unopened,
        Self::SpoolFull,
    ];

    /// Returns the name that gaps and metrics use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Closed => "closed",
            Self::Retention => "retention",
            Self::Sender => "sender",
            Self::Panicked => "panicked",
            Self::Unwritten => "unwritten",
            Self::Unsynced => "unsynced",
            Self::Removed => "removed",
            Self::Unopened => "unopened",
            Self::SpoolFull => "spool_full",
        }
    }
}
