//! Sorts the notes about the lines of a file by time, in bounded memory (an external merge sort).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;

use tooltrail::Timestamp;
use tooltrail::disk::Disk;

use crate::import::scratch::Scratch;

/// Notes held in memory before they are sorted and written to disk as a run: 40 MiB.
const NOTES_HELD_MAX: usize = 1024 * 1024;

/// Notes that one read takes from a run on disk.
const NOTES_READ: usize = 1_024;

/// Size of a note on disk, in bytes.
const NOTE_BYTES: usize = 36;

/// What the first pass notes about a line for the second pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Note {
    /// The time of the call, in milliseconds since 1970. A line without a time has 0 until the notes are sorted.
    pub(crate) ts_ms: i64,
    /// The line number, from 1.
    pub(crate) number: u64,
    /// Offset of its first byte in the uncompressed content.
    pub(crate) offset: u64,
    /// Its length in bytes.
    pub(crate) len: u32,
    /// A hash of its bytes, by which the second pass notices that the file was changed in between.
    pub(crate) check: u64,
}

impl Note {
    /// Returns the time of the call.
    pub(crate) fn ts(&self) -> Timestamp {
        Timestamp::from_millis(self.ts_ms)
    }

    fn encode(&self) -> [u8; NOTE_BYTES] {
        let mut bytes = [0; NOTE_BYTES];
        bytes[..8].copy_from_slice(&self.ts_ms.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.check.to_be_bytes());
        bytes[32..].copy_from_slice(&self.len.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        let word = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes of a note"));
        Self {
            ts_ms: word(0).cast_signed(),
            number: word(8),
            offset: word(16),
            check: word(24),
            len: u32::from_be_bytes(bytes[32..NOTE_BYTES].try_into().expect("the last four bytes of a note")),
        }
    }
}

/// Collects the notes: those of lines with a time, and those of lines that get the time of the import.
#[derive(Debug)]
pub(crate) struct Notes {
    timed: Runs,
    untimed: Runs,
}

impl Notes {
    /// Returns an empty collection, which uses a scratch file in the home if there are too many notes for memory.
    pub(crate) fn new(disk: &Arc<dyn Disk>) -> Self {
        Self { timed: Runs::new(disk, NOTES_HELD_MAX), untimed: Runs::new(disk, NOTES_HELD_MAX) }
    }

    /// Adds a note of a line with a time.
    pub(crate) fn push_timed(&mut self, note: Note) -> io::Result<()> {
        self.timed.push(note)
    }

    /// Adds a note of a line without a time.
    pub(crate) fn push_untimed(&mut self, note: Note) -> io::Result<()> {
        self.untimed.push(note)
    }

    /// Returns all notes sorted by time, then by line number. Notes without a time get `import_time`.
    pub(crate) fn sorted(self, import_time: Timestamp) -> io::Result<impl Iterator<Item = io::Result<Note>>> {
        let mut timed = self.timed.sorted()?.peekable();
        let mut untimed = self
            .untimed
            .sorted()?
            .map(move |note| note.map(|note| Note { ts_ms: import_time.as_millis(), ..note }))
            .peekable();
        Ok(std::iter::from_fn(move || {
            let first = match (timed.peek(), untimed.peek()) {
                (Some(Ok(timed)), Some(Ok(untimed))) => timed <= untimed,
                (Some(_), _) => true,
                (None, _) => false,
            };
            if first { timed.next() } else { untimed.next() }
        }))
    }
}

/// Sorted runs of notes on disk, and the newest notes, which are only in memory.
#[derive(Debug)]
struct Runs {
    disk: Arc<dyn Disk>,
    held: Vec<Note>,
    held_max: usize,
    scratch: Option<Scratch>,
    /// The end offset of each run in the scratch file.
    ends: Vec<u64>,
}

impl Runs {
    fn new(disk: &Arc<dyn Disk>, held_max: usize) -> Self {
        Self { disk: Arc::clone(disk), held: Vec::new(), held_max, scratch: None, ends: Vec::new() }
    }

