//! Lines go into their day files under the home's append lock, and whoever waits is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::day::{Cut, End, Redo, redo};
use crate::disk::{DiskFile, Lock, is_trouble};
use crate::error::Error;
use crate::home::APPENDS_WAIT;
use crate::record::counters::Loss;
use crate::record::crew::spread;
use crate::record::files::{Change, FILE_THREADS_MAX, FILES_PER_THREAD, Opened};
use crate::record::flusher::{Unflushed, sync};
use crate::record::group::{Day, Group, Row, Waiting};
use crate::record::recovery::{changed, refused};
use crate::record::store::{Pending, Store};

/// Files of a batch that are appended to under one hold of the lock.
const FILES_AT_ONCE_MAX: usize = 64;

/// How long acknowledgements of journaled lines wait for the append lock, so that a reader finds what was acknowledged.
const VISIBLE_WAIT: Duration = Duration::from_millis(50);

/// Why lines are lost that stood in a file which is not there any more.
pub(super) const REMOVED: &str = "their day file was removed, replaced or cut by others before they were durable";

impl Store {
    /// Stores lines: durable ones in the journal, then all in their day files; whoever waits is told.
    pub(crate) fn commit(&mut self, mut groups: BTreeMap<Day, Group>) {
        self.write_journal(&mut groups);
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
        }
        self.untold.stored(self.trouble.is_none().then_some(self.epoch));
    }

    /// Appends each group to its file under the home's lock, and tells whoever waits.
    fn append(&mut self, mut groups: BTreeMap<Day, Group>) {
        let lock = match self.lock(&mut groups) {
            Ok(lock) => lock,
            Err(error) => {
                let why = Error::io("lock the appends of", self.home.root())(error).to_string();
                groups.into_iter().for_each(|(day, group)| self.stuck(day, group, true, &why));
                return;
            }
        };
        let opened = self.open_ends(groups);
        let noted = opened.iter().map(|((folder, day), group, end)| (folder.as_str(), *day, end, &group.span));
        // An entry in a wrong place is better than none, so that its note failed does not stop it.
        if let Err(error) = self.largest.note(&**self.home.disk(), noted) {
            self.trouble = Some(Error::io("note what comes late in", self.home.root())(error).to_string());
        }
        let mut appended = Vec::new();
        for (day, group, end) in opened {
            match end.append(&group.text) {
                Ok(()) => {
                    let len = end.len + group.text.len() as u64;
                    self.largest.appended(&day.0, day.1, group.text.len(), &group.span);
                    self.meters.written(group.lines.len(), group.text.len());
                    self.files.appended(&day, &end.file, end.place, len);
                    appended.push((day, End { len, ..end }, group.lines));
                }
                Err(error) => {
                    self.largest.forget(&day.0, day.1);
                    self.files.forget(&day);
                    let why = Error::io("append to", &self.home.day_path(&day.0, day.1))(error).to_string();
                    self.stuck(day, group, true, &why);
                }
            }
        }
        drop(lock);
        self.settle(appended);
    }

    /// Takes the home's append lock; whoever waits for a journaled line does not wait long for it.
    fn lock(&self, groups: &mut BTreeMap<Day, Group>) -> io::Result<Box<dyn Lock>> {
        match self.home.lock_appends(VISIBLE_WAIT) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            other => return other,
        }
        for line in groups.values_mut().flat_map(|group| &mut group.lines) {
            if let Waiting::Promise(promise) = &mut line.waiting
                && line.journaled
            {
                promise.keep_early();
            }
        }
        self.home.lock_appends(APPENDS_WAIT)
    }

    /// Opens the files at their ends, each after what it did not take before and what others took from it.
    fn open_ends(&mut self, mut groups: BTreeMap<Day, Group>) -> Vec<(Day, Group, End)> {
        let found = self.files.open(groups.keys().cloned().collect());
        let changes = found.iter().filter_map(|opened| Some((opened.day.clone(), opened.change?))).collect::<Vec<_>>();
        self.changed(changes, &groups);
        let mut opened = Vec::new();
        for Opened { day, end, .. } in found {
            let Some(group) = groups.remove(&day) else { continue };
            let end = end.and_then(|end| self.bring_up(&day, end));
            match end {
                Ok(_) if group.lines.is_empty() => {}
                Ok(end) => opened.push((day, group, end)),
                Err(error) => {
                    self.files.forget(&day);
                    let trouble = is_trouble(&error);
                    let why = Error::io("open", &self.home.day_path(&day.0, day.1))(error).to_string();
                    if !trouble && self.refused.add(&day, &why, self.clock.monotonic()) {
                        self.events.push(refused(&day, &why));
                    }
                    // Where no day file can ever be, nobody is left waiting for one.
                    self.stuck(day, group, trouble, &why);
                }
            }
        }
        opened
    }

    /// Writes to a file what it did not take before, or lost to others; returns its end then.
    fn bring_up(&mut self, day: &Day, end: End) -> io::Result<End> {
        self.refused.remove(day);
        if let Some(fragment) = &end.torn {
            self.tell(fragment);
        }
        let Some(pending) = self.pending.get(day) else { return Ok(end) };
        let (from, lines) = (pending.from, &pending.lines);
        let want = Redo { folder: &day.0, day: day.1, from, cut: Cut::Torn, again: u64::MAX, lines };
        let done = redo(&**self.home.disk(), &mut self.largest, &want, &mut |_| Ok(()))?;
        if let Some(fragment) = &done.cut {
            self.tell(fragment);
        }
        let Some(pending) = self.pending.remove(day) else { return Ok(end) };
        self.meters.written(pending.lines.len(), pending.bytes);
        self.files.appended(day, &done.file, done.place, done.len);
        self.note_unflushed(day.clone(), &done.file, done.place, done.len, 0);
        Ok(End { file: done.file, place: done.place, len: done.len, torn: None })
    }

    /// Others removed, replaced or cut files: the journal's lines go there again before those that come, and the trail
    /// says so. Of each file: what was done, and how long it was.
    pub(super) fn changed(&mut self, changes: Vec<(Day, (Change, u64))>, coming: &BTreeMap<Day, Group>) {
        if changes.is_empty() {
            return;
        }
        let mut days = BTreeSet::new();
        for (day, (change, before)) in changes {
            self.events.push(changed(&day, change, before));
            self.flusher.forget_clean(&day);
            if let Some(unflushed) = self.flusher.take(&day) {
                self.losses.count(Loss::Removed, unflushed.unjournaled, REMOVED);
            }
            self.files.forget(&day);
            self.largest.forget(&day.0, day.1);
            days.insert(day);
        }
        // Once for all: somebody may have removed the folders of a thousand users.
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
            // What waits stands in the journal too, and so does what is about to be appended.
            let lines = lines.into_iter().filter(|record| !coming.contains(&*record.line));
            let lines = lines.map(|record| (0, record.line)).collect::<Vec<_>>();
            let bytes = lines.iter().map(|(_, line)| line.len()).sum();
            self.pending.insert(day, Pending { from: 0, lines, bytes });
        }
    }

    fn note_unflushed(&mut self, day: Day, file: &Arc<dyn DiskFile>, place: (u64, u64), len: u64, unjournaled: u64) {
        self.flusher.appended(day, Unflushed { file: Arc::clone(file), place, len, unjournaled });
    }

    /// Tells who waits for lines that are in their files; syncs those of which the journal has not all.
    fn settle(&mut self, appended: Vec<(Day, End, Vec<Row>)>) {
        let mut unsynced = Vec::new();
        for (day, end, lines) in appended {
            // A gap is told until it is durable, and is none of what it tells of.
            let counts = |line: &&Row| !line.journaled && !matches!(line.waiting, Waiting::Gap(_));
            let unjournaled = lines.iter().filter(counts).count() as u64;
            self.note_unflushed(day.clone(), &end.file, end.place, end.len, unjournaled);
            if lines.iter().all(|line| line.journaled || !matches!(line.waiting, Waiting::Promise(_))) {
                lines.into_iter().for_each(|line| line.waiting.keep());
            } else if let Some(unflushed) = self.flusher.take(&day) {
                unsynced.push((day, unflushed, lines));
            }
        }
        let (clock, meters, suspect) = (&*self.clock, &*self.meters, &self.suspect);
        let synced = spread(unsynced, FILE_THREADS_MAX, FILES_PER_THREAD, |(day, unflushed, lines)| {
            let synced = match suspect.contains_key(&day) {
                true => Err(io::Error::other("a flush of it failed before")),
                false => sync(&*unflushed.file, clock, meters),
            };
            (day, unflushed.len, lines, synced)
        });
        for (day, len, lines, synced) in synced {
            let Err(error) = synced else {
                self.flusher.set_clean(day, len);
                lines.into_iter().for_each(|line| line.waiting.keep());
                continue;
            };
            let why = Error::io("sync", &self.home.day_path(&day.0, day.1))(error).to_string();
            // The lines stand there and are written again: only who waits need know that they are not durable.
            let mut untold = 0;
            for line in lines {
                match line.waiting {
                    Waiting::Promise(promise) if !promise.is_unheard() => {
                        self.losses.refuse(promise, &why);
                    }
                    Waiting::Gap(_) => {}
                    Waiting::Promise(_) | Waiting::Nobody => untold += 1,
                }
            }
            self.suspect(day, why.clone(), untold);
            self.trouble = Some(why);
        }
    }

    /// What could not be appended: with `retry` journaled lines wait for the next try, the others are lost.
    fn stuck(&mut self, day: Day, group: Group, retry: bool, why: &str) {
        self.trouble = Some(why.to_owned());
        let mut start = 0;
        for line in group.lines {
            let text = &group.text[start..line.end];
            start = line.end;
            if line.waiting.is_kept() || (retry && line.journaled) {
                let from = self.flusher.clean(&day);
                let new = || Pending { from, ..Pending::default() };
                let pending = self.pending.entry(day.clone()).or_insert_with(new);
                pending.bytes += text.len();
                pending.lines.push((0, text.to_vec()));
                line.waiting.keep();
            } else {
                self.losses.lose(line.waiting, Loss::Unwritten, why);
            }
        }
    }
}
