//! Finished lines into the trail: the journal first, then the day files, then the flush that frees the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Zone};
use crate::day::{Cut, End, Largest, Redo, redo};
use crate::disk::{DiskFile, Lock, is_trouble};
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER};
use crate::journal::{Entry, Journal, Kind, Record};
use crate::random::Random;
use crate::record::counters::{Loss, Meters};
use crate::record::crew::spread;
use crate::record::event::Event;
use crate::record::files::{Change, FILE_THREADS_MAX, FILES_PER_THREAD, Files, Opened};
use crate::record::flusher::{Flushed, Flusher, Unflushed, sync};
use crate::record::group::{Begun, Day, Group, Row, Waiting};
use crate::record::losses::Losses;
use crate::record::recovery::{changed, cut_off, recover, refused};

/// Files of a batch that are appended to under one hold of the lock.
const FILES_AT_ONCE_MAX: usize = 64;

/// How long another process may hold the append lock: it holds it for one batch of appends, and
/// across a sync only for a new file's name, for the note that lines come late, and to keep a torn tail.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How long acknowledgements of journaled lines wait for the append lock, so that a reader finds what was acknowledged.
const VISIBLE_WAIT: Duration = Duration::from_millis(50);

/// Bytes of journaled lines that may wait for their day files to become writable; then durable calls are refused.
const PENDING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a file whose rewriting failed is left alone: a broken disk answers slowly, and all wait for it.
const REWRITE_PAUSE: Duration = Duration::from_secs(5);

/// Files that were refused and told of; more of them are only counted.
const REFUSED_FILES_MAX: usize = 1_024;

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Store {
    home: Home,
    clock: Arc<dyn Clock>,
    meters: Arc<Meters>,
    journal: Journal,
    files: Files,
    flusher: Flusher,
    largest: Largest,
    pub(crate) losses: Losses,
    /// What the trail is to say about its files.
    pub(crate) events: Vec<Event>,
    /// Files that the journal knows to be written, and since which flush.
    touched: BTreeMap<Day, u64>,
    /// Counts flushes.
    epoch: u64,
    /// Files that are to be written again, and why.
    suspect: BTreeMap<Day, String>,
    /// Files that were refused, until one is taken again.
    refused: BTreeSet<Day>,
    /// Journaled lines that their day files did not take yet.
    pending: BTreeMap<Day, Pending>,
    /// Why something of the last batch could not be written.
    trouble: Option<String>,
    /// When to write suspect files again.
    rewrite_at: Duration,
}

#[derive(Debug, Default)]
struct Pending {
    /// How long the file was, flushed, before the first try: what of them is there stands behind.
    from: u64,
    lines: Vec<(u128, Vec<u8>)>,
    bytes: usize,
}

impl Store {
    /// Recovers what dead processes left, and returns a store; with `background` it flushes in a thread of its own.
    ///
    /// # Errors
    /// As [`recover`].
    pub(crate) fn open(
        home: Home,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        meters: Arc<Meters>,
        background: bool,
    ) -> Result<Self, Error> {
        let mut journal = Journal::new(Arc::clone(home.disk()), random, home.id()?);
        let mut largest = Largest::new(Zone::system());
        let now = clock.monotonic();
        let recovered = recover(&home, &mut journal, &mut largest, now)?;
        let mut flusher = Flusher::new(Arc::clone(&clock), Arc::clone(&meters), background);
        let mut suspect = BTreeMap::new();
        for (day, clean) in recovered.suspect {
            let path = home.day_path(&day.0, day.1);
            suspect.insert(day.clone(), format!("could not flush {} in recovery", path.display()));
            flusher.set_clean(day, clean);
        }
        Ok(Self {
            files: Files::new(Arc::clone(home.disk())),
            losses: Losses::new(Arc::clone(&meters)),
            clock,
            meters,
            journal,
            flusher,
            largest,
            events: recovered.events,
            touched: BTreeMap::new(),
            epoch: 0,
            suspect,
            refused: BTreeSet::new(),
            pending: BTreeMap::new(),
            trouble: None,
            rewrite_at: now,
            home,
        })
    }

