//! How late lines of a day file come: noted by whoever writes, minded by whoever reads.
//!
//! A line is late by as much as its `ts` lies below that of an earlier line of its file. A reader that goes backwards
//! must look so far past its page. A minute is always allowed for; more stands in a note, which is durable before the
//! line is there.

use std::collections::{BTreeMap, HashMap};
use std::io;

use crate::clock::{Date, Zone};
use crate::day::append::End;
use crate::disk::{Disk, DiskFile};
use crate::entry::{foreign_head, head};
use crate::home::OWN_FOLDER;

/// How late a line may come without a note.
///
/// Entries that arrive together are written in the order of their queue, not of their instants; a minute is far more
/// than a queue holds.
pub(crate) const LATE_MS: i64 = 60_000;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The latest there is: a file holds one day, in whatever zone, and what lies outside of it has no file_id in the order.
const LATE_MS_MAX: i64 = 3 * DAY_MS;

/// Bytes of the notes of one date that are read: tens of thousands of users with late lines on one day. Lines of more
/// are in the trail all the same, a little out of order.
const NOTES_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes at the end of a file in which its largest `ts` is looked for: a thousand lines, so that what several processes
/// write at once into one file is not taken for late.
const TAIL_BYTES: u64 = 256 * 1024;

/// Files whose largest `ts` is remembered; beyond it their ends are looked at again.
const KNOWN_FILES_MAX: usize = 16_384;

/// The notes of one date: how late lines come in each folder's file.
#[derive(Debug)]
pub(crate) struct Notes {
    day: Date,
    late_ms: BTreeMap<String, i64>,
    /// Kept open, so that no other file can have its inode: it tells whether these notes are still the last.
    file: Option<Box<dyn DiskFile>>,
}

impl Notes {
    /// Returns no notes.
    pub(crate) fn none(day: Date) -> Self {
        Self { day, late_ms: BTreeMap::new(), file: None }
    }

    /// Reads the notes of a date; there are none where no line came late.
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

    /// Whether these are the notes of a date as they stand now.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn are_current(&self, disk: &dyn Disk, day: Date) -> io::Result<bool> {
        let identity = |file: &dyn DiskFile| file.stat().map(|stat| (stat.device, stat.inode));
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

    /// Returns how late lines of a folder's file may come.
    pub(crate) fn late_ms(&self, folder: &str) -> i64 {
        self.late_ms.get(folder).copied().unwrap_or(LATE_MS)
    }

    /// Allows for lines so late; returns whether that is news.
    ///
    /// A minute is doubled until it suffices, so that a file is noted a dozen times at most.
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

    /// Writes the notes of a date, durably. The caller holds the home's append lock.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn write(&self, disk: &dyn Disk, day: Date) -> io::Result<()> {
        let text = self.late_ms.iter().map(|(folder, late)| format!("{folder} {late}\n")).collect::<String>();
        disk.replace(&[OWN_FOLDER, "late", &day.to_string()], text.as_bytes())
    }
}

/// The instants of lines in the order in which they are appended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    ends: Option<(i64, i64)>,
    late_ms: i64,
}

impl Span {
    /// Adds a line's instant.
    pub(crate) fn push(&mut self, ts: i64) {
        let (least, largest) = self.ends.unwrap_or((ts, ts));
        self.late_ms = self.late_ms.max(largest - ts);
        self.ends = Some((least.min(ts), largest.max(ts)));
    }

    /// Returns how late the latest of the lines comes in a file whose largest instant is this one.
    fn late_after(&self, largest: Option<i64>) -> i64 {
        let after = self.ends.zip(largest).map_or(0, |((least, _), largest)| largest - least);
        self.late_ms.max(after)
    }

    fn largest(&self) -> Option<i64> {
        self.ends.map(|(_, largest)| largest)
    }
}

/// The largest instants of the files that one process appends to.
#[derive(Debug)]
pub(crate) struct LatenessNotes {
    known: HashMap<Date, HashMap<String, FileLateness>>,
    zone: Zone,
}

/// What is known of a file of this length.
#[derive(Clone, Copy, Debug)]
struct FileLateness {
    file_id: (u64, u64),
    len: u64,
    /// No line's instant is larger; `None` if no line has one.
    largest: Option<i64>,
}

impl LatenessNotes {
    /// Knows nothing; naive times of others are taken in `zone`.
    pub(crate) fn new(zone: Zone) -> Self {
        Self { known: HashMap::new(), zone }
    }

    /// Returns how late these lines would come at the end of a file, at most.
    ///
    /// Exact where this process wrote to the file before, or where the file is short; else its last lines bound it.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn lateness(&mut self, disk: &dyn Disk, folder: &str, day: Date, end: &End, lines: &Span) -> io::Result<i64> {
        let zone = &self.zone;
        let known = self.known.get_mut(&day).and_then(|known| known.get_mut(folder));
        let known = known
            .filter(|known| known.file_id == end.file_id && known.len <= end.len && end.len - known.len <= TAIL_BYTES);
        if let Some(known) = known {
            // What other processes appended since.
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

    /// Notes, durably and before the lines are there, which of these files get lines that are more than a minute late.
    ///
    /// Of each file: its folder and date, its end, and the lines to come. The caller holds the home's append lock.
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

    /// Remembers that these lines were appended to a file that [`LatenessNotes::note`] was asked about.
    pub(crate) fn appended(&mut self, folder: &str, day: Date, bytes: usize, lines: &Span) {
        if let Some(known) = self.known.get_mut(&day).and_then(|known| known.get_mut(folder)) {
            known.len += bytes as u64;
            known.largest = known.largest.max(lines.largest());
        }
    }

    /// Forgets a file to which nobody knows what was appended.
    pub(crate) fn forget(&mut self, folder: &str, day: Date) {
        if let Some(known) = self.known.get_mut(&day) {
            known.remove(folder);
        }
    }
}

/// Returns the instants of the whole lines in a part of a file that ends with a newline.
fn seen(file: &dyn DiskFile, (from, to): (u64, u64), day: Date, zone: &Zone) -> io::Result<Span> {
    let mut span = Span::default();
    if from == to {
        return Ok(span);
    }
    let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(0)];
    let read = file.read_at(&mut bytes, from)?;
    let start = day.start().as_millis();
    // The first line may begin before: then its end has no instant.
    for line in bytes[..read].split(|byte| *byte == b'\n') {
        let ts = head(line).or_else(|| foreign_head(line, zone)).map(|ts| ts.as_millis());
        // A line that lies in a wrong file has no say in this one's order.
        if let Some(ts) = ts.filter(|ts| (start - DAY_MS..start + 2 * DAY_MS).contains(ts)) {
            span.push(ts);
        }
    }
    Ok(span)
}
