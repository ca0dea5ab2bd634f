//! Syncs the day files, and frees the journal of the lines that are durable in them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use crate::day::{Damage, Wanted, reconcile};
use crate::error::Error;
use crate::home::APPENDS_WAIT;
use crate::journal::{Record, requested};
use crate::record::loss::LossReason;
use crate::record::recovery::{home_moved, recover};
use crate::record::store::Store;
use crate::record::store::after_flush::{CompletedFlush, DurableFile};
use crate::record::store::appending::REMOVED;
use crate::record::store::flusher::{Flushed, sync};
use crate::record::store::group::Day;
use crate::record::unsynced;

/// How long to wait after a failed rewrite before the next attempt. A broken disk answers slowly, and all callers wait
/// for it.
const REWRITE_PAUSE: Duration = Duration::from_secs(5);

/// How often the writer thread looks for journals of processes that have died meanwhile.
pub(super) const RECOVER_EVERY: Duration = Duration::from_secs(10);

impl Store {
    /// Handles the result of a completed flush, and begins a new one if `every` has passed or the journal is crowded.
    pub(crate) fn maintain(&mut self, every: Duration) {
        if let Some(done) = self.flusher.done() {
            self.flushed(done);
        }
        let due = self.clock.monotonic() >= self.flusher.begun_at() + every;
        if self.is_unflushed() && !self.flusher.is_running() && (due || self.journal.is_crowded()) {
            self.begin_flush();
        }
        self.rest();
        self.zero_if_requested();
        let now = self.clock.monotonic();
        self.blocked.look(&**self.home.disk(), now, self.clock.now().date());
        if now >= self.recover_at {
            self.recover_at = now + RECOVER_EVERY;
            // If another process recovers at the moment, it does the same work.
            let sealing = self.seal_task.sealing().cloned();
            let found = recover(&self.home, &mut self.journal, &mut self.lateness, sealing.as_deref(), Duration::ZERO);
            if let Ok(recovered) = found {
                self.take_in(recovered);
            }
        }
        // Lines that a recovery still has to repair must not be sealed before.
        if self.left.is_none() {
            let events = self.seal_task.run(now);
            self.events.extend(events);
        }
        self.upkeep.run(now);
    }

    /// Overwrites the journal if somebody has erased entries, so that it holds no copy of them.
    fn zero_if_requested(&mut self) {
        let request = requested(&**self.home.disk());
        if request == self.zero_request || !self.journal.is_begun() {
            self.zero_request = request;
            return;
        }
        self.flush();
        if self.is_unflushed() {
            // Its lines are still needed. It is tried again after the next flush.
            return;
        }
        self.touched.clear();
        match self.journal.zero() {
            Ok(()) => self.zero_request = request,
            Err(error) => self.trouble = Some(format!("could not overwrite the journal: {error}")),
        }
    }

    fn begin_flush(&mut self) {
        let moved = self.home.check_stands().err().map(|error| error.message());
        if let (None, Some(why)) = (&self.moved, &moved) {
            self.events.push(home_moved(why));
        }
        self.moved = moved;
        // Pending lines are in the journal before its end but in no day file, so this flush does not make them durable,
        // not even if they are appended while it runs.
        let end = self.pending.is_empty().then(|| self.journal.end());
        self.flusher.begin(end, self.epoch);
        self.epoch += 1;
    }

    /// Makes all appended lines durable in their day files, and frees the journal of them. Waits until this is done.
    pub(crate) fn flush(&mut self) {
        if let Some(done) = self.flusher.wait() {
            self.flushed(done);
        }
        self.begin_flush();
        if let Some(done) = self.flusher.wait() {
            self.flushed(done);
        }
    }

    /// Handles the result of a flush.
    fn flushed(&mut self, done: Flushed) {
        let now = self.clock.monotonic();
        let (mut files, mut changes) = (Vec::new(), Vec::new());
        for (day, unflushed, synced) in done.files {
            let why = match synced {
                // A failed sync is not simply repeated: the second one may report success although nothing was written.
                _ if self.suspect.contains_key(&day) => String::new(),
                Err(error) => error.to_string(),
                Ok(()) => match self.files.change(&day, unflushed.file_id, unflushed.len) {
                    Ok(None) => {
                        files.push(DurableFile { day, len: unflushed.len, unjournaled: unflushed.unjournaled });
                        continue;
                    }
                    Ok(Some(change)) => {
                        self.losses.count(LossReason::Removed, unflushed.unjournaled, REMOVED);
                        changes.push((day, (change, unflushed.len)));
                        continue;
                    }
                    Err(error) => error.to_string(),
                },
            };
            if !self.suspect.contains_key(&day) {
                self.rewrite_at = now;
            }
            let path = self.home.day_path(&day.0, day.1);
            self.suspect(day, format!("could not sync {}: {why}", path.display()), unflushed.unjournaled);
        }
        self.changed(changes, &BTreeMap::new());
        if now >= self.rewrite_at && !self.suspect.is_empty() {
            self.rewrite_all(now);
        }
        // The journal is still needed while a file is suspect or lines are pending.
        let journal_end = done.end.filter(|_| self.suspect.is_empty() && self.pending.is_empty());
        self.after_flush(&CompletedFlush { files, journal_end, epoch: done.epoch }, now);
        self.close_past();
    }

    /// Closes the files of past days. Their durable lengths are forgotten, because there may be another file under the
    /// name when it is opened again.
    fn close_past(&mut self) {
        let (flusher, suspect, pending) = (&self.flusher, &self.suspect, &self.pending);
        let is_held = |day: &Day| flusher.holds(day) || suspect.contains_key(day) || pending.contains_key(day);
        for day in self.files.close_past(self.clock.now().date(), is_held) {
            self.flusher.forget_clean(&day);
        }
    }

    /// Writes the part of each suspect file after its durable length again, so that a new sync covers it.
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
                let why = Error::io("rewrite", &self.home.day_path(&day.0, day.1))(error).message();
                if let Some(suspect) = self.suspect.get_mut(&day) {
                    suspect.why = why;
                }
                self.rewrite_at = now + REWRITE_PAUSE;
            }
        }
    }

    fn rewrite(&mut self, day: &Day, records: Vec<Record>) -> io::Result<()> {
        let durable_len = self.flusher.durable_len(day);
        let from = records.iter().map(|record| record.durable_len).min().unwrap_or(durable_len);
        let lines = records.into_iter().map(|record| record.line).collect::<Vec<_>>();
        let want = Wanted { folder: &day.0, day: day.1, from, durable_len, again: durable_len, lines: &lines };
        let damage = Damage::find(&**self.home.disk(), &day.0, day.1, None)?;
        let lock = self.home.lock_appends(APPENDS_WAIT)?;
        self.files.forget(day);
        let done = reconcile(&**self.home.disk(), &mut self.lateness, &want, damage)?;
        drop(lock);
        for fragment in &done.fragments {
            self.report_fragment(fragment);
        }
        sync(&*done.file, &*self.clock, &self.meters)?;
        self.suspect.remove(day);
        self.flusher.take(day);
        if let Some(sealing) = self.seal_task.sealing() {
            unsynced::clear(&**self.home.disk(), day);
            sealing.flushed(&[(day.clone(), done.len)]);
        }
        self.flusher.set_durable_len(day.clone(), done.len);
        Ok(())
    }
}
