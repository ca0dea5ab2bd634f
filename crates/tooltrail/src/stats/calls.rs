//! Reads the calls that a question asks for, each once, however many captures saw it.

use std::collections::HashSet;

use super::sightings::{Sighting, Sightings};
use crate::call::{EntryId, Via};
use crate::clock::Date;
use crate::error::Error;
use crate::query::{Filter, Line, Question};
use crate::read::{DayFile, Scan, ScanBound, ScanContext, Scanned, Skipped, Trail};

/// The most ids of one day file that are remembered to find an entry that is in the file twice: 16 bytes each, twice
/// that in the hash table.
const IDS_MAX: usize = 1_000_000;

/// Counts calls.
pub(super) trait CountCalls {
    /// Whether the clients of the calls are counted too.
    const WANTS_CLIENTS: bool = false;

    /// Counts one call.
    fn count(&mut self, call: &Sighting);
}

/// What was read for an answer.
#[derive(Debug)]
pub(super) struct ReadCalls {
    pub(super) skipped: Skipped,
    pub(super) scanned: Scanned,
    pub(super) unreadable_names: Vec<String>,
    /// Whether all was read.
    pub(super) complete: bool,
    /// The newest date that has a day file at all.
    pub(super) newest: Option<Date>,
    /// The first date of the range, and the last one that is not in the future.
    pub(super) first: Date,
    pub(super) last: Date,
}

/// The calls of the files that are being read.
struct Calls<'a, C> {
    sightings: Sightings,
    /// The ids of the current file.
    ids: HashSet<u128>,
    /// The date of the current file.
    day: Option<Date>,
    counts: &'a mut C,
}

impl<C: CountCalls> Calls<'_, C> {
    /// Whether this is the first entry with this id in the current file. An entry that was sent again has the same
    /// time, so it is in the same file.
    fn is_new(&mut self, id: Option<EntryId>) -> bool {
        match id {
            Some(id) if self.ids.len() < IDS_MAX => self.ids.insert(id.to_bits()),
            _ => true,
        }
    }

    /// Starts a file. Later files have the same date or an older one.
    fn begin_file(&mut self, day: Date) {
        self.ids.clear();
        // All sightings that wait are looked at, so this is done once for each date and not for each file.
        if self.day.replace(day) != Some(day) {
            // A call may have sightings on both sides of midnight, and in UTC and in the zone.
            for call in self.sightings.take_from(day.plus_days(3)) {
                self.counts.count(&call);
            }
        }
    }

    /// Adds one sighting. A sighting with a call id waits for other sightings of the same call.
    fn add(&mut self, sighting: Sighting) {
        if let Some(call) = self.sightings.add(sighting) {
            self.counts.count(&call);
        }
    }
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
    let filter = Filter::new(&question.query, trail.clock.now());
    let own = question.query.names_own_events();
    let start = trail.clock.monotonic();
    let bound = trail.bounds.stats;
    let mut calls = Calls { sightings: Sightings::default(), ids: HashSet::new(), day: None, counts };
    let mut context = ScanContext::new(&trail.home, &trail.zone);
    let folders = trail.folders(asked.owned().as_ref(), &mut context.unreadable)?;
    let newest = folders.iter().filter_map(|folder| folder.days.first().copied()).max();
    // Newest date first, so that all files of a date are read together.
    let files = folders.iter().enumerate().flat_map(|(n, folder)| folder.days.iter().map(move |day| (*day, n)));
    let mut files = files.filter(|(day, _)| asked.may_hold(*day)).collect::<Vec<_>>();
    files.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut complete = true;
    'files: for (day, folder) in files {
        calls.begin_file(day);
        let mut scan = Scan::new(DayFile::new(&folders[folder].name, day, &trail.zone));
        loop {
            let is_spent = context.scanned.bytes >= bound.bytes_max
                || trail.clock.monotonic() - start >= bound.time_max
                || trail.cancel.is_cancelled();
            if is_spent {
                complete = false;
                break 'files;
            }
            let bound = scan.step(&mut context, |_, ts, line, skipped| {
                if ts < asked.first.start() || !filter.may_match(line) {
                    return;
                }
                let text = std::str::from_utf8(line).ok();
                let Some(entry) = text.and_then(|text| Line::parse(text, &trail.zone)) else {
                    return skipped.line(line);
                };
                let is_own = entry.string("via").as_deref() == Some(Via::Tooltrail.as_str());
                let id = || entry.string("id").and_then(|id| EntryId::parse(&id));
                if (own || !is_own) && filter.matches(&entry) && calls.is_new(id()) {
                    let day = if question.local_days { trail.zone.date_of(entry.ts) } else { entry.ts.date() };
                    let mut sighting = Sighting::of(&entry, day);
                    if C::WANTS_CLIENTS {
                        sighting.client = entry.string("client").filter(|client| !client.is_empty()).map(Into::into);
                    }
                    calls.add(sighting);
                }
            });
            if bound == ScanBound::Done {
                break;
            }
        }
    }
    for call in calls.sightings.take_all() {
        calls.counts.count(&call);
    }
    let (skipped, unreadable_names) = context.left_out();
    complete &= skipped.unreadable == 0 && !trail.lacks(asked.owned().as_ref());
    let today = trail.clock.now().date();
    let last = asked.last.unwrap_or(today).min(today);
    Ok(ReadCalls { skipped, scanned: context.scanned, unreadable_names, complete, newest, first: asked.first, last })
}
