//! The progress of an import, kept in a state file in the home, so that an import that was cut short can continue.
//!
//! The file `.tooltrail/imports/<sha256 of the content>.<run>` holds lines of JSON: first what is imported, then after
//! each acknowledged batch the number of stored entries, and last that the import is finished. The number is synced
//! before another batch takes the place of an acknowledged one. So the day files can hold entries beyond the number
//! only from the batches in flight.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tooltrail::Timestamp;
use tooltrail::disk::{Disk, DiskFile, Lock};

use crate::import::grown::Earlier;

/// The folder of the state files, below the home.
pub(crate) const FOLDER: [&str; 2] = [".tooltrail", "imports"];

/// Longest wait for another import of the same content: long enough if that import is just ending.
const LOCK_WAIT: Duration = Duration::from_millis(500);

/// Counts that are appended before the state file is rewritten with only the last count.
const COUNTS_MAX: u32 = 1_000;

/// Maximum bytes of a state file; a head and [`COUNTS_MAX`] counts need far less.
const STATE_BYTES_MAX: usize = 256 * 1024;

/// The first line of a state file: what is imported. An import continues only with the same plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// The time that lines without a time get, in milliseconds since 1970.
    started_ms: i64,
    /// A hash over the user of lines without a user, and over the line number and time of every entry.
    plan: String,
    /// The length of the content in bytes; 0 in state files of older versions.
    #[serde(default)]
    bytes: u64,
    /// A hash of the user that lines without a user get. A file that has grown is continued only for the same user.
    #[serde(default)]
    whose: String,
}

/// What a run imports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    /// A hash over the user of lines without a user, and over the line number and time of every entry.
    pub(crate) plan: &'a str,
    /// The length of the content in bytes.
    pub(crate) bytes: u64,
    /// A hash of the user that lines without a user get.
    pub(crate) whose: &'a str,
}

/// Returns the contents that were imported for the same user, finished or cut short.
pub(crate) fn earlier(disk: &dyn Disk, whose: &str) -> io::Result<Vec<Earlier>> {
    let mut found = Vec::new();
    for listed in disk.list(&FOLDER)? {
        let Some((content, run)) = listed.name.split_once('.').filter(|(_, run)| *run != "lock") else { continue };
        // Skips a state file that another process has just removed, or that is damaged.
        let Ok((head, mark)) = read(disk, &format!("{content}.{run}")) else { continue };
        if head.bytes > 0 && head.whose == whose {
            let finished = matches!(mark, ProgressMark::Finished(_));
            found.push(Earlier { bytes: head.bytes, content: content.to_owned(), finished });
        }
    }
    Ok(found)
}

/// A line after the first: the progress.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProgressMark {
    /// This number of sorted entries is acknowledged.
    Done(u64),
    /// All entries are acknowledged; the value is their number.
    Finished(u64),
}

/// Maximum number of finished imports that are remembered: a few megabytes of state files.
const STATES_MAX: usize = 10_000;
/// Days that a finished import is remembered: longer than the imported file is usually kept.
const STATE_DAYS: i64 = 400;

/// Removes the state files of imports that finished more than [`STATE_DAYS`] ago, and the oldest beyond [`STATES_MAX`].
/// An import that was cut short or is still running keeps its state file.
pub(crate) fn remove_old(disk: &dyn Disk, now: Timestamp) -> io::Result<()> {
    let mut states = Vec::new();
    for listed in disk.list(&FOLDER)? {
        if let Some(stat) = disk.stat(&[FOLDER[0], FOLDER[1], &listed.name])? {
            states.push((stat.modified_s, listed.name));
        }
    }
    // Newest first, because the newest are kept.
    states.sort_by(|a, b| b.cmp(a));
    let mut finished = 0;
    for (modified_s, name) in &states {
        let Some((content, run)) = name.split_once('.') else { continue };
        let is_lock = run == "lock";
        if !is_lock && !matches!(read(disk, name), Ok((_, ProgressMark::Finished(_)))) {
            continue;
        }
        finished += usize::from(!is_lock);
        let is_old = now.as_millis() / 1_000 - modified_s > STATE_DAYS * 24 * 60 * 60;
        let is_needed = is_lock && states.iter().any(|(_, other)| other != name && other.starts_with(content));
        if (is_old || finished > STATES_MAX) && !is_needed {
            disk.remove(&[FOLDER[0], FOLDER[1], name])?;
        }
    }
    Ok(())
}

