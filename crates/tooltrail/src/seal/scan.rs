//! Finds the files that have grown: those of the list (`changes.rs`), and from time to time all whose sizes differ from
//! their heads, because other programs append too.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::changes::{Change, Changes, Day};
use crate::clock::{Date, Timestamp};
use crate::disk::Disk;
use crate::home::{APPENDS_WAIT, Home, OWN_FOLDER, TRAIL_FOLDER, day_name, day_of, user_folders};
use crate::seal::heads::Heads;
use crate::seal::keys::read_text;
use crate::seal::leaves::SEAL_FOLDER;
use crate::seal::name::NameKey;

/// How often the sizes of the files of today and yesterday are compared with their heads, and those of all files.
const SCAN_NEAR_EVERY: Duration = Duration::from_secs(60);
const SCAN_ALL_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a file without a head is left to the process that writes it, which lists it when it has flushed it. Flushes
/// come every second, but a busy disk may take several seconds for one.
const YOUNG: Duration = Duration::from_secs(10);

/// The file that says when sizes were last compared.
const SCANNED: [&str; 3] = [OWN_FOLDER, SEAL_FOLDER, "scanned.1"];

/// How long a line may wait for more lines of its file. What was found by its size has waited.
pub(super) const LINE_WAITS: Duration = Duration::from_secs(10);

/// What a process knows about the sizes of files.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// When sizes were last compared.
    scanned: Scanned,
    /// Files without a head that had just been written when sizes were compared, and when that was first so.
    young: BTreeMap<Day, Timestamp>,
    /// Files that were found and did not fit into a round.
    left: BTreeMap<Day, Change>,
}

/// When the sizes of files were last compared with their heads.
#[derive(Clone, Copy, Debug, Default)]
struct Scanned {
    near: Option<Timestamp>,
    all: Option<Timestamp>,
}

/// A file whose length differs from that of its head.
#[derive(Debug)]
struct Unsealed {
    day: Day,
    len: u64,
    /// Whether it has no head and was written a moment ago.
    is_young: bool,
}

/// What is to be sealed.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) changes: Changes,
    /// Files that are not in the list and have grown.
    pub(super) found: BTreeMap<Day, Change>,
}

impl Scan {
    /// Whether sizes are to be compared again. `shares`: not if another process has done so lately.
    pub(super) fn is_due(&mut self, disk: &dyn Disk, now: Timestamp, shares: bool) -> bool {
        if shares && is_due(now, self.scanned.near, SCAN_NEAR_EVERY) {
            self.scanned = Scanned::read(disk);
        }
        !self.left.is_empty() || is_due(now, self.scanned.near, SCAN_NEAR_EVERY)
    }

    /// Whether files were left out that had just been written, or that did not fit into the last round.
    pub(super) fn has_more(&self) -> bool {
        !self.young.is_empty() || !self.left.is_empty()
    }

    /// Takes back files that were found and are not sealed yet. Otherwise a file of an older day would wait until all
    /// sizes are compared again.
    pub(super) fn keep(&mut self, disk: &dyn Disk, left: BTreeMap<Day, Change>) {
        self.left = left;
        // Other processes are told only when nothing is left, because this one may end before it has sealed the rest.
        if !self.has_more() {
            self.scanned.keep(disk);
        }
    }

    /// Gathers the files that have grown. `with_young`: also those that were written a moment ago and have no head yet.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(super) fn work(&mut self, home: &Home, heads: &Heads, now: Timestamp, with_young: bool) -> io::Result<Work> {
        let disk = &**home.disk();
        let changes = Changes::read(disk)?;
        let all = is_due(now, self.scanned.all, SCAN_ALL_EVERY);
        let mut work = Work { changes, found: std::mem::take(&mut self.left) };
        if !all && !is_due(now, self.scanned.near, SCAN_NEAR_EVERY) {
            return Ok(work);
        }
        let near = now.date().plus_days(-1);
        // While the lock is held, no process of ours has half of a batch in a file, which it might take back.
        let Ok(appends) = home.lock_appends(APPENDS_WAIT) else { return Ok(work) };
        let grown = grown(disk, heads, now, |date| all || date >= near)?;
        drop(appends);
        let since_ms = now.as_millis() - i64::try_from(LINE_WAITS.as_millis()).unwrap_or(0);
        let seen_young = std::mem::take(&mut self.young);
        for Unsealed { day, len, is_young } in grown {
            if work.changes.days.get(&day).is_some_and(|change| change.len >= len) {
                continue;
            }
            let since = seen_young.get(&day).copied().unwrap_or(now);
            if is_young && !with_young && !is_due(now, Some(since), YOUNG) {
                self.young.insert(day, since);
                continue;
            }
            // Whoever wrote it may not have synced it.
            match disk.open(&[&day.0, TRAIL_FOLDER, &day_name(day.1)]) {
                Ok(Some(file)) if file.sync().is_ok() => {
                    work.found.insert(day, Change { len, since_ms });
                }
                _ => {}
            }
        }
        // Sizes are compared again soon if files were left out.
        if self.young.is_empty() {
            self.scanned = Scanned { near: Some(now), all: if all { Some(now) } else { self.scanned.all } };
        }
        Ok(work)
    }
}

/// Returns the files whose lengths differ from their heads. What cannot be read is left out.
fn grown(
    disk: &dyn Disk,
    heads: &Heads,
    now: Timestamp,
    is_wanted: impl Fn(Date) -> bool,
) -> io::Result<Vec<Unsealed>> {
    let mut grown = Vec::new();
    for folder in user_folders(disk)? {
        let Ok(files) = disk.list(&[&folder, TRAIL_FOLDER]) else { continue };
        let key = NameKey::read(disk, &folder).ok().flatten();
        for date in files.iter().filter_map(|file| day_of(&file.name)).filter(|date| is_wanted(*date)) {
            let sealed = key.and_then(|key| heads.newest(&key.of_file(&folder, date)));
            let sealed_len = sealed.map_or(0, |(_, head)| head.bytes);
            match disk.stat(&[&folder, TRAIL_FOLDER, &day_name(date)]) {
                Ok(Some(stat)) if stat.len != sealed_len => {
                    let modified = Timestamp::from_millis(i64::try_from(stat.modified_ns / 1_000_000).unwrap_or(0));
                    let is_young = sealed.is_none() && !is_due(now, Some(modified), YOUNG);
                    grown.push(Unsealed { day: (folder.clone(), date), len: stat.len, is_young });
                }
                _ => {}
            }
        }
    }
    Ok(grown)
}

impl Scanned {
    /// Returns when another process last compared the sizes.
    fn read(disk: &dyn Disk) -> Self {
        let text = read_text(disk, &SCANNED, 64).ok().flatten().unwrap_or_default();
        let mut times = text.split_whitespace().map(|ms| ms.parse().ok().map(Timestamp::from_millis));
        Self { near: times.next().flatten(), all: times.next().flatten() }
    }

    /// Notes it for short-lived processes. If that fails, they compare once more.
    fn keep(&self, disk: &dyn Disk) {
        let ms = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_millis);
        let text = format!("{:016} {:016}\n", ms(self.near), ms(self.all));
        let _ = disk.write(&SCANNED).and_then(|file| file.write_at(text.as_bytes(), 0));
    }
}

/// Whether so much time has passed. If the clock was set back, it has.
pub(super) fn is_due(now: Timestamp, last: Option<Timestamp>, every: Duration) -> bool {
    last.is_none_or(|last| {
        let passed = now.as_millis() - last.as_millis();
        u128::try_from(passed).map_or(true, |passed| passed >= every.as_millis())
    })
}
