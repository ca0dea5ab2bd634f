//! Appends lines to their day files under the home's append lock, and acknowledges them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::day::{Damage, End, LOOKS_MAX, STILL, Wanted, last_line, reconcile};
use crate::disk::{DiskFile, FileId, Lock, is_trouble};
use crate::error::Error;
use crate::home::APPENDS_WAIT;
use crate::home::{TRAIL_FOLDER, day_name};
use crate::record::loss::LossReason;
use crate::record::parallel_map::parallel_map;
use crate::record::recovery::{changed, refused, spliced};
use crate::record::store::files::{Change, FILE_THREADS_MAX, FILES_PER_THREAD, Opened};
use crate::record::store::flusher::{Unflushed, sync};
use crate::record::store::group::{Day, Group, Row, Waiting};
use crate::record::store::{Pending, Store, TornTail};

/// The most files of a batch that are appended to while the lock is held once.
const FILES_AT_ONCE_MAX: usize = 64;

/// How long the acknowledgement of a journaled line waits for the append lock, so that a reader finds the line in its
/// day file.
const VISIBLE_WAIT: Duration = Duration::from_millis(50);

/// The most bytes of pending lines: two segments of the journal. Above it, durable calls are refused.
pub(super) const PENDING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The reason for the loss of lines whose file another program removed, replaced or cut.
pub(super) const REMOVED: &str = "their day file was removed, replaced or cut by others before they were durable";

impl Store {
    /// Stores lines: first writes the durable ones into the journal, then appends all to their day files, then keeps
    /// the promises. Pending lines are tried again first.
    pub(crate) fn commit(&mut self, mut groups: BTreeMap<Day, Group>) {
        self.write_journal(&mut groups);
        self.look_at_torn_tails(false);
        for day in self.pending.keys() {
            groups.entry(day.clone()).or_default();
        }
        if !groups.is_empty() {
            self.trouble = None;
        }
        while !groups.is_empty() {
            let rest = groups.keys().nth(FILES_AT_ONCE_MAX).cloned();
            let rest = rest.map_or_else(BTreeMap::new, |first| groups.split_off(&first));
            self.append(std::mem::replace(&mut groups, rest));
            if self.flusher.waiting() > self.files.handles_max() {
                self.flush();
            }
            if self.locked_since.is_some() {
                groups = self.defer_all(groups);
            }
        }
        self.unreported.stored(self.trouble.is_none().then_some(self.epoch));
    }

    /// Appends each group to its file under the append lock, and keeps the promises after the lock is released.
    fn append(&mut self, mut groups: BTreeMap<Day, Group>) {
        let lock = match self.lock(&groups) {
            Ok(Some(lock)) => lock,
            Ok(None) => {
                self.defer_all(groups);
                return;
            }
            Err(error) => {
                let why = Error::io("lock the appends of", self.home.root())(error).message();
                groups.into_iter().for_each(|(day, group)| self.defer_or_lose(day, group, true, &why));
                return;
            }
        };
        let opened = self.open_ends(std::mem::take(&mut groups));
        let noted = opened.iter().map(|((folder, day), group, end)| (folder.as_str(), *day, end, &group.span));
        // If the note fails, the entries are appended all the same: an entry that a reader may show late is better than
        // none.
        if let Err(error) = self.lateness.note(&**self.home.disk(), noted) {
            self.trouble = Some(Error::io("note what comes late in", self.home.root())(error).message());
        }
        let mut appended = Vec::new();
        for (day, group, end) in opened {
            self.append_to(day, group, end, &mut appended);
        }
        drop(lock);
        self.acknowledge(appended);
    }

    /// Appends a group to its file, and adds the lines that are in the file afterwards to `appended`.
    fn append_to(&mut self, day: Day, mut group: Group, end: End, appended: &mut Vec<(Day, End, Vec<Row>)>) {
        let done = end.append(&**self.home.disk(), &day.0, day.1, &group.text);
        if done.spliced > 0 {
            self.events.push(spliced(&day, done.spliced));
        }
        let stored = group.lines.iter().take_while(|line| line.end <= done.stored).count();
        let rest = Group { lines: group.lines.split_off(stored), ..Group::default() };
        self.meters.written(stored, done.stored);
        match done.error {
            None if done.len == end.len + group.text.len() as u64 => {
                self.lateness.appended(&day.0, day.1, group.text.len(), &group.span);
                self.files.appended(&day, &end.file, end.file_id, done.len);
            }
            // Another writer has appended to the file meanwhile.
            None => {
                self.lateness.forget(&day.0, day.1);
                self.files.appended(&day, &end.file, end.file_id, done.len);
            }
            Some(error) => {
                self.lateness.forget(&day.0, day.1);
                self.files.forget(&day);
                let why = Error::io("append to", &self.home.day_path(&day.0, day.1))(error).message();
                let mut start = done.stored;
                let mut late = Group::default();
                for line in rest.lines {
                    late.text.extend_from_slice(&group.text[start..line.end]);
                    start = line.end;
                    late.lines.push(Row { end: late.text.len(), ..line });
                }
                self.defer_or_lose(day.clone(), late, true, &why);
            }
        }
        if stored > 0 {
            appended.push((day, End { len: done.len, ..end }, group.lines));
        }
    }

