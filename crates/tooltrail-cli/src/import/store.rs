//! The second pass over a file: sends the lines to the recorder in the order of time, in batches.

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

/// Maximum entries of one batch, which share one sync of each changed file.
const BATCH_ENTRIES_MAX: usize = 1_000;

/// Bytes of received lines at which a batch is sent, well below what the recorder's queue takes. The last line of a
/// batch may exceed this.
const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Maximum batches that are sent but not acknowledged: one is being written while the next one is read.
const BATCHES_IN_FLIGHT_MAX: usize = 2;

/// The same maximum if one of the batches is buffered, because one flush of the day files covers all of them. A
/// continued import looks up the entries of this number of batches in the day files.
const BATCHES_BUFFERED_MAX: usize = 8;

/// Longest wait for room in the recorder's queue.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(60);

/// Longest wait until a batch is durable. It is long, because a slow disk is not a failure and no client waits.
const DURABLE_WAIT_MAX: Duration = Duration::from_secs(60);

/// Pause between two attempts while the queue is full.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// The second pass over one file: its progress and the batches in flight.
pub(super) struct Store<'a> {
    job: &'a Job<'a>,
    path: &'a Path,
    content: &'a [u8; 32],
    lines: &'a Again,
    progress: Progress,
    bar: ProgressBar,
    flight: VecDeque<Flight>,
    /// Number of entries that were in flight when the earlier import was cut short, and that are in the day files.
    stood: u64,
    /// Lines of days that are too old to be kept.
    late: Rejected,
}

/// A batch that was sent and is not yet known to be durable.
struct Flight {
    /// Number of lines that are done once the batch is durable.
    noted: u64,
    ack: Option<Ack>,
    /// Whether some entries are buffered: the acknowledgement does not cover them, so only a flush makes them durable.
    buffered: bool,
}

impl<'a> Store<'a> {
    /// Prepares to store, or continue to store, a file of this content, whose lines are read again from `lines`.
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

    /// Stores the lines of all notes that are not stored yet.
    ///
    /// Returns the number of entries stored now, the number of entries that the earlier import had in flight and
    /// stored, and the lines of days that are too old to be kept.
    pub(super) fn run(
        mut self,
        notes: impl Iterator<Item = io::Result<Note>>,
    ) -> Result<(u64, u64, Rejected), Failure> {
        let skip = usize::try_from(self.progress.done()).unwrap_or(usize::MAX);
        let mut notes = notes.skip(skip);
        let mut cut = Vec::new();
        if self.progress.resumed() {
            // Lines of the earlier import may be only in its journal. A later replay would store them after the check
            // below, and they would be stored twice.
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

    /// Counts in the day files the entries of these notes, which were in flight when the earlier import was cut short.
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

    /// Reads a line again and returns the complete call, with its time, user and id.
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
        // An id that tooltrail made contains the time of its entry. Any other id is kept as an extra field only.
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

    /// Sends a batch to the recorder, and waits while its queue is full.
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

    /// Waits until the oldest batch is durable, or flushes and waits for all if it is buffered, and notes the progress.
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

/// Returns a failure with the hint that the same command continues the import.
fn goes_on(error: Error) -> Failure {
    Failure::could_not(error.message(), "run the same command again: it goes on where it was")
}
