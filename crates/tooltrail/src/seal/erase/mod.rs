//! Erases entries and files so that everything else still verifies.
//!
//! 1. All lines are flushed and sealed, so that each of them has a leaf that stays in the log for ever.
//! 2. A note in `.tooltrail/erasing` says what is to be done. If the process is killed, the next recorder does the rest.
//! 3. The log gets the record: who, when, why, and which lines or files by their keyed names. It is signed, and then also
//!    kept beside the key, so that a restored backup can be cleaned.
//! 4. Lines are overwritten in place, files are removed, and what other files hold of them goes too (`copies.rs`).
//! 5. The note is removed.

mod copies;
mod files;
mod removed;
mod replacement;
mod resume;
mod select;

use std::time::Duration;

pub(super) use resume::resume;
pub use select::EraseWhat;

use crate::changes::Day;
use crate::erased_ids;
use crate::error::Error;
use crate::home::{Home, SYSTEM_USER, TRAIL_FOLDER, day_name};
use crate::journal::{requested, waiting};
use crate::record::{Event, Recorder};
use crate::seal::erase::copies::Copies;
use crate::seal::erase::replacement::replacement;
use crate::seal::erase::resume::{Overwrite, Task, finish};
use crate::seal::erase::select::{Chosen, Selected, select};
use crate::seal::name::NameKey;
use crate::seal::owner::LogOwner;
use crate::seal::record::{ErasedLine, FILES_MAX, LINES_MAX, LogEvent, Record, What};
use crate::seal::sealer::Opened;
use crate::seal::signing::SignError;
use crate::seal::tree::leaf_hash;

/// How long to wait for a process that seals.
const WAIT: Duration = Duration::from_secs(10);

/// The most lines, and the most bytes of lines, that are erased with one note.
const PART_LINES_MAX: usize = 16_384;
const PART_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How often, and with which pause, it is looked whether other processes have flushed their lines. They flush every
/// second.
const FLUSH_TRIES: usize = 13;
const FLUSH_PAUSE: Duration = Duration::from_millis(250);

/// Returns a number that changes each time when something was erased in a home, for processes that keep lines in memory.
#[must_use]
pub fn count_erasures(home: &Home) -> u64 {
    requested(&**home.disk()).unwrap_or(0)
}

/// What was erased, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erased {
    /// The entries that were overwritten, with the reads of the trail that named them.
    pub entries: u64,
    /// The day files that were removed.
    pub files: u64,
    /// The calls that had begun and were not recorded yet: what was noted of them was removed.
    pub calls: u64,
    /// The overwritten lines without a salt: somebody who guesses the line can check the guess against its hash.
    pub without_salt: u64,
    /// The journals that still hold copies, because their processes do not answer. They are overwritten when the
    /// processes end.
    pub left_in: Vec<String>,
}

impl LogOwner {
    /// Erases entries or files of this home. `recorder` is a recorder of the same home; it must have been opened with the
    /// folder of keys. With `dry_run`, only counts.
    ///
    /// # Errors
    /// [`Error::Input`] if the user may not be erased, [`Error::Unhealthy`] if the log does not continue what was signed
    /// before, and any I/O error of the operating system. What was recorded before an error is completed by the next
    /// recorder that opens the home.
    pub fn erase(
        &self,
        recorder: &Recorder,
        what: &EraseWhat,
        by: &str,
        why: &str,
        dry_run: bool,
    ) -> Result<Erased, Error> {
        if matches!(what, EraseWhat::User { user, .. } if user == SYSTEM_USER) {
            let hint = "prune removes old days of all users, and --id erases single entries";
            return Err(Error::input("the entries that tooltrail writes about itself are no user's", hint));
        }
        if let EraseWhat::Query(query, _) = what {
            query.check_no_firsts("erasing")?;
        }
        let failed = |error| self.failed(SignError::Io(error));
        let disk = &**self.home.disk();
        if dry_run {
            let selected = select(disk, what, self.sealer.clock.now()).map_err(failed)?;
            return Ok(counted(&selected));
        }
        self.await_flushes(recorder)?;
        let mut opened = self.sealer.open(WAIT).map_err(|error| self.failed(error))?;
        self.sealer.seal_all(&mut opened).map_err(|error| self.failed(error))?;
        let selected = select(disk, what, self.sealer.clock.now()).map_err(failed)?;
        let mut erased = counted(&selected);
        let copies = Copies::of(what, &selected, self.sealer.clock.now());
        let ids = selected.lines.values().flatten().filter_map(|line| line.id.as_deref());
        erased_ids::note(disk, ids.chain(selected.ids.iter().map(String::as_str))).map_err(failed)?;
        for part in parts(&selected) {
            let (records, task) = self.records(&opened, &selected, &part, by, why).map_err(failed)?;
            task.note(disk).map_err(failed)?;
            self.sealer.record(&mut opened, &records).map_err(|error| self.failed(error))?;
            finish(&self.sealer, &task, &records).map_err(failed)?;
        }
        opened.close();
        let cleared = copies.clear(&self.home).map_err(failed)?;
        (erased.calls, erased.left_in) = (cleared.calls, cleared.left_in);
        Task::done(disk).map_err(failed)?;
        if erased.entries + erased.files == 0 {
            return Ok(erased);
        }
        recorder.event(Event::Erase {
            entries: erased.entries,
            files: erased.files,
            by: by.to_owned(),
            why: why.to_owned(),
        });
        Ok(erased)
    }