    /// Takes the home's append lock; `None` if another process holds it for longer than an acknowledgement should wait.
    ///
    /// A process that is stopped while it holds the lock keeps it until it continues. Lines in the synced journal are
    /// acknowledged all the same, and become pending until the lock is free. The long wait is only for lines that a
    /// caller waits for and that could not be journaled.
    fn lock(&mut self, groups: &BTreeMap<Day, Group>) -> io::Result<Option<Box<dyn Lock>>> {
        let now = self.clock.monotonic();
        let must_wait = |line: &Row| !line.journaled && matches!(line.waiting, Waiting::Promise(_));
        let wait = match groups.values().flat_map(|group| &group.lines).any(must_wait) {
            true => APPENDS_WAIT,
            false if self.locked_since.is_some() => Duration::ZERO,
            false => VISIBLE_WAIT,
        };
        match self.home.lock_appends(wait) {
            Ok(lock) => {
                self.locked_since = None;
                Ok(Some(lock))
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut && wait < APPENDS_WAIT => {
                self.locked_since.get_or_insert(now);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes all of these lines pending until the append lock is free. Returns an empty map.
    fn defer_all(&mut self, groups: BTreeMap<Day, Group>) -> BTreeMap<Day, Group> {
        let why = "another process holds the append lock";
        groups.into_iter().for_each(|(day, group)| self.defer(day, group, why));
        BTreeMap::new()
    }

    /// Checks whether torn tails have not grown for long enough to count as damage, and keeps a copy of those. With
    /// `waited`, the caller has just waited for that time. No lock is held, so that others can append meanwhile.
    pub(super) fn look_at_torn_tails(&mut self, waited: bool) {
        let (now, disk) = (self.clock.monotonic(), &**self.home.disk());
        let mut gone = Vec::new();
        for (day, tail) in self.torn.iter_mut().filter(|(_, tail)| tail.damage.is_none()) {
            let len = match disk.stat(&[&day.0, TRAIL_FOLDER, &day_name(day.1)]) {
                Ok(Some(stat)) => stat.len,
                // Opening the file reports the problem with a better message.
                Ok(None) | Err(_) => {
                    gone.push(day.clone());
                    continue;
                }
            };
            let has_grown = len != tail.len;
            if has_grown {
                (tail.len, tail.since) = (len, now);
            }
            // A writer that has not ended its line after this time is no longer waited for.
            let is_over = now.saturating_sub(tail.first) >= STILL * LOOKS_MAX as u32;
            if is_over || (!has_grown && (waited || now.saturating_sub(tail.since) >= STILL)) {
                match Damage::of_tail(disk, &day.0, day.1, len) {
                    Ok(damage) => tail.damage = Some(damage),
                    Err(error) => {
                        let why = Error::io("keep the torn end of", &self.home.day_path(&day.0, day.1))(error);
                        self.trouble = Some(why.to_string());
                    }
                }
            }
        }
        gone.iter().for_each(|day| drop(self.torn.remove(day)));
    }

    /// Ends a torn tail of which a copy was kept. The caller holds the append lock. Returns `None` if the lines for
    /// this file must wait.
    fn mend_tail(&mut self, day: &Day, end: End) -> io::Result<Option<End>> {
        let disk = Arc::clone(self.home.disk());
        if !end.is_torn {
            if let Some(damage) = self.torn.remove(day).and_then(|tail| tail.damage) {
                // The other writer has completed its line, so the copy is not needed.
                damage.discard(&*disk)?;
            }
            return Ok(Some(end));
        }
        let now = self.clock.monotonic();
        if !self.torn.contains_key(day) {
            let line = last_line(&*end.file, end.len)?;
            let new = TornTail { line, len: end.len, since: now, first: now, damage: None };
            self.torn.insert(day.clone(), new);
        }
        let Some(tail) = self.torn.get_mut(day) else { return Ok(None) };
        let Some(damage) = tail.damage.take() else { return Ok(None) };
        let has_grown = tail.len != end.len;
        if has_grown && now.saturating_sub(tail.first) < STILL * LOOKS_MAX as u32 {
            (tail.len, tail.since) = (end.len, now);
            damage.discard(&*disk)?;
            return Ok(None);
        }
        self.torn.remove(day);
        for fragment in damage.mend(&*disk, (&day.0, day.1), &*end.file, self.flusher.durable_len(day))? {
            self.report_fragment(&fragment);
        }
        let len = end.file.stat()?.len;
        Ok(Some(End { len, is_torn: false, ..end }))
    }

    /// Opens the files at their ends. Pending lines, and journaled lines that another program removed from a file, are
    /// appended first.
    fn open_ends(&mut self, mut groups: BTreeMap<Day, Group>) -> Vec<(Day, Group, End)> {
        let found = self.files.open(groups.keys().cloned().collect());
        let changes = found.iter().filter_map(|opened| Some((opened.day.clone(), opened.change?))).collect::<Vec<_>>();
        self.changed(changes, &groups);
        let mut opened = Vec::new();
        for Opened { day, end, .. } in found {
            let Some(group) = groups.remove(&day) else { continue };
            let end = end.and_then(|end| self.mend_tail(&day, end));
            let end = end.and_then(|end| end.map(|end| self.replay_pending(&day, end)).transpose());
            match end {
                Ok(None) => self.defer(day, group, "its day file ends with half a line of another writer"),
                Ok(Some(_)) if group.lines.is_empty() => {}
                Ok(Some(end)) => opened.push((day, group, end)),
                Err(error) => {
                    self.files.forget(&day);
                    let trouble = is_trouble(&error);
                    let why = Error::io("open", &self.home.day_path(&day.0, day.1))(error).message();
                    if !trouble && self.blocked.add(&day, &why, self.clock.monotonic()) {
                        self.events.push(refused(&day, &why));
                    }
                    // If the name can never be a day file, the lines are not kept for it.
                    self.defer_or_lose(day, group, trouble, &why);
                }
            }
        }
        opened
    }

    /// Appends the pending lines of a file, and returns the end of the file afterwards.
    fn replay_pending(&mut self, day: &Day, end: End) -> io::Result<End> {
        self.blocked.remove(day);
        let Some(pending) = self.pending.get(day) else { return Ok(end) };
        let (from, durable_len) = (pending.from, self.flusher.durable_len(day));
        let want = Wanted { folder: &day.0, day: day.1, from, durable_len, again: u64::MAX, lines: &pending.lines };
        let done = reconcile(&**self.home.disk(), &mut self.lateness, &want, Damage::default())?;
        if done.spliced > 0 {
            self.events.push(spliced(day, done.spliced));
        }
        let Some(pending) = self.pending.remove(day) else { return Ok(end) };
        self.meters.written(pending.lines.len(), pending.bytes);
        self.files.appended(day, &done.file, done.file_id, done.len);
        self.note_unflushed(day.clone(), &done.file, done.file_id, done.len, pending.unjournaled);
        Ok(End { file: done.file, file_id: done.file_id, len: done.len, is_torn: false })
    }

    /// Handles files that another program removed, replaced or cut: records an incident for each of them, and makes
    /// their journaled lines pending, so that they are appended again before the lines of `coming`. Each change has the
    /// length that the file had before.
    pub(super) fn changed(&mut self, changes: Vec<(Day, (Change, u64))>, coming: &BTreeMap<Day, Group>) {
        if changes.is_empty() {
            return;
        }
        let mut days = BTreeSet::new();
        for (day, (change, before)) in changes {
            self.events.push(changed(&day, change, before));
            self.flusher.forget_clean(&day);
            if let Some(unflushed) = self.flusher.take(&day) {
                self.losses.count(LossReason::Removed, unflushed.unjournaled, REMOVED);
            }
            self.files.forget(&day);
            self.lateness.forget(&day.0, day.1);
            days.insert(day);
        }
        // The journal is read once for all files, because the folders of a thousand users may have been removed.
        let lines = match self.journal.lines_of(&days) {
            Ok(lines) => lines,
            Err(error) => {
                self.trouble = Some(format!("could not read the journal: {error}"));
                return;
            }
        };
        for (day, lines) in lines {
            let coming = coming.get(&day).into_iter().flat_map(Group::rows).map(|(text, _)| text);
            let coming = coming.collect::<BTreeSet<_>>();
            // Lines that are about to be appended are in the journal too, and so are most pending lines. Each must be
            // appended only once.
            let lines = lines.into_iter().filter(|record| !coming.contains(&*record.line));
            let mut lines = lines.map(|record| record.line).collect::<Vec<_>>();
            let before = self.pending.remove(&day).unwrap_or_default();
            let known = lines.iter().cloned().collect::<BTreeSet<_>>();
            lines.extend(before.lines.into_iter().filter(|line| !known.contains(line)));
            let bytes = lines.iter().map(Vec::len).sum();
            self.pending.insert(day, Pending { from: 0, lines, bytes, unjournaled: before.unjournaled });
        }
    }

    fn note_unflushed(&mut self, day: Day, file: &Arc<dyn DiskFile>, file_id: FileId, len: u64, unjournaled: u64) {
        self.home.grown().add(&day.0, day.1);
        self.flusher.appended(day, Unflushed { file: Arc::clone(file), file_id, len, unjournaled });
    }

    /// Keeps the promises of lines that are in their day files. A day file is synced first if it has a line that a
    /// caller waits for and that is not in the journal.
    fn acknowledge(&mut self, appended: Vec<(Day, End, Vec<Row>)>) {
        let mut unsynced = Vec::new();
        for (day, end, lines) in appended {
            // A gap is not counted as a lost line: its counts are reported again until a gap is durable.
            let counts = |line: &&Row| !line.journaled && !matches!(line.waiting, Waiting::Gap(_));
            let unjournaled = lines.iter().filter(counts).count() as u64;
            self.note_unflushed(day.clone(), &end.file, end.file_id, end.len, unjournaled);
            if lines.iter().all(|line| line.journaled || !matches!(line.waiting, Waiting::Promise(_))) {
                self.end_stored(&lines);
                lines.into_iter().for_each(|line| line.waiting.keep());
            } else if let Some(unflushed) = self.flusher.take(&day) {
                unsynced.push((day, unflushed, lines));
            }
        }
        let (clock, meters, suspect) = (&*self.clock, &*self.meters, &self.suspect);
        let synced = parallel_map(unsynced, FILE_THREADS_MAX, FILES_PER_THREAD, |(day, unflushed, lines)| {
            let synced = if suspect.contains_key(&day) {
                Err(io::Error::other("a flush of it failed before"))
            } else {
                sync(&*unflushed.file, clock, meters)
            };
            (day, unflushed.len, lines, synced)
        });
        for (day, len, lines, synced) in synced {
            let Err(error) = synced else {
                self.flusher.set_durable_len(day, len);
                self.end_stored(&lines);
                lines.into_iter().for_each(|line| line.waiting.keep());
                continue;
            };
            let why = Error::io("sync", &self.home.day_path(&day.0, day.1))(error).message();
            // The lines are in the file and will be written again. Only callers that wait must know that they are not
            // durable.
            let mut unreported = 0;
            for line in lines {
                match line.waiting {
                    Waiting::Promise(promise) if !promise.is_unheard() => {
                        self.losses.refuse(promise, &why);
                    }
                    Waiting::Gap(_) => {}
                    Waiting::Promise(_) | Waiting::Nobody => unreported += 1,
                }
            }
            self.suspect(day, why.clone(), unreported);
            self.trouble = Some(why);
        }
    }

    /// Handles lines that could not be appended. With `retry`, journaled lines become pending; the others are lost.
    fn defer_or_lose(&mut self, day: Day, group: Group, retry: bool, why: &str) {
        self.trouble = Some(why.to_owned());
        self.keep_or_lose(day, group, |line| line.waiting.is_kept() || (retry && line.journaled), why);
    }

    /// Handles lines that cannot be appended at the moment. Journaled lines become pending, and so do lines that no
    /// caller waits for, up to [`PENDING_BYTES_MAX`]. The others are lost.
    fn defer(&mut self, day: Day, group: Group, why: &str) {
        let mut room = PENDING_BYTES_MAX.saturating_sub(self.pending.values().map(|pending| pending.bytes).sum());
        let keeps = |line: &Row, bytes: usize| {
            room = room.saturating_sub(bytes);
            line.waiting.is_kept() || line.journaled || (room > 0 && matches!(line.waiting, Waiting::Nobody))
        };
        self.keep_or_lose_by(day, group, keeps, why);
    }

    fn keep_or_lose(&mut self, day: Day, group: Group, keeps: impl Fn(&Row) -> bool, why: &str) {
        self.keep_or_lose_by(day, group, |line, _| keeps(line), why);
    }

    fn keep_or_lose_by(&mut self, day: Day, group: Group, mut keeps: impl FnMut(&Row, usize) -> bool, why: &str) {
        let mut start = 0;
        for line in group.lines {
            let text = &group.text[start..line.end];
            start = line.end;
            if keeps(&line, text.len()) {
                // Nothing is appended to a file with a torn tail, so none of the pending lines is in the file before
                // the start of the tail.
                let from = self.torn.get(&day).map_or_else(|| self.flusher.durable_len(&day), |tail| tail.line);
                let new = || Pending { from, ..Pending::default() };
                let pending = self.pending.entry(day.clone()).or_insert_with(new);
                pending.bytes += text.len();
                pending.unjournaled += u64::from(!line.journaled);
                pending.lines.push(text.to_vec());
                self.waiting.add(&day.0);
                line.waiting.keep();
            } else {
                self.losses.lose(line.waiting, LossReason::Unwritten, why);
            }
        }
    }
}
