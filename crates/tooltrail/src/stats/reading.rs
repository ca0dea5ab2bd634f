//! The state of an answer while it reads one file after the other.

use std::collections::HashMap;
use std::time::Duration;

use super::counting::{CountCalls, Grain, Sources};
use super::midnights::Midnights;
use crate::call::Status;
use crate::clock::{Date, Timestamp};
use crate::query::{Filter, FirstUses, Line, Question};
use crate::read::{ScanContext, Trail};
use crate::rollup::{DayRollups, Seen, is_own, seen};

/// The state of an answer while the files are read one after the other.
pub(super) struct Reading<'a, C> {
    pub(super) trail: &'a Trail,
    pub(super) question: &'a Question,
    pub(super) filter: Filter<'a>,
    /// Whether our own events count.
    pub(super) own: bool,
    /// The first instant of the range, and the one after the last.
    pub(super) range: (i64, i64),
    /// The time of which calls may be counted together; a call alone if the question asks for more than users, tools,
    /// status and time.
    pub(super) grain: Grain,
    pub(super) counts: &'a mut C,
    pub(super) context: ScanContext<'a>,
    pub(super) sources: Sources,
    /// The rollups of the date that is being read.
    pub(super) rollups: Option<(Date, DayRollups)>,
    pub(super) midnights: Midnights,
    /// Whether the question asks for a user, tool and status.
    pub(super) asked: HashMap<(Box<str>, Box<str>, Status), bool>,
    pub(super) begun: Duration,
}

impl<'a, C: CountCalls> Reading<'a, C> {
    pub(super) fn new(
        trail: &'a Trail,
        question: &'a Question,
        (first, firsts): (Date, &'a FirstUses),
        counts: &'a mut C,
        context: ScanContext<'a>,
    ) -> Self {
        let now = trail.clock.now();
        let own = question.query.names_own_events();
        let range = question.query.range(now);
        let mut grain = if question.query.is_countable() && !own { counts.grain() } else { Grain::Call };
        if grain == Grain::Session && (question.query.is_about("tool") || question.query.is_about("status")) {
            grain = Grain::Call;
        }
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
            midnights: Midnights::default(),
            asked: HashMap::new(),
            begun: trail.clock.monotonic(),
        }
    }

    /// Whether no more may be read for this answer.
    pub(super) fn is_spent(&self, more: u64) -> bool {
        let bound = self.trail.bounds.stats;
        self.context.scanned.bytes + more >= bound.bytes_max
            || self.trail.clock.monotonic() - self.begun >= bound.time_max
            || self.trail.cancel.is_cancelled()
    }

    /// Returns the date that an instant counts for.
    pub(super) fn date_of(&self, ts: Timestamp) -> Date {
        if self.question.local_days { self.trail.zone.date_of(ts) } else { ts.date() }
    }

    pub(super) fn seen(&self, entry: &Line<'_>, offset: u64, is_asked: bool) -> Seen {
        let mut seen = seen(entry, offset, self.date_of(entry.ts), is_asked);
        if C::WANTS_CLIENTS {
            seen.sighting.client = entry.string("client").filter(|client| !client.is_empty()).map(Into::into);
        }
        seen
    }

    /// Whether the question asks for an entry.
    pub(super) fn asks(&self, entry: &Line<'_>) -> bool {
        entry.ts.as_millis() >= self.range.0 && (self.own || !is_own(entry)) && self.filter.matches(entry)
    }
}