/// Keeps other processes from importing session files, whose calls would be stored twice, while the lock is held.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] while another process imports session files.
pub(crate) fn lock_sessions(disk: &dyn Disk) -> io::Result<Box<dyn Lock>> {
    disk.lock(&[FOLDER[0], FOLDER[1], "sessions.lock"], LOCK_WAIT)
}

/// The imports of one content, with the lock that keeps other processes from importing it.
#[derive(Debug)]
pub(crate) struct Runs {
    disk: Arc<dyn Disk>,
    content: String,
    newest: Option<(u32, Head, ProgressMark)>,
    _lock: Box<dyn Lock>,
}

/// Whether and how an earlier import of a content ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EarlierImport {
    /// The content was never imported.
    New,
    /// The last import was cut short.
    CutShort,
    /// The last import finished.
    Finished,
}

impl Runs {
    /// Looks up the imports of a content, and takes its lock.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] while another process imports the same content.
    pub(crate) fn open(disk: &Arc<dyn Disk>, content: &[u8; 32]) -> io::Result<Self> {
        let content = tooltrail::hex(content);
        let lock = disk.lock(&[FOLDER[0], FOLDER[1], &format!("{content}.lock")], LOCK_WAIT)?;
        let listed = disk.list(&FOLDER)?;
        let number = |name: &str| name.strip_prefix(&content)?.strip_prefix('.')?.parse::<u32>().ok();
        let newest = match listed.iter().filter_map(|listed| number(&listed.name)).max() {
            None => None,
            Some(run) => {
                let (head, mark) = read(disk.as_ref(), &format!("{content}.{run}"))?;
                Some((run, head, mark))
            }
        };
        Ok(Self { disk: Arc::clone(disk), content, newest, _lock: lock })
    }

    /// Returns how the last import of the content ended.
    pub(crate) fn found(&self) -> EarlierImport {
        match self.newest {
            None => EarlierImport::New,
            Some((_, _, ProgressMark::Done(_))) => EarlierImport::CutShort,
            Some((_, _, ProgressMark::Finished(_))) => EarlierImport::Finished,
        }
    }

    /// Continues the run that was cut short, or begins the next run at the time `now`.
    ///
    /// Returns `None` if the run that was cut short has another plan than `of`.
    pub(crate) fn begin(self, of: Of<'_>, now: Timestamp) -> io::Result<Option<Progress>> {
        let Of { plan, bytes, whose } = of;
        let (run, head, done, resumed) = match &self.newest {
            Some((_, head, ProgressMark::Done(_))) if head.plan != plan => return Ok(None),
            Some((run, head, ProgressMark::Done(done))) => (*run, head.clone(), *done, true),
            other => {
                let run = other.as_ref().map_or(0, |(run, _, _)| run + 1);
                let (plan, whose) = (plan.to_owned(), whose.to_owned());
                (run, Head { started_ms: now.as_millis(), plan, bytes, whose }, 0, false)
            }
        };
        let mut progress = Progress { runs: self, run, head, done, resumed, file: None, counts: 0 };
        // This also removes an incomplete last line that the earlier process left.
        progress.rewrite(ProgressMark::Done(done))?;
        Ok(Some(progress))
    }

    /// Returns the content's hash in hex.
    pub(crate) fn content(&self) -> &str {
        &self.content
    }
}

/// A running import.
#[derive(Debug)]
pub(crate) struct Progress {
    runs: Runs,
    run: u32,
    head: Head,
    done: u64,
    resumed: bool,
    file: Option<Box<dyn DiskFile>>,
    counts: u32,
}

impl Progress {
    /// Returns the number of this import of the content, from 0.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// Returns the time that lines without a time get.
    pub(crate) fn started(&self) -> Timestamp {
        Timestamp::from_millis(self.head.started_ms)
    }

    /// Returns how many sorted entries are acknowledged.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// Returns whether this continues an import that was cut short.
    pub(crate) fn resumed(&self) -> bool {
        self.resumed
    }

