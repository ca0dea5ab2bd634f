//! A question about the trail, as plain data.

use super::{Cursor, Query};
use crate::clock::{Date, Timestamp, Zone};
use crate::error::Error;

/// The most days that a question may go back: ten years.
const DAYS_MAX: u32 = 3_650;

/// The most entries of one page; with 64 KiB per line they still fit into memory.
const LIMIT_MAX: usize = 1_000;

/// A question as plain data.
///
/// ```
/// use tooltrail::Question;
///
/// let mut question = Question::parse("tool=fs.* status=error duration>500ms")?;
/// question.user = Some("alice".to_owned());
/// question.days = 30;
/// question.limit = 50;
/// # Ok::<(), tooltrail::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Question {
    /// The query: which entries match.
    pub query: Query,
    /// The user whose trail is read; `None` for all users. Composed and decomposed letters are the same, unless
    /// `exact_user` is set.
    pub user: Option<String>,
    /// Whether only the folder counts that belongs to exactly this id, and no folder that could belong to another user.
    /// It is for callers that may read only one user.
    pub exact_user: bool,
    /// The number of days up to today's UTC date, 1–3650. It is used if the query names no time and no id. There is no
    /// upper end: entries dated in the future are read too.
    pub days: u32,
    /// Whether statistics by day use the trail's zone instead of UTC.
    pub local_days: bool,
    /// The most entries of a page, 1–1000.
    pub limit: usize,
    /// The end of the previous page.
    pub cursor: Option<Cursor>,
    /// The begin of a later page: entries that are on it or before it are left out.
    pub(crate) above: Option<Cursor>,
}

impl Question {
    /// Returns the question for the entries of all users in the last seven days, 200 per page.
    #[must_use]
    pub fn new() -> Self {
        let (exact_user, local_days) = (false, false);
        let (cursor, above) = (None, None);
        Self { query: Query::default(), user: None, exact_user, days: 7, local_days, limit: 200, cursor, above }
    }

    /// Reads a query and leaves the other fields at their defaults.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Query::parse`].
    pub fn parse(query: &str) -> Result<Self, Error> {
        Ok(Self { query: Query::parse(query)?, ..Self::new() })
    }

    /// Like [`Question::parse`], but times and dates without a zone are read in this one.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Query::parse`].
    pub fn parse_in(query: &str, zone: &Zone) -> Result<Self, Error> {
        Ok(Self { query: Query::parse_in(query, zone)?, ..Self::new() })
    }

    /// Returns the first and the last UTC date that can contain a match; the last one is `None` if there is no upper
    /// end.
    pub(crate) fn window(&self, now: Timestamp) -> (Date, Option<Date>) {
        let (from, until) = self.query.window(now);
        let first = match from {
            Some(from) => from,
            None if until.is_some() => now.date().plus_days(1 - i64::from(DAYS_MAX)),
            // One branch of an OR may name an older id or time.
            None => {
                let first = now.date().plus_days(1 - i64::from(self.days));
                self.query.earliest(now).map_or(first, |earliest| earliest.min(first))
            }
        };
        (first, until)
    }

    /// Returns the range of instants of the question, from the first one up to the one after the last. Without an end it
    /// is up to now.
    pub(crate) fn instants(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let (from, to) = self.query.range(now);
        // An id of another writer sets no end.
        let to = to.filter(|to| *to < i64::MAX).map(Timestamp::from_millis);
        // With an end alone, the days are those before it.
        let before = |to: Timestamp| to.date().plus_days(1 - i64::from(self.days)).start();
        let from = from.map(Timestamp::from_millis);
        let from = from.or_else(|| to.map(before)).unwrap_or_else(|| self.window(now).0.start());
        let next = Timestamp::from_millis(now.as_millis() + 1);
        (from, to.unwrap_or(next))
    }

    /// Whether the query limits the end of the range, or names an id, but not the start of the range.
    pub(crate) fn is_open_ended(&self) -> bool {
        matches!(self.query.window(Timestamp::from_millis(0)), (None, Some(_)))
    }

    /// Checks days, limit and window.
    ///
    /// # Errors
    /// [`Error::Input`] where days is outside 1–3650 or limit outside 1–1000, or `since` is not before `until`.
    pub fn check(&self) -> Result<(), Error> {
        if !(1..=DAYS_MAX).contains(&self.days) {
            return Err(Error::input(format!("days {}: out of range", self.days), "use 1 to 3650"));
        }
        if !(1..=LIMIT_MAX).contains(&self.limit) {
            return Err(Error::input(format!("limit {}: out of range", self.limit), "use 1 to 1000"));
        }
        if self.query.is_reversed() {
            return Err(Error::input("the query ends before it begins", "write since=… before until=…"));
        }
        Ok(())
    }
}

impl Default for Question {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, first: &str) {
        let now = Timestamp::parse("2026-11-23T12:00:00Z", &Zone::UTC).unwrap();
        let question = Question::parse(query).unwrap();
        assert_eq!(question.window(now).0.to_string(), first, "{query}");
    }

    #[test]
    fn an_older_id_or_time_in_a_branch_widens_the_window() {
        check("tool=a", "2026-11-17");
        check("since=2026-11-22", "2026-11-22");
        check("since=2026-11-22 OR since=2026-11-20", "2026-11-20");
        check("tool=a OR since=2026-11-02", "2026-11-02");
        check("tool=a OR since=2026-11-22", "2026-11-17");
        check("id=019a0000-0000-7000-8000-000000000000 OR tool=a", "2025-10-19");
        check("tool=b (tool=a OR (x since=2026-11-02))", "2026-11-02");
    }
}
