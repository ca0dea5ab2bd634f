//! Both halves of a filter side by side, for tests that compare them.

use super::{Filter, Line, Query};
use crate::clock::{Timestamp, Zone};

/// Returns whether the bytes of a stored line allow a match, and whether its fields match.
///
/// If the second is true, the first must be true. `last=` always matches here; a line that is not an entry never
/// matches.
#[must_use]
pub fn check_filter(line: &str, query: &Query) -> (bool, bool) {
    let filter = Filter::new(query, Timestamp::from_millis(0));
    let parsed = Line::parse(line, &Zone::UTC).is_some_and(|line| filter.matches(&line));
    (filter.may_match(line.as_bytes()), parsed)
}
