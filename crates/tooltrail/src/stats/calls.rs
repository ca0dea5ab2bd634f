//! Counts the calls that a question asks for, each once, however many captures saw it.
//!
//! Which of several sightings counts does not depend on the question, so the numbers of several questions add up. Where
//! a day file has a rollup and the question allows it, the calls of whole hours or days are taken from there; all other
//! files are read.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use crate::call::Status;
use crate::clock::{Date, Timestamp, Zone};
use crate::day::Forward;
use crate::disk::{DiskFile, Stat};
use crate::error::Error;
use crate::json;
use crate::query::{Filter, FirstUses, Line, Question};
use crate::read::{DayFile, ScanContext, Scanned, Skipped, Trail};
use crate::rollup::{
    Broken, Cell, CellKey, Cells, DayRollups, FileLine, FileRollup, HOUR_MS, HomeCalls, IndexEntry, Names, Part, Seen,
    Settled, Sighting, Sightings, date_of_day, extend, hour_start, id_of, is_current, is_own, seen,
};

/// The most entries that match in one file and are remembered until it is known whether one of them has a call id. With
/// more, the file is read once more.
const MATCHES_MAX: usize = 50_000;

/// The most sightings near midnight that wait for the files of the days before, about 200 bytes each.
const EDGES_MAX: usize = 300_000;

/// Counts calls.
pub(super) trait CountCalls {
    /// Whether the clients of the calls are counted too.
    const WANTS_CLIENTS: bool = false;

    /// Returns the longest time of which calls may be counted together.
    fn grain(&self) -> Grain {
        Grain::Call
    }

    /// Whether the calls of each user are counted too.
    fn wants_users(&self) -> bool {
        true
    }

    /// Whether the calls of each tool are counted too.
    fn wants_tools(&self) -> bool {
        true
    }

    /// Counts one call.
    fn count(&mut self, call: &Sighting);

    /// Counts several calls that have user, tool, status and a part of time in common.
    fn count_cell(&mut self, _cell: &CountedCell<'_>) {}

    /// Counts for users what [`CountCalls::count_cell`] has counted without their names.
    fn count_user(&mut self, _user: &str, _calls: u64) {}
}

/// The time of which calls may be counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grain {
    Call,
    Hour,
    Day,
}

/// Several calls that have much in common.
#[derive(Debug)]
pub(super) struct CountedCell<'a> {
    /// `None` for the calls of all users together.
    pub(super) user: Option<&'a str>,
    pub(super) tool: &'a str,
    pub(super) status: Status,
    /// The begin of the hour or the day in which they ended.
    pub(super) start: Timestamp,
    /// The day that they count for.
    pub(super) day: Date,
    pub(super) calls: &'a Cell,
}

/// Where the numbers of an answer are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sources {
    /// Day files whose rollups were used.
    pub rollups: u64,
    /// Day files, or parts of them, whose lines were read.
    pub files: u64,
}

impl Sources {
    /// Returns `rollup`, `scan` or `both`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match (self.rollups, self.files) {
            (0, _) => "scan",
            (_, 0) => "rollup",
            _ => "both",
        }
    }
}

/// What was read for an answer.
#[derive(Debug)]
pub(super) struct ReadCalls {
    pub(super) skipped: Skipped,
    pub(super) scanned: Scanned,
    pub(super) sources: Sources,
    pub(super) unreadable_names: Vec<String>,
    /// Whether all was read.
    pub(super) complete: bool,
    /// The newest date that has a day file at all.
    pub(super) newest: Option<Date>,
    /// The first date of the range, and the last one that is not in the future.
    pub(super) first: Date,
    pub(super) last: Date,
}

