//! The second way through a file: lines in order of time, to the recorder, a batch acknowledged after another.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use tooltrail::disk::Disk;
use tooltrail::{Ack, Call, Durability, EntryId, Error, Identity, Via};

use crate::failure::Failure;
use crate::import::already;
use crate::import::line::{check, id, read_line};
use crate::import::order::Note;
use crate::import::run::{Job, Rejected, name_of};
use crate::import::source::Again;
use crate::import::state::Progress;

/// Entries of one batch: one sync of each touched file for as many.
const BATCH_ENTRIES_MAX: usize = 1_000;

/// Bytes of received lines in one batch, well below what the recorder's queue takes; a longer line goes alone.
const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Batches sent and not acknowledged: one is being written while the next is read.
const BATCHES_IN_FLIGHT_MAX: usize = 2;

/// The same where one of them is buffered: one flush of the day files serves as many. Whoever resumes looks all of
/// them up.
const BATCHES_BUFFERED_MAX: usize = 8;

/// Longest wait for room in the recorder's queue.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(60);

/// Longest wait for a batch to be durable: a disk as slow as that is no failure yet, and nobody waits for an answer.
const DURABLE_WAIT_MAX: Duration = Duration::from_secs(60);

/// Pause between two tries for room.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// What of a file is still to be stored, and what of it is under way.
pub(super) struct Store<'a> {
    job: &'a Job<'a>,
    path: &'a Path,
    content: &'a [u8; 32],
    lines: &'a Again,
    progress: Progress,
    bar: ProgressBar,
    flight: VecDeque<Flight>,
    /// Entries in flight at the cut that stood in the day files.
    stood: u64,
    /// Lines of days that are too old to be kept.
    late: Rejected,
}

/// A batch that was sent and is not known to be durable.
struct Flight {
    /// Lines that are dealt with once it is.
    noted: u64,
    ack: Option<Ack>,
    /// Whether its acknowledgement says nothing of some entries, and only a flush does.
    buffered: bool,
}

impl<'a> Store<'a> {
    /// Begins, or goes on, with a file of this content, whose lines can be read again.
    pub(super) fn new(
        job: &'a Job<'a>,
        path: &'a Path,
        (content, lines): (&'a [u8; 32], &'a Again),
        progress: Progress,
        bar: ProgressBar,
    ) -> Self {
        let (flight, late) = (VecDeque::new(), Rejected::default());
        Self { job, path, content, lines, progress, bar, flight, stood: 0, late }
    }

    /// Stores all notes that are not stored; returns how many, how many of those in flight at the cut stood, and which
    /// are of days that are too old to be kept.
    pub(super) fn run(
        mut self,
        notes: impl Iterator<Item = io::Result<Note>>,
    ) -> Result<(u64, u64, Rejected), Failure> {
        let skip = usize::try_from(self.progress.done()).unwrap_or(usize::MAX);
        let mut notes = notes.skip(skip);
        let mut cut = Vec::new();
        if self.progress.resumed() {
            // Lines of the one that was cut short may stand in its journal alone: they would be brought after we looked.
            if let Some(why) = self.job.recorder.unrecovered() {
                return Err(Failure::could_not(
                    format!("what the import before left cannot be settled yet: {why}"),
                    "run the same command again: it goes on where it was",
                ));
            }
            for note in notes.by_ref().take(BATCH_ENTRIES_MAX * BATCHES_BUFFERED_MAX) {
                cut.push(note.map_err(|error| self.failed(&error))?);
            }
        }
        let mut there = self.there(&cut)?;
        let (mut batch, mut noted, mut bytes, mut accepted) = (Vec::new(), 0, 0, 0);
        for note in cut.into_iter().map(Ok).chain(notes) {
            let note = note.map_err(|error| self.failed(&error))?;
            let call = self.call(&note)?;
            noted += 1;
            if let Some(times) = call.id.and_then(|id| there.get_mut(&id)).filter(|times| **times > 0) {
                *times -= 1;
                self.stood += 1;
            } else if let Some(why) = self.job.recorder.too_late(&call) {
                self.late.push(note.number, why);
            } else {
                bytes += note.len as usize;
                accepted += 1;
                batch.push(call);
            }
            if noted as usize == BATCH_ENTRIES_MAX || bytes >= BATCH_BYTES_MAX {
                self.send(std::mem::take(&mut batch), noted)?;
                (noted, bytes) = (0, 0);
            }
        }
        if noted > 0 {
            self.send(batch, noted)?;
        }
        while !self.flight.is_empty() {
            self.await_batches()?;
        }
        self.bar.finish_and_clear();
        let path = self.path;
        self.progress.finish().map_err(|error| Failure::io("import", name_of(path), &error))?;
        Ok((accepted, self.stood, self.late))
    }

