//! A question about the trail, as plain data.

use super::{Cursor, Query};
use crate::clock::{Date, Timestamp, Zone};
use crate::error::Error;

/// Most days a question may reach back: ten years.
const DAYS_MAX: u32 = 3_650;

/// Most entries of one page: at 64 KiB a line they still fit into memory.
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
    /// Which entries.
    pub query: Query,
    /// Whose trail; `None`: everybody's. Composed and decomposed letters are one spelling, unless `exact_user` is set.
    pub user: Option<String>,
    /// Whether only the folder counts that belongs to exactly this id, and none that could be somebody else's: for
    /// whoever may read one user alone.
    pub exact_user: bool,
    /// Today's UTC date and back, 1–3650, where the query names no time and no id. There is no upper end: entries dated
    /// in the future are read too.
    pub days: u32,
    /// Whether days are counted in the trail's zone rather than in UTC.
    pub local_days: bool,
    /// Entries of a page, 1–1000.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

impl Question {
    /// Returns the question for everybody's entries of seven days, 200 a page.
    #[must_use]
    pub fn new() -> Self {
        let (exact_user, local_days) = (false, false);
        Self { query: Query::default(), user: None, exact_user, days: 7, local_days, limit: 200, cursor: None }
    }

    /// Reads a query and leaves the rest at its defaults.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Query::parse`].
    pub fn parse(query: &str) -> Result<Self, Error> {
        Ok(Self { query: Query::parse(query)?, ..Self::new() })
    }

    /// As [`Question::parse`]; times and dates that name no zone are in this one.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Query::parse`].
    pub fn parse_in(query: &str, zone: &Zone) -> Result<Self, Error> {
        Ok(Self { query: Query::parse_in(query, zone)?, ..Self::new() })
    }

    /// Returns the first and the last UTC date that can hold an answer; the last one is `None` where it is open.
    pub(crate) fn window(&self, now: Timestamp) -> (Date, Option<Date>) {
        let (from, until) = self.query.window(now);
        let first = match from {
            Some(from) => from,
            None if until.is_some() => now.date().plus_days(1 - i64::from(DAYS_MAX)),
            None => now.date().plus_days(1 - i64::from(self.days)),
        };
        (first, until)
    }

    /// Whether its query names when an answer ends, or which it is, and not when answers begin.
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