    /// Why not all is well, in words.
    pub(crate) fn trouble(&self) -> Option<String> {
        let journal = self.journal.trouble().map(str::to_owned);
        self.trouble.clone().or(journal).or_else(|| self.suspect.values().next().cloned())
    }

    /// Journaled lines that are not in their day files.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.values().map(|pending| pending.lines.len() as u64).sum()
    }

    /// Whether a flush has something to do.
    pub(crate) fn is_unflushed(&self) -> bool {
        self.flusher.waiting() > 0
            || self.flusher.is_running()
            || !(self.suspect.is_empty() && self.pending.is_empty())
            || self.journal.trouble().is_some()
    }

    /// Whether a flush is under way.
    pub(crate) fn is_flushing(&self) -> bool {
        self.flusher.is_running()
    }

    /// Returns the calls that are open in the journal.
    pub(crate) fn open_calls(&self) -> Vec<Record> {
        self.journal.open_calls()
    }

    /// Notes calls that begin; where somebody waits, durably.
    pub(crate) fn begin(&mut self, calls: Vec<Begun>) {
        let entries = calls.iter().map(|call| {
            let (folder, day) = (&*call.day.0, call.day.1);
            Entry {
                kind: Kind::Intent,
                id: call.id,
                clean: self.flusher.clean(&call.day),
                folder,
                day,
                line: &call.line,
            }
        });
        let entries = entries.collect::<Vec<_>>();
        let sync = calls.iter().any(|call| call.promise.is_some());
        let written = self.write_frames(&entries, sync);
        for promise in calls.into_iter().filter_map(|call| call.promise) {
            match &written {
                Ok(()) => promise.keep(),
                Err(error) => promise.fail(1, &format!("could not note in the journal that it begins: {error}")),
            }
        }
    }

    /// Notes that calls have ended whose lines are nowhere.
    pub(crate) fn end(&mut self, ids: &[u64]) {
        let day = self.clock.now().date();
        let ended = |id: &u64| Entry { kind: Kind::Ended, id: *id, clean: 0, folder: "", day, line: b"" };
        let entries = ids.iter().filter(|id| self.journal.has_open(**id)).map(ended).collect::<Vec<_>>();
        if !entries.is_empty() {
            // If it fails the calls count as interrupted, which they nearly were.
            let _told_by_the_next = self.journal.write(&entries, false, self.clock.monotonic());
        }
    }

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
    }

    /// Writes what must survive into the journal; where that fails no line is marked, and the day files are synced.
    fn write_journal(&mut self, groups: &mut BTreeMap<Day, Group>) {
        for line in groups.values_mut().flat_map(|group| &mut group.lines) {
            // Somebody waits for it, or its call stands there as open.
            line.journaled = matches!(line.waiting, Waiting::Promise(_)) || self.journal.has_open(line.ends);
        }
        if !self.try_journal(groups) {
            groups.values_mut().flat_map(|group| &mut group.lines).for_each(|line| line.journaled = false);
        }
    }

    fn try_journal(&mut self, groups: &BTreeMap<Day, Group>) -> bool {
        let mut entries = Vec::new();
        let mut touched = Vec::new();
        for (day, group) in groups {
            let clean = self.flusher.clean(day);
            let entry = |kind, id, line| Entry { kind, id, clean, folder: &day.0, day: day.1, line };
            let before = entries.len();
            for (text, line) in group.rows().filter(|(_, line)| line.journaled) {
                let id = if self.journal.has_open(line.ends) { line.ends } else { 0 };
                entries.push(entry(Kind::Line, id, text));
            }
            if self.touched.contains_key(day) || group.lines.is_empty() {
                continue;
            }
            touched.push(day.clone());
            if entries.len() == before {
                entries.push(entry(Kind::Touch, 0, b""));
            }
        }
        if entries.is_empty() {
            return true;
        }
        if entries.iter().any(|entry| entry.kind == Kind::Line)
            && self.pending.values().map(|pending| pending.bytes).sum::<usize>() > PENDING_BYTES_MAX
        {
            return false;
        }
        let written = self.write_frames(&entries, true).is_ok();
        if written {
            self.touched.extend(touched.into_iter().map(|day| (day, self.epoch)));
        }
        written
    }

    /// Writes frames; where there is no room a flush may free some, as nothing of them is in a day file yet.
    fn write_frames(&mut self, entries: &[Entry<'_>], sync: bool) -> io::Result<()> {
        let written = self.try_frames(entries, sync);
        if written.is_ok() || !self.journal.is_begun() {
            return written;
        }
        self.flush();
        self.try_frames(entries, sync)
    }

    fn try_frames(&mut self, entries: &[Entry<'_>], sync: bool) -> io::Result<()> {
        let began = self.clock.monotonic();
        let written = self.journal.write(entries, sync, began);
        if sync {
            self.meters.sync(written.is_ok(), self.clock.monotonic().saturating_sub(began));
        }
        written
    }

    /// Appends each group to its file under the home's lock, and tells whoever waits.
    fn append(&mut self, mut groups: BTreeMap<Day, Group>) {
        let lock = match self.lock(&mut groups) {
            Ok(lock) => lock,
            Err(error) => {
                let why = Error::io("lock", &self.home.root().join(OWN_FOLDER).join("append.lock"))(error).to_string();
                groups.into_iter().for_each(|(day, group)| self.stuck(day, group, true, &why));
                return;
            }
        };
        let opened = self.open_ends(groups);
        let noted = opened
            .iter()
            .map(|((folder, day), group, end)| ((folder.as_str(), *day), (&*end.file, end.len), &group.span));
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
        let disk = self.home.disk();
        let path = [OWN_FOLDER, "append.lock"];
        match disk.lock(&path, VISIBLE_WAIT) {
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
        disk.lock(&path, LOCK_WAIT)
    }

    /// Opens the files at their ends, each after what it did not take before and what others took from it.
    fn open_ends(&mut self, mut groups: BTreeMap<Day, Group>) -> Vec<(Day, Group, End)> {
        let mut opened = Vec::new();
        for Opened { day, end, change } in self.files.open(groups.keys().cloned().collect()) {
            let Some(group) = groups.remove(&day) else { continue };
            if let Some((change, before)) = change {
                self.changed(&day, change, before);
            }
            let end = end.and_then(|end| self.bring_up(&day, end));
            match end {
                Ok(_) if group.lines.is_empty() => {}
                Ok(end) => opened.push((day, group, end)),
                Err(error) => {
                    self.files.forget(&day);
                    let trouble = is_trouble(&error);
                    let why = Error::io("open", &self.home.day_path(&day.0, day.1))(error).to_string();
                    if !trouble && self.refused.len() < REFUSED_FILES_MAX && self.refused.insert(day.clone()) {
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
        if !self.refused.is_empty() {
            self.refused.remove(day);
        }
        if let Some((torn, fragment)) = &end.torn {
            self.events.push(cut_off(day, torn.offset, torn.bytes.len(), fragment.clone()));
        }
        let Some(pending) = self.pending.get(day) else { return Ok(end) };
        let (from, lines) = (pending.from, &pending.lines);
        let want = Redo { folder: &day.0, day: day.1, from, cut: Cut::Torn, again: u64::MAX, lines };
        let done = redo(&**self.home.disk(), &mut self.largest, &want, &mut |_| Ok(()))?;
        if let Some((torn, fragment)) = done.cut {
            self.events.push(cut_off(day, torn.offset, torn.bytes.len(), fragment));
        }
        let Some(pending) = self.pending.remove(day) else { return Ok(end) };
        self.meters.written(pending.lines.len(), pending.bytes);
        self.files.appended(day, &done.file, done.place, done.len);
        self.note_unflushed(day.clone(), &done.file, done.place, done.len, 0);
        Ok(End { file: done.file, place: done.place, len: done.len, torn: None })
    }

    /// Others removed, replaced or cut a file: the journal's lines go there again, and the trail says so.
    fn changed(&mut self, day: &Day, change: Change, before: u64) {
        self.events.push(changed(day, change, before));
        self.flusher.forget_clean(day);
        if let Some(unflushed) = self.flusher.take(day) {
            self.losses.count(Loss::Removed, unflushed.unjournaled);
        }
        self.files.forget(day);
        self.largest.forget(&day.0, day.1);
        let days = BTreeSet::from([day.clone()]);
        match self.journal.lines_of(&days) {
            Ok(mut lines) => {
                let lines = lines.remove(day).unwrap_or_default();
                if lines.is_empty() {
                    return;
                }
                let pending = self.pending.entry(day.clone()).or_default();
                // What waits stands in the journal too.
                pending.lines = lines.into_iter().map(|record| (0, record.line)).collect();
                pending.bytes = pending.lines.iter().map(|(_, line)| line.len()).sum();
                pending.from = 0;
            }
            Err(error) => self.trouble = Some(format!("could not read the journal: {error}")),
        }
    }

    fn note_unflushed(&mut self, day: Day, file: &Arc<dyn DiskFile>, place: (u64, u64), len: u64, unjournaled: u64) {
        self.flusher.appended(day, Unflushed { file: Arc::clone(file), place, len, unjournaled });
    }

    /// Tells who waits for lines that are in their files; syncs those of which the journal has not all.
    fn settle(&mut self, appended: Vec<(Day, End, Vec<Row>)>) {
        let mut unsynced = Vec::new();
        for (day, end, lines) in appended {
            let unjournaled = lines.iter().filter(|line| !line.journaled).count() as u64;
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
            self.suspect.entry(day).or_insert_with(|| why.clone());
            lines.into_iter().for_each(|line| self.losses.lose(line.waiting, Loss::Unsynced, &why));
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

    /// Takes in a flush that is done, and begins one where it is time or the journal is crowded.
    pub(crate) fn tend(&mut self, every: Duration) {
        if let Some(done) = self.flusher.done(false) {
            self.flushed(done);
        }
        let due = self.clock.monotonic() >= self.flusher.begun_at() + every;
        if self.is_unflushed() && !self.flusher.is_running() && (due || self.journal.is_crowded()) {
            self.begin_flush();
        }
    }

    fn begin_flush(&mut self) {
        self.flusher.begin(self.journal.end(), self.epoch);
        self.epoch += 1;
    }

    /// Makes all appended lines durable in their day files, and frees the journal of them.
    pub(crate) fn flush(&mut self) {
        if let Some(done) = self.flusher.done(true) {
            self.flushed(done);
        }
        self.begin_flush();
        if let Some(done) = self.flusher.done(true) {
            self.flushed(done);
        }
    }

    /// Takes in what a flush has come to.
    fn flushed(&mut self, done: Flushed) {
        let now = self.clock.monotonic();
        let mut days = Vec::new();
        let mut unsure = BTreeMap::new();
        for (day, unflushed, synced) in done.files {
            let failed = match synced {
                // A failed sync is not tried again: the system may then say yes without having written.
                _ if self.suspect.contains_key(&day) => None,
                Err(error) => Some(error.to_string()),
                Ok(()) => match self.files.change(&day, unflushed.place, unflushed.len) {
                    Ok(None) => {
                        self.flusher.set_clean(day.clone(), unflushed.len);
                        days.push(day);
                        continue;
                    }
                    Ok(Some(change)) => {
                        self.losses.count(Loss::Removed, unflushed.unjournaled);
                        self.changed(&day, change, unflushed.len);
                        continue;
                    }
                    Err(error) => Some(error.to_string()),
                },
            };
            if let Some(error) = failed {
                let path = self.home.day_path(&day.0, day.1);
                self.suspect.insert(day.clone(), format!("could not sync {}: {error}", path.display()));
                self.rewrite_at = now;
            }
            unsure.insert(day, unflushed.unjournaled);
        }
        if now >= self.rewrite_at && !self.suspect.is_empty() {
            self.rewrite_all(now);
        }
        for (_, lines) in unsure.into_iter().filter(|(day, _)| self.suspect.contains_key(day)) {
            self.losses.count(Loss::Unsynced, lines);
        }
        if self.suspect.is_empty() && self.pending.is_empty() {
            match self.journal.flushed(done.end, now) {
                Ok(()) => self.touch_again(done.epoch, days),
                Err(error) => self.trouble = Some(format!("could not free the journal: {error}")),
            }
        }
    }

    /// Notes the files that are likely to be written next: no batch then waits for that.
    fn touch_again(&mut self, epoch: u64, days: Vec<Day>) {
        self.touched.retain(|_, since| *since > epoch);
        let days = days.into_iter().filter(|day| !self.touched.contains_key(day)).collect::<Vec<_>>();
        let touch = |day: &'_ Day| (self.flusher.clean(day), day.clone());
        let touches = days.iter().map(touch).collect::<Vec<_>>();
        let entries = touches.iter().map(|(clean, (folder, day))| Entry {
            kind: Kind::Touch,
            id: 0,
            clean: *clean,
            folder,
            day: *day,
            line: b"",
        });
        let entries = entries.collect::<Vec<_>>();
        if !entries.is_empty() && self.journal.write(&entries, true, self.clock.monotonic()).is_ok() {
            self.touched.extend(days.into_iter().map(|day| (day, self.epoch)));
        }
    }

    /// Writes again what stands in suspect files since their last flush, so that a new sync means something.
    fn rewrite_all(&mut self, now: Duration) {
        let days = self.suspect.keys().cloned().collect::<BTreeSet<_>>();
        let mut lines = match self.journal.lines_of(&days) {
            Ok(lines) => lines,
            Err(error) => {
                self.trouble = Some(format!("could not read the journal: {error}"));
                self.rewrite_at = now + REWRITE_PAUSE;
                return;
            }
        };
        for day in days {
            if let Err(error) = self.rewrite(&day, lines.remove(&day).unwrap_or_default()) {
                let why = Error::io("rewrite", &self.home.day_path(&day.0, day.1))(error).to_string();
                self.suspect.insert(day, why);
                self.rewrite_at = now + REWRITE_PAUSE;
            }
        }
    }

    fn rewrite(&mut self, day: &Day, records: Vec<Record>) -> io::Result<()> {
        let clean = self.flusher.clean(day);
        let from = records.iter().map(|record| record.clean).min().unwrap_or(clean);
        let lines = records.into_iter().map(|record| (0, record.line)).collect::<Vec<_>>();
        let want = Redo { folder: &day.0, day: day.1, from, cut: Cut::Torn, again: clean, lines: &lines };
        let lock = self.home.disk().lock(&[OWN_FOLDER, "append.lock"], LOCK_WAIT)?;
        self.files.forget(day);
        let done = redo(&**self.home.disk(), &mut self.largest, &want, &mut |_| Ok(()))?;
        drop(lock);
        sync(&*done.file, &*self.clock, &self.meters)?;
        self.suspect.remove(day);
        self.flusher.take(day);
        self.flusher.set_clean(day.clone(), done.len);
        Ok(())
    }

    /// Flushes, and leaves an empty journal if everything is in its day file and no call is open.
    pub(crate) fn close(&mut self) {
        self.flush();
        if self.suspect.is_empty()
            && self.pending.is_empty()
            && self.journal.open_calls().is_empty()
            && let Err(error) = self.journal.close()
        {
            self.trouble = Some(format!("could not empty the journal: {error}"));
        }
    }
}