    /// Adds to the number of acknowledged entries, and syncs the new number to disk.
    pub(crate) fn acknowledged(&mut self, entries: u64) -> io::Result<()> {
        self.done += entries;
        let mark = ProgressMark::Done(self.done);
        self.counts += 1;
        if self.counts >= COUNTS_MAX {
            return self.rewrite(mark);
        }
        if self.file.is_none() {
            self.file = Some(self.runs.disk.append(&[FOLDER[0], FOLDER[1], &self.name()])?);
        }
        let Some(file) = &self.file else { return Ok(()) };
        let line = line(&mark);
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            rest = &rest[file.append(rest)?.taken..];
        }
        file.sync()
    }

    /// Writes durably that the import is finished.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.rewrite(ProgressMark::Finished(self.done))
    }

    fn rewrite(&mut self, mark: ProgressMark) -> io::Result<()> {
        self.file = None;
        self.counts = 0;
        let text = line(&self.head) + &line(&mark);
        self.runs.disk.replace(&[FOLDER[0], FOLDER[1], &self.name()], text.as_bytes())
    }

    fn name(&self) -> String {
        format!("{}.{}", self.runs.content(), self.run)
    }
}

/// Returns a value as one line of the state file.
fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("numbers and hex digits are JSON") + "\n"
}

/// Reads the head and the last complete progress line.
fn read(disk: &dyn Disk, name: &str) -> io::Result<(Head, ProgressMark)> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, format!("{name} in .tooltrail/imports is damaged"));
    let file = disk.open(&[FOLDER[0], FOLDER[1], name])?.ok_or_else(broken)?;
    let mut bytes = vec![0; STATE_BYTES_MAX];
    let read = file.read_at(&mut bytes, 0)?;
    let text = std::str::from_utf8(&bytes[..read]).map_err(|_| broken())?;
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let head = lines.next().and_then(|line| serde_json::from_str(line).ok()).ok_or_else(broken)?;
    let mark = lines.next_back().and_then(|line| serde_json::from_str(line).ok()).ok_or_else(broken)?;
    Ok((head, mark))
}

#[cfg(test)]
mod tests {
    use super::{COUNTS_MAX, EarlierImport, Of, Runs, STATE_DAYS, earlier, remove_old};
    use crate::import::grown::Earlier;
    use tooltrail::{Home, Timestamp};

    #[test]
    fn an_import_cut_short_goes_on_and_a_finished_one_makes_room_for_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(folder.path(), false).unwrap();
        let open = || Runs::open(home.disk(), &[7; 32]);
        let at = Timestamp::from_millis;
        let of = |plan| Of { plan, bytes: 12, whose: "u" };
        assert_eq!(open().unwrap().found(), EarlierImport::New);
        let mut first = open().unwrap().begin(of("p"), at(5)).unwrap().unwrap();
        assert_eq!(open().unwrap_err().kind(), std::io::ErrorKind::TimedOut, "two at once");
        first.acknowledged(3).unwrap();
        first.acknowledged(4).unwrap();
        drop(first);
        let path = folder.path().join(".tooltrail/imports").join(format!("{}.0", "07".repeat(32)));
        let mut torn = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut torn, b"{\"done\":9").unwrap();
        assert_eq!(open().unwrap().found(), EarlierImport::CutShort);
        assert!(open().unwrap().begin(of("another plan"), at(9)).unwrap().is_none());
        let mut second = open().unwrap().begin(of("p"), at(9)).unwrap().unwrap();
        assert_eq!((second.run(), second.done(), second.started(), second.resumed()), (0, 7, at(5), true));
        for _ in 0..COUNTS_MAX + 2 {
            second.acknowledged(1).unwrap();
        }
        let known = |whose| earlier(home.disk().as_ref(), whose).unwrap();
        let of_it = |finished| vec![Earlier { bytes: 12, content: "07".repeat(32), finished }];
        assert_eq!(known("u"), of_it(false));
        second.finish().unwrap();
        assert_eq!((known("u"), known("v")), (of_it(true), Vec::new()));
        assert_eq!(open().unwrap().found(), EarlierImport::Finished);
        let third = open().unwrap().begin(of("q"), at(11)).unwrap().unwrap();
        assert_eq!((third.run(), third.done(), third.started(), third.resumed()), (1, 0, at(11), false));
        drop(third);
        // The finished run is removed once it is old enough; the run that was cut short stays, and so does the lock.
        let names = || std::fs::read_dir(folder.path().join(".tooltrail/imports")).unwrap().count();
        let now = tooltrail::Clock::now(&tooltrail::SystemClock::default());
        remove_old(home.disk().as_ref(), now).unwrap();
        assert_eq!(names(), 3);
        let later = at(now.as_millis() + (STATE_DAYS + 1) * 24 * 60 * 60 * 1_000);
        remove_old(home.disk().as_ref(), later).unwrap();
        assert_eq!(names(), 2);
    }
}
