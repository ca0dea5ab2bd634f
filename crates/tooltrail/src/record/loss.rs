//! Why an entry is not in the trail.

/// Why an entry is not in the trail: the words of gaps and of the metric `lost_entries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The queue was full.
    QueueFull,
    /// The recorder was closed.
    Closed,
    /// The entry's day is older than the retention.
    Retention,
    /// The sender says that it dropped the entry.
    Sender,
    /// The entry could not be encoded.
    Panicked,
    /// The day file could not be written.
    Unwritten,
    /// The entry was written, and its day file could not be synced.
    Unsynced,
    /// The entry was written, and others removed, replaced or cut its day file before it was durable.
    Removed,
}

impl LossReason {
    /// Every reason, in the order of the documents.
    pub const ALL: [Self; 8] = [
        Self::QueueFull,
        Self::Closed,
        Self::Retention,
        Self::Sender,
        Self::Panicked,
        Self::Unwritten,
        Self::Unsynced,
        Self::Removed,
    ];

    /// Returns the word that stands in gaps and metrics.
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
        }
    }
}
