//! Time: instants in milliseconds, the zone for times without an offset, and a clock that tests can set.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::error::Error;

/// The number of milliseconds in one UTC day.
const DAY_MS: i64 = 86_400_000;

/// The first instant that a line can store, because ids of version 7 cannot represent an earlier time.
const FIRST_MS: i64 = 0;

/// The last instant that a line can store, `9999-12-30T22:00:00.999Z`: in every zone its year still has four digits.
const LAST_MS: i64 = 253_402_207_200_999;

/// An instant in UTC, in whole milliseconds, from 1970 to 30 December 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Returns the instant `ms` milliseconds after the start of 1970, clamped to the years 1970 to 9999.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(if ms < FIRST_MS {
            FIRST_MS
        } else if ms > LAST_MS {
            LAST_MS
        } else {
            ms
        })
    }

    /// Returns the number of milliseconds since the start of 1970.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Parses an RFC 3339 time. A time without an offset is read in `zone`. More precise times are truncated to
    /// milliseconds, not rounded.
    ///
    /// Accepts a space instead of `T`, and seconds without a fraction.
    ///
    /// # Errors
    /// [`Error::Input`] if the text is not such a time, or the time is outside the years 1970 to 9999.
    pub fn parse(text: &str, zone: &Zone) -> Result<Self, Error> {
        let refuse = |why: &str| Error::input(format!("time {text:?}: {why}"), "write it as 2026-11-23T08:15:00Z");
        // Checks the shape first, because jiff accepts more forms (week dates, dates without a time, zone annotations)
        // than a line may contain.
        let bytes = text.as_bytes();
        let fits = (16..=64).contains(&bytes.len())
            && bytes[4] == b'-'
            && bytes[7] == b'-'
            && matches!(bytes[10], b'T' | b't' | b' ')
            && bytes[13] == b':'
            && bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
            && !text.contains('[');
        if !fits {
            return Err(refuse("not RFC 3339"));
        }
        // The hours of an offset are at most 23 (RFC 3339, section 5.6); jiff also accepts 24 and 25.
        let offset = bytes.len().checked_sub(6).filter(|at| matches!(bytes[*at], b'+' | b'-') && bytes[at + 3] == b':');
        if offset.is_some_and(|at| &bytes[at + 1..at + 3] > b"23") {
            return Err(refuse("its offset from UTC is over 23:59"));
        }
        // jiff accepts at most nine decimals, but RFC 3339 allows any number, so the rest is cut off.
        let decimals = bytes.iter().position(|byte| *byte == b'.').map_or(bytes.len(), |point| point + 1);
        let end =
            bytes[decimals..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |n| decimals + n);
        let cut = (decimals + 9).min(end);
        let short =
            if cut < end { Cow::Owned(format!("{}{}", &text[..cut], &text[end..])) } else { Cow::Borrowed(text) };
        let instant = match short.parse::<jiff::Timestamp>() {
            Ok(instant) => instant,
            Err(_) => short
                .parse::<jiff::civil::DateTime>()
                .ok()
                .and_then(|naive| zone.0.to_timestamp(naive).ok())
                .ok_or_else(|| refuse("not RFC 3339"))?,
        };
        let ms = instant.as_nanosecond().div_euclid(1_000_000);
        match i64::try_from(ms) {
            Ok(ms @ FIRST_MS..=LAST_MS) => Ok(Self(ms)),
            _ => Err(refuse("outside the years 1970 to 9999")),
        }
    }

    /// Returns the instant for a JSON number of Unix time. The size of the number decides whether it counts seconds,
    /// milliseconds, microseconds or nanoseconds. Returns `None` outside the years 1970 to 9999.
    ///
    /// The ranges do not overlap: numbers of seconds end before the year 5139, and numbers of the smaller units begin
    /// in 1973.
    #[must_use]
    pub fn of_epoch(number: &str) -> Option<Self> {
        let value = number.parse::<f64>().ok().filter(|value| *value >= 0.0)?;
        let per_ms = match value {
            ..1e11 => 0.001,
            ..1e14 => 1.0,
            ..1e17 => 1e3,
            _ => 1e6,
        };
        // Divides whole numbers as integers, because an `f64` cannot hold nanoseconds exactly.
        let ms = match number.parse::<i64>() {
            Ok(whole) if per_ms >= 1.0 => whole / per_ms as i64,
            Ok(whole) => whole.checked_mul(1_000)?,
            Err(_) => (value / per_ms).floor() as i64,
        };
        (FIRST_MS..=LAST_MS).contains(&ms).then_some(Self(ms))
    }

    /// Returns the UTC date, which names the day file.
    #[must_use]
    pub const fn date(self) -> Date {
        Date((self.0 / DAY_MS) as i32)
    }
}

impl fmt::Display for Timestamp {
    /// Writes `2026-11-23T08:15:00.123Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 % DAY_MS;
        let (second, ms) = (ms / 1_000, ms % 1_000);
        write!(f, "{}T{:02}:{:02}:{:02}.{ms:03}Z", self.date(), second / 3_600, second / 60 % 60, second % 60)
    }
}

/// A UTC date, from 1970-01-01 to 9999-12-31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(i32);

