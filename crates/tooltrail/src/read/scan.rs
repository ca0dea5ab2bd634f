//! Scans one day file from its end, and knows how new the lines still to come can be.

use std::collections::BTreeMap;

use crate::clock::{Date, Timestamp, Zone};
use crate::day::{Blocks, LATE_MS, LineBefore, Notes};
use crate::home::{Home, OWN_FOLDER};
use crate::query::{EntryPosition, ScanMark, instant};

use super::locate::DayFile;
use super::page::{Scanned, Skipped, Unreadable};

/// What a scan can still return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanBound {
    /// No later line is ordered after this millisecond.
    UpTo(i64),
    /// The file was read to its start.
    Done,
}

/// The most dates whose notes are remembered. Few are enough, because files are read in the order of their dates.
const NOTES_MAX: usize = 8;

/// The most bytes that the scans of one answer hold between two steps, for lines that were not returned yet: 64 MiB for
/// eight answers at the same time. Beyond it, bytes are dropped and read again later.
const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most bytes of buffers that the scans of one answer keep between two steps, so that a scan of few files does not
/// make a new buffer for each block.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// Where a line is in the order of all entries. It borrows the file's name, because most lines are not part of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinePlace<'a> {
    ts: Timestamp,
    file: &'a DayFile,
    offset: u64,
}

impl LinePlace<'_> {
    pub(crate) fn position(&self) -> EntryPosition {
        let (folder, day) = (self.file.folder.clone(), self.file.day);
        EntryPosition { ts: self.ts, folder, day, offset: self.offset }
    }
}

/// The state that all scans of one answer share.
#[derive(Debug)]
pub(crate) struct ScanContext<'a> {
    home: &'a Home,
    zone: &'a Zone,
    notes: BTreeMap<Date, Notes>,
    pub(crate) skipped: Skipped,
    pub(crate) scanned: Scanned,
    pub(crate) unreadable: Unreadable,
    /// The bytes that the open scans hold for lines that were not returned yet.
    held: usize,
}

impl<'a> ScanContext<'a> {
    pub(crate) fn new(home: &'a Home, zone: &'a Zone) -> Self {
        let (skipped, scanned) = (Skipped::default(), Scanned::default());
        Self { home, zone, notes: BTreeMap::new(), skipped, scanned, unreadable: Unreadable::default(), held: 0 }
    }

    /// Returns how late the lines of a file may be. The file must already be open.
    ///
    /// A late line's note is written before the line, so the notes must not be older than the data that is read. Notes
    /// that cannot be read count as empty.
    fn late_ms(&mut self, file: &DayFile) -> i64 {
        let (disk, path) = (&**self.home.disk(), [OWN_FOLDER, "late", &file.day.to_string()]);
        let known = self.notes.get(&file.day).map(|notes| notes.are_current(disk, file.day));
        let current = known.and_then(|known| self.unreadable.or_none(&path, known)).unwrap_or(false);
        if !current {
            let read = self.unreadable.or_none(&path, Notes::read(disk, file.day));
            if self.notes.len() >= NOTES_MAX {
                self.notes.pop_last();
            }
            self.notes.insert(file.day, read.unwrap_or_else(|| Notes::none(file.day)));
        }
        self.notes.get(&file.day).map_or(LATE_MS, |notes| notes.late_ms(&file.folder))
    }

    /// Returns the counts of lines that are not entries, and the names of files that could not be read.
    pub(crate) fn left_out(&self) -> (Skipped, Vec<String>) {
        (Skipped { unreadable: self.unreadable.count(), ..self.skipped }, self.unreadable.names())
    }
}

/// A backward scan of one day file.
///
/// A line is ordered by its `ts`, with two exceptions that keep paging complete. A `ts` outside the file's day counts
/// as the start or end of that day. A line that is later than the notes allow (the recorder did not write it) counts as
/// the lowest time of the lines after it, plus the allowed lateness.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) file: DayFile,
    blocks: Option<Blocks>,
    lowest: i64,
    late_ms: i64,
    /// Where to start, if not at the end.
    from: Option<ScanMark>,
    /// The file's length and inode, once it is open.
    opened: Option<(u64, u64)>,
    /// All blocks read so far.
    read: Vec<Read>,
    position: u64,
}

/// One block read.
#[derive(Clone, Copy, Debug)]
struct Read {
    /// The end of its last line, and the lowest millisecond of the lines after that.
    end: u64,
    lowest: i64,
    /// The lowest millisecond of the lines in the block.
    least: i64,
}

