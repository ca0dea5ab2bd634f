//! Limits for one answer: how much it may read and hold.

use std::time::Duration;

/// How much of the trail one answer may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "bytes and time are all that a scan costs")]
pub struct Bound {
    /// The most bytes read from day files. The block that reaches the limit is read completely.
    pub bytes_max: u64,
    /// The most time, by the monotonic clock.
    pub time_max: Duration,
}

/// The limits of answers. The defaults fit a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever sets some takes the others from the defaults")]
pub struct Bounds {
    /// The limit of one page: reading a gigabyte takes about five seconds, which is as long as a person waits.
    pub page: Bound,
    /// The most bytes of the lines of one page: a thousand of the longest lines that we write.
    pub page_lines_bytes_max: usize,
    /// The limit of one summary. It has no cursor to continue from, so it may read more than a page, but in the same
    /// time.
    pub stats: Bound,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            page: Bound { bytes_max: 1 << 30, time_max: Duration::from_secs(5) },
            page_lines_bytes_max: 64 * 1024 * 1024,
            stats: Bound { bytes_max: 16 << 30, time_max: Duration::from_secs(5) },
        }
    }
}
