//! How much one answer may look at and hold.

use std::time::Duration;

/// How much of the trail one answer may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "bytes and time are all that a scan costs")]
pub struct Bound {
    /// Bytes read from day files; the block that crosses the bound is read to its end.
    pub bytes_max: u64,
    /// Time on the clock that only goes forward.
    pub time_max: Duration,
}

/// The bounds of answers. The defaults are what a service needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever sets some takes the others from the defaults")]
pub struct Bounds {
    /// What one page may look at: a gigabyte takes about as long as the five seconds that a person waits.
    pub page: Bound,
    /// Bytes of the lines of one page: a thousand of the longest that we write.
    pub page_lines_bytes_max: usize,
    /// What one summary may look at: it has no cursor to go on from, so it may read more than a page, in the same time.
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