/// Counts the calls that a question asks for; limit and cursor are ignored.
///
/// Our own events are left out unless the query names them. Several sightings of one call count once.
///
/// # Errors
/// As [`Trail::recent`].
pub(super) fn count_calls<C: CountCalls>(
    trail: &Trail,
    question: &Question,
    counts: &mut C,
) -> Result<ReadCalls, Error> {
    let asked = trail.ask(question)?;
    let mut context = ScanContext::new(&trail.home, &trail.zone);
    let folders = trail.folders(asked.owned().as_ref(), &mut context.unreadable)?;
    let newest = folders.iter().filter_map(|folder| folder.days.first().copied()).max();
    // Newest date first, so that all files of a date are read together.
    let files = folders.iter().flat_map(|folder| folder.days.iter().map(move |day| (*day, &*folder.name)));
    let mut files = files.filter(|(day, _)| asked.may_hold(*day)).collect::<Vec<_>>();
    files.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let (firsts, knows_firsts) = match question.query.asks_for_firsts() {
        true => trail.first_uses(asked.owned().as_ref(), &mut context)?,
        false => (FirstUses::default(), true),
    };
    let mut reading = Reading::new(trail, question, (asked.first, &firsts), counts, context);
    let is_all_users = asked.owned().is_none();
    let complete = files.chunk_by(|a, b| a.0 == b.0).all(|files| {
        let day = files[0].0;
        (is_all_users && reading.whole_home(day, files)) || files.iter().all(|(_, folder)| reading.file(folder, day))
    });
    reading.count_edges();
    let (skipped, unreadable_names) = reading.context.left_out();
    let complete = complete && knows_firsts && skipped.unreadable == 0 && !trail.lacks(asked.owned().as_ref());
    let today = trail.clock.now().date();
    let (scanned, sources) = (reading.context.scanned, reading.sources);
    let last = asked.last.unwrap_or(today).min(today);
    Ok(ReadCalls { skipped, scanned, sources, unreadable_names, complete, newest, first: asked.first, last })
}

/// The state of an answer while the files are read one after the other.
struct Reading<'a, C> {
    trail: &'a Trail,
    question: &'a Question,
    filter: Filter<'a>,
    /// Whether our own events count.
    own: bool,
    /// The first instant of the range, and the one after the last.
    range: (i64, i64),
    /// The time of which calls may be counted together; a call alone if the question asks for more than users, tools,
    /// status and time.
    grain: Grain,
    counts: &'a mut C,
    context: ScanContext<'a>,
    sources: Sources,
    /// The rollups of the date that is being read.
    rollups: Option<(Date, DayRollups)>,
    /// The sightings near midnight so far, with their folders and dates.
    edges: Vec<(String, Date, Seen)>,
    /// Whether the question asks for a user, tool and status.
    asked: HashMap<(Box<str>, Box<str>, Status), bool>,
    begun: Duration,
}

