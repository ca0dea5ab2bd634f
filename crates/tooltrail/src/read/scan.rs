//! One day file from its end: which line may still come, and by which instant each is ordered.

use crate::clock::{Timestamp, Zone};
use crate::day::{Blocks, Found};
use crate::error::Error;
use crate::home::Home;
use crate::query::{Cursor, instant};

use super::locate::{DayFile, LATE_MS, quiet};
use super::page::{Scanned, Skipped};

/// What is left to expect of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// No later answer is ordered above this millisecond.
    UpTo(i64),
    /// It is read to its beginning.
    Done,
}

/// How much an answer may look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) bytes_max: u64,
    pub(crate) time_max: std::time::Duration,
}

/// A backward scan of one day file.
///
/// A line is ordered by its `ts`, with two exceptions that keep paging whole: a `ts` outside the file's day counts as
/// the day's edge, and one that more than a minute of later lines contradict counts as a minute above the lowest.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) file: DayFile,
    blocks: Option<Blocks>,
    lowest: i64,
}

impl Scan {
    pub(crate) fn new(file: DayFile) -> Self {
        Self { lowest: file.window.1, file, blocks: None }
    }

    pub(crate) fn outlook(&self) -> Outlook {
        Outlook::UpTo((self.lowest.saturating_add(LATE_MS)).min(self.file.window.1))
    }

    /// Reads one block and calls with each line: its place in the order, its instant, its bytes.
    pub(crate) fn step(
        &mut self,
        (home, zone): (&Home, &Zone),
        (skipped, scanned): (&mut Skipped, &mut Scanned),
        mut each: impl FnMut(Cursor, Timestamp, &[u8], &mut Skipped),
    ) -> Result<Outlook, Error> {
        let blocks = match &mut self.blocks {
            Some(blocks) => blocks,
            empty => {
                let opened = quiet(home, self.file.with_path(|path| Blocks::open(home.disk(), path, None)))?.flatten();
                let Some(blocks) = opened else { return Ok(Outlook::Done) };
                scanned.files += 1;
                empty.insert(blocks)
            }
        };
        let before = blocks.bytes_read();
        loop {
            match quiet(home, blocks.back())?.flatten() {
                None => {
                    scanned.bytes += blocks.bytes_read() - before;
                    return Ok(Outlook::Done);
                }
                Some(Found::Torn) => skipped.torn += 1,
                Some(Found::TooLong) => skipped.too_long += 1,
                Some(Found::Line(offset, line)) => {
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    let line = if offset == 0 { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line };
                    if line.iter().all(u8::is_ascii_whitespace) {
                        // Nothing stands here.
                    } else if let Some(ts) = instant(line, zone) {
                        let (from, to) = self.file.window;
                        let ordered = ts.as_millis().clamp(from, to).min(self.lowest.saturating_add(LATE_MS));
                        if (from..=to).contains(&ts.as_millis()) {
                            self.lowest = self.lowest.min(ordered);
                        }
                        let (folder, day) = (self.file.folder.clone(), self.file.day);
                        let place = Cursor { ts: Timestamp::from_millis(ordered), folder, day, offset };
                        each(place, ts, line, skipped);
                    } else {
                        skipped.line(line);
                    }
                }
            }
            if !blocks.is_buffered() {
                scanned.bytes += blocks.bytes_read() - before;
                return Ok(self.outlook());
            }
        }
    }
}
