//! The two halves of a filter side by side, for tests that hold one against the other.

use super::{Filter, Line, Query};
use crate::clock::{Timestamp, Zone};

/// Returns whether a stored line's bytes leave room for an answer, and whether its fields answer.
///
/// The second must never be true without the first. `last=` always holds; a line that is no entry answers nothing.
#[must_use]
pub fn check_filter(line: &str, query: &Query) -> (bool, bool) {
    let filter = Filter::new(query, Timestamp::from_millis(0));
    let parsed = Line::parse(line, &Zone::UTC).is_some_and(|line| filter.matches(&line));
    (filter.may_match(line.as_bytes()), parsed)
}
