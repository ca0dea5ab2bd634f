//! Keeps the rollups of a home up to date, in small steps beside the recording.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::changes::Day;
use crate::clock::{Clock, Date, Zone};
use crate::disk::Lock;
use crate::home::{Home, TRAIL_FOLDER, day_name, day_of, user_folders};
use crate::record::{Upkeep, UpkeepStep};
use crate::rollup::{DayRollups, FileRollup, NewRollup, Part, extend, is_current, is_unchanged};
use crate::rollup_files;

/// The most bytes of day files that one step counts: some tens of milliseconds.
const STEP_BYTES: u64 = 16 * 1024 * 1024;

/// The most files that one step counts, and the most whose sizes it looks at.
const STEP_FILES: usize = 1_000;

/// The pause between two steps while there is work.
const STEP_EVERY: Duration = Duration::from_secs(1);

/// How often sizes of files are compared with the rollups, because other processes record too.
const WALK_EVERY: Duration = Duration::from_secs(10 * 60);

/// How often one file is read again, to see whether the bytes are still those that were counted.
const CHECK_EVERY: Duration = Duration::from_secs(30);

/// The rollups of a date are written again when this many bytes are new, or a tenth of all that they cover: so the work
/// stays in proportion, and an answer reads few lines.
const NEW_BYTES: u64 = 1024 * 1024;
const NEW_PART: u64 = 10;

/// How long new lines may wait at most for that; of days that are over, for which few lines still come, a shorter time.
const WAITS: Duration = Duration::from_secs(10 * 60);
const PAST_WAITS: Duration = Duration::from_secs(60);

/// After a look at a date that took a time, the next one is this many times later at least.
const REST: u32 = 50;

/// The most files that are remembered as grown. The next comparison of sizes finds further ones.
const GROWN_MAX: usize = 65_536;

/// Keeps the rollups of a home.
#[derive(Debug)]
pub struct RollupKeeper {
    home: Home,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// What is known between two steps. All of it can be found again on disk.
#[derive(Debug, Default)]
struct State {
    grown: BTreeMap<Date, Grown>,
    /// The files whose sizes are still to be compared.
    walk: Vec<(Date, Vec<String>)>,
    walked_at: Option<Duration>,
    checked_at: Option<Duration>,
    /// The file that was checked last.
    checked: Option<Day>,
}

/// The files of a date that have more lines than their rollups.
#[derive(Debug)]
struct Grown {
    folders: BTreeSet<String>,
    since: Duration,
    /// When it is worth a look again.
    look_at: Duration,
}

impl RollupKeeper {
    /// Returns the keeper of a home.
    #[must_use]
    pub fn new(home: Home, clock: Arc<dyn Clock>) -> Self {
        Self { home, clock, state: Mutex::default() }
    }

