//! The statistics of calls: how many, how fast, and by which users.

use std::collections::BTreeMap;

use super::aggregate::Aggregate;
use super::calls::{ReadCalls, count_calls};
use super::counting::Sources;
use crate::clock::Date;
use crate::error::Error;
use crate::query::Question;
use crate::read::{Scanned, Skipped, Trail};
use crate::rollup::Quantiles;

/// Counts and quantiles of calls.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// First date of the range, `YYYY-MM-DD`.
    pub from: String,
    /// The last date: today, or the date of the newest entry if that is later.
    pub to: String,
    /// The number of calls.
    pub total: u64,
    /// Calls by status; always three keys.
    pub by_status: BTreeMap<&'static str, u64>,
    /// Calls by tool: the 1,000 largest, the rest under `other`.
    pub by_tool: BTreeMap<String, ToolStats>,
    /// Calls by user: the 1,000 largest, the rest under `other`.
    pub by_user: BTreeMap<String, u64>,
    /// Calls by UTC date, or by date in the trail's zone if the question says so.
    pub by_day: BTreeMap<String, u64>,
    /// Counts of lines that are not entries.
    pub skipped: Skipped,
    /// How much was read.
    pub scanned: Scanned,
    /// Where the numbers are from.
    pub sources: Sources,
    /// Whether some quantiles are not exact: within one percent.
    pub approx: bool,
    /// The first ten files and folders that could not be read, by their paths below the home.
    pub unreadable_names: Vec<String>,
    /// False if a limit was reached or something could not be read; then the counts cover only the part that was read.
    pub complete: bool,
    /// The newest date that has a day file at all, for the user if the question names one.
    pub newest: Option<Date>,
}

/// The statistics of one tool.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ToolStats {
    /// All calls.
    pub calls: u64,
    /// Calls that returned a result.
    pub ok: u64,
    /// Calls that failed.
    pub error: u64,
    /// Calls that were denied.
    pub denied: u64,
    /// How long the calls took; absent if nothing was measured.
    pub duration_ms: Option<Quantiles>,
    /// How many characters the calls returned; absent if nothing was measured.
    pub result_chars: Option<Quantiles>,
}

impl Trail {
    /// Returns counts and quantiles of the matching calls; limit and cursor are ignored.
    ///
    /// Our own events are left out unless the query names them. Several sightings of one call count once.
    ///
    /// # Errors
    /// As [`Trail::recent`].
    pub fn stats(&self, question: &Question) -> Result<Stats, Error> {
        let mut all = Aggregate::new(question.local_days);
        let read = count_calls(self, question, &mut all)?;
        let ReadCalls { skipped, scanned, sources, unreadable_names, complete, newest, first, last } = read;
        let from = first.to_string();
        let mut stats =
            Stats { skipped, scanned, sources, unreadable_names, complete, newest, from, ..Stats::default() };
        all.fill(&mut stats, last);
        if question.is_open_ended()
            && let Some(first) = stats.by_day.keys().next()
        {
            stats.from.clone_from(first);
        }
        Ok(stats)
    }
}
