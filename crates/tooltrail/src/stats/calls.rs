//! Counts the calls that a question asks for, each once, however many captures saw it.
//!
//! Which of several sightings counts does not depend on the question, so the numbers of several questions add up. Where
//! a day file has a rollup and the question allows it, the calls of whole hours or days are taken from there; all other
//! files are read.

use super::counting::{CountCalls, Grain, Sources};
use super::from_rollups::Rolled;
use super::reading::Reading;
use crate::clock::Date;
use crate::error::Error;
use crate::query::{FirstUses, Question};
use crate::read::{DayFile, ScanContext, Scanned, Skipped, Trail};

/// What was read for an answer.
#[derive(Debug)]
pub(super) struct ReadCalls {
    pub(super) skipped: Skipped,
    pub(super) scanned: Scanned,
    pub(super) sources: Sources,
    pub(super) unreadable_names: Vec<String>,
    /// Whether all was read.
    pub(super) complete: bool,
    /// The newest date that has a day file at all.
    pub(super) newest: Option<Date>,
    /// The first date of the range, and the last one that is not in the future.
    pub(super) first: Date,
    pub(super) last: Date,
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
    let mut context = ScanContext::new(&trail.home, &trail.zone);
    let folders = trail.folders(asked.owned().as_ref(), &mut context.unreadable)?;
    let newest = folders.iter().filter_map(|folder| folder.days.first().copied()).max();
    // Newest date first, so that all files of a date are read together.
    let files = folders.iter().flat_map(|folder| folder.days.iter().map(move |day| (*day, &*folder.name)));
    let mut files = files.filter(|(day, _)| asked.may_hold(*day)).collect::<Vec<_>>();
    files.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let (firsts, knows_firsts) = match question.query.asks_for_firsts() {
        true => trail.first_uses(asked.owned().as_ref(), &mut context)?,
        false => (FirstUses::default(), true),
    };
    let mut reading = Reading::new(trail, question, (asked.first, &firsts), counts, context);
    let is_all_users = asked.owned().is_none();
    let complete = files.chunk_by(|a, b| a.0 == b.0).all(|files| {
        let day = files[0].0;
        let complete = (is_all_users && reading.whole_home(day, files))
            || files.iter().all(|(_, folder)| reading.file(folder, day));
        reading.count_midnights(Some(day)) && complete
    });
    let complete = reading.count_midnights(None) && complete;
    let (skipped, unreadable_names) = reading.context.left_out();
    let complete = complete && knows_firsts && skipped.unreadable == 0 && !trail.lacks(asked.owned().as_ref());
    let today = trail.clock.now().date();
    let (scanned, sources) = (reading.context.scanned, reading.sources);
    let last = asked.last.unwrap_or(today).min(today);
    Ok(ReadCalls { skipped, scanned, sources, unreadable_names, complete, newest, first: asked.first, last })
}

impl<C: CountCalls> Reading<'_, C> {
    /// Counts the calls of a file. Returns whether all of it was read.
    fn file(&mut self, folder: &str, day: Date) -> bool {
        if self.is_spent(0) {
            return false;
        }
        let path = DayFile::new(folder, day, &self.trail.zone);
        let disk = &**self.trail.home.disk();
        let unreadable = &mut self.context.unreadable;
        let opened = path.with_path(|path| unreadable.or_none(path, disk.open(path)).flatten());
        let Some(file) = opened else { return true };
        let read = file.stat().and_then(|stat| {
            self.context.scanned.files += 1;
            match self.rollup(folder, day, (&*file, &stat), self.grain)? {
                Some(Rolled { rollup, torn, complete, .. })
                    if self.grain == Grain::Session && self.count_sessions(folder, day, &rollup) =>
                {
                    self.context.skipped.torn += torn;
                    Ok(complete)
                }
                Some(Rolled { rollup, days, torn, complete }) if matches!(self.grain, Grain::Hour | Grain::Day) => {
                    self.count_rollup(folder, day, (&rollup, days.as_ref()), &*file)?;
                    self.context.skipped.torn += torn;
                    Ok(complete)
                }
                Some(Rolled { rollup, complete, .. }) => {
                    Ok(self.matching(folder, day, (&*file, &stat), rollup)? && complete)
                }
                None => self.whole_or_matching(folder, day, (&*file, &stat)),
            }
        });
        path.with_path(|path| self.context.unreadable.or_none(path, read)).unwrap_or(true)
    }
}