impl<'a, C: CountCalls> Reading<'a, C> {
    fn new(
        trail: &'a Trail,
        question: &'a Question,
        (first, firsts): (Date, &'a FirstUses),
        counts: &'a mut C,
        context: ScanContext<'a>,
    ) -> Self {
        let now = trail.clock.now();
        let own = question.query.names_own_events();
        let range = question.query.range(now);
        let grain = if question.query.is_countable() && !own { counts.grain() } else { Grain::Call };
        Self {
            trail,
            question,
            filter: Filter::new(&question.query, now).with_firsts(firsts),
            own,
            range: (range.0.unwrap_or(i64::MIN).max(first.start().as_millis()), range.1.unwrap_or(i64::MAX)),
            grain,
            counts,
            context,
            sources: Sources::default(),
            rollups: None,
            edges: Vec::new(),
            asked: HashMap::new(),
            begun: trail.clock.monotonic(),
        }
    }

    /// Whether no more may be read for this answer.
    fn is_spent(&self, more: u64) -> bool {
        let bound = self.trail.bounds.stats;
        self.context.scanned.bytes + more >= bound.bytes_max
            || self.trail.clock.monotonic() - self.begun >= bound.time_max
            || self.trail.cancel.is_cancelled()
    }

    /// Counts the calls of a file. Returns whether all of it was read.
    fn file(&mut self, folder: &str, day: Date) -> bool {
        if self.is_spent(0) {
            return false;
        }
        let path = DayFile::new(folder, day, &self.trail.zone);
        let disk = &**self.trail.home.disk();
        let unreadable = &mut self.context.unreadable;
        let opened = path.with_path(|path| unreadable.or_none(path, disk.open(path)).flatten());
        let Some(file) = opened else { return true };
        let read = file.stat().and_then(|stat| {
            self.context.scanned.files += 1;
            match self.rollup(folder, day, (&*file, &stat))? {
                Some(Rolled { rollup, days, complete }) if self.grain != Grain::Call => {
                    self.from_rollup(folder, day, (&rollup, days.as_ref()), &*file)?;
                    Ok(complete)
                }
                Some(Rolled { rollup, complete, .. }) => {
                    Ok(self.matching(folder, day, (&*file, &stat), rollup)? && complete)
                }
                None => self.whole_or_matching(folder, day, (&*file, &stat)),
            }
        });
        path.with_path(|path| self.context.unreadable.or_none(path, read)).unwrap_or(true)
    }

    /// Returns the date that an instant counts for.
    fn date_of(&self, ts: Timestamp) -> Date {
        if self.question.local_days { self.trail.zone.date_of(ts) } else { ts.date() }
    }

    fn seen(&self, entry: &Line<'_>, offset: u64, is_asked: bool) -> Seen {
        let mut seen = seen(entry, offset, self.date_of(entry.ts), is_asked);
        if C::WANTS_CLIENTS {
            seen.sighting.client = entry.string("client").filter(|client| !client.is_empty()).map(Into::into);
        }
        seen
    }

    /// Whether the question asks for an entry.
    fn asks(&self, entry: &Line<'_>) -> bool {
        entry.ts.as_millis() >= self.range.0 && (self.own || !is_own(entry)) && self.filter.matches(entry)
    }
}

/// The rollup of a file, up to the file's end.
struct Rolled {
    rollup: FileRollup,
    /// The calls by day, if they were read.
    days: Option<Cells>,
    /// False if the file has grown so much that not everything could be read.
    complete: bool,
}

impl<C: CountCalls> Reading<'_, C> {
    /// Returns the rollup of a file, if there is one for it. What the file has more is read.
    fn rollup(&mut self, folder: &str, day: Date, (file, stat): (&dyn DiskFile, &Stat)) -> io::Result<Option<Rolled>> {
        self.open_rollups(day);
        let Some((_, rollups)) = &self.rollups else { return Ok(None) };
        let Some(entry) = rollups.entries.get(folder).filter(|entry| entry.unfit_len == 0) else { return Ok(None) };
        if !is_current(&entry.covered, file, stat)? {
            return Ok(None);
        }
        let (begin, end) = (day.start().as_millis(), day.plus_days(1).start().as_millis());
        let read = if stat.len > entry.covered.len {
            read(rollups, entry, &[Part::Days, Part::Hours, Part::Sightings, Part::Keys])
        } else if self.grain == Grain::Call {
            read(rollups, entry, &[Part::Sightings])
        } else if self.grain == Grain::Day && self.is_whole(begin, end) {
            read(rollups, entry, &[Part::Days, Part::Sightings])
                .filter(|rolled| {
                    rolled.days.iter().all(|days| days.cells.keys().all(|key| self.is_whole_day(key.time)))
                })
                .or_else(|| read(rollups, entry, &[Part::Days, Part::Hours, Part::Sightings]))
        } else {
            read(rollups, entry, &[Part::Days, Part::Hours, Part::Sightings])
        };
        let Some(mut rolled) = read else { return Ok(None) };
        if stat.len > entry.covered.len {
            let (mut bytes, mut complete) = (0, true);
            let extended = extend(&mut rolled.rollup, (file, stat), (day, &self.trail.zone), |read| {
                bytes += read;
                complete = !self.is_spent(bytes);
                complete
            });
            self.context.scanned.bytes += bytes;
            self.sources.files += 1;
            if extended?.is_err() {
                return Ok(None);
            }
            rolled.complete = complete;
            rolled.days = Some(rolled.rollup.cells.by_day());
            self.context.skipped.torn += u64::from(complete && rolled.rollup.covered.len < stat.len);
        }
        self.sources.rollups += 1;
        Ok(Some(rolled))
    }

