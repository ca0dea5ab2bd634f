//! Where a page ended: the place of its last entry in the order, as an opaque text.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::{Date, Timestamp};
use crate::error::Error;

/// The layout of a cursor's text; a cursor of another version is refused.
const VERSION: &str = "1";

/// Longest cursor text: a folder name has at most 255 bytes, the rest fits into a hundred.
const CURSOR_BYTES_MAX: usize = 600;

/// Where the page before ended: what follows comes strictly after this place. Opaque.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The instant by which the last entry was ordered.
    pub(crate) ts: Timestamp,
    /// Its folder; empty stands after every entry of the same instant.
    pub(crate) folder: String,
    /// The date of its day file: a line that lies in a wrong file may share the rest with another.
    pub(crate) day: Date,
    /// Where its line begins there.
    pub(crate) offset: u64,
}

impl Cursor {
    /// Reads a cursor that an answer gave.
    ///
    /// # Errors
    /// [`Error::Input`] for any other text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::decode(text).ok_or_else(|| Error::input("cursor: not one of ours", "ask without a cursor first"))
    }

    /// Returns the place after everything that is ordered at `ts` or later.
    pub(crate) fn below(ts: Timestamp) -> Self {
        Self { ts, folder: String::new(), day: Timestamp::from_millis(0).date(), offset: 0 }
    }

    fn decode(text: &str) -> Option<Self> {
        if text.len() > CURSOR_BYTES_MAX {
            return None;
        }
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = plain.splitn(5, ' ');
        if parts.next()? != VERSION {
            return None;
        }
        let millis = parts.next()?.parse::<i64>().ok()?;
        let ts = Timestamp::from_millis(millis);
        let day = Date::parse(parts.next()?)?;
        let offset = parts.next()?.parse().ok()?;
        let cursor = Self { ts, folder: parts.next()?.to_owned(), day, offset };
        // One cursor has one spelling: what we did not write is not ours.
        (cursor.to_string() == text).then_some(cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = format!("{VERSION} {} {} {} {}", self.ts.as_millis(), self.day, self.offset, self.folder);
        f.write_str(&URL_SAFE_NO_PAD.encode(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_others_are_refused() {
        let day = Date::parse("2026-11-23").unwrap();
        let cursor = Cursor { ts: day.start(), folder: "a b.%41".to_owned(), day, offset: u64::MAX };
        assert_eq!(Cursor::parse(&cursor.to_string()).unwrap(), cursor);
        let spell = |plain: &str| URL_SAFE_NO_PAD.encode(plain);
        for hostile in [
            "",
            "!",
            "AAAA",
            &"A".repeat(10_000),
            &spell("2 0 2026-11-23 0 a"),
            &spell("1 -5 2026-11-23 0 a"),
            &spell("1 99999999999999999999 2026-11-23 0 a"),
            &spell("1 0 2026-13-23 0 a"),
            &spell("1 0 2026-11-23 -1 a"),
            &spell("1 0 2026-11-23"),
            &format!("{}=", spell("1 0 2026-11-23 0 a")),
        ] {
            assert!(matches!(Cursor::parse(hostile), Err(Error::Input { .. })), "{hostile}");
        }
    }
}