impl Scan {
    pub(crate) fn new(file: DayFile) -> Self {
        let lowest = file.window.1;
        let (late_ms, from, opened) = (LATE_MS, None, None);
        Self { file, blocks: None, lowest, late_ms, from, opened, read: Vec::new(), position: 0 }
    }

    /// Returns the scan with a mark: it starts at the mark's offset, because all lines after it are newer than the
    /// question's cursor.
    pub(crate) fn from(mut self, mark: Option<ScanMark>) -> Self {
        self.from = mark;
        self
    }

    /// Returns the mark for a cursor at this millisecond, and the bytes that it saves.
    pub(crate) fn mark(&self, cursor: i64) -> Option<(u64, ScanMark)> {
        let Some((len, inode)) = self.opened else { return Some((0, self.from.clone()?)) };
        let needed = self.read.iter().find(|read| read.least <= cursor);
        let (end, lowest) = needed.map_or((self.position, self.lowest), |read| (read.end, read.lowest));
        let (folder, day) = (self.file.folder.clone(), self.file.day);
        Some((len.saturating_sub(end), ScanMark { folder, day, end, lowest, inode }))
    }

    pub(crate) fn bound(&self) -> ScanBound {
        ScanBound::UpTo((self.lowest.saturating_add(self.late_ms)).min(self.file.window.1))
    }

    /// Reads one block and calls `each` with each line: its position in the order, its time and its bytes.
    pub(crate) fn step(
        &mut self,
        context: &mut ScanContext<'_>,
        mut each: impl FnMut(LinePlace<'_>, Timestamp, &[u8], &mut Skipped),
    ) -> ScanBound {
        let mut blocks = match self.blocks.take() {
            Some(blocks) => blocks,
            None => match self.open(context) {
                Some(blocks) => blocks,
                None => return ScanBound::Done,
            },
        };
        context.held = context.held.saturating_sub(blocks.held());
        let before = blocks.bytes_read();
        let mut read = Read { end: blocks.offset(), lowest: self.lowest, least: i64::MAX };
        loop {
            let found = blocks.back().unwrap_or_else(|error| {
                self.file.with_path(|path| context.unreadable.or_none::<()>(path, Err(error)));
                None
            });
            match found {
                None => {
                    context.scanned.bytes += blocks.bytes_read() - before;
                    self.read.push(read);
                    self.position = 0;
                    return ScanBound::Done;
                }
                Some(LineBefore::Torn) => context.skipped.torn += 1,
                Some(LineBefore::TooLong) => context.skipped.too_long += 1,
                Some(LineBefore::Line(offset, line)) => {
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    let line = if offset == 0 { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line };
                    if line.iter().all(u8::is_ascii_whitespace) {
                        // An empty line.
                    } else if let Some(ts) = instant(line, context.zone) {
                        let ordered = self.order(ts.as_millis());
                        read.least = read.least.min(ordered);
                        let place = LinePlace { ts: Timestamp::from_millis(ordered), file: &self.file, offset };
                        each(place, ts, line, &mut context.skipped);
                    } else {
                        context.skipped.line(line);
                    }
                }
            }
            if !blocks.is_buffered() {
                context.scanned.bytes += blocks.bytes_read() - before;
                self.read.push(read);
                self.position = blocks.offset();
                if context.held >= KEPT_BYTES_MAX {
                    let held_max = if context.held < HELD_BYTES_MAX { usize::MAX } else { 0 };
                    blocks.shrink(held_max);
                }
                context.held += blocks.held();
                self.blocks = Some(blocks);
                return self.bound();
            }
        }
    }

    fn open(&mut self, context: &mut ScanContext<'_>) -> Option<Blocks> {
        let home = context.home;
        let from = self.from.as_ref().map(|mark| (mark.end, mark.inode));
        let blocks = self.file.with_path(|path| {
            let opened = Blocks::open(home.disk(), path, from);
            context.unreadable.or_none(path, opened).flatten()
        })?;
        context.scanned.files += 1;
        let (len, inode) = blocks.opened();
        self.opened = Some((len, inode));
        self.position = blocks.offset();
        if let Some(mark) = self.from.as_ref().filter(|mark| mark.end == self.position && mark.end < len) {
            self.lowest = self.lowest.min(mark.lowest);
        }
        self.late_ms = context.late_ms(&self.file);
        Some(blocks)
    }

    /// Returns the millisecond by which the next line is ordered.
    fn order(&mut self, ts: i64) -> i64 {
        let (from, to) = self.file.window;
        let ordered = ts.clamp(from, to).min(self.lowest.saturating_add(self.late_ms));
        if (from..=to).contains(&ts) {
            self.lowest = self.lowest.min(ordered);
        }
        ordered
    }
}
