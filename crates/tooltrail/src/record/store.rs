//! Finished lines into the trail: the journal first, then the day files, then the flush that frees the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Date, Zone};
use crate::day::{Cut, End, Largest, Redo, Span, redo};
use crate::disk::{DiskFile, Lock, is_trouble};
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER};
use crate::journal::{Entry, Journal, Kind, Record};
use crate::random::Random;
use crate::record::event::Event;
use crate::record::losses::Losses;
use crate::record::promise::Promise;
use crate::record::recovery::{cut_off, recover};

/// Files that may wait for their flush at once, with those of a batch below a limit of 256 open files.
const UNFLUSHED_MAX: usize = 128;

/// Files of a batch that are appended to, and open, at once.
const FILES_AT_ONCE_MAX: usize = 64;

/// How long another process may hold the append lock: it holds it for one batch of appends, and
/// across a sync only for a new file's name, for the note that lines come late, and to keep a torn tail.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How long acknowledgements of journaled lines wait for the append lock, so that a reader finds what was acknowledged.
const VISIBLE_WAIT: Duration = Duration::from_millis(50);

/// Bytes of journaled lines that may wait for their day files to become writable; then durable calls are refused.
const PENDING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Files whose flushed length is remembered; a forgotten one only costs recovery a longer look.
const CLEAN_FILES_MAX: usize = 16_384;

/// How long a file whose rewriting failed is left alone: a broken disk answers slowly, and all wait for it.
const REWRITE_PAUSE: Duration = Duration::from_secs(5);

/// A day file: the user's folder and the date.
pub(crate) type Day = (String, Date);

/// Lines for one day file.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) text: Vec<u8>,
    pub(crate) span: Span,
    pub(crate) lines: Vec<Pen>,
}

/// One line of a group.
#[derive(Debug)]
pub(crate) struct Pen {
    /// Where it ends in the group's text.
    pub(crate) end: usize,
    /// The open call that it ends; 0 for none.
    pub(crate) ends: u64,
    pub(crate) waiting: Waiting,
    /// Whether it stands in the journal.
    pub(crate) journaled: bool,
}

/// Who waits for a line.
#[derive(Debug)]
pub(crate) enum Waiting {
    Nobody,
    Promise(Promise),
    /// The line is a gap: if it cannot be written, these are still to be told.
    Gap(BTreeMap<String, u64>),
}

/// A call that begins: its line if it never ends.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) id: u64,
    pub(crate) day: Day,
    pub(crate) line: Vec<u8>,
    pub(crate) promise: Option<Promise>,
}

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Store {
    home: Home,
    clock: Arc<dyn Clock>,
    journal: Journal,
    largest: Largest,
    pub(crate) losses: Losses,
    /// What the trail is to say about its files.
    pub(crate) events: Vec<Event>,
    /// Files with lines that are not flushed yet.
    unflushed: BTreeMap<Day, Unflushed>,
    /// Files that the journal knows to be written since it was last freed.
    touched: BTreeSet<Day>,
    /// How long files were at their last flush.
    clean: HashMap<Day, u64>,
    /// Files whose flush failed, and why.
    suspect: BTreeMap<Day, String>,
    /// Journaled lines that their day files did not take yet.
    pending: BTreeMap<Day, Pending>,
    /// Why something of the last batch could not be written.
    trouble: Option<String>,
    flushed_at: Duration,
    /// When to write suspect files again.
    rewrite_at: Duration,
}

#[derive(Debug)]
struct Unflushed {
    file: Box<dyn DiskFile>,
    len: u64,
    /// Lines that do not stand in the journal.
    unjournaled: u64,
}

#[derive(Debug, Default)]
struct Pending {
    /// How long the file was, flushed, before the first try: what of them is there stands behind.
    from: u64,
    lines: Vec<(u128, Vec<u8>)>,
    bytes: usize,
}

