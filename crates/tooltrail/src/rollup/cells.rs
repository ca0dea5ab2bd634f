//! Counts of calls by hour, user, tool and status, which can be added and taken away again.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::numbers::Numbers;
use super::sightings::{Sighting, measured};
use crate::call::Status;
use crate::clock::{Date, Timestamp};
use crate::query::Line;

/// The milliseconds of an hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;

const HOURS_OF_DAY: u32 = 24;

/// The numbers of a tool and a day that are kept as they are: with fewer, all quantiles are exact.
const EXACT_MAX: u64 = 1_000;

/// Names, each with a small number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Names {
    list: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Names {
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.list.len() as u32;
        self.list.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        self.list.get(number as usize).map_or("", |name| name)
    }

    pub(crate) fn list(&self) -> &[Box<str>] {
        &self.list
    }
}

/// What the calls of a cell have in common. The order is that of the bytes of a rollup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CellKey {
    /// The hour, or the day, since the begin of 1970.
    pub(crate) time: u32,
    pub(crate) user: u32,
    pub(crate) tool: u32,
    pub(crate) status: Status,
}

/// The calls of a cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub(crate) calls: u64,
    pub(crate) duration_ms: Numbers,
    pub(crate) result_chars: Numbers,
}

impl Cell {
    fn add(&mut self, call: &CountedEntry<'_>) {
        self.calls += 1;
        call.duration_ms.into_iter().for_each(|number| self.duration_ms.add(number));
        call.result_chars.into_iter().for_each(|number| self.result_chars.add(number));
    }

    fn remove(&mut self, call: &CountedEntry<'_>) {
        self.calls = self.calls.saturating_sub(1);
        call.duration_ms.into_iter().for_each(|number| self.duration_ms.remove(number));
        call.result_chars.into_iter().for_each(|number| self.result_chars.remove(number));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.duration_ms.merge(&other.duration_ms);
        self.result_chars.merge(&other.result_chars);
    }
}

/// The hour of an instant, since the begin of 1970.
pub(crate) fn hour_of(ms: i64) -> u32 {
    u32::try_from(ms.div_euclid(HOUR_MS)).unwrap_or(0)
}

/// Returns the begin of an hour.
pub(crate) fn hour_start(hour: u32) -> Timestamp {
    Timestamp::from_millis(i64::from(hour) * HOUR_MS)
}

/// The day of an hour, since the begin of 1970.
pub(crate) fn day_of_hour(hour: u32) -> u32 {
    hour / HOURS_OF_DAY
}

/// The calls of a day file by hour, user, tool and status.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    pub(crate) names: Names,
    pub(crate) cells: BTreeMap<CellKey, Cell>,
}

/// What is counted of an entry.
#[derive(Debug)]
pub(crate) struct CountedEntry<'a> {
    user: Cow<'a, str>,
    tool: Cow<'a, str>,
    session: Option<Cow<'a, str>>,
    pub(super) status: Status,
    ended_ms: i64,
    duration_ms: Option<f64>,
    result_chars: Option<f64>,
}

impl<'a> CountedEntry<'a> {
    pub(crate) fn of(entry: &Line<'a>) -> Self {
        Self {
            user: entry.string("user").unwrap_or_default(),
            tool: entry.string("tool").unwrap_or_default(),
            session: entry.string("session").filter(|session| !session.is_empty()),
            status: entry.status,
            ended_ms: entry.ts.as_millis(),
            duration_ms: measured(entry, "duration_ms"),
            result_chars: measured(entry, "result_chars"),
        }
    }

    pub(crate) fn of_sighting(call: &'a Sighting) -> Self {
        let Sighting { status, ended_ms, duration_ms, result_chars, .. } = *call;
        let (user, tool) = (Cow::Borrowed(&*call.user), Cow::Borrowed(&*call.tool));
        let session = call.session.as_deref().map(Cow::Borrowed);
        Self { user, tool, session, status, ended_ms, duration_ms, result_chars }
    }

    pub(super) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Returns when the call began, in milliseconds since 1970.
    pub(super) fn began_ms(&self) -> i64 {
        self.ended_ms.saturating_sub(self.duration_ms.unwrap_or(0.0) as i64)
    }
}

impl Cells {
    /// Returns the numbers of the names of user and tool.
    pub(crate) fn names_of(&mut self, call: &CountedEntry<'_>) -> (u32, u32) {
        (self.names.number(&call.user), self.names.number(&call.tool))
    }

    fn key(&mut self, call: &CountedEntry<'_>) -> CellKey {
        let (user, tool) = self.names_of(call);
        CellKey { time: hour_of(call.ended_ms), user, tool, status: call.status }
    }

    pub(crate) fn add(&mut self, call: &CountedEntry<'_>) {
        let key = self.key(call);
        self.cells.entry(key).or_default().add(call);
    }

    pub(crate) fn remove(&mut self, call: &CountedEntry<'_>) {
        let key = self.key(call);
        if let Some(cell) = self.cells.get_mut(&key) {
            cell.remove(call);
            if cell.calls == 0 {
                self.cells.remove(&key);
            }
        }
    }

    /// Returns the same cells by day instead of by hour.
    pub(crate) fn by_day(&self) -> Self {
        let mut days = BTreeMap::<CellKey, Cell>::new();
        for (key, cell) in &self.cells {
            days.entry(CellKey { time: day_of_hour(key.time), ..*key }).or_default().merge(cell);
        }
        Self { names: self.names.clone(), cells: days }
    }

    /// Keeps only the distribution of the numbers of a tool that has many on a day, because their number does not stay
    /// small.
    pub(crate) fn thin_out(&mut self) {
        let mut counts = HashMap::<(u32, u32), (u64, u64)>::new();
        for (key, cell) in &self.cells {
            let (durations, lengths) = counts.entry((day_of_hour(key.time), key.tool)).or_default();
            *durations += cell.duration_ms.len();
            *lengths += cell.result_chars.len();
        }
        for (key, cell) in &mut self.cells {
            let (durations, lengths) = counts[&(day_of_hour(key.time), key.tool)];
            if durations >= EXACT_MAX {
                cell.duration_ms.approximate();
            }
            if lengths >= EXACT_MAX {
                cell.result_chars.approximate();
            }
        }
    }
}

/// The date of a day since the begin of 1970.
pub(crate) fn date_of_day(day: u32) -> Date {
    hour_start(day * HOURS_OF_DAY).date()
}