    fn push(&mut self, note: Note) -> io::Result<()> {
        self.held.push(note);
        if self.held.len() < self.held_max { Ok(()) } else { self.spill() }
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.scratch.is_none() {
            self.scratch = Some(Scratch::new(self.disk.as_ref())?);
        }
        let Some(scratch) = &mut self.scratch else { return Ok(()) };
        self.held.sort_unstable();
        for note in self.held.drain(..) {
            scratch.push(&note.encode())?;
        }
        scratch.write_out()?;
        self.ends.push(scratch.len());
        Ok(())
    }

    fn sorted(mut self) -> io::Result<Merge> {
        self.held.sort_unstable();
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut runs =
            starts.zip(&self.ends).map(|(next, end)| Run { next, end: *end, read: Vec::new() }).collect::<Vec<_>>();
        // The notes still in memory are one more run, which needs no reading from disk.
        self.held.reverse();
        runs.push(Run { next: 0, end: 0, read: self.held });
        let mut merge = Merge { scratch: self.scratch, runs, heads: BinaryHeap::new() };
        for run in 0..merge.runs.len() {
            merge.refill(run)?;
        }
        Ok(merge)
    }
}

/// A run that is being read. `read` holds its next notes in reverse order, so that `pop` returns the smallest one.
struct Run {
    next: u64,
    end: u64,
    read: Vec<Note>,
}

/// Merges all runs, and returns the smallest note first.
struct Merge {
    scratch: Option<Scratch>,
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(Note, usize)>>,
}

impl Merge {
    /// Moves the next note of a run into the heap, and reads more notes of the run from disk if needed.
    fn refill(&mut self, at: usize) -> io::Result<()> {
        let run = &mut self.runs[at];
        if let (true, Some(scratch)) = (run.read.is_empty() && run.next < run.end, &self.scratch) {
            let len = (run.end - run.next).min((NOTES_READ * NOTE_BYTES) as u64) as usize;
            let mut bytes = vec![0; len];
            if scratch.read_at(&mut bytes, run.next)? < len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            run.next += len as u64;
            run.read.extend(bytes.chunks_exact(NOTE_BYTES).rev().map(Note::decode));
        }
        if let Some(note) = run.read.pop() {
            self.heads.push(Reverse((note, at)));
        }
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = io::Result<Note>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((note, run)) = self.heads.pop()?;
        Some(self.refill(run).map(|()| note))
    }
}

#[cfg(test)]
mod tests {
    use super::{Note, Notes, Runs};
    use tooltrail::{Home, Timestamp};

    #[test]
    fn notes_come_sorted_whether_they_fit_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(folder.path(), false).unwrap();
        let mut seed = 1_u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 33
        };
        for (count, held_max) in [(0, 4), (3, 4), (4, 4), (5, 4), (10_000, 7), (10_000, 4_000), (10_000, 20_000)] {
            let mut notes =
                Notes { timed: Runs::new(home.disk(), held_max), untimed: Runs::new(home.disk(), held_max) };
            let import_time = Timestamp::from_millis(500);
            let mut expected = Vec::new();
            for number in 1..=count {
                let ts_ms = (random() % 1_000) as i64;
                let note = Note { ts_ms, number, offset: random(), len: random() as u32, check: random() };
                if random() % 3 == 0 {
                    notes.push_untimed(Note { ts_ms: 0, ..note }).unwrap();
                    expected.push(Note { ts_ms: 500, ..note });
                } else {
                    notes.push_timed(note).unwrap();
                    expected.push(note);
                }
            }
            expected.sort_unstable();
            let sorted = notes.sorted(import_time).unwrap().map(|note| note.unwrap()).collect::<Vec<_>>();
            assert_eq!(sorted, expected, "{count} notes, {held_max} held");
        }
    }
}
