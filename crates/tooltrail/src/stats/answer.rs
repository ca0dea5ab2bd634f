//! The statistics of calls: how many, how fast, and by which users.

use std::collections::BTreeMap;

use super::aggregate::Aggregate;
use super::numbers::Quantiles;
use super::sightings::Sighting;
use crate::call::{EntryId, Via};
use crate::clock::Date;
use crate::error::Error;
use crate::query::{Filter, Line, Question};
use crate::read::{DayFile, Scan, ScanBound, ScanContext, Scanned, Skipped, Trail};

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
        let asked = self.ask(question)?;
        let filter = Filter::new(&question.query, self.clock.now());
        let own = question.query.names_own_events();
        let start = self.clock.monotonic();
        let (bound, mut all) = (self.bounds.stats, Aggregate::default());
        let mut context = ScanContext::new(&self.home, &self.zone);
        let folders = self.folders(asked.owned().as_ref(), &mut context.unreadable)?;
        let newest = folders.iter().filter_map(|folder| folder.days.first().copied()).max();
        // Newest date first, so that all files of a date are read together.
        let mut files = folders.iter().enumerate().flat_map(|(n, folder)| folder.days.iter().map(move |day| (*day, n)));
        let mut files = files.by_ref().filter(|(day, _)| asked.may_hold(*day)).collect::<Vec<_>>();
        files.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut complete = true;
        'files: for (day, folder) in files {
            all.begin_file(day);
            let mut scan = Scan::new(DayFile::new(&folders[folder].name, day, &self.zone));
            loop {
                let is_spent = context.scanned.bytes >= bound.bytes_max
                    || self.clock.monotonic() - start >= bound.time_max
                    || self.cancel.is_cancelled();
                if is_spent {
                    complete = false;
                    break 'files;
                }
                let bound = scan.step(&mut context, |_, ts, line, skipped| {
                    if ts < asked.first.start() || !filter.may_match(line) {
                        return;
                    }
                    let text = std::str::from_utf8(line).ok();
                    let Some(entry) = text.and_then(|text| Line::parse(text, &self.zone)) else {
                        return skipped.line(line);
                    };
                    let is_own = entry.string("via").as_deref() == Some(Via::Tooltrail.as_str());
                    let id = || entry.string("id").and_then(|id| EntryId::parse(&id));
                    if (own || !is_own) && filter.matches(&entry) && all.is_new(id()) {
                        let day = if question.local_days { self.zone.date_of(entry.ts) } else { entry.ts.date() };
                        all.add(Sighting::of(&entry, day));
                    }
                });
                if bound == ScanBound::Done {
                    break;
                }
            }
        }
        let (skipped, unreadable_names) = context.left_out();
        let scanned = context.scanned;
        complete &= skipped.unreadable == 0 && !self.lacks(asked.owned().as_ref());
        let from = asked.first.to_string();
        let mut stats = Stats { skipped, scanned, unreadable_names, complete, newest, from, ..Stats::default() };
        let last = asked.last.unwrap_or_else(|| self.clock.now().date()).min(self.clock.now().date());
        all.fill(&mut stats, last);
        if question.is_open_ended()
            && let Some(first) = stats.by_day.keys().next()
        {
            stats.from.clone_from(first);
        }
        Ok(stats)
    }
}