    /// Opens the rollups of a date. Those that cannot be read are as if there were none.
    fn open_rollups(&mut self, day: Date) {
        if self.rollups.as_ref().is_none_or(|(date, _)| *date != day) {
            let rollups = DayRollups::open(&**self.trail.home.disk(), day).ok();
            self.rollups = rollups.map(|rollups| (day, rollups));
        }
    }

    /// Whether the range contains all of this time.
    fn is_whole(&self, begin: i64, end: i64) -> bool {
        self.range.0 <= begin && end <= self.range.1
    }

    fn is_whole_day(&self, day: u32) -> bool {
        let begin = date_of_day(day).start().as_millis();
        self.is_whole(begin, begin + 24 * HOUR_MS)
    }

    /// Whether the question asks for entries of this user, tool and status.
    fn asks_for(&mut self, user: &str, tool: &str, status: Status) -> bool {
        let key = (user.into(), tool.into(), status);
        if let Some(asked) = self.asked.get(&key) {
            return *asked;
        }
        let text = entry_of(user, tool, status);
        let line = Line::parse(&text, &Zone::UTC);
        let asked = line.is_some_and(|line| self.filter.matches_but_time(&line));
        self.asked.insert(key, asked);
        asked
    }

    /// Counts the calls of a rollup, and reads the hours of which only a part is asked for.
    fn from_rollup(
        &mut self,
        folder: &str,
        day: Date,
        (rollup, days): (&FileRollup, Option<&Cells>),
        file: &dyn DiskFile,
    ) -> io::Result<()> {
        self.context.skipped.add(&rollup.broken);
        let by_day =
            days.filter(|days| self.grain == Grain::Day && days.cells.keys().all(|key| self.is_whole_day(key.time)));
        let mut partial = HashSet::new();
        let cells = by_day.unwrap_or(&rollup.cells);
        for (key, cell) in &cells.cells {
            let start = if by_day.is_some() { date_of_day(key.time).start() } else { hour_start(key.time) };
            if by_day.is_none() {
                let (begin, end) = (start.as_millis(), start.as_millis() + HOUR_MS);
                if end <= self.range.0 || self.range.1 <= begin {
                    continue;
                }
                // A zone may begin its day within an hour of UTC.
                let is_one_day = self.date_of(start) == self.date_of(Timestamp::from_millis(end - 1));
                if !self.is_whole(begin, end) || !is_one_day {
                    partial.insert(key.time);
                    continue;
                }
            }
            self.count_cell(&cells.names, key, cell, start, false);
        }
        if !partial.is_empty() {
            let edges = rollup.edges.iter().map(|seen| seen.offset).collect::<HashSet<_>>();
            for hour in partial {
                self.hour(hour, rollup, &edges, file)?;
            }
        }
        rollup.edges.iter().for_each(|seen| self.edge(folder, day, seen.clone()));
        Ok(())
    }

    /// Counts the calls of a cell. `is_home`: it is of all users together.
    fn count_cell(&mut self, names: &Names, key: &CellKey, calls: &Cell, start: Timestamp, is_home: bool) {
        let (user, tool) = (names.name(key.user), names.name(key.tool));
        if self.asks_for(user, tool, key.status) {
            let (day, user) = (self.date_of(start), (!is_home).then_some(user));
            self.counts.count_cell(&CountedCell { user, tool, status: key.status, start, day, calls });
        }
    }

