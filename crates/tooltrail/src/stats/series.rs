//! Calls over time: counts and durations by minute, hour or day.

use std::collections::{BTreeMap, HashMap};

use super::calls::count_calls;
use super::counting::{CountCalls, CountedCell, Grain, Sources};
use crate::call::Status;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::query::Question;
use crate::read::{Scanned, Skipped, Trail};
use crate::rollup::{Sighting, Sketch};

/// The most buckets of a series: more than a screen has columns, and a day of minutes.
const BUCKETS_MAX: i64 = 1_500;

/// The most groups of a series: more are not told apart in a picture. The rest is `other`.
const GROUPS_MAX: usize = 20;

/// The most names that are counted separately before it is known which are the largest; a sender that invents names must
/// not fill the memory.
const NAMES_COUNTED_MAX: usize = 1_000;

/// The name of the group that holds all other names.
const OTHER: &str = "other";

/// The length of the buckets of a series, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the words of the interface")]
pub enum BucketSize {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

/// What the calls of a bucket are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the words of the interface")]
pub enum GroupBy {
    /// By status; always three groups.
    Status,
    /// By tool.
    Tool,
    /// By user.
    User,
    /// Not at all.
    None,
}

impl BucketSize {
    /// All sizes with their words.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Minute, "minute"), (Self::Hour, "hour"), (Self::Day, "day")];

    /// Returns its length in milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }
}

impl GroupBy {
    /// All groupings with their words.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Status, "status"), (Self::Tool, "tool"), (Self::User, "user"), (Self::None, "none")];
}

/// Calls over time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Series {
    /// The begin of the first bucket.
    pub from: Timestamp,
    /// The end of the last bucket. Calls after it are not counted.
    pub to: Timestamp,
    /// The names of the groups, the largest first; `other` is the last one.
    pub groups: Vec<String>,
    /// All buckets of the range in order, also those without a call.
    pub buckets: Vec<SeriesBucket>,
    /// Counts of lines that are not entries.
    pub skipped: Skipped,
    /// How much was read.
    pub scanned: Scanned,
    /// Where the numbers are from.
    pub sources: Sources,
    /// The first ten files and folders that could not be read, by their paths below the home.
    pub unreadable_names: Vec<String>,
    /// False if a limit was reached or something could not be read; then the counts cover only the part that was read.
    pub complete: bool,
}

impl Series {
    /// Returns a series without buckets, to be filled.
    #[must_use]
    pub fn new(from: Timestamp, to: Timestamp) -> Self {
        Self {
            from,
            to,
            groups: Vec::new(),
            buckets: Vec::new(),
            skipped: Skipped::default(),
            scanned: Scanned::default(),
            sources: Sources::default(),
            unreadable_names: Vec::new(),
            complete: true,
        }
    }
}

/// The calls of one bucket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SeriesBucket {
    /// Its begin.
    pub start: Timestamp,
    /// All calls.
    pub all: SeriesCounts,
    /// The calls of each group that has any.
    pub groups: BTreeMap<String, SeriesCounts>,
}

impl SeriesBucket {
    /// Returns a bucket without calls, to be filled.
    #[must_use]
    pub const fn new(start: Timestamp) -> Self {
        Self {
            start,
            all: SeriesCounts { calls: 0, errors: 0, denied: 0, p50_ms: None, p95_ms: None },
            groups: BTreeMap::new(),
        }
    }
}

/// Counts and durations. The quantiles are within one percent, and absent if no call said how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SeriesCounts {
    /// All calls.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Calls that were denied.
    pub denied: u64,
    /// Half of the calls took at most this, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95 percent of the calls took at most this, in milliseconds.
    pub p95_ms: Option<f64>,
}

#[derive(Clone, Debug, Default)]
struct Cell {
    counts: SeriesCounts,
    took: Sketch,
}

impl Cell {
    fn add(&mut self, call: &Sighting) {
        self.counts.calls += 1;
        self.counts.errors += u64::from(call.status == Status::Error);
        self.counts.denied += u64::from(call.status == Status::Denied);
        if let Some(took) = call.duration_ms {
            self.took.add(took);
        }
    }

    fn add_cell(&mut self, cell: &CountedCell<'_>) {
        let calls = cell.calls.calls;
        self.counts.calls += calls;
        self.counts.errors += if cell.status == Status::Error { calls } else { 0 };
        self.counts.denied += if cell.status == Status::Denied { calls } else { 0 };
        cell.calls.duration_ms.add_to(&mut self.took);
    }

    fn merge(&mut self, other: &Self) {
        self.counts.calls += other.counts.calls;
        self.counts.errors += other.counts.errors;
        self.counts.denied += other.counts.denied;
        self.took.merge(&other.took);
    }

    fn counts(&self) -> SeriesCounts {
        SeriesCounts { p50_ms: self.took.quantile(50), p95_ms: self.took.quantile(95), ..self.counts }
    }
}

/// The calls of all buckets so far.
struct Counting {
    from_ms: i64,
    to_ms: i64,
    bucket: BucketSize,
    by: GroupBy,
    /// The numbers of the groups by their names, and how many calls each has.
    names: HashMap<Box<str>, usize>,
    sizes: Vec<u64>,
    all: Vec<Cell>,
    cells: HashMap<(usize, usize), Cell>,
}

impl Counting {
    /// Returns the bucket of an instant; `None` outside of all.
    fn bucket(&self, ms: i64) -> Option<usize> {
        let is_inside = (self.from_ms..self.to_ms).contains(&ms);
        usize::try_from((ms - self.from_ms) / self.bucket.millis()).ok().filter(|_| is_inside)
    }

