//! One file from its first byte to its last acknowledgement.

use std::io;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest as _, Sha256};
use tooltrail::{Doors, Home, Recorder, Zone};

use crate::failure::Failure;
use crate::import::line::{check, read_line};
use crate::import::order::{Note, Notes};
use crate::import::source::{Again, LINE_BYTES_MAX, STDIN, Source};
use crate::import::state::{Found, Runs};
use crate::import::store::Store;
use crate::output;

/// Rejected lines that are named one by one; the rest is only counted.
const REJECTED_NAMED_MAX: usize = 1_000;

/// Characters of what is wrong with a line, which may quote it.
const REFUSAL_CHARS_MAX: usize = 300;

/// How far a line's time may be ahead of our clock: clocks differ by minutes at worst.
const AHEAD_MS_MAX: i64 = 5 * 60 * 1_000;

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
    pub(super) fn push(&mut self, number: u64, error: String) {
        self.count += 1;
        if self.named.len() < REJECTED_NAMED_MAX {
            self.named.push((number, error));
        }
    }

    /// Adds others, by their lines.
    fn add(&mut self, others: Self) {
        self.count += others.count;
        self.named.extend(others.named);
        self.named.sort_by_key(|(number, _)| *number);
        self.named.truncate(REJECTED_NAMED_MAX);
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
    /// Of the entries, those of days that are too old to be kept now; storing decides, as a day may end before.
    late: Rejected,
    /// The others.
    kept: u64,
}

impl Job<'_> {
    /// Imports one file.
    pub(crate) fn import(&self, path: &Path) -> Result<Report, Failure> {
        let scanned = self.scan(path).map_err(|error| Failure::io("read", name_of(path), &error))?;
        let failed = |error: io::Error| Failure::io("import", name_of(path), &error);
        if scanned.kept == 0 {
            let (sha256, mut rejected) = (hex(&scanned.content), scanned.rejected);
            rejected.add(scanned.late);
            return Ok(Report { sha256, outcome: Outcome::Nothing, rejected });
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
        let Some(progress) = runs.begin(&scanned.plan, crate::clock::now()).map_err(failed)? else {
            return Err(Failure::could_not(
                format!("an import of {} was cut short, with another --user or another zone", name_of(path)),
                "run it again with those of that time",
            ));
        };
        let mut rejected = scanned.rejected;
        let (run, before) = (progress.run(), progress.done());
        let notes = scanned.notes.sorted(progress.started()).map_err(failed)?;
        let bar = bar(Some(scanned.entries), "storing {wide_bar} {human_pos}/{human_len} entries, {eta} left");
        bar.set_position(before);
        let store = Store::new(self, path, (&scanned.content, &scanned.again), progress, bar);
        let (accepted, stood, late) = store.run(notes)?;
        rejected.add(late);
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
        let (mut entries, mut kept, mut late) = (0, 0, Rejected::default());
        let mut line = Vec::new();
        let latest_ms = crate::clock::now().as_millis() + AHEAD_MS_MAX;
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
                    rejected.push(place.number, self.recorder.excerpt(&error, REFUSAL_CHARS_MAX));
                    continue;
                }
            };
            if let Some(ts) = call.ts.filter(|ts| ts.as_millis() > latest_ms) {
                rejected.push(place.number, format!("ts {ts} lies in the future"));
                continue;
            }
            match self.recorder.too_late(&call) {
                Some(why) => late.push(place.number, why),
                None => kept += 1,
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
        Ok(Scanned { content, plan: hex(&plan.finalize()), entries, notes, again, rejected, late, kept })
    }
}

/// Returns bytes in hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns how a file is called in messages.
pub(crate) fn name_of(path: &Path) -> String {
    if path.as_os_str() == STDIN { "stdin".to_owned() } else { path.display().to_string() }
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