    /// Counts the calls of all users of a date from the rollup of the whole home, if that is possible. Returns whether
    /// it was.
    fn whole_home(&mut self, day: Date, files: &[(Date, &str)]) -> bool {
        let query = &self.question.query;
        let is_each_asked = !query.is_about("tool") && !query.is_about("status");
        let (begin, end) = (day.start().as_millis(), day.plus_days(1).start().as_millis());
        let is_possible = self.grain != Grain::Call
            && !query.is_about("user")
            && (is_each_asked || !self.counts.wants_users())
            && self.is_whole(begin, end)
            && !self.is_spent(0);
        if !is_possible || !self.covers_all(day, files).unwrap_or(false) {
            return false;
        }
        let Some((_, rollups)) = &self.rollups else { return false };
        let by_day = self.grain == Grain::Day;
        let calls = match self.grain {
            Grain::Day => HomeCalls::Days,
            _ if self.counts.wants_tools() || query.is_about("tool") => HomeCalls::Hours,
            _ => HomeCalls::Statuses,
        };
        let Ok(Some(home)) = rollups.home(calls) else { return false };
        let broken = rollups.entries.values().map(|entry| entry.broken).collect::<Vec<_>>();
        // Lines of other days may be in the files.
        let is_whole = |key: &CellKey| {
            let hour = hour_start(key.time).as_millis();
            if by_day { self.is_whole_day(key.time) } else { self.is_whole(hour, hour + HOUR_MS) }
        };
        let is_one_day = |key: &CellKey| {
            let start = hour_start(key.time);
            by_day || self.date_of(start) == self.date_of(Timestamp::from_millis(start.as_millis() + HOUR_MS - 1))
        };
        if !home.cells.cells.keys().all(|key| is_whole(key) && is_one_day(key)) {
            return false;
        }
        self.sources.rollups += files.len() as u64;
        self.context.scanned.files += files.len() as u64;
        broken.iter().for_each(|broken| self.context.skipped.add(broken));
        for (key, cell) in &home.cells.cells {
            let start = if by_day { date_of_day(key.time).start() } else { hour_start(key.time) };
            self.count_cell(&home.cells.names, key, cell, start, true);
        }
        home.users.iter().for_each(|(user, calls)| self.counts.count_user(user, *calls));
        for (folder, seen) in home.edges {
            self.edge(&folder, day, seen);
        }
        true
    }

