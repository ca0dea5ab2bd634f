//! The answer to how much, how fast and by whom.

use std::collections::BTreeMap;

use super::aggregate::{Aggregate, Sighting};
use super::sketch::Quantiles;
use crate::call::Via;
use crate::error::Error;
use crate::query::{Filter, Line, Question};
use crate::read::{Looking, Outlook, Scan, Scanned, Skipped, Trail};

/// Counts and quantiles of calls.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// First date of the range, `YYYY-MM-DD`.
    pub from: String,
    /// Last date: today, or the newest entry's where that is later.
    pub to: String,
    /// Calls.
    pub total: u64,
    /// Always three keys.
    pub by_status: BTreeMap<&'static str, u64>,
    /// The 1,000 largest, the rest under `other`.
    pub by_tool: BTreeMap<String, ToolStats>,
    /// Calls of each user; the 1,000 largest, the rest under `other`.
    pub by_user: BTreeMap<String, u64>,
    /// Calls of each UTC date.
    pub by_day: BTreeMap<String, u64>,
    /// Lines that are no entries.
    pub skipped: Skipped,
    /// What was looked at.
    pub scanned: Scanned,
    /// False if a bound was hit: the counts are of the part looked at.
    pub complete: bool,
}

/// One tool's calls.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ToolStats {
    /// All of them.
    pub calls: u64,
    /// That returned.
    pub ok: u64,
    /// That failed.
    pub error: u64,
    /// That were refused.
    pub denied: u64,
    /// How long they took; absent where nothing was measured.
    pub duration_ms: Option<Quantiles>,
    /// How much they returned.
    pub result_chars: Option<Quantiles>,
}

impl Trail {
    /// Returns counts and quantiles of the calls that answer; limit and cursor play no part.
    ///
    /// Our own events are left out unless the query names them, and sightings of one call count once.
    ///
    /// # Errors
    /// As [`Trail::recent`].
    pub fn stats(&self, question: &Question) -> Result<Stats, Error> {
        let asked = self.ask(question)?;
        let filter = Filter::new(&question.query, self.clock.now());
        let own = question.query.names_own_events();
        let start = self.clock.monotonic();
        let (bound, mut all) = (self.bounds.stats, Aggregate::default());
        let mut looking = Looking::new(&self.home, &self.zone);
        let mut complete = true;
        'files: for file in self.files(&asked)? {
            let mut scan = Scan::new(file);
            loop {
                if looking.scanned.bytes >= bound.bytes_max || self.clock.monotonic() - start >= bound.time_max {
                    complete = false;
                    break 'files;
                }
                let outlook = scan.step(&mut looking, |_, ts, line, skipped| {
                    if ts < asked.first.start() || !filter.may_match(line) {
                        return;
                    }
                    let text = std::str::from_utf8(line).ok();
                    match text.and_then(|text| Line::parse(text, &self.zone)) {
                        None => skipped.line(line),
                        Some(entry) => {
                            let sighting = Sighting::of(&entry);
                            if filter.matches(&entry) && (own || sighting.via != Some(Via::Tooltrail)) {
                                all.add(sighting);
                            }
                        }
                    }
                })?;
                if outlook == Outlook::Done {
                    break;
                }
            }
        }
        let Looking { skipped, scanned, .. } = looking;
        let mut stats = Stats { skipped, scanned, complete, from: asked.first.to_string(), ..Stats::default() };
        all.fill(&mut stats, self.clock.now().date());
        Ok(stats)
    }
}
