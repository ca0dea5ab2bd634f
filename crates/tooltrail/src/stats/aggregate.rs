//! Sightings to calls, calls to counts.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use super::answer::{Stats, ToolStats};
use super::sketch::Sketch;
use crate::call::{Status, Via};
use crate::clock::Date;
use crate::query::Line;

/// Names of tools or users that an answer lists.
const NAMES_MAX: usize = 1_000;

/// Names counted one by one before the rest is `other`: a sender that makes up names must not fill the memory.
const NAMES_COUNTED_MAX: usize = 20_000;

/// Calls with an id remembered to find their other sightings: about 200 MB; later ones count as they stand.
const CALLS_MAX: usize = 1_000_000;

/// Where the names go that are not listed.
const OTHER: &str = "other";

/// What is counted of one entry.
#[derive(Debug)]
pub(super) struct Sighting {
    pub(super) via: Option<Via>,
    user: String,
    tool: String,
    call_id: Option<String>,
    status: Status,
    day: Date,
    duration_ms: Option<f64>,
    result_chars: Option<f64>,
}

impl Sighting {
    pub(super) fn of(line: &Line<'_>) -> Self {
        let text = |name| line.string(name).unwrap_or_default().into_owned();
        let number = |name| line.number(name).filter(|number| *number >= 0.0);
        Self {
            via: line.string("via").and_then(|via| Via::parse(&via)),
            user: text("user"),
            tool: text("tool"),
            call_id: line.string("call_id").filter(|id| !id.is_empty()).map(std::borrow::Cow::into_owned),
            status: line.status,
            day: line.ts.date(),
            duration_ms: number("duration_ms"),
            result_chars: number("result_chars"),
        }
    }

    /// How little this sighting is trusted: its place in the order of captures; an unknown one comes last.
    fn rank(&self) -> usize {
        Via::ALL.iter().position(|via| Some(*via) == self.via).unwrap_or(Via::ALL.len())
    }
}

#[derive(Debug, Default)]
struct Tool {
    counts: ToolStats,
    duration_ms: Sketch,
    result_chars: Sketch,
}

impl Tool {
    fn merge(&mut self, other: &Self) {
        self.counts.calls += other.counts.calls;
        self.counts.ok += other.counts.ok;
        self.counts.error += other.counts.error;
        self.counts.denied += other.counts.denied;
        self.duration_ms.merge(&other.duration_ms);
        self.result_chars.merge(&other.result_chars);
    }
}

/// Everything counted so far.
#[derive(Debug, Default)]
pub(super) struct Aggregate {
    /// By a hash of user and call id that differs from process to process.
    calls: HashMap<u128, Sighting>,
    hashers: (RandomState, RandomState),
    tools: HashMap<String, Tool>,
    users: HashMap<String, u64>,
    days: BTreeMap<Date, u64>,
}

impl Aggregate {
    /// Takes one sighting; one with a call id waits for better ones.
    pub(super) fn add(&mut self, sighting: Sighting) {
        let Some(call_id) = &sighting.call_id else { return self.count(&sighting) };
        let name = (&sighting.user, call_id);
        let key = u128::from(self.hashers.0.hash_one(name)) << 64 | u128::from(self.hashers.1.hash_one(name));
        let full = self.calls.len() >= CALLS_MAX;
        match self.calls.get_mut(&key) {
            Some(known) if sighting.rank() < known.rank() => *known = sighting,
            Some(_) => {}
            None if !full => {
                self.calls.insert(key, sighting);
            }
            None => self.count(&sighting),
        }
    }

    fn count(&mut self, call: &Sighting) {
        let tool = entry(&mut self.tools, &call.tool);
        tool.counts.calls += 1;
        match call.status {
            Status::Ok => tool.counts.ok += 1,
            Status::Error => tool.counts.error += 1,
            Status::Denied => tool.counts.denied += 1,
        }
        if let Some(number) = call.duration_ms {
            tool.duration_ms.add(number);
        }
        if let Some(number) = call.result_chars {
            tool.result_chars.add(number);
        }
        *entry(&mut self.users, &call.user) += 1;
        *self.days.entry(call.day).or_default() += 1;
    }

    /// Puts the counts into the answer.
    pub(super) fn fill(mut self, stats: &mut Stats, today: Date) {
        for call in std::mem::take(&mut self.calls).into_values() {
            self.count(&call);
        }
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
                let (duration_ms, result_chars) = (tool.duration_ms.quantiles(), tool.result_chars.quantiles());
                (name, ToolStats { duration_ms, result_chars, ..tool.counts })
            })
            .collect();
        stats.by_user = largest(self.users, |count| *count, |all, count| *all += count);
        stats.to = self.days.last_key_value().map_or(today, |(day, _)| today.max(*day)).to_string();
        stats.by_day = self.days.into_iter().map(|(day, count)| (day.to_string(), count)).collect();
    }
}

/// Returns the count of a name, or that of `other` where too many names are counted already.
fn entry<'a, T: Default>(counts: &'a mut HashMap<String, T>, name: &str) -> &'a mut T {
    let name = if counts.len() >= NAMES_COUNTED_MAX && !counts.contains_key(name) { OTHER } else { name };
    counts.entry(name.to_owned()).or_default()
}

/// Returns the largest counts by name, the rest together under `other`.
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