    /// Whether the rollups of a date are those of these files, each up to its end.
    fn covers_all(&mut self, day: Date, files: &[(Date, &str)]) -> io::Result<bool> {
        self.open_rollups(day);
        let Some((_, rollups)) = &self.rollups else { return Ok(false) };
        if rollups.entries.len() != files.len() {
            return Ok(false);
        }
        let disk = &**self.trail.home.disk();
        for (_, folder) in files {
            let Some(entry) = rollups.entries.get(*folder).filter(|entry| entry.unfit_len == 0) else {
                return Ok(false);
            };
            let file = DayFile::new(folder, day, &self.trail.zone).with_path(|path| disk.open(path))?;
            let Some(file) = file else { return Ok(false) };
            let stat = file.stat()?;
            if stat.len != entry.covered.len || !is_current(&entry.covered, &*file, &stat)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps a sighting near midnight until the file of the day before is known.
    fn edge(&mut self, folder: &str, day: Date, mut seen: Seen) {
        let sighting = &seen.sighting;
        seen.is_asked = (self.range.0..self.range.1).contains(&sighting.ended_ms)
            && self.asks_for(&sighting.user, &sighting.tool, sighting.status);
        seen.sighting.day = self.date_of(Timestamp::from_millis(sighting.ended_ms));
        self.edges.push((folder.to_owned(), day, seen));
    }

    /// Counts the calls of one hour of a file that has a rollup, by its lines.
    fn hour(&mut self, hour: u32, rollup: &FileRollup, edges: &HashSet<u64>, file: &dyn DiskFile) -> io::Result<()> {
        let Some((from, to)) = rollup.hours.get(&hour) else { return Ok(()) };
        let mut forward = Forward::new(file, *from, *to);
        self.sources.files += 1;
        let zone = &self.trail.zone;
        loop {
            let read = forward.step(|offset, line| {
                let Some(FileLine::Entry(entry)) = line.map(|line| FileLine::read(offset, line, zone)) else { return };
                let is_here = entry.ts.as_millis().div_euclid(HOUR_MS) == i64::from(hour);
                let counts = rollup.absorbed.binary_search(&offset).is_err() && !edges.contains(&offset);
                if is_here && counts && self.asks(&entry) {
                    let seen = self.seen(&entry, offset, true);
                    self.counts.count(&seen.sighting);
                }
            })?;
            self.context.scanned.bytes += read;
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Reads the lines of a file, and calls `found` with each entry that is of interest. Returns whether all was read.
    fn lines(
        &self,
        (file, stat): (&dyn DiskFile, &Stat),
        only_matching: bool,
        mut found: impl FnMut(&Self, Line<'_>, u64) -> bool,
    ) -> io::Result<Lines> {
        let mut forward = Forward::new(file, 0, stat.len);
        let (mut broken, mut bytes, mut go_on) = (Broken::default(), 0, true);
        loop {
            let zone = &self.trail.zone;
            let read = forward.step(|offset, line| {
                let Some(line) = line else {
                    broken.too_long += 1;
                    return;
                };
                let read = if only_matching {
                    FileLine::read_if(offset, line, zone, |line| self.filter.may_match(line))
                } else {
                    Some(FileLine::read(offset, line, zone))
                };
                match read {
                    Some(FileLine::Broken) => broken.line(line),
                    Some(FileLine::Entry(entry)) if go_on => go_on = found(self, entry, offset),
                    _ => {}
                }
            })?;
            bytes += read;
            if read == 0 {
                let is_torn = forward.position() < stat.len;
                return Ok(Lines { broken, is_torn, bytes, complete: true, ended: !go_on });
            }
            let spent = self.is_spent(bytes);
            if spent || !go_on {
                return Ok(Lines { broken, is_torn: false, bytes, complete: !spent, ended: !go_on });
            }
        }
    }

    fn took(&mut self, lines: &Lines) {
        self.context.skipped.add(&lines.broken);
        self.context.skipped.torn += u64::from(lines.is_torn);
        self.context.scanned.bytes += lines.bytes;
        self.sources.files += 1;
    }

    /// Counts the matching calls of a file whose rollup says which sightings do not count.
    fn matching(
        &mut self,
        folder: &str,
        day: Date,
        file: (&dyn DiskFile, &Stat),
        mut rollup: FileRollup,
    ) -> io::Result<bool> {
        // The file may have been covered in parts by now.
        let edges = rollup.edges.iter().enumerate().map(|(n, seen)| (seen.offset, n)).collect::<HashMap<_, _>>();
        rollup.edges.iter_mut().for_each(|seen| seen.is_asked = false);
        let mut counted = Vec::new();
        let only_matching = self.filter.has_needles();
        let lines = self.lines(file, only_matching, |reading, entry, offset| {
            if reading.asks(&entry) && rollup.absorbed.binary_search(&offset).is_err() {
                let seen = reading.seen(&entry, offset, true);
                match edges.get(&offset) {
                    Some(edge) => rollup.edges[*edge] = seen,
                    None => counted.push(seen.sighting),
                }
            }
            true
        })?;
        self.took(&lines);
        counted.iter().for_each(|call| self.counts.count(call));
        self.edges.extend(rollup.edges.into_iter().map(|seen| (folder.to_owned(), day, seen)));
        Ok(lines.complete)
    }

    /// Counts the calls of a file without a rollup. If entries that match have call ids, the whole file is read, because
    /// other sightings of these calls may not match.
    fn whole_or_matching(&mut self, folder: &str, day: Date, file: (&dyn DiskFile, &Stat)) -> io::Result<bool> {
        if self.filter.has_needles() {
            let (mut matches, mut ids) = (Vec::new(), HashSet::new());
            let lines = self.lines(file, true, |reading, entry, offset| {
                if !reading.asks(&entry) || id_of(&entry).is_some_and(|id| !ids.insert(id)) {
                    return true;
                }
                let seen = reading.seen(&entry, offset, true);
                let goes_on = seen.sighting.call_id.is_none() && matches.len() < MATCHES_MAX;
                matches.push(seen.sighting);
                goes_on
            })?;
            if !lines.ended {
                self.took(&lines);
                matches.iter().for_each(|call| self.counts.count(call));
                return Ok(lines.complete);
            }
            self.context.scanned.bytes += lines.bytes;
        }
        let (mut alone, mut sightings, mut ids) = (Vec::new(), Sightings::default(), HashSet::new());
        let lines = self.lines(file, false, |reading, entry, offset| {
            if is_own(&entry) && !reading.own || id_of(&entry).is_some_and(|id| !ids.insert(id)) {
                return true;
            }
            let is_asked = reading.asks(&entry);
            if is_asked || entry.string("call_id").is_some_and(|call_id| !call_id.is_empty()) {
                alone.extend(sightings.add(reading.seen(&entry, offset, is_asked)).filter(|seen| seen.is_asked));
            }
            true
        })?;
        self.took(&lines);
        let settled = Settled::of(sightings, day);
        let counted = settled.counted.iter().filter(|seen| seen.is_asked).chain(&alone);
        counted.for_each(|seen| self.counts.count(&seen.sighting));
        self.edges.extend(settled.edges.into_iter().map(|seen| (folder.to_owned(), day, seen)));
        if self.edges.len() > EDGES_MAX {
            self.count_edges();
        }
        Ok(lines.complete)
    }

    /// Counts the calls near midnight, whose sightings may be in the files of two days.
    fn count_edges(&mut self) {
        let mut edges = std::mem::take(&mut self.edges);
        edges.sort_by(|a, b| (&a.0, a.1, a.2.offset).cmp(&(&b.0, b.1, b.2.offset)));
        let mut calls = Sightings::default();
        let alone = edges.into_iter().filter_map(|(_, _, seen)| calls.add(seen)).collect::<Vec<_>>();
        let joined = calls.into_calls().map(|call| call.best);
        for seen in alone.into_iter().chain(joined).filter(|seen| seen.is_asked) {
            self.counts.count(&seen.sighting);
        }
    }
}

/// Returns an entry that has nothing but these, to ask whether a query matches them.
fn entry_of(user: &str, tool: &str, status: Status) -> String {
    let mut text = r#"{"ts":"1970-01-01T00:00:00.000Z","user":"#.to_owned();
    json::push_string(&mut text, user);
    text.push_str(r#","tool":"#);
    json::push_string(&mut text, tool);
    text.push_str(r#","status":"#);
    json::push_string(&mut text, status.as_str());
    text.push('}');
    text
}

/// What was read of a file.
struct Lines {
    broken: Broken,
    /// Whether the file ends with bytes without a newline.
    is_torn: bool,
    bytes: u64,
    complete: bool,
    /// Whether the reader wanted no more.
    ended: bool,
}

/// Reads parts of a rollup; `None` if it is damaged or cannot be read.
fn read(rollups: &DayRollups, entry: &IndexEntry, parts: &[Part]) -> Option<Rolled> {
    let (rollup, days) = rollups.read(entry, parts).ok().flatten()?;
    Some(Rolled { rollup, days: parts.contains(&Part::Days).then_some(days), complete: true })
}
