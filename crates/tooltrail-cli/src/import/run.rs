//! One file from its first byte to its last acknowledgement.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest as _, Sha256};
use tooltrail::disk::Disk;
use tooltrail::entry::receive;
use tooltrail::{
    Ack, Call, Clock as _, Doors, Durability, EntryId, Error, Home, Identity, Recorder, SystemClock, Via, Zone,
};

use crate::failure::Failure;
use crate::import::already;
use crate::import::order::{Note, Notes};
use crate::import::source::{Again, LINE_BYTES_MAX, STDIN, Source};
use crate::import::state::{Found, Progress, Runs};
use crate::output;

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

/// Rejected lines that are named one by one; the rest is only counted.
const REJECTED_NAMED_MAX: usize = 1_000;

/// What all files of a command share.
pub(crate) struct Job<'a> {
    /// Where to.
    pub(crate) home: &'a Home,
    /// By whom.
    pub(crate) recorder: &'a Recorder,
    /// How durable each tool's entries are before they count as stored.
    pub(crate) doors: &'a Doors,
    /// The zone of naive times.
    pub(crate) zone: &'a Zone,
    /// The user of lines without one.
    pub(crate) user: &'a str,
    /// Whether content that was imported is imported once more.
    pub(crate) again: bool,
}

/// What became of a file.
#[derive(Debug)]
pub(crate) struct Report {
    /// Its content's SHA-256 in hex.
    pub(crate) sha256: String,
    /// What was done.
    pub(crate) outcome: Outcome,
    /// The lines that are no calls.
    pub(crate) rejected: Rejected,
}

/// What was done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Stored: so many now, and so many before the import was cut short.
    Stored { run: u32, accepted: u64, before: u64 },
    /// No line of it is a call.
    Nothing,
    /// Its content was imported already.
    Refused,
}

/// Lines that are no calls.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    /// How many.
    pub(crate) count: u64,
    /// The first of them, with what is wrong.
    pub(crate) named: Vec<(u64, String)>,
}

impl Rejected {
    fn push(&mut self, number: u64, error: String) {
        self.count += 1;
        if self.named.len() < REJECTED_NAMED_MAX {
            self.named.push((number, error));
        }
    }
}

/// The first way through a file.
struct Scanned {
    content: [u8; 32],
    plan: String,
    entries: u64,
    notes: Notes,
    again: Again,
    rejected: Rejected,
}

impl Job<'_> {
    /// Imports one file.
    pub(crate) fn import(&self, path: &Path) -> Result<Report, Failure> {
        let scanned = self.scan(path).map_err(|error| Failure::io("read", name_of(path), &error))?;
        let failed = |error: io::Error| Failure::io("import", name_of(path), &error);
        if scanned.entries == 0 {
            let sha256 = hex(&scanned.content);
            return Ok(Report { sha256, outcome: Outcome::Nothing, rejected: scanned.rejected });
        }
        let runs = Runs::open(self.home.disk(), &scanned.content).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Failure::could_not(
                format!("another process is importing the content of {}", name_of(path)),
                "wait until it ends",
            ),
            _ => failed(error),
        })?;
        let sha256 = runs.content().to_owned();
        if runs.found() == Found::Finished && !self.again {
            return Ok(Report { sha256, outcome: Outcome::Refused, rejected: scanned.rejected });
        }
        let Some(progress) = runs.begin(&scanned.plan, SystemClock::default().now()).map_err(failed)? else {
            return Err(Failure::could_not(
                format!("an import of {} was cut short, with another --user or another zone", name_of(path)),
                "run it again with those of that time",
            ));
        };
        let rejected = scanned.rejected;
        let (run, before) = (progress.run(), progress.done());
        let notes = scanned.notes.sorted(progress.started()).map_err(failed)?;
        let bar = bar(Some(scanned.entries), "storing {wide_bar} {human_pos}/{human_len} entries, {eta} left");
        bar.set_position(before);
        let store = Store {
            job: self,
            path,
            content: &scanned.content,
            lines: &scanned.again,
            progress,
            bar,
            flight: VecDeque::new(),
            stood: 0,
        };
        let (accepted, stood) = store.run(notes)?;
        Ok(Report { sha256, outcome: Outcome::Stored { run, accepted, before: before + stood }, rejected })
    }

    /// Reads all lines once: which are calls, and when they happened.
    fn scan(&self, path: &Path) -> io::Result<Scanned> {
        let mut source = Source::open(path, self.home.disk().as_ref(), |len, input| {
            let bar = bar(len, "reading {wide_bar} {bytes}/{total_bytes}");
            Box::new(bar.wrap_read(input))
        })?;
        let mut notes = Notes::new(self.home.disk());
        let mut rejected = Rejected::default();
        let mut plan = Sha256::new();
        plan.update(self.user.as_bytes());
        let mut entries = 0;
        let mut line = Vec::new();
        while let Some(place) = source.next(&mut line)? {
            if place.too_long {
                rejected.push(place.number, format!("longer than {} MiB", LINE_BYTES_MAX >> 20));
                continue;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let call = match read_line(&line, self.zone) {
                Ok(call) => call,
                Err(error) => {
                    rejected.push(place.number, error);
                    continue;
                }
            };
            if let Some(late) = self.recorder.too_late(&call) {
                rejected.push(place.number, late);
                continue;
            }
            let ts_ms = call.ts.map(|ts| ts.as_millis());
            let note = Note {
                ts_ms: ts_ms.unwrap_or(0),
                number: place.number,
                offset: place.offset,
                len: place.len,
                check: check(&line),
            };
            plan.update(place.number.to_be_bytes());
            plan.update(ts_ms.unwrap_or(-1).to_be_bytes());
            entries += 1;
            if ts_ms.is_some() { notes.push_timed(note)? } else { notes.push_untimed(note)? }
        }
        let (content, again) = source.finish()?;
        Ok(Scanned { content, plan: hex(&plan.finalize()), entries, notes, again, rejected })
    }
}