impl Date {
    /// Parses `YYYY-MM-DD`; returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let number = |range: std::ops::Range<usize>| {
            bytes[range]
                .iter()
                .try_fold(0_i32, |all, byte| byte.is_ascii_digit().then(|| all * 10 + i32::from(byte - b'0')))
        };
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if !(1..=last).contains(&day) || year < 1970 {
            return None;
        }
        // The days since March 1 of the year 0, because the day that a leap year adds is then the last one of its year.
        // This is read for each line of a day file, so it is computed here.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
        Some(Self(days - 719_468))
    }

    /// Returns the date `days` days later (earlier if negative), clamped to the years 1970 to 9999.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        let last = (LAST_MS / DAY_MS) as i32;
        Self((i64::from(self.0) + days).clamp(0, i64::from(last)) as i32)
    }

    /// Returns the first instant of the date.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * DAY_MS)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Converts days to a calendar date. Counts in eras of 400 years from 1 March 0000, which is 719,468 days before
        // 1970.
        let days = i64::from(self.0) + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{:02}", day_of_year - (153 * shifted + 2) / 5 + 1)
    }
}

/// The time zone in which times without an offset are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(jiff::tz::TimeZone::UTC);

    /// Returns the system's time zone, or UTC if the system has none.
    #[must_use]
    pub fn system() -> Self {
        Self(jiff::tz::TimeZone::try_system().unwrap_or(jiff::tz::TimeZone::UTC))
    }

    /// Returns the date of an instant in this zone.
    #[must_use]
    pub fn date_of(&self, instant: Timestamp) -> Date {
        let local = jiff::Timestamp::from_millisecond(instant.0).map(|at| self.0.to_datetime(at).date());
        // jiff can represent every `Timestamp`, so the conversion cannot fail.
        local.map_or(instant.date(), |date| Date((date - jiff::civil::date(1970, 1, 1)).get_days()))
    }

    /// Returns the date of an instant in this zone, and its time of day as hours, minutes and seconds.
    ///
    /// ```
    /// use tooltrail::{Timestamp, Zone};
    ///
    /// let noon = Timestamp::from_millis(1_795_953_600_000);
    /// assert_eq!(Zone::named("Asia/Tokyo")?.wall_clock(noon), ("2026-11-29".to_owned(), "21:00:00".to_owned()));
    /// # Ok::<(), tooltrail::Error>(())
    /// ```
    #[must_use]
    pub fn wall_clock(&self, instant: Timestamp) -> (String, String) {
        // jiff can represent every `Timestamp`, so the conversion cannot fail.
        let at = jiff::Timestamp::from_millisecond(instant.0).unwrap_or_default();
        let local = self.0.to_datetime(at);
        (local.strftime("%Y-%m-%d").to_string(), local.strftime("%H:%M:%S").to_string())
    }

    /// Returns the zone with this IANA name, for example `Europe/Berlin`.
    ///
    /// # Errors
    /// [`Error::Input`] if the name is unknown.
    pub fn named(name: &str) -> Result<Self, Error> {
        let found = jiff::tz::TimeZone::get(name);
        found
            .map(Self)
            .map_err(|_| Error::input(format!("zone {name:?}: unknown"), "use an IANA name such as Europe/Berlin"))
    }
}

/// A source of time: the system's clock, or a clock that a test sets.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Returns the time since an arbitrary start; it never decreases.
    fn monotonic(&self) -> Duration;
}

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // Does not use `SystemTime`: its conversion of the two numbers makes the caller wait until all pending writes
        // of the processor have completed.
        let now = clock_gettime(ClockId::Realtime);
        let millis = now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000);
        Timestamp::from_millis(millis)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_date_is_that_of_the_calendar() {
        let mut date = jiff::civil::date(1970, 1, 1);
        for days in 0.. {
            assert_eq!(Date::parse(&date.to_string()), Some(Date(days)), "{date}");
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        for no in ["1969-12-31", "2026-02-29", "2100-02-29", "2026-04-31", "2026-13-01", "2026-00-01", "2026-01-00"] {
            assert_eq!(Date::parse(no), None, "{no}");
        }
        for no in ["2026-1-01", "2026-01-1x", "+026-01-01", "2026/01/01", "2026-01-011", ""] {
            assert_eq!(Date::parse(no), None, "{no}");
        }
    }

    #[test]
    fn times_have_any_number_of_decimals_and_offsets_below_a_day() {
        for (text, expected) in [
            ("2026-11-01T00:00:00.123456789012345Z", Some(123)),
            ("2026-11-01T00:00:00.9999999999", Some(999)),
            ("2026-11-01 00:00:00.5+00:00", Some(500)),
            ("2026-11-01T23:59:00+23:59", Some(0)),
            ("2026-11-01T00:00:00+24:00", None),
            ("2026-11-01T00:00:00-25:30", None),
            ("2026-11-01T00:00:00.Z", None),
            ("2026-11-01T00:00:00.12345678901x", None),
        ] {
            let parsed = Timestamp::parse(text, &Zone::UTC).ok();
            assert_eq!(parsed.map(|at| at.as_millis() - 1_793_491_200_000), expected, "{text}");
        }
    }
}
