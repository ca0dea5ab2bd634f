//! Counts the calls of whole hours and days from rollups.

use std::collections::{HashMap, HashSet};
use std::io;

use super::counting::{CountCalls, CountedCell, Grain};
use super::reading::Reading;
use crate::call::Status;
use crate::clock::{Date, Timestamp, Zone};
use crate::day::Forward;
use crate::disk::{DiskFile, Stat};
use crate::json;
use crate::query::Line;
use crate::read::DayFile;
use crate::rollup::{
    Cell, CellKey, Cells, DayRollups, FileLine, FileRollup, HOUR_MS, HomeCalls, IndexEntry, Names, Part, Seen,
    date_of_day, extend, hour_start, is_current,
};

/// The rollup of a file, up to the file's end.
pub(super) struct Rolled {
    pub(super) rollup: FileRollup,
    /// The calls by day, if they were read.
    pub(super) days: Option<Cells>,
    /// 1 if the file ends with a line that is not whole.
    pub(super) torn: u64,
    /// False if the file has grown so much that not everything could be read.
    pub(super) complete: bool,
}

impl<C: CountCalls> Reading<'_, C> {
    /// Returns the rollup of a file, if there is one for it, with the parts that this grain needs. What the file has more
    /// is read.
    pub(super) fn rollup(
        &mut self,
        folder: &str,
        day: Date,
        (file, stat): (&dyn DiskFile, &Stat),
        grain: Grain,
    ) -> io::Result<Option<Rolled>> {
        self.open_rollups(day);
        let Some((_, rollups)) = &self.rollups else { return Ok(None) };
        let Some(entry) = rollups.entries.get(folder).filter(|entry| entry.unfit_len == 0) else { return Ok(None) };
        if !is_current(&entry.covered, file, stat)? {
            return Ok(None);
        }
        let (begin, end) = (day.start().as_millis(), day.plus_days(1).start().as_millis());
        let read = if stat.len > entry.covered.len {
            read(rollups, entry, &Part::ALL)
        } else if grain == Grain::Session {
            read(rollups, entry, &[Part::Days, Part::Hours, Part::Sightings, Part::Sessions])
        } else if grain == Grain::Call {
            read(rollups, entry, &[Part::Sightings])
        } else if grain == Grain::Day && self.is_whole(begin, end) {
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
            rolled.torn = u64::from(complete && rolled.rollup.covered.len < stat.len);
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

    /// Counts the sessions of a rollup, if the question asks for all of its hours. Returns whether it does.
    pub(super) fn count_sessions(&mut self, folder: &str, day: Date, rollup: &FileRollup) -> bool {
        let hours = rollup.hours.keys().map(|hour| hour_start(*hour).as_millis());
        if !hours.into_iter().all(|begin| self.is_whole(begin, begin + HOUR_MS)) {
            return false;
        }
        self.context.skipped.add(&rollup.broken);
        for ((user, session), row) in &rollup.sessions {
            let user = rollup.cells.names.name(*user);
            // The question asks for neither tools nor statuses.
            if self.asks_for(user, "", Status::Ok) {
                self.counts.count_session(user, session, row);
            }
        }
        self.keep_rollup_edges(folder, day, rollup.edges.iter().cloned());
        true
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
    pub(super) fn count_rollup(
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
        self.keep_rollup_edges(folder, day, rollup.edges.iter().cloned());
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
    pub(super) fn whole_home(&mut self, day: Date, files: &[(Date, &str)]) -> bool {
        let query = &self.question.query;
        let is_each_asked = !query.is_about("tool") && !query.is_about("status");
        let (begin, end) = (day.start().as_millis(), day.plus_days(1).start().as_millis());
        let is_possible = matches!(self.grain, Grain::Hour | Grain::Day)
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
        let mut edges = HashMap::<_, Vec<_>>::new();
        home.edges.into_iter().for_each(|(folder, seen)| edges.entry(folder).or_default().push(seen));
        for (_, folder) in files {
            self.keep_rollup_edges(folder, day, edges.remove(*folder).unwrap_or_default());
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

    /// Keeps the sightings near midnight of a rollup, and finds out which of them the question asks for.
    fn keep_rollup_edges(&mut self, folder: &str, day: Date, edges: impl IntoIterator<Item = Seen>) {
        let asked = edges.into_iter().map(|mut seen| {
            let sighting = &seen.sighting;
            seen.is_asked = (self.range.0..self.range.1).contains(&sighting.ended_ms)
                && self.asks_for(&sighting.user, &sighting.tool, sighting.status);
            seen.sighting.day = self.date_of(Timestamp::from_millis(sighting.ended_ms));
            seen
        });
        let asked = asked.collect();
        self.keep_edges(folder, day, asked);
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

/// Reads parts of a rollup; `None` if it is damaged or cannot be read.
fn read(rollups: &DayRollups, entry: &IndexEntry, parts: &[Part]) -> Option<Rolled> {
    let (rollup, days) = rollups.read(entry, parts).ok().flatten()?;
    Some(Rolled { rollup, days: parts.contains(&Part::Days).then_some(days), torn: 0, complete: true })
}
