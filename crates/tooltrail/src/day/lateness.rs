//! Records how late the lines of a day file are: writers store notes, readers use them.
//!
//! A line is late by the amount that its `ts` is below the `ts` of an earlier line of the same file. A reader that goes
//! backwards must continue for that time beyond its page. One minute is always allowed for. A larger delay is stored in
//! a note, which is synced before the line is written.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::LazyLock;

use crate::clock::{Date, Zone};
use crate::day::append::End;
use crate::disk::{Disk, DiskFile, FileId};
use crate::entry::{foreign_head, head};
use crate::home::OWN_FOLDER;

/// How late a line may be without a note, in milliseconds.
///
/// Entries that arrive together are written in the order of the queue, not in the order of their times. A minute is
/// much longer than entries stay in the queue.
pub(crate) const LATE_MS: i64 = 60_000;

/// The milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The largest possible lateness in milliseconds. A file contains one day, in any time zone, and a `ts` outside this
/// range is ignored for the order.
const LATE_MS_MAX: i64 = 3 * DAY_MS;

/// The bytes that are read of the notes of one date: tens of thousands of users with late lines on one day. Late lines
/// of further users are still in the trail, but may be returned slightly out of order.
const NOTES_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The bytes at the end of a file in which its largest `ts` is searched: about a thousand lines, so that lines that
/// several processes write to one file at the same time do not count as late.
const TAIL_BYTES: u64 = 256 * 1024;

/// The most files whose largest `ts` is remembered. Beyond it, the memory is cleared and the ends of files are read
/// again.
const KNOWN_FILES_MAX: usize = 16_384;

/// The notes of one date: how late the lines in each folder's file are.
#[derive(Debug)]
pub(crate) struct Notes {
    day: Date,
    late_ms: BTreeMap<String, i64>,
    /// The file stays open, so that no other file can get its inode. A different inode then shows that the notes have
    /// changed.
    file: Option<Box<dyn DiskFile>>,
}

impl Notes {
    /// Returns empty notes.
    pub(crate) fn none(day: Date) -> Self {
        Self { day, late_ms: BTreeMap::new(), file: None }
    }

    /// Reads the notes of a date; they are empty if no line was late.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn read(disk: &dyn Disk, day: Date) -> io::Result<Self> {
        let Some(file) = Self::open(disk, day)? else { return Ok(Self::none(day)) };
        let len = file.stat()?.len.min(NOTES_BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let read = file.read_at(&mut bytes, 0)?;
        let text = String::from_utf8_lossy(&bytes[..read]);
        let note = |line: &str| {
            let (folder, late) = line.rsplit_once(' ')?;
            let late = late.parse::<i64>().ok().filter(|late| (LATE_MS..=LATE_MS_MAX).contains(late))?;
            Some((folder.to_owned(), late))
        };
        Ok(Self { day, late_ms: text.lines().filter_map(note).collect(), file: Some(file) })
    }

    /// Whether these notes are the current notes of a date.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn are_current(&self, disk: &dyn Disk, day: Date) -> io::Result<bool> {
        let identity = |file: &dyn DiskFile| file.stat().map(|stat| stat.file_id());
        Ok(day == self.day
            && match (&self.file, Self::open(disk, day)?) {
                (None, None) => true,
                (Some(read), Some(now)) => identity(&**read)? == identity(&*now)?,
                _ => false,
            })
    }

    fn open(disk: &dyn Disk, day: Date) -> io::Result<Option<Box<dyn DiskFile>>> {
        disk.open(&[OWN_FOLDER, "late", &day.to_string()])
    }

    /// Returns how late the lines of a folder's file may be, in milliseconds.
    pub(crate) fn late_ms(&self, folder: &str) -> i64 {
        self.late_ms.get(folder).copied().unwrap_or(LATE_MS)
    }

    /// Raises the allowed lateness of a folder's file if needed; returns whether it changed.
    ///
    /// The allowed time starts at a minute and is doubled until it is enough, so that a file gets at most about a dozen
    /// notes.
    pub(crate) fn raise(&mut self, folder: &str, late_ms: i64) -> bool {
        let known = self.late_ms(folder);
        let mut allowed = LATE_MS;
        while allowed < late_ms {
            allowed *= 2;
        }
        let allowed = allowed.min(LATE_MS_MAX);
        if allowed > known {
            self.late_ms.insert(folder.to_owned(), allowed);
        }
        allowed > known
    }

    /// Writes the notes of a date and syncs them. The caller holds the home's append lock.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn write(&self, disk: &dyn Disk, day: Date) -> io::Result<()> {
        let text = self.late_ms.iter().map(|(folder, late)| format!("{folder} {late}\n")).collect::<String>();
        disk.replace(&[OWN_FOLDER, "late", &day.to_string()], text.as_bytes())
    }
}

/// A summary of the times of lines, in the order in which they are appended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    ends: Option<(i64, i64)>,
    late_ms: i64,
}

impl Span {
    /// Adds the time of a line.
    pub(crate) fn push(&mut self, ts: i64) {
        let (least, largest) = self.ends.unwrap_or((ts, ts));
        self.late_ms = self.late_ms.max(largest - ts);
        self.ends = Some((least.min(ts), largest.max(ts)));
    }

