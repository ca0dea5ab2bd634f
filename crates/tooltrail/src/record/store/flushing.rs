//! Day files are made durable, and the journal is freed of what they hold.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use crate::day::{Cut, Redo, redo};
use crate::error::Error;
use crate::home::OWN_FOLDER;
use crate::journal::{Entry, Kind, Record};
use crate::record::counters::Loss;
use crate::record::flusher::{Flushed, sync};
use crate::record::group::Day;
use crate::record::recovery::{home_moved, recover};
use crate::record::store::Store;
use crate::record::store::appending::{LOCK_WAIT, REMOVED};

/// How long a file whose rewriting failed is left alone: a broken disk answers slowly, and all wait for it.
const REWRITE_PAUSE: Duration = Duration::from_secs(5);

/// How often a writer looks for journals of processes that died meanwhile.
pub(super) const RECOVER_EVERY: Duration = Duration::from_secs(10);

impl Store {
    /// Takes in a flush that is done, and begins one where it is time or the journal is crowded.
    pub(crate) fn tend(&mut self, every: Duration) {
        if let Some(done) = self.flusher.done(false) {
            self.flushed(done);
        }
        let due = self.clock.monotonic() >= self.flusher.begun_at() + every;
        if self.is_unflushed() && !self.flusher.is_running() && (due || self.journal.is_crowded()) {
            self.begin_flush();
        }
        let now = self.clock.monotonic();
        if now >= self.recover_at {
            self.recover_at = now + RECOVER_EVERY;
            // Who else recovers does what we would.
            let found = recover(&self.home, &mut self.journal, &mut self.largest, now, Duration::ZERO);
            if let Ok(recovered) = found {
                self.take_in(recovered);
            }
        }
    }

    fn begin_flush(&mut self) {
        let moved = self.home.check_stands().err();
        if let (None, Some(why)) = (&self.moved, &moved) {
            self.events.push(home_moved(why));
        }
        self.moved = moved;
        self.flusher.begin(self.journal.end(), self.epoch);
        self.epoch += 1;
    }

    /// Makes all appended lines durable in their day files, and frees the journal of them.
    pub(crate) fn flush(&mut self) {
        if let Some(done) = self.flusher.done(true) {
            self.flushed(done);
        }
        self.begin_flush();
        if let Some(done) = self.flusher.done(true) {
            self.flushed(done);
        }
    }

    /// Takes in what a flush has come to.
    fn flushed(&mut self, done: Flushed) {
        let now = self.clock.monotonic();
        let mut days = Vec::new();
        let mut unsure = BTreeMap::new();
        for (day, unflushed, synced) in done.files {
            let failed = match synced {
                // A failed sync is not tried again: the system may then say yes without having written.
                _ if self.suspect.contains_key(&day) => None,
                Err(error) => Some(error.to_string()),
                Ok(()) => match self.files.change(&day, unflushed.place, unflushed.len) {
                    Ok(None) => {
                        self.flusher.set_clean(day.clone(), unflushed.len);
                        days.push(day);
                        continue;
                    }
                    Ok(Some(change)) => {
                        self.losses.count(Loss::Removed, unflushed.unjournaled, REMOVED);
                        self.changed(&day, change, unflushed.len, None);
                        continue;
                    }
                    Err(error) => Some(error.to_string()),
                },
            };
            if let Some(error) = failed {
                let path = self.home.day_path(&day.0, day.1);
                self.suspect.insert(day.clone(), format!("could not sync {}: {error}", path.display()));
                self.rewrite_at = now;
            }
            unsure.insert(day, unflushed.unjournaled);
        }
        if now >= self.rewrite_at && !self.suspect.is_empty() {
            self.rewrite_all(now);
        }
        for (day, lines) in unsure {
            if let Some(why) = self.suspect.get(&day) {
                self.losses.count(Loss::Unsynced, lines, why);
            }
        }
        if self.suspect.is_empty() && self.pending.is_empty() {
            match self.journal.flushed(done.end, now) {
                Ok(()) => self.touch_again(done.epoch, days),
                Err(error) => self.trouble = Some(format!("could not free the journal: {error}")),
            }
        }
    }

    /// Notes the files that are likely to be written next: no batch then waits for that.
    fn touch_again(&mut self, epoch: u64, days: Vec<Day>) {
        self.touched.retain(|_, since| *since > epoch);
        let days = days.into_iter().filter(|day| !self.touched.contains_key(day)).collect::<Vec<_>>();
        let touch = |day: &'_ Day| (self.flusher.clean(day), day.clone());
        let touches = days.iter().map(touch).collect::<Vec<_>>();
        let entries = touches.iter().map(|(clean, (folder, day))| Entry {
            kind: Kind::Touch,
            id: 0,
            clean: *clean,
            folder,
            day: *day,
            line: b"",
        });
        let entries = entries.collect::<Vec<_>>();
        if !entries.is_empty() && self.journal.write(&entries, true, self.clock.monotonic()).is_ok() {
            self.touched.extend(days.into_iter().map(|day| (day, self.epoch)));
        }
    }

    /// Writes again what stands in suspect files since their last flush, so that a new sync means something.
    fn rewrite_all(&mut self, now: Duration) {
        let days = self.suspect.keys().cloned().collect::<BTreeSet<_>>();
        let mut lines = match self.journal.lines_of(&days) {
            Ok(lines) => lines,
            Err(error) => {
                self.trouble = Some(format!("could not read the journal: {error}"));
                self.rewrite_at = now + REWRITE_PAUSE;
                return;
            }
        };
        for day in days {
            if let Err(error) = self.rewrite(&day, lines.remove(&day).unwrap_or_default()) {
                let why = Error::io("rewrite", &self.home.day_path(&day.0, day.1))(error).to_string();
                self.suspect.insert(day, why);
                self.rewrite_at = now + REWRITE_PAUSE;
            }
        }
    }

    fn rewrite(&mut self, day: &Day, records: Vec<Record>) -> io::Result<()> {
        let clean = self.flusher.clean(day);
        let from = records.iter().map(|record| record.clean).min().unwrap_or(clean);
        let lines = records.into_iter().map(|record| (0, record.line)).collect::<Vec<_>>();
        let want = Redo { folder: &day.0, day: day.1, from, cut: Cut::Torn, again: clean, lines: &lines };
        let lock = self.home.disk().lock(&[OWN_FOLDER, "append.lock"], LOCK_WAIT)?;
        self.files.forget(day);
        let done = redo(&**self.home.disk(), &mut self.largest, &want, &mut |_| Ok(()))?;
        drop(lock);
        sync(&*done.file, &*self.clock, &self.meters)?;
        self.suspect.remove(day);
        self.flusher.take(day);
        self.flusher.set_clean(day.clone(), done.len);
        Ok(())
    }
}
