//! A question about the trail, as plain data.

use super::{Cursor, Query};
use crate::error::Error;

/// Most days a question may reach back: ten years.
const DAYS_MAX: u32 = 3_650;

/// Most entries of one page: at 64 KiB a line they still fit into memory.
const LIMIT_MAX: usize = 1_000;

/// A question as plain data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Question {
    /// Which entries.
    pub query: Query,
    /// Whose trail, exactly this id; `None`: everybody's.
    pub user: Option<String>,
    /// Today's UTC date and back, 1–3650. There is no upper end: entries dated in the future are read too.
    pub days: u32,
    /// Entries of a page, 1–1000.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

impl Question {
    /// Returns the question for everybody's entries of seven days, 200 a page.
    #[must_use]
    pub fn new() -> Self {
        Self { query: Query::default(), user: None, days: 7, limit: 200, cursor: None }
    }

    /// Reads a query and leaves the rest at its defaults.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Query::parse`].
    pub fn parse(query: &str) -> Result<Self, Error> {
        Ok(Self { query: Query::parse(query)?, ..Self::new() })
    }

    /// Checks days and limit.
    ///
    /// # Errors
    /// [`Error::Input`] where days is outside 1–3650 or limit outside 1–1000.
    pub fn check(&self) -> Result<(), Error> {
        if !(1..=DAYS_MAX).contains(&self.days) {
            return Err(Error::input(format!("days {}: out of range", self.days), "use 1 to 3650"));
        }
        if !(1..=LIMIT_MAX).contains(&self.limit) {
            return Err(Error::input(format!("limit {}: out of range", self.limit), "use 1 to 1000"));
        }
        Ok(())
    }
}

impl Default for Question {
    fn default() -> Self {
        Self::new()
    }
}
