//! One day file from its end: which line may still come, and by which instant each is ordered.

use std::collections::HashMap;

use crate::clock::{Date, Timestamp, Zone};
use crate::day::{Blocks, Found, LATE_MS, Notes};
use crate::error::Error;
use crate::home::Home;
use crate::query::{Cursor, instant};

use super::locate::{DayFile, quiet};
use super::page::{Scanned, Skipped};

/// What is left to expect of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// No later answer is ordered above this millisecond.
    UpTo(i64),
    /// It is read to its beginning.
    Done,
}

/// What all scans of one answer share.
#[derive(Debug)]
pub(crate) struct Looking<'a> {
    home: &'a Home,
    zone: &'a Zone,
    notes: HashMap<Date, Notes>,
    pub(crate) skipped: Skipped,
    pub(crate) scanned: Scanned,
}

impl<'a> Looking<'a> {
    pub(crate) fn new(home: &'a Home, zone: &'a Zone) -> Self {
        Self { home, zone, notes: HashMap::new(), skipped: Skipped::default(), scanned: Scanned::default() }
    }

    /// Returns how late lines of a file may come; `fresh` asks for what was noted since the answer began, too.
    fn late_ms(&mut self, file: &DayFile, fresh: bool) -> Result<i64, Error> {
        if fresh || !self.notes.contains_key(&file.day) {
            let notes = quiet(self.home, Notes::read(&**self.home.disk(), file.day))?.unwrap_or_default();
            self.notes.insert(file.day, notes);
        }
        Ok(self.notes.get(&file.day).map_or(LATE_MS, |notes| notes.late_ms(&file.folder)))
    }
}

/// A backward scan of one day file.
///
/// A line is ordered by its `ts`, with two exceptions that keep paging whole: a `ts` outside the file's day counts as
/// the day's edge, and a line before one that is later than any note allows (the recorder did not write that) counts
/// as so much above the lowest of those after it.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) file: DayFile,
    blocks: Option<Blocks>,
    lowest: i64,
    late_ms: i64,
    /// Whether the note was read after the file was opened, so that it allows for every line seen.
    fresh: bool,
}

impl Scan {
    pub(crate) fn new(file: DayFile) -> Self {
        Self { lowest: file.window.1, file, blocks: None, late_ms: LATE_MS, fresh: false }
    }

    pub(crate) fn outlook(&self) -> Outlook {
        Outlook::UpTo((self.lowest.saturating_add(self.late_ms)).min(self.file.window.1))
    }

    /// Reads one block and calls with each line: its place in the order, its instant, its bytes.
    pub(crate) fn step(
        &mut self,
        looking: &mut Looking<'_>,
        mut each: impl FnMut(Cursor, Timestamp, &[u8], &mut Skipped),
    ) -> Result<Outlook, Error> {
        let mut blocks = match self.blocks.take() {
            Some(blocks) => blocks,
            None => {
                let home = looking.home;
                let opened = quiet(home, self.file.with_path(|path| Blocks::open(home.disk(), path, None)))?.flatten();
                let Some(blocks) = opened else { return Ok(Outlook::Done) };
                looking.scanned.files += 1;
                self.late_ms = looking.late_ms(&self.file, false)?;
                blocks
            }
        };
        let before = blocks.bytes_read();
        loop {
            match quiet(looking.home, blocks.back())?.flatten() {
                None => {
                    looking.scanned.bytes += blocks.bytes_read() - before;
                    return Ok(Outlook::Done);
                }
                Some(Found::Torn) => looking.skipped.torn += 1,
                Some(Found::TooLong) => looking.skipped.too_long += 1,
                Some(Found::Line(offset, line)) => {
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    let line = if offset == 0 { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line };
                    if line.iter().all(u8::is_ascii_whitespace) {
                        // Nothing stands here.
                    } else if let Some(ts) = instant(line, looking.zone) {
                        let ordered = self.order(looking, ts.as_millis())?;
                        let (folder, day) = (self.file.folder.clone(), self.file.day);
                        let place = Cursor { ts: Timestamp::from_millis(ordered), folder, day, offset };
                        each(place, ts, line, &mut looking.skipped);
                    } else {
                        looking.skipped.line(line);
                    }
                }
            }
            if !blocks.is_buffered() {
                looking.scanned.bytes += blocks.bytes_read() - before;
                self.blocks = Some(blocks);
                return Ok(self.outlook());
            }
        }
    }

    /// Returns the millisecond by which the next line is ordered.
    fn order(&mut self, looking: &mut Looking<'_>, ts: i64) -> Result<i64, Error> {
        let (from, to) = self.file.window;
        let wanted = ts.clamp(from, to);
        if wanted > self.lowest.saturating_add(self.late_ms) && !self.fresh {
            // A line may have come, and its note, after the note was read.
            self.fresh = true;
            self.late_ms = self.late_ms.max(looking.late_ms(&self.file, true)?);
        }
        let ordered = wanted.min(self.lowest.saturating_add(self.late_ms));
        if (from..=to).contains(&ts) {
            self.lowest = self.lowest.min(ordered);
        }
        Ok(ordered)
    }
}
