//! The end of a page: the position of its last entry in the order, encoded as an opaque text.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::{Date, Timestamp};
use crate::error::Error;

/// The version of the cursor format; a cursor of another version is refused.
const VERSION: &str = "1";

/// The most bytes of a cursor's text: it is part of a URL, and servers accept about eight thousand bytes.
const CURSOR_BYTES_MAX: usize = 4_096;

/// The most bytes of the marks in a cursor, so that with base64 and a position it stays below [`CURSOR_BYTES_MAX`].
const MARKS_BYTES_MAX: usize = 2_048;

/// A position in the order of all entries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryPosition {
    /// The time by which the entry is ordered.
    pub(crate) ts: Timestamp,
    /// The folder of the entry. An empty name comes after every entry of the same time.
    pub(crate) folder: String,
    /// The date of its day file. It is needed because a line in the wrong file may have the same other fields.
    pub(crate) day: Date,
    /// The offset of its line in the file.
    pub(crate) offset: u64,
}

impl EntryPosition {
    /// Returns the position after all entries that are ordered at `ts` or later.
    pub(crate) fn below(ts: Timestamp) -> Self {
        Self { ts, folder: String::new(), day: Timestamp::from_millis(0).date(), offset: 0 }
    }
}

/// The part of one file that the next page need not read: no line at or after `end` comes after the cursor's position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScanMark {
    pub(crate) folder: String,
    pub(crate) day: Date,
    pub(crate) end: u64,
    /// The lowest millisecond by which a line at or after `end` is ordered.
    pub(crate) lowest: i64,
    /// The inode of the file.
    pub(crate) inode: u64,
}

/// The end of a page; the next page contains only entries after this position. The text is opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) position: EntryPosition,
    /// Files that the next page need not read from their ends. Without marks the answer is the same, but slower.
    pub(crate) marks: Vec<ScanMark>,
}

impl Cursor {
    /// Reads a cursor that an answer returned.
    ///
    /// # Errors
    /// [`Error::Input`] for any other text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::decode(text).ok_or_else(|| Error::input("cursor: not one of ours", "ask without a cursor first"))
    }

    /// Returns the cursor of a position, with as many of the first marks as fit into the text.
    pub(crate) fn new(position: EntryPosition, marks: impl IntoIterator<Item = ScanMark>) -> Self {
        let mut bytes = 0;
        let fits = |mark: &ScanMark| {
            bytes += mark.to_string().len() + 1;
            bytes <= MARKS_BYTES_MAX
        };
        Self { position, marks: marks.into_iter().take_while(fits).collect() }
    }

    fn decode(text: &str) -> Option<Self> {
        if text.len() > CURSOR_BYTES_MAX {
            return None;
        }
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        // No file name contains NUL.
        let mut records = plain.split('\0');
        let mut parts = records.next()?.splitn(5, ' ');
        if parts.next()? != VERSION {
            return None;
        }
        let ts = Timestamp::from_millis(parts.next()?.parse().ok()?);
        let day = Date::parse(parts.next()?)?;
        let offset = parts.next()?.parse().ok()?;
        let position = EntryPosition { ts, folder: parts.next()?.to_owned(), day, offset };
        let cursor = Self { position, marks: records.map(ScanMark::decode).collect::<Option<_>>()? };
        // Each cursor has exactly one text; any other text was not written by us.
        (cursor.to_string() == text).then_some(cursor)
    }
}

impl ScanMark {
    fn decode(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, ' ');
        let day = Date::parse(parts.next()?)?;
        let (end, lowest) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { day, end, lowest, inode: parts.next()?.parse().ok()?, folder: parts.next()?.to_owned() })
    }
}

impl fmt::Display for ScanMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, day, end, lowest, inode } = self;
        write!(f, "{day} {end} {lowest} {inode} {folder}")
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EntryPosition { ts, folder, day, offset } = &self.position;
        let mut plain = format!("{VERSION} {} {day} {offset} {folder}", ts.as_millis());
        for mark in &self.marks {
            plain.push('\0');
            plain.push_str(&mark.to_string());
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_others_are_refused() {
        let day = Date::parse("2026-11-23").unwrap();
        let position = EntryPosition { ts: day.start(), folder: "a b.%41".to_owned(), day, offset: u64::MAX };
        for marks in [0, 1, 1_000] {
            let mark = |n| ScanMark { folder: "é \n".repeat(60), day, end: n, lowest: -5, inode: u64::MAX };
            let cursor = Cursor::new(position.clone(), (0..marks).map(mark));
            assert!(cursor.marks.len() == marks as usize || cursor.marks.len() > 4, "{marks}");
            assert_eq!(Cursor::parse(&cursor.to_string()).unwrap(), cursor);
        }
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
            &spell("1 0 2026-11-23 0 a\0"),
            &spell("1 0 2026-11-23 0 a\x002026-11-23 -1 0 0 a"),
            &spell("1 0 2026-11-23 0 a\x002026-11-23 01 0 0 a"),
            &format!("{}=", spell("1 0 2026-11-23 0 a")),
        ] {
            assert!(matches!(Cursor::parse(hostile), Err(Error::Input { .. })), "{hostile}");
        }
    }
}