impl Store {
    /// Recovers what dead processes left, and returns a store.
    ///
    /// # Errors
    /// As [`recover`].
    pub(crate) fn open(home: Home, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self, Error> {
        let mut journal = Journal::new(Arc::clone(home.disk()), random, home.id()?);
        let mut largest = Largest::new(Zone::system());
        let now = clock.monotonic();
        let recovered = recover(&home, &mut journal, &mut largest, now)?;
        let suspect = recovered.suspect;
        let why = |day: &Day| format!("could not flush {} in recovery", home.day_path(&day.0, day.1).display());
        Ok(Self {
            clock,
            journal,
            largest,
            losses: Losses::default(),
            events: recovered.events,
            unflushed: BTreeMap::new(),
            touched: BTreeSet::new(),
            suspect: suspect.iter().map(|(day, _)| (day.clone(), why(day))).collect(),
            clean: suspect.into_iter().collect(),
            pending: BTreeMap::new(),
            trouble: None,
            flushed_at: now,
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
        !(self.unflushed.is_empty() && self.suspect.is_empty() && self.pending.is_empty())
            || self.journal.trouble().is_some()
    }

    /// When the last flush was.
    pub(crate) fn flushed_at(&self) -> Duration {
        self.flushed_at
    }

    /// Returns the calls that are open in the journal.
    pub(crate) fn open_calls(&self) -> Vec<Record> {
        self.journal.open_calls()
    }

    /// Notes calls that begin; where somebody waits, durably.
    pub(crate) fn begin(&mut self, calls: Vec<Begun>) {
        let entries = calls.iter().map(|call| {
            let (folder, day) = (&*call.day.0, call.day.1);
            let clean = self.clean.get(&call.day).copied().unwrap_or(0);
            Entry { kind: Kind::Intent, id: call.id, clean, folder, day, line: &call.line }
        });
        let entries = entries.collect::<Vec<_>>();
        let sync = calls.iter().any(|call| call.promise.is_some());
        let written = self.journal.write(&entries, sync, self.clock.monotonic());
        for promise in calls.into_iter().filter_map(|call| call.promise) {
            match &written {
                Ok(()) => promise.keep(),
                Err(error) => promise.fail(1, &format!("could not note in the journal that it begins: {error}")),
            }
        }
    }

    /// Notes that calls have ended whose lines are nowhere.
    pub(crate) fn end(&mut self, ids: &[u64]) {
        let ended = |id: &u64| Entry {
            kind: Kind::Ended,
            id: *id,
            clean: 0,
            folder: "",
            day: self.clock.now().date(),
            line: b"",
        };
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
            if self.unflushed.len() > UNFLUSHED_MAX {
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
        for (day, group) in groups {
            let entry = |kind, id, line| {
                let clean = self.clean.get(day).copied().unwrap_or(0);
                Entry { kind, id, clean, folder: &day.0, day: day.1, line }
            };
            let mut start = 0;
            let before = entries.len();
            for line in &group.lines {
                if line.journaled {
                    let id = if self.journal.has_open(line.ends) { line.ends } else { 0 };
                    entries.push(entry(Kind::Line, id, &group.text[start..line.end]));
                }
                start = line.end;
            }
            if entries.len() == before && !group.lines.is_empty() && !self.touched.contains(day) {
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
        let now = self.clock.monotonic();
        let mut written = self.journal.write(&entries, true, now);
        if written.is_err() && self.journal.is_begun() {
            // Nothing of this batch is in a day file yet, so that a flush may free what is full.
            self.flush();
            written = self.journal.write(&entries, true, now);
        }
        if written.is_ok() {
            self.touched.extend(groups.iter().filter(|(_, group)| !group.lines.is_empty()).map(|(day, _)| day.clone()));
        }
        written.is_ok()
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
        let mut opened = Vec::new();
        for (day, group) in groups {
            match self.open_end(&day) {
                Ok(_) if group.lines.is_empty() => {}
                Ok(end) => opened.push((day, group, end)),
                Err(error) => {
                    let why = Error::io("open", &self.home.day_path(&day.0, day.1))(error);
                    let trouble = matches!(&why, Error::Io { source, .. } if is_trouble(source));
                    // Where no day file can ever be, nobody is left waiting for one.
                    self.stuck(day, group, trouble, &why.to_string());
                }
            }
        }
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
                    self.largest.appended(&day.0, day.1, group.text.len(), &group.span);
                    appended.push((day, end.len + group.text.len() as u64, end.file, group.lines));
                }
                Err(error) => {
                    self.largest.forget(&day.0, day.1);
                    let why = Error::io("append to", &self.home.day_path(&day.0, day.1))(error).to_string();
                    self.stuck(day, group, true, &why);
                }
            }
        }
        drop(lock);
        for (day, len, file, lines) in appended {
            self.settle(day, (file, len), lines);
        }
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

    /// Opens a day file at its end, after what it did not take before.
    fn open_end(&mut self, day: &Day) -> io::Result<End> {
        let disk = Arc::clone(self.home.disk());
        if let Some(pending) = self.pending.get(day) {
            let (from, lines) = (pending.from, &pending.lines);
            let want = Redo { folder: &day.0, day: day.1, from, cut: Cut::Torn, again: u64::MAX, lines };
            let done = redo(&*disk, &mut self.largest, &want, &mut |_| Ok(()))?;
            if let Some((torn, fragment)) = done.cut {
                self.events.push(cut_off(day, torn.offset, torn.bytes.len(), fragment));
            }
            self.pending.remove(day);
            self.note_unflushed(day.clone(), done.file, done.len, 0);
        }
        let end = End::open(&*disk, &day.0, day.1)?;
        if let Some((torn, fragment)) = &end.torn {
            self.events.push(cut_off(day, torn.offset, torn.bytes.len(), fragment.clone()));
        }
        if self.clean.get(day).is_some_and(|clean| *clean > end.len) {
            // Somebody cut or replaced the file: what was flushed is not what stands there.
            self.clean.remove(day);
        }
        Ok(end)
    }

    fn note_unflushed(&mut self, day: Day, file: Box<dyn DiskFile>, len: u64, unjournaled: u64) {
        let identity = |file: &dyn DiskFile| file.stat().map(|stat| (stat.device, stat.inode)).ok();
        let noted = match self.unflushed.remove(&day) {
            // An older handle hears of a sync that failed for somebody else before the new one was opened.
            Some(before) if identity(&*before.file) == identity(&*file) => {
                Unflushed { len, unjournaled: before.unjournaled + unjournaled, ..before }
            }
            Some(before) => Unflushed { file, len, unjournaled: before.unjournaled + unjournaled },
            None => Unflushed { file, len, unjournaled },
        };
        self.unflushed.insert(day, noted);
    }

    /// Tells who waits for lines that are in their file; syncs it where the journal does not have them.
    fn settle(&mut self, day: Day, (file, len): (Box<dyn DiskFile>, u64), lines: Vec<Pen>) {
        if lines.iter().all(|line| line.journaled || !matches!(line.waiting, Waiting::Promise(_))) {
            let unjournaled = lines.iter().filter(|line| !line.journaled).count() as u64;
            self.note_unflushed(day, file, len, unjournaled);
            lines.into_iter().for_each(|line| line.waiting.keep());
            return;
        }
        self.note_unflushed(day.clone(), file, len, 0);
        let synced = self.unflushed.remove(&day).map_or(Ok(()), |unflushed| unflushed.file.sync());
        match synced {
            Ok(()) => {
                self.set_clean(day, len);
                lines.into_iter().for_each(|line| line.waiting.keep());
            }
            Err(error) => {
                let why = Error::io("sync", &self.home.day_path(&day.0, day.1))(error).to_string();
                self.suspect.insert(day, why.clone());
                lines.into_iter().for_each(|line| self.losses.lose(line.waiting, "unwritten", &why));
                self.trouble = Some(why);
            }
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
                let from = self.clean.get(&day).copied().unwrap_or(0);
                let new = || Pending { from, ..Pending::default() };
                let pending = self.pending.entry(day.clone()).or_insert_with(new);
                pending.bytes += text.len();
                pending.lines.push((0, text.to_vec()));
                line.waiting.keep();
            } else {
                self.losses.lose(line.waiting, "unwritten", why);
            }
        }
    }

    fn set_clean(&mut self, day: Day, len: u64) {
        if self.clean.len() >= CLEAN_FILES_MAX {
            let suspect = &self.suspect;
            self.clean.retain(|day, _| suspect.contains_key(day));
        }
        self.clean.insert(day, len);
    }

    /// Makes all appended lines durable in their day files, and frees the journal of them.
    pub(crate) fn flush(&mut self) {
        let now = self.clock.monotonic();
        self.flushed_at = now;
        let end = self.journal.end();
        let mut unsure = BTreeMap::new();
        for (day, unflushed) in std::mem::take(&mut self.unflushed) {
            // A failed sync is not tried again: the system may then say yes without having written.
            if !self.suspect.contains_key(&day) {
                let Err(error) = unflushed.file.sync() else {
                    self.set_clean(day, unflushed.len);
                    continue;
                };
                let why = Error::io("sync", &self.home.day_path(&day.0, day.1))(error).to_string();
                self.suspect.insert(day.clone(), why);
                self.rewrite_at = now;
            }
            unsure.insert(day, unflushed.unjournaled);
        }
        if now >= self.rewrite_at {
            for day in self.suspect.keys().cloned().collect::<Vec<_>>() {
                if let Err(error) = self.rewrite(&day) {
                    let why = Error::io("rewrite", &self.home.day_path(&day.0, day.1))(error).to_string();
                    self.suspect.insert(day, why);
                    self.rewrite_at = now + REWRITE_PAUSE;
                }
            }
        }
        for (_, lines) in unsure.into_iter().filter(|(day, _)| self.suspect.contains_key(day)) {
            self.losses.count("unsynced", lines);
        }
        if self.suspect.is_empty() && self.pending.is_empty() {
            match self.journal.flushed(end, now) {
                Ok(()) => self.touched.clear(),
                Err(error) => self.trouble = Some(format!("could not free the journal: {error}")),
            }
        }
    }

    /// Writes again what stands in a file since its last flush, so that a new sync means something.
    fn rewrite(&mut self, day: &Day) -> io::Result<()> {
        let Self { home, journal, largest, .. } = self;
        let clean = self.clean.get(day).copied().unwrap_or(0);
        let records = journal.lines_of(&day.0, day.1)?;
        let from = records.iter().map(|record| record.clean).min().unwrap_or(clean);
        let lines = records.into_iter().map(|record| (0, record.line)).collect::<Vec<_>>();
        let want = Redo { folder: &day.0, day: day.1, from, cut: Cut::Torn, again: clean, lines: &lines };
        let lock = home.disk().lock(&[OWN_FOLDER, "append.lock"], LOCK_WAIT)?;
        let done = redo(&**home.disk(), largest, &want, &mut |_| Ok(()))?;
        drop(lock);
        done.file.sync()?;
        self.suspect.remove(day);
        self.unflushed.remove(day);
        self.set_clean(day.clone(), done.len);
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

impl Waiting {
    /// Whether somebody was told already that the line is durable.
    fn is_kept(&self) -> bool {
        matches!(self, Self::Promise(promise) if promise.is_kept())
    }

    fn keep(self) {
        if let Self::Promise(promise) = self {
            promise.keep();
        }
    }
}