/// The second way through: lines in order of time, to the recorder.
struct Store<'a> {
    job: &'a Job<'a>,
    path: &'a Path,
    content: &'a [u8; 32],
    lines: &'a Again,
    progress: Progress,
    bar: ProgressBar,
    flight: VecDeque<Flight>,
    /// Entries in flight at the cut that stood in the day files.
    stood: u64,
}

/// A batch that was sent and is not known to be durable.
struct Flight {
    /// Lines that are dealt with once it is.
    noted: u64,
    ack: Option<Ack>,
    /// Whether its acknowledgement says nothing of some entries, and only a flush does.
    buffered: bool,
}

impl Store<'_> {
    /// Stores all notes that are not stored; returns how many, and how many of those in flight at the cut stood.
    fn run(mut self, notes: impl Iterator<Item = io::Result<Note>>) -> Result<(u64, u64), Failure> {
        let skip = usize::try_from(self.progress.done()).unwrap_or(usize::MAX);
        let mut notes = notes.skip(skip);
        let mut cut = Vec::new();
        if self.progress.resumed() {
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
            self.settle()?;
        }
        self.bar.finish_and_clear();
        let path = self.path;
        self.progress.finish().map_err(|error| Failure::io("import", name_of(path), &error))?;
        Ok((accepted, self.stood))
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
        let buffered = batch.iter().any(|call| self.job.doors.of(&call.tool) == Durability::Buffered);
        let flushed_at_once = buffered || self.flight.iter().any(|flight| flight.buffered);
        let most = if flushed_at_once { BATCHES_BUFFERED_MAX } else { BATCHES_IN_FLIGHT_MAX };
        while self.flight.len() >= most {
            self.settle()?;
        }
        let begun = Instant::now();
        let ack = loop {
            if batch.is_empty() {
                break None;
            }
            match self.job.recorder.record_through(self.job.doors, batch.clone()) {
                Ok(ack) => break Some(ack),
                Err(Error::Busy) if begun.elapsed() < BUSY_WAIT_MAX => std::thread::sleep(BUSY_PAUSE),
                Err(error) => return Err(goes_on(error)),
            }
        };
        self.flight.push_back(Flight { noted, ack, buffered });
        Ok(())
    }

    /// Waits for the oldest batch, or for all where only a flush tells, and notes them.
    fn settle(&mut self) -> Result<(), Failure> {
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

/// Reads a line that may be anything.
fn read_line(line: &[u8], zone: &Zone) -> Result<Call, String> {
    let text = std::str::from_utf8(line).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
    receive(text.trim_ascii(), zone).map_err(|error| match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    })
}

/// Returns the id of an imported line.
fn id(content: &[u8; 32], note: &Note, run: u32) -> EntryId {
    let mut hash = Sha256::new();
    hash.update(content);
    hash.update(note.number.to_be_bytes());
    hash.update(run.to_be_bytes());
    let bits = hash.finalize()[..10].try_into().expect("ten of 32 bytes");
    EntryId::new(note.ts(), bits)
}

/// Returns a short hash of a line's bytes.
fn check(line: &[u8]) -> u64 {
    let mut hash = DefaultHasher::new();
    hash.write(line);
    hash.finish()
}

/// Returns bytes in hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns how a file is called in messages.
pub(crate) fn name_of(path: &Path) -> String {
    if path.as_os_str() == STDIN { "stdin".to_owned() } else { path.display().to_string() }
}

/// Returns a failure after which the same command goes on.
fn goes_on(error: Error) -> Failure {
    Failure::could_not(error.to_string(), "run the same command again: it goes on where it was")
}

/// Returns a progress bar where a person watches, else one that shows nothing.
fn bar(len: Option<u64>, template: &str) -> ProgressBar {
    if !output::stderr_is_terminal() {
        return ProgressBar::hidden();
    }
    match len {
        Some(len) => {
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(len).with_style(style)
        }
        None => ProgressBar::new_spinner(),
    }
}