    fn group(&mut self, user: &str, tool: &str, status: Status) -> Option<usize> {
        let name = match self.by {
            GroupBy::Status => status.as_str(),
            GroupBy::Tool => tool,
            GroupBy::User => user,
            GroupBy::None => return None,
        };
        let name = if self.names.len() >= NAMES_COUNTED_MAX && !self.names.contains_key(name) { OTHER } else { name };
        if let Some(number) = self.names.get(name) {
            return Some(*number);
        }
        self.names.insert(name.into(), self.sizes.len());
        self.sizes.push(0);
        Some(self.sizes.len() - 1)
    }
}

impl CountCalls for Counting {
    fn grain(&self) -> Grain {
        match self.bucket {
            BucketSize::Minute => Grain::Call,
            BucketSize::Hour => Grain::Hour,
            BucketSize::Day => Grain::Day,
        }
    }

    fn wants_tools(&self) -> bool {
        self.by == GroupBy::Tool
    }

    fn wants_users(&self) -> bool {
        self.by == GroupBy::User
    }

    fn count_cell(&mut self, cell: &CountedCell<'_>) {
        let Some(bucket) = self.bucket(cell.start.as_millis()) else { return };
        self.all[bucket].add_cell(cell);
        if let Some(group) = self.group(cell.user.unwrap_or_default(), cell.tool, cell.status) {
            self.sizes[group] += cell.calls.calls;
            self.cells.entry((bucket, group)).or_default().add_cell(cell);
        }
    }

    fn count(&mut self, call: &Sighting) {
        let Some(bucket) = self.bucket(call.ended_ms) else { return };
        self.all[bucket].add(call);
        if let Some(group) = self.group(&call.user, &call.tool, call.status) {
            self.sizes[group] += 1;
            self.cells.entry((bucket, group)).or_default().add(call);
        }
    }
}

impl Trail {
    /// Returns the matching calls over time; limit and cursor are ignored. Calls count as in [`Trail::stats`].
    ///
    /// The range is that of the question, up to now if it has no end, in whole buckets.
    ///
    /// # Errors
    /// [`Error::Input`] if the range has more than 1,500 buckets, and as [`Trail::recent`].
    pub fn series(&self, question: &Question, bucket: BucketSize, by: GroupBy) -> Result<Series, Error> {
        question.check()?;
        let (from, to) = question.instants(self.clock.now());
        let size = bucket.millis();
        let from_ms = from.as_millis().div_euclid(size) * size;
        let count = (to.as_millis() - from_ms + size - 1).div_euclid(size).max(1);
        if count > BUCKETS_MAX {
            let hint = "use at most 1500: larger buckets (an hour, a day), or a shorter range";
            return Err(Error::input(format!("the range has {count} buckets: too many"), hint));
        }
        let to_ms = from_ms + count * size;
        let buckets = usize::try_from(count).unwrap_or(0);
        let mut counting = Counting {
            from_ms,
            to_ms,
            bucket,
            by,
            names: HashMap::new(),
            sizes: Vec::new(),
            all: vec![Cell::default(); buckets],
            cells: HashMap::new(),
        };
        if by == GroupBy::Status {
            for status in Status::ALL {
                counting.names.insert(status.as_str().into(), counting.sizes.len());
                counting.sizes.push(0);
            }
        }
        let read = count_calls(self, question, &mut counting)?;
        let (groups, buckets) = counting.finish();
        Ok(Series {
            from: Timestamp::from_millis(from_ms),
            to: Timestamp::from_millis(to_ms),
            groups,
            buckets,
            skipped: read.skipped,
            scanned: read.scanned,
            sources: read.sources,
            unreadable_names: read.unreadable_names,
            complete: read.complete,
        })
    }
}

impl Counting {
    /// Returns the names of the groups and the buckets. The smallest groups are joined if there are too many.
    fn finish(self) -> (Vec<String>, Vec<SeriesBucket>) {
        let mut names = self.names.into_iter().collect::<Vec<_>>();
        if self.by != GroupBy::Status {
            let size = |name: &(Box<str>, usize)| if &*name.0 == OTHER { 0 } else { self.sizes[name.1] };
            names.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.0.cmp(&b.0)));
        } else {
            names.sort_by_key(|(_, number)| *number);
        }
        let is_cut = names.len() > GROUPS_MAX;
        let kept = if is_cut { GROUPS_MAX - 1 } else { names.len() };
        // The new number of each group; the last one is that of all others.
        let mut places = vec![kept; self.sizes.len()];
        names.iter().take(kept).enumerate().for_each(|(place, (_, number))| places[*number] = place);
        let mut groups = names.iter().take(kept).map(|(name, _)| name.to_string()).collect::<Vec<_>>();
        if is_cut {
            groups.push(OTHER.to_owned());
        }
        let mut joined = HashMap::<(usize, usize), Cell>::new();
        for ((bucket, group), cell) in self.cells {
            joined.entry((bucket, places[group])).or_default().merge(&cell);
        }
        let mut buckets = (0..).zip(&self.all).map(|(n, cell)| SeriesBucket {
            start: Timestamp::from_millis(self.from_ms + n * self.bucket.millis()),
            all: cell.counts(),
            groups: BTreeMap::new(),
        });
        let mut buckets = buckets.by_ref().collect::<Vec<_>>();
        for ((bucket, group), cell) in joined {
            buckets[bucket].groups.insert(groups[group].clone(), cell.counts());
        }
        (groups, buckets)
    }
}
