//! How long entries are kept: limits by age, count and bytes, and a minimum number of days.

use std::collections::BTreeMap;

use crate::clock::Date;
use crate::error::Error;

/// The retention limits. Whole days are removed for all users at once, starting with the oldest day.
///
/// ```
/// let retention = tooltrail::Retention { max_age_days: Some(365), keep_days: 183, ..Default::default() };
/// assert!(retention.check().is_ok() && retention.is_limited());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the limits that an owner writes down")]
pub struct Retention {
    /// The number of days to keep, including today (UTC); at least 1.
    pub max_age_days: Option<u32>,
    /// The maximum number of entries of all users together.
    pub max_entries: Option<u64>,
    /// The maximum number of bytes of all users together.
    pub max_bytes: Option<u64>,
    /// The number of days that are kept regardless of the other limits, including today (UTC); at least 1.
    pub keep_days: u32,
}

/// The limit because of which a day is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// The day is too old.
    Age,
    /// There are too many entries.
    Entries,
    /// There are too many bytes.
    Bytes,
}

/// The size of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// The number of entries; 0 if they were not counted.
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

impl Default for Retention {
    /// Returns a retention that keeps everything.
    fn default() -> Self {
        Self { max_age_days: None, max_entries: None, max_bytes: None, keep_days: 1 }
    }
}

impl Retention {
    /// Returns whether any limit is set, so that days can be removed.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.max_age_days.is_some() || self.max_entries.is_some() || self.max_bytes.is_some()
    }

    /// Checks that no number of days is 0.
    ///
    /// # Errors
    /// [`Error::Input`] for 0 days: today cannot be removed, because it is still being written.
    pub fn check(&self) -> Result<(), Error> {
        if self.max_age_days == Some(0) || self.keep_days == 0 {
            Err(Error::input("0 days cannot be kept", "today always stays: say 1 or more"))
        } else {
            Ok(())
        }
    }

    /// Returns the first day that is not too old, if there is an age limit; entries of earlier days are refused.
    #[must_use]
    pub fn first_day(&self, today: Date) -> Option<Date> {
        Some(back(today, self.max_age_days?.max(self.keep_days)))
    }

    /// Returns whether a day may be removed, which means that `keep_days` does not protect it.
    pub(crate) fn may_go(&self, day: Date, today: Date) -> bool {
        day < back(today, self.keep_days)
    }

    /// Returns the days to remove, each with the limit that requires it.
    pub(crate) fn choose(&self, days: &BTreeMap<Date, Size>, today: Date) -> BTreeMap<Date, Limit> {
        let mut entries = days.values().map(|size| size.entries).sum::<u64>();
        let mut bytes = days.values().map(|size| size.bytes).sum::<u64>();
        let mut chosen = BTreeMap::new();
        for (day, size) in days.iter().take_while(|(day, _)| self.may_go(**day, today)) {
            let limit = if self.first_day(today).is_some_and(|first| *day < first) {
                Limit::Age
            } else if self.max_entries.is_some_and(|most| entries > most) {
                Limit::Entries
            } else if self.max_bytes.is_some_and(|most| bytes > most) {
                Limit::Bytes
            } else {
                break;
            };
            chosen.insert(*day, limit);
            (entries, bytes) = (entries - size.entries, bytes - size.bytes);
        }
        chosen
    }
}

impl Limit {
    const ALL: [Self; 3] = [Self::Age, Self::Entries, Self::Bytes];

    /// Returns the limit for a word, or `None` if the word is unknown.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.as_str() == word)
    }

    /// Returns the word for the limit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Entries => "entries",
            Self::Bytes => "bytes",
        }
    }
}

/// Returns the first of `days` days, of which `today` is the last.
fn back(today: Date, days: u32) -> Date {
    today.plus_days(1 - i64::from(days.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    /// Checks which of ten days are removed. Each day has 10 entries and 100 bytes, and the last day is today;
    /// `expected` counts days from the first, which is 0.
    fn check(age: Option<u32>, entries: Option<u64>, bytes: Option<u64>, keep_days: u32, expected: &[(i64, Limit)]) {
        let first = Timestamp::from_millis(1_764_000_000_000).date();
        let days = (0..10).map(|n| (first.plus_days(n), Size { entries: 10, bytes: 100 })).collect();
        let retention = Retention { max_age_days: age, max_entries: entries, max_bytes: bytes, keep_days };
        let expected = expected.iter().map(|(n, limit)| (first.plus_days(*n), *limit)).collect();
        assert_eq!(retention.choose(&days, first.plus_days(9)), expected, "{retention:?}");
    }

    #[test]
    fn the_oldest_days_go_and_the_floor_wins() {
        use Limit::{Age, Bytes, Entries};
        check(None, None, None, 1, &[]);
        check(Some(10), None, None, 1, &[]);
        check(Some(8), None, None, 1, &[(0, Age), (1, Age)]);
        check(Some(8), None, None, 9, &[(0, Age)]);
        check(Some(1), None, None, 20, &[]);
        check(None, Some(100), None, 1, &[]);
        check(None, Some(99), None, 1, &[(0, Entries)]);
        check(None, Some(75), None, 1, &[(0, Entries), (1, Entries), (2, Entries)]);
        check(None, None, Some(850), 1, &[(0, Bytes), (1, Bytes)]);
        check(None, None, Some(0), 9, &[(0, Bytes)]);
        check(Some(9), Some(80), Some(700), 1, &[(0, Age), (1, Entries), (2, Bytes)]);
        let all = (0..9).map(|n| (n, Entries)).collect::<Vec<_>>();
        check(None, Some(0), None, 1, &all);
    }

    #[test]
    fn entries_of_days_that_would_go_at_once_are_too_late() {
        let today = Timestamp::from_millis(1_764_000_000_000).date();
        let first = |age, keep_days| {
            let retention = Retention { max_age_days: age, keep_days, ..Retention::default() };
            retention.first_day(today)
        };
        assert_eq!(first(None, 30), None);
        assert_eq!(first(Some(7), 1), Some(today.plus_days(-6)));
        assert_eq!(first(Some(7), 30), Some(today.plus_days(-29)));
    }
}