    /// Makes the rollups of all day files, for at most this time. Returns whether all are made. Does nothing if another
    /// process keeps them.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn finish(&self, time: Duration) -> io::Result<bool> {
        let begun = self.clock.monotonic();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(_lock) = self.lock()? else { return Ok(false) };
        state.walk = self.all_files()?;
        while self.clock.monotonic() - begun < time {
            if !state.walk.is_empty() {
                self.walk(&mut state);
            } else if let Some(date) = state.grown.keys().next_back().copied() {
                self.date(&mut state, date, true)?;
            } else {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Lock>>> {
        match rollup_files::try_lock(&**self.home.disk()) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn one_step(&self) -> io::Result<UpkeepStep> {
        let now = self.clock.monotonic();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The one that waits longest, so that a date that has new lines all the time holds up no other.
        let due = state.grown.iter().filter(|(_, grown)| grown.look_at <= now);
        let due = due.min_by_key(|(_, grown)| grown.look_at).map(|(date, _)| *date);
        let is_walk_due = state.walked_at.is_none_or(|walked| now >= walked + WALK_EVERY);
        let is_check_due = state.checked_at.is_none_or(|checked| now >= checked + CHECK_EVERY);
        if due.is_none() && state.walk.is_empty() && !is_walk_due && !is_check_due {
            return Ok(state.again(now));
        }
        let Some(_lock) = self.lock()? else { return Ok(UpkeepStep { again: CHECK_EVERY }) };
        if let Some(date) = due {
            let counted = self.date(&mut state, date, false);
            if counted.is_err() {
                state.rest(date, now, now + CHECK_EVERY / REST);
            }
            if counted? {
                return Ok(state.again(now));
            }
        }
        if !state.walk.is_empty() {
            self.walk(&mut state);
        } else if is_walk_due {
            state.walked_at = Some(now);
            state.walk = self.all_files()?;
        } else {
            state.checked_at = Some(now);
            self.check(&mut state)?;
        }
        Ok(state.again(now))
    }

    /// Returns all day files, by date.
    fn all_files(&self) -> io::Result<Vec<(Date, Vec<String>)>> {
        let disk = &**self.home.disk();
        rollup_files::remove_unfinished(disk)?;
        let mut dates = BTreeMap::<Date, Vec<String>>::new();
        for folder in user_folders(disk)? {
            let Ok(files) = disk.list(&[&folder, TRAIL_FOLDER]) else { continue };
            for date in files.iter().filter(|file| !file.folder).filter_map(|file| day_of(&file.name)) {
                dates.entry(date).or_default().push(folder.clone());
            }
        }
        // Rollups of which all files are gone.
        for date in rollup_files::dates(disk)? {
            dates.entry(date).or_default();
        }
        Ok(dates.into_iter().collect())
    }

    /// Compares the sizes of some of the files with their rollups, the newest date first.
    fn walk(&self, state: &mut State) {
        let mut files = 0;
        while files < STEP_FILES
            && let Some((date, folders)) = state.walk.pop()
        {
            files += 1 + folders.len();
            self.walk_date(state, date, &folders);
        }
    }

    fn walk_date(&self, state: &mut State, date: Date, folders: &[String]) {
        let disk = &**self.home.disk();
        let Ok(rollups) = DayRollups::open(disk, date) else { return };
        let grown = folders.iter().filter(|folder| {
            let Ok(Some(stat)) = disk.stat(&[folder, TRAIL_FOLDER, &day_name(date)]) else { return false };
            rollups.entries.get(*folder).is_none_or(|entry| {
                let is_unfit = entry.unfit_len > 0 && stat.len < 2 * entry.unfit_len;
                !is_unfit && (entry.covered.len != stat.len || entry.covered.inode != stat.inode)
            })
        });
        let grown = grown.cloned().collect::<Vec<_>>();
        let now = self.clock.monotonic();
        state.grew(date, grown, now);
        let here = folders.iter().collect::<BTreeSet<_>>();
        let gone = rollups.entries.keys().filter(|folder| !here.contains(folder)).cloned().collect::<BTreeSet<_>>();
        if folders.is_empty() {
            let _ = rollup_files::remove(disk, date);
        } else if !gone.is_empty() {
            // If it fails, the next comparison finds them again.
            let _ = rollups.write(disk, date, &BTreeMap::new(), &gone);
        }
    }

    /// Counts the new lines of a date, if there are enough of them. Returns whether there were.
    fn date(&self, state: &mut State, date: Date, in_any_case: bool) -> io::Result<bool> {
        let disk = &**self.home.disk();
        let begun = self.clock.monotonic();
        let Some(grown) = state.grown.get(&date) else { return Ok(false) };
        let rollups = DayRollups::open(disk, date)?;
        let covered = rollups.entries.values().map(|entry| entry.covered.len).sum::<u64>();
        let waits = if date < self.clock.now().date() { PAST_WAITS } else { WAITS };
        let mut new_bytes = 0;
        for folder in &grown.folders {
            let Ok(Some(stat)) = disk.stat(&[folder, TRAIL_FOLDER, &day_name(date)]) else { continue };
            new_bytes += stat.len.saturating_sub(rollups.entries.get(folder).map_or(0, |entry| entry.covered.len));
        }
        let is_due = new_bytes >= NEW_BYTES.max(covered / NEW_PART) || begun >= grown.since + waits;
        if !is_due && !in_any_case {
            state.rest(date, begun, self.clock.monotonic());
            return Ok(false);
        }
        let (mut new, mut done, mut bytes) = (BTreeMap::new(), BTreeSet::new(), 0);
        for folder in &grown.folders {
            if bytes >= STEP_BYTES || done.len() >= STEP_FILES {
                break;
            }
            // A file that cannot be read is left to the next comparison of sizes.
            let counted = self.file(&rollups, folder, date, &mut bytes).unwrap_or(Counted { new: None, more: false });
            new.extend(counted.new.map(|rollup| (folder.clone(), rollup)));
            if !counted.more {
                done.insert(folder.clone());
            }
        }
        rollups.write(disk, date, &new, &BTreeSet::new())?;
        if let Some(grown) = state.grown.get_mut(&date) {
            grown.folders.retain(|folder| !done.contains(folder));
            if grown.folders.is_empty() {
                state.grown.remove(&date);
            }
        }
        state.rest(date, begun, self.clock.monotonic());
        Ok(true)
    }

    /// Counts the new lines of a file.
    fn file(&self, rollups: &DayRollups, folder: &str, date: Date, bytes: &mut u64) -> io::Result<Counted> {
        let disk = &**self.home.disk();
        let nothing = Counted { new: None, more: false };
        let Some(file) = disk.open(&[folder, TRAIL_FOLDER, &day_name(date)])? else { return Ok(nothing) };
        // What is counted must not change after a power cut.
        file.sync()?;
        let stat = file.stat()?;
        let entry = rollups.entries.get(folder).filter(|entry| entry.unfit_len == 0);
        let entry = match entry {
            Some(entry) if is_current(&entry.covered, &*file, &stat)? => Some(entry),
            _ => None,
        };
        if entry.is_some_and(|entry| entry.covered.len == stat.len) {
            return Ok(nothing);
        }
        let before = match entry {
            Some(entry) => rollups.read(entry, &Part::ALL)?.map(|(rollup, _)| rollup),
            None => None,
        };
        let mut rollup = before.unwrap_or_else(FileRollup::default);
        let counted = extend(&mut rollup, (&*file, &stat), (date, &Zone::UTC), |read| {
            *bytes += read;
            *bytes < STEP_BYTES
        })?;
        if counted.is_err() {
            return Ok(Counted { new: Some(NewRollup::Unfit(stat.len)), more: false });
        }
        rollup.cells.thin_out();
        // Bytes without a newline are not counted before the line is whole.
        let more = *bytes >= STEP_BYTES && rollup.covered.len < stat.len;
        Ok(Counted { new: Some(NewRollup::Rollup(Box::new(rollup))), more })
    }

    /// Reads the next file again, and drops its rollup if it counts other bytes.
    fn check(&self, state: &mut State) -> io::Result<()> {
        let disk = &**self.home.disk();
        let mut dates = rollup_files::dates(disk)?;
        dates.sort_unstable();
        let after = state.checked.take();
        for date in dates.into_iter().filter(|date| after.as_ref().is_none_or(|(_, last)| date >= last)) {
            let rollups = DayRollups::open(disk, date)?;
            let is_next = |folder: &&String| after.as_ref().is_none_or(|(last, day)| *day < date || *folder > last);
            let Some(folder) = rollups.entries.keys().find(is_next) else { continue };
            state.checked = Some((folder.clone(), date));
            let entry = &rollups.entries[folder];
            let Some(file) = disk.open(&[folder, TRAIL_FOLDER, &day_name(date)])? else { return Ok(()) };
            if entry.unfit_len == 0 && !is_unchanged(&entry.covered, &*file)? {
                rollups.write(disk, date, &BTreeMap::new(), &BTreeSet::from([folder.clone()]))?;
                state.grew(date, vec![folder.clone()], self.clock.monotonic());
            }
            return Ok(());
        }
        Ok(())
    }
}

/// What a step has counted of a file.
struct Counted {
    new: Option<NewRollup>,
    /// Whether the file has more than fits into the step.
    more: bool,
}

impl State {
    /// Adds files that have grown.
    fn grew(&mut self, date: Date, folders: Vec<String>, now: Duration) {
        if folders.is_empty() || self.grown.values().map(|grown| grown.folders.len()).sum::<usize>() >= GROWN_MAX {
            return;
        }
        let grown = self.grown.entry(date).or_insert(Grown { folders: BTreeSet::new(), since: now, look_at: now });
        grown.folders.extend(folders);
    }

    /// Says when a date is worth a look again, after one that took the time from `begun` to `now`.
    fn rest(&mut self, date: Date, begun: Duration, now: Duration) {
        if let Some(grown) = self.grown.get_mut(&date) {
            grown.look_at = now + (now.saturating_sub(begun) * REST).max(STEP_EVERY);
        }
    }

    /// Returns when the next step is useful.
    fn again(&self, now: Duration) -> UpkeepStep {
        if !self.walk.is_empty() {
            return UpkeepStep { again: STEP_EVERY };
        }
        let next = self.grown.values().map(|grown| grown.look_at.saturating_sub(now)).min();
        UpkeepStep { again: next.unwrap_or(CHECK_EVERY).clamp(STEP_EVERY, CHECK_EVERY) }
    }
}

impl Upkeep for RollupKeeper {
    fn flushed(&self, files: &[(Day, u64)]) {
        let now = self.clock.monotonic();
        // While a step runs, the next comparison of sizes finds the files.
        let Ok(mut state) = self.state.try_lock() else { return };
        for ((folder, date), _) in files {
            state.grew(*date, vec![folder.clone()], now);
        }
    }

    fn step(&self) -> UpkeepStep {
        // A rollup that cannot be written holds up nothing.
        self.one_step().unwrap_or(UpkeepStep { again: CHECK_EVERY })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::clock::Timestamp;
    use crate::query::Question;
    use crate::read::Trail;

    #[derive(Debug, Default)]
    struct TestClock(AtomicU64);

    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_764_000_000_000)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_date_with_new_lines_or_errors_holds_up_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (home, clock) = (Home::create(folder.path(), false).unwrap(), Arc::<TestClock>::default());
        let append = |day: u32| {
            let path = folder.path().join(format!("alice/tool_audit/2025-11-{day}.jsonl"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let line = format!(
                "{{\"ts\":\"2025-11-{day}T08:00:00.000Z\",\"user\":\"alice\",\"tool\":\"t\",\"status\":\"ok\"}}\n"
            );
            let mut text = fs::read_to_string(&path).unwrap_or_default();
            text.push_str(&line);
            fs::write(path, text).unwrap();
        };
        // The rollups of the 22nd can be neither read nor written.
        fs::create_dir_all(folder.path().join(".tooltrail/rollup/2025-11-22.1/x")).unwrap();
        (18..=24).for_each(append);
        let keeper = RollupKeeper::new(home.clone(), clock.clone());
        for _ in 0..100 {
            append(24);
            keeper.step();
            clock.0.fetch_add(1, Ordering::Relaxed);
        }
        let stats = Trail::new(home, clock.clone(), Zone::UTC).stats(&Question::new()).unwrap();
        assert_eq!((stats.by_tool["t"].calls, stats.sources.rollups), (107, 5));
    }

    #[test]
    fn what_was_changed_in_the_middle_of_a_file_is_found_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let (home, clock) = (Home::create(folder.path(), false).unwrap(), Arc::<TestClock>::default());
        let path = folder.path().join("alice/tool_audit/2025-11-24.jsonl");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let line = |n: u32| {
            format!(
                "{{\"ts\":\"2025-11-24T08:00:{:02}.000Z\",\"user\":\"alice\",\"tool\":\"t\",\"status\":\"ok\",\"n\":\"{n:03}\"}}\n",
                n % 60
            )
        };
        let text = (0..100).map(line).collect::<String>();
        fs::write(&path, &text).unwrap();
        let keeper = RollupKeeper::new(home.clone(), clock.clone());
        // The file waits for more lines first, and is then counted without being asked for.
        let trail = Trail::new(home, clock.clone(), Zone::UTC);
        let steps = |count: u64| {
            for _ in 0..count {
                keeper.step();
                clock.0.fetch_add(31, Ordering::Relaxed);
            }
        };
        let answer = || {
            let stats = trail.stats(&Question::new()).unwrap();
            (stats.by_tool["t"].calls, stats.by_tool.contains_key("u"), stats.sources.as_str())
        };
        assert_eq!(answer(), (100, false, "scan"));
        steps(40);
        assert_eq!(answer(), (100, false, "rollup"));
        // The same file with other bytes of the same length, far from its end.
        fs::write(&path, text.replacen("\"tool\":\"t\"", "\"tool\":\"u\"", 1)).unwrap();
        steps(80);
        assert_eq!(answer(), (99, true, "rollup"));
    }
}