    /// Returns the largest lateness of the lines if they are appended to a file with this largest time.
    fn late_after(&self, largest: Option<i64>) -> i64 {
        let after = self.ends.zip(largest).map_or(0, |((least, _), largest)| largest - least);
        self.late_ms.max(after)
    }

    fn largest(&self) -> Option<i64> {
        self.ends.map(|(_, largest)| largest)
    }
}

/// The largest times of the files that one process appends to.
#[derive(Debug)]
pub(crate) struct LatenessNotes {
    known: HashMap<Date, HashMap<String, FileLateness>>,
    /// For the times of other writers. The system's zone takes a millisecond to find, and is seldom needed.
    zone: LazyLock<Zone>,
}

/// What is known about a file with this length.
#[derive(Clone, Copy, Debug)]
struct FileLateness {
    file_id: FileId,
    len: u64,
    /// No line has a larger time; `None` if no line has a time.
    largest: Option<i64>,
}

impl LatenessNotes {
    /// Returns an empty memory. Times of other writers that name no zone are read in `zone`, which is asked for when the
    /// first such time is met.
    pub(crate) fn new(zone: fn() -> Zone) -> Self {
        Self { known: HashMap::new(), zone: LazyLock::new(zone) }
    }

    /// Returns an upper bound of how late these lines are if they are appended to a file.
    ///
    /// It is exact if this process wrote to the file before, or if the file is short. Otherwise the last lines of the
    /// file give the bound.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn lateness(&mut self, disk: &dyn Disk, folder: &str, day: Date, end: &End, lines: &Span) -> io::Result<i64> {
        let zone = &self.zone;
        let known = self.known.get_mut(&day).and_then(|known| known.get_mut(folder));
        let known = known
            .filter(|known| known.file_id == end.file_id && known.len <= end.len && end.len - known.len <= TAIL_BYTES);
        if let Some(known) = known {
            // The lines that other processes appended since then.
            let seen = seen(&*end.file, (known.len, end.len), day, zone)?;
            (known.len, known.largest) = (end.len, known.largest.max(seen.largest()));
            return Ok(lines.late_after(known.largest));
        }
        let from = end.len.saturating_sub(TAIL_BYTES);
        let seen = seen(&*end.file, (from, end.len), day, zone)?;
        let mut largest = seen.largest();
        if let Some((least, _)) = seen.ends.filter(|_| from > 0) {
            let late = Notes::read(disk, day)?.late_ms(folder);
            largest = largest.max(Some(least + late));
        }
        if self.known.values().map(HashMap::len).sum::<usize>() >= KNOWN_FILES_MAX {
            self.known.clear();
        }
        let known = FileLateness { file_id: end.file_id, len: end.len, largest };
        self.known.entry(day).or_default().insert(folder.to_owned(), known);
        Ok(lines.late_after(largest))
    }

    /// Stores a note for each file that gets lines which are more than a minute late. The notes are synced before the
    /// lines are written.
    ///
    /// Each item has the folder and date, the end of the file, and the times of the new lines. The caller holds the
    /// home's append lock.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn note<'a>(
        &mut self,
        disk: &dyn Disk,
        files: impl IntoIterator<Item = (&'a str, Date, &'a End, &'a Span)>,
    ) -> io::Result<()> {
        let mut late = BTreeMap::<Date, Vec<(&str, i64)>>::new();
        for (folder, day, end, span) in files {
            let late_ms = self.lateness(disk, folder, day, end, span)?;
            if late_ms > LATE_MS {
                late.entry(day).or_default().push((folder, late_ms));
            }
        }
        for (day, files) in late {
            let mut notes = Notes::read(disk, day)?;
            let raised = files.into_iter().filter(|(folder, late_ms)| notes.raise(folder, *late_ms)).count();
            if raised > 0 {
                notes.write(disk, day)?;
            }
        }
        Ok(())
    }

    /// Updates the memory after these lines were appended to a file that [`LatenessNotes::note`] was called for.
    pub(crate) fn appended(&mut self, folder: &str, day: Date, bytes: usize, lines: &Span) {
        if let Some(known) = self.known.get_mut(&day).and_then(|known| known.get_mut(folder)) {
            known.len += bytes as u64;
            known.largest = known.largest.max(lines.largest());
        }
    }

    /// Forgets a file, because it is not known what was appended to it.
    pub(crate) fn forget(&mut self, folder: &str, day: Date) {
        if let Some(known) = self.known.get_mut(&day) {
            known.remove(folder);
        }
    }
}

/// Returns the times of the whole lines in a part of a file that ends with a newline.
fn seen(file: &dyn DiskFile, (from, to): (u64, u64), day: Date, zone: &LazyLock<Zone>) -> io::Result<Span> {
    let mut span = Span::default();
    if from == to {
        return Ok(span);
    }
    let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(0)];
    let read = file.read_at(&mut bytes, from)?;
    let start = day.start().as_millis();
    // The first line may start before this part; then its rest has no readable time.
    for line in bytes[..read].split(|byte| *byte == b'\n').filter(|line| line.trim_ascii_start().starts_with(b"{")) {
        let ts = head(line).or_else(|| foreign_head(line, zone)).map(|ts| ts.as_millis());
        // Ignore a line of another day: it does not affect the order in this file.
        if let Some(ts) = ts.filter(|ts| (start - DAY_MS..start + 2 * DAY_MS).contains(ts)) {
            span.push(ts);
        }
    }
    Ok(span)
}