    /// Counts which of the notes in flight at the cut stand in the day files.
    fn there(&self, cut: &[Note]) -> Result<HashMap<EntryId, u64>, Failure> {
        let mut ids = HashMap::new();
        let mut dates = BTreeSet::new();
        for note in cut {
            ids.extend(self.call(note)?.id.map(|id| (id, 0)));
            dates.insert(note.ts().date());
        }
        let disk: &Arc<dyn Disk> = self.job.home.disk();
        already::count(disk.as_ref(), &dates, ids).map_err(|error| self.failed(&error))
    }

    /// Reads a line again and returns the whole call.
    fn call(&self, note: &Note) -> Result<Call, Failure> {
        let line = self.lines.read(note.offset, note.len).map_err(|error| self.failed(&error))?;
        let read = (check(&line) == note.check).then(|| read_line(&line, self.job.zone).ok()).flatten();
        let Some(mut call) = read else {
            return Err(Failure::could_not(
                format!("{} changed while it was imported, at line {}", name_of(self.path), note.number),
                "import a copy that nobody writes to",
            ));
        };
        call.ts = Some(note.ts());
        call.via = Via::Import;
        // An id of ours holds its entry's time: any other was not made by us.
        if let Some(id) = call.id.filter(|id| id.time() != note.ts()) {
            call.add_extra("id", format!("\"{id}\""));
            call.id = None;
        }
        if call.user.is_empty() {
            self.job.user.clone_into(&mut call.user);
        } else {
            call.identity = Some(Identity::Claimed);
        }
        if call.id.is_none() {
            call.id = Some(id(self.content, note, self.progress.run()));
        }
        Ok(call)
    }

    /// Gives a batch to the recorder, and waits while it has no room.
    fn send(&mut self, batch: Vec<Call>, noted: u64) -> Result<(), Failure> {
        let buffered = batch.iter().any(|call| self.job.durability.of(&call.tool) == Durability::Buffered);
        let flushed_at_once = buffered || self.flight.iter().any(|flight| flight.buffered);
        let most = if flushed_at_once { BATCHES_BUFFERED_MAX } else { BATCHES_IN_FLIGHT_MAX };
        while self.flight.len() >= most {
            self.await_batches()?;
        }
        let begun = Instant::now();
        let ack = loop {
            if batch.is_empty() {
                break None;
            }
            match self.job.recorder.record_through(self.job.durability, batch.clone()) {
                Ok(ack) => break Some(ack),
                Err(Error::Busy) if begun.elapsed() < BUSY_WAIT_MAX => std::thread::sleep(BUSY_PAUSE),
                Err(error) => return Err(goes_on(error)),
            }
        };
        self.flight.push_back(Flight { noted, ack, buffered });
        Ok(())
    }

    /// Waits for the oldest batch, or for all where only a flush tells, and notes them.
    fn await_batches(&mut self) -> Result<(), Failure> {
        let mut settled = 1;
        if self.flight.front().is_some_and(|flight| flight.buffered) {
            self.job.recorder.flush().map_err(goes_on)?;
            settled = self.flight.len();
        }
        let mut noted = 0;
        for flight in self.flight.drain(..settled.min(self.flight.len())) {
            if let Some(ack) = flight.ack {
                ack.wait_for(DURABLE_WAIT_MAX).map_err(goes_on)?;
            }
            noted += flight.noted;
        }
        self.progress.acknowledged(noted).map_err(|error| Failure::io("import", name_of(self.path), &error))?;
        self.bar.inc(noted);
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::io("import", name_of(self.path), error)
    }
}

/// Returns a failure after which the same command goes on.
fn goes_on(error: Error) -> Failure {
    Failure::could_not(error.to_string(), "run the same command again: it goes on where it was")
}
