//! Counts calls by status, tool, user and day.

use std::collections::{BTreeMap, HashMap};

use super::answer::{Stats, ToolStats};
use super::counting::{CountCalls, CountedCell, Grain};
use crate::call::Status;
use crate::clock::Date;
use crate::rollup::{Numbers, Sighting};

/// The most names of tools or users that an answer lists.
const NAMES_MAX: usize = 1_000;

/// The most names that are counted separately before the rest counts as `other`: a sender that invents names must not
/// fill the memory.
const NAMES_COUNTED_MAX: usize = 20_000;

/// The most tools whose durations and lengths are measured: some tens of megabytes at most. Other tools are only
/// counted.
const TOOLS_MEASURED_MAX: usize = 2_000;

/// The name under which all names are counted that are not listed.
const OTHER: &str = "other";

#[derive(Debug, Default)]
struct Tool {
    counts: ToolStats,
    measured: Option<Box<Measured>>,
}

#[derive(Debug, Default)]
struct Measured {
    duration_ms: Numbers,
    result_chars: Numbers,
}

impl Tool {
    fn merge(&mut self, other: &Self) {
        self.counts.calls += other.counts.calls;
        self.counts.ok += other.counts.ok;
        self.counts.error += other.counts.error;
        self.counts.denied += other.counts.denied;
        if let Some(other) = &other.measured {
            let measured = self.measured.get_or_insert_default();
            measured.duration_ms.merge(&other.duration_ms);
            measured.result_chars.merge(&other.result_chars);
        }
    }
}

/// Everything counted so far.
#[derive(Debug)]
pub(super) struct Aggregate {
    grain: Grain,
    measured: usize,
    tools: HashMap<String, Tool>,
    users: HashMap<String, u64>,
    days: BTreeMap<Date, u64>,
}

impl CountCalls for Aggregate {
    fn grain(&self) -> Grain {
        self.grain
    }

    fn count_cell(&mut self, cell: &CountedCell<'_>) {
        let calls = cell.calls;
        if let Some(measured) = self.add(cell.tool, cell.status, calls.calls) {
            measured.duration_ms.merge(&calls.duration_ms);
            measured.result_chars.merge(&calls.result_chars);
        }
        if let Some(user) = cell.user {
            self.count_user(user, calls.calls);
        }
        *self.days.entry(cell.day).or_default() += calls.calls;
    }

    fn count_user(&mut self, user: &str, calls: u64) {
        *entry(&mut self.users, user) += calls;
    }

    fn count(&mut self, call: &Sighting) {
        if let Some(measured) = self.add(&call.tool, call.status, 1) {
            call.duration_ms.into_iter().for_each(|number| measured.duration_ms.add(number));
            call.result_chars.into_iter().for_each(|number| measured.result_chars.add(number));
        }
        *entry(&mut self.users, &call.user) += 1;
        *self.days.entry(call.day).or_default() += 1;
    }
}

impl Aggregate {
    /// Returns counts by the day of UTC, or by the day of another zone.
    pub(super) fn new(local_days: bool) -> Self {
        let grain = if local_days { Grain::Hour } else { Grain::Day };
        Self { grain, measured: 0, tools: HashMap::new(), users: HashMap::new(), days: BTreeMap::new() }
    }

    /// Adds calls of a tool. Returns the numbers of the tool, if they are measured.
    fn add(&mut self, tool: &str, status: Status, calls: u64) -> Option<&mut Measured> {
        let tool = entry(&mut self.tools, tool);
        tool.counts.calls += calls;
        if tool.measured.is_none() && self.measured < TOOLS_MEASURED_MAX {
            self.measured += 1;
            tool.measured = Some(Box::default());
        }
        match status {
            Status::Ok => tool.counts.ok += calls,
            Status::Error => tool.counts.error += calls,
            Status::Denied => tool.counts.denied += calls,
        }
        tool.measured.as_deref_mut()
    }

    /// Writes the counts into the answer.
    pub(super) fn fill(self, stats: &mut Stats, today: Date) {
        let mut by_status = BTreeMap::from_iter(Status::ALL.iter().map(|status| (status.as_str(), 0)));
        for tool in self.tools.values() {
            stats.total += tool.counts.calls;
            let counts = [
                (Status::Ok, tool.counts.ok),
                (Status::Error, tool.counts.error),
                (Status::Denied, tool.counts.denied),
            ];
            for (status, count) in counts {
                *by_status.entry(status.as_str()).or_default() += count;
            }
        }
        stats.by_status = by_status;
        let tools = largest(self.tools, |tool| tool.counts.calls, |all, tool| all.merge(&tool));
        stats.by_tool = tools
            .into_iter()
            .map(|(name, tool)| {
                let measured = tool.measured.unwrap_or_default();
                stats.approx |= measured.duration_ms.is_approximate() || measured.result_chars.is_approximate();
                let (duration_ms, result_chars) = (measured.duration_ms.quantiles(), measured.result_chars.quantiles());
                (name, ToolStats { duration_ms, result_chars, ..tool.counts })
            })
            .collect();
        stats.by_user = largest(self.users, |count| *count, |all, count| *all += count);
        stats.to = self.days.last_key_value().map_or(today, |(day, _)| today.max(*day)).to_string();
        stats.by_day = self.days.into_iter().map(|(day, count)| (day.to_string(), count)).collect();
    }
}

/// Returns the count of a name, or the count of `other` if too many names are counted already.
fn entry<'a, T: Default>(counts: &'a mut HashMap<String, T>, name: &str) -> &'a mut T {
    let name = if counts.len() >= NAMES_COUNTED_MAX && !counts.contains_key(name) { OTHER } else { name };
    counts.entry(name.to_owned()).or_default()
}

/// Returns the largest counts by name, and the rest together as `other`.
fn largest<T: Default>(
    counts: HashMap<String, T>,
    size: impl Fn(&T) -> u64,
    mut merge: impl FnMut(&mut T, T),
) -> BTreeMap<String, T> {
    let mut sorted = counts.into_iter().collect::<Vec<_>>();
    sorted.sort_by(|a, b| size(&b.1).cmp(&size(&a.1)).then_with(|| a.0.cmp(&b.0)));
    let rest = sorted.split_off(NAMES_MAX.min(sorted.len()));
    let mut found = sorted.into_iter().collect::<BTreeMap<_, _>>();
    for (_, count) in rest {
        merge(found.entry(OTHER.to_owned()).or_default(), count);
    }
    found
}