    /// Waits a while until no journal has unflushed lines.
    fn await_flushes(&self, recorder: &Recorder) -> Result<(), Error> {
        match recorder.flush() {
            Ok(()) | Err(Error::Unwritten { .. }) => {}
            Err(error) => return Err(error),
        }
        let (disk, id) = (&**self.home.disk(), self.home.id()?);
        for _ in 0..FLUSH_TRIES {
            let held = waiting(disk, &id).map_err(|error| self.failed(SignError::Io(error)))?;
            if held.is_empty() {
                break;
            }
            disk.pause(FLUSH_PAUSE);
        }
        Ok(())
    }

    /// Returns the records of the log for a part of the work, and the note of what is to be done.
    fn records(
        &self,
        opened: &Opened<'_>,
        selected: &Selected,
        part: &Part<'_>,
        by: &str,
        why: &str,
    ) -> std::io::Result<(Vec<Record>, Task)> {
        let disk = &**self.home.disk();
        let (at, mut events, mut lines, mut files) = (self.sealer.now_ms(), Vec::new(), Vec::new(), Vec::new());
        let mut task = Task::default();
        for (day, chosen) in &part.lines {
            let key = NameKey::make(disk, &day.0, &*self.sealer.random)?;
            let name = key.of_file(&day.0, day.1);
            let sealed = opened.log.heads.newest(&name).map_or(0, |(_, head)| head.tree.first_line + head.entries);
            let path = [&*day.0, TRAIL_FOLDER, &day_name(day.1)];
            let file = disk.open(&path)?.ok_or(std::io::ErrorKind::NotFound)?;
            // Lines that came after the seal are left for the next time.
            for line in chosen.iter().filter(|line| line.number < sealed) {
                let mut bytes = vec![0; line.len];
                file.read_at(&mut bytes, line.offset)?;
                if leaf_hash(&bytes) != line.old {
                    continue;
                }
                lines.push(ErasedLine { name, line: line.number, old: line.old, new: line.new, id: line.id.clone() });
                let new = replacement(&bytes);
                task.add(day, Overwrite { number: line.number, offset: line.offset, new });
            }
        }
        if part.has_files {
            for day in &selected.files {
                if let Some(key) = NameKey::read(disk, &day.0)? {
                    files.push(key.of_file(&day.0, day.1));
                }
                task.files.insert(day.clone());
            }
            task.folders.clone_from(&selected.folders);
        }
        events.extend(lines.chunks(LINES_MAX).map(|lines| What::ErasedLines(lines.to_vec())));
        events.extend(files.chunks(FILES_MAX).map(|files| What::ErasedFiles(files.to_vec())));
        let records = events.into_iter().map(|what| Record::Event(LogEvent::new(at, by, why, what)));
        Ok((records.collect(), task))
    }
}

/// A part of the work, so small that its note fits into memory.
struct Part<'a> {
    lines: Vec<(&'a Day, &'a [Chosen])>,
    /// Whether the files go with it.
    has_files: bool,
}

/// Returns the parts of the work: the files first, and then the lines.
fn parts(selected: &Selected) -> Vec<Part<'_>> {
    let mut parts = vec![Part { lines: Vec::new(), has_files: true }];
    let (mut count, mut bytes) = (0, 0);
    for (day, chosen) in &selected.lines {
        let mut from = 0;
        for (at, line) in chosen.iter().enumerate() {
            (count, bytes) = (count + 1, bytes + line.len);
            if count >= PART_LINES_MAX || bytes >= PART_BYTES_MAX || at + 1 == chosen.len() {
                if let Some(part) = parts.last_mut() {
                    part.lines.push((day, &chosen[from..=at]));
                }
                from = at + 1;
            }
            if count >= PART_LINES_MAX || bytes >= PART_BYTES_MAX {
                parts.push(Part { lines: Vec::new(), has_files: false });
                (count, bytes) = (0, 0);
            }
        }
    }
    parts.retain(|part| !part.lines.is_empty() || part.has_files && !selected.files.is_empty());
    parts
}

fn counted(selected: &Selected) -> Erased {
    let lines = || selected.lines.values().flatten();
    Erased {
        entries: lines().count() as u64,
        files: selected.files.len() as u64,
        calls: 0,
        without_salt: lines().filter(|line| !line.has_salt).count() as u64,
        left_in: Vec::new(),
    }
}
