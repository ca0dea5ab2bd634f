//! Stores finished lines: first in the journal, then in the day files. A later flush of the day files frees the
//! journal.
//!
//! The way of a line, all on the writer thread except the sync of step 4:
//!
//! 1. [`Store::commit`] writes the lines that a caller waits for into the journal, and the lines that end a call which
//!    is open there. One sync makes all of them durable (`store/journaling.rs`).
//! 2. It appends all lines to their day files under the home's append lock (`store/appending.rs`).
//! 3. It keeps the promises. The day file of a journaled line need not be synced for this, because recovery appends the
//!    line again from the journal if a crash loses it. If the journal could not be written, the promise is kept only
//!    after the day file itself is synced.
//! 4. Once a second, a flush syncs the day files in a thread of its own (`store/flusher.rs`). Then the journal is freed
//!    up to the point where it ended when the flush began (`store/after_flush.rs`).
//!
//! If lines cannot be appended at the moment, they become pending and are tried again with each commit. This happens if
//! another process holds the append lock for more than 50 ms, or if the file ends with half a line of another writer.
//! If an append fails, only the journaled lines become pending; the others are lost, and a gap reports them. Pending
//! lines that are in the journal are acknowledged all the same. If the sync of a day file fails, the file becomes
//! suspect, and its lines are written and synced again. The journal is not freed while there are pending lines or
//! suspect files.

mod after_flush;
mod appending;
pub(crate) mod blocked_files;
pub(crate) mod files;
pub(crate) mod flusher;
mod flushing;
pub(crate) mod group;
mod journaling;
pub(crate) mod losses;
pub(crate) mod seal_task;
pub(crate) mod unreported_fragments;
pub(crate) mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Zone};
use crate::day::{Damage, Fragment, LOOKS_MAX, LatenessNotes, STILL};
use crate::disk::Lock;
use crate::error::Error;
use crate::home::Home;
use crate::journal::{Journal, Record, requested};
use crate::random::Random;
use crate::record::counters::Meters;
use crate::record::event::Event;
use crate::record::loss::LossReason;
use crate::record::recovery::{RECOVERY_WAIT, Recovered, recover};
use crate::record::store::blocked_files::{BlockedFiles, LOOK_EVERY};
use crate::record::store::files::Files;
use crate::record::store::flusher::Flusher;
use crate::record::store::flushing::RECOVER_EVERY;
use crate::record::store::group::Day;
use crate::record::store::losses::Losses;
use crate::record::store::seal_task::SealTask;
use crate::record::store::unreported_fragments::UnreportedFragments;
use crate::record::store::waiting::WaitingFolders;
use crate::record::unsynced;
use crate::record::upkeep::UpkeepTask;

/// How often the writer thread checks whether a running flush is done.
const FLUSH_POLL: Duration = Duration::from_millis(20);

/// How long another process may hold the append lock before this is reported as trouble. A batch of appends takes
/// milliseconds.
const LOCKED_MAX: Duration = Duration::from_secs(1);

/// How long after the last flush an idle writer gives its journal slot back: longer than the pauses of an agent that
/// calls one tool after another, because a slot that is given back costs a sync.
const IDLE_AFTER: Duration = Duration::from_secs(2);

/// Stores lines in the journal and in the day files. Used only by the writer thread.
#[derive(Debug)]
pub(crate) struct Store {
    home: Home,
    clock: Arc<dyn Clock>,
    meters: Arc<Meters>,
    // Journal and day files.
    journal: Journal,
    files: Files,
    flusher: Flusher,
    seal_task: SealTask,
    upkeep: UpkeepTask,
    lateness: LatenessNotes,
    pub(crate) losses: Losses,
    // What is to be recorded about the store itself.
    /// Our own events about the files, for the next batch.
    events: Vec<Event>,
    /// The fragments that these events report.
    unreported: UnreportedFragments,
    // The state between two flushes.
    /// The day files whose appends are noted in the journal, each with the flush number at which this was noted.
    touched: BTreeMap<Day, u64>,
    /// The number of flushes that have begun.
    epoch: u64,
    // Day files with problems.
    /// The day files whose sync failed and that must be written again.
    suspect: BTreeMap<Day, Suspect>,
    blocked: BlockedFiles,
    /// The lines that could not be appended to their day files yet.
    pending: BTreeMap<Day, Pending>,
    /// The folders of these lines, for readers. Shared with the recorder.
    waiting: Arc<WaitingFolders>,
    /// The day files that end with an incomplete line. Their lines are pending until it is known whether another writer
    /// is still writing there.
    torn: BTreeMap<Day, TornTail>,
    /// Since when another process has held the append lock. Lines are pending meanwhile.
    locked_since: Option<Duration>,
    // What the health check reports, and when to try again.
    /// Why the last batch could not be written completely.
    trouble: Option<String>,
    /// The earliest time to write suspect files again.
    rewrite_at: Duration,
    /// Why lines of a dead process could not be recovered yet.
    left: Option<String>,
    /// The next time to look for journals of dead processes.
    recover_at: Duration,
    /// Why the path of the home no longer refers to the folder that is written to.
    moved: Option<String>,
    /// The last request to overwrite the journal that was followed.
    zero_request: Option<u64>,
}

/// A day file whose sync failed, so that the bytes after its durable length may be lost.
#[derive(Debug)]
struct Suspect {
    /// The reason as a message.
    why: String,
    /// The number of its lines that are not in the journal and whose loss was not reported to a caller.
    lines: u64,
    /// The mark because of which nobody seals the file.
    _mark: Option<Box<dyn Lock>>,
}

/// The lines that wait for one day file.
#[derive(Debug, Default)]
struct Pending {
    /// The durable length of the file before the first attempt, or the start of a torn tail. If some of these lines are
    /// already in the file, they are after this offset.
    from: u64,
    lines: Vec<Vec<u8>>,
    bytes: usize,
    /// The number of these lines that are not in the journal.
    unjournaled: u64,
}

/// An incomplete line at the end of a day file, as it was at the last check.
#[derive(Debug)]
struct TornTail {
    /// The offset at which the line begins.
    line: u64,
    len: u64,
    /// Since when the file has had this length.
    since: Duration,
    /// When the incomplete line was first seen.
    first: Duration,
    /// The copy of the line, once the file has not grown for a while.
    damage: Option<Damage>,
}

impl Store {
    /// Recovers the lines that dead processes left in the journal, and returns a store. With `background`, flushes run
    /// in a thread of their own.
    ///
    /// # Errors
    /// As [`recover`].
    pub(crate) fn open(
        home: Home,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        (seal_task, upkeep): (SealTask, UpkeepTask),
        meters: Arc<Meters>,
        waiting: Arc<WaitingFolders>,
        background: bool,
    ) -> Result<Self, Error> {
        let mut journal = Journal::new(Arc::clone(home.disk()), random, home.id()?);
        let sealing = seal_task.sealing().cloned();
        let mut lateness = LatenessNotes::new(Zone::system);
        let now = clock.monotonic();
        let recovered = recover(&home, &mut journal, &mut lateness, sealing.as_deref(), RECOVERY_WAIT)?;
        let flusher = Flusher::new(Arc::clone(&clock), Arc::clone(&meters), background);
        let mut store = Self {
            files: Files::new(Arc::clone(home.disk())),
            losses: Losses::new(Arc::clone(&meters)),
            clock,
            meters,
            journal,
            flusher,
            seal_task,
            upkeep,
            lateness,
            events: Vec::new(),
            unreported: UnreportedFragments::default(),
            touched: BTreeMap::new(),
            epoch: 0,
            suspect: BTreeMap::new(),
            blocked: BlockedFiles::default(),
            pending: BTreeMap::new(),
            waiting,
            torn: BTreeMap::new(),
            locked_since: None,
            trouble: None,
            rewrite_at: now,
            left: None,
            recover_at: now,
            moved: None,
            zero_request: requested(&**home.disk()),
            home,
        };
        store.take_in(recovered);
        // If this fails, old fragments are removed at the next start.
        let _ = Fragment::remove_old(&**store.home.disk(), store.clock.now().as_millis() / 1_000);
        Ok(store)
    }

    /// Takes over the results of a recovery.
    fn take_in(&mut self, recovered: Recovered) {
        self.recover_at = self.clock.monotonic() + RECOVER_EVERY;
        // Recovery is repeated while lines are left; their events are recorded only the first time.
        if self.left.is_none() || recovered.left.is_none() {
            self.events.extend(recovered.events);
        }
        for fragment in &recovered.fragments {
            // The other fragments are already being reported.
            if !self.unreported.holds(&fragment.name) {
                self.report_fragment(fragment);
            }
        }
        self.left = recovered.left;
        if self.left.is_none() && self.seal_task.sealing().is_some() {
            // If this fails, these files are sealed after a later recovery.
            let _ = unsynced::clear_dead(&**self.home.disk());
        }
        for (day, durable_len) in recovered.suspect {
            let path = self.home.day_path(&day.0, day.1);
            self.suspect(day.clone(), format!("could not flush {} in recovery", path.display()), 0);
            self.flusher.set_durable_len(day, durable_len);
        }
    }

    /// Returns how long the sealing and the upkeep need no attention. While lines are left to recover, nothing is sealed.
    pub(crate) fn seal_patience(&self, now: Duration) -> Option<Duration> {
        let sealing = if self.left.is_some() { None } else { self.seal_task.patience(now) };
        sealing.into_iter().chain(self.upkeep.patience(now)).min()
    }

    /// Returns the current problem as a message; `None` if there is none.
    pub(crate) fn trouble(&self) -> Option<String> {
        let journal = self.journal.trouble().map(str::to_owned);
        self.trouble
            .clone()
            .or(journal)
            .or_else(|| self.suspect.values().next().map(|suspect| suspect.why.clone()))
            .or_else(|| self.left.clone().or_else(|| self.moved.clone()))
            .or_else(|| self.blocked.why())
            .or_else(|| self.why_locked())
    }

    /// Returns a message if another process has held the append lock for too long.
    fn why_locked(&self) -> Option<String> {
        let held = self.clock.monotonic().saturating_sub(self.locked_since?);
        let root = self.home.root().display();
        (held >= LOCKED_MAX).then(|| {
            format!("could not lock the appends of {root}: another process holds the lock for {} s", held.as_secs())
        })
    }

    /// Returns why lines of a dead process could not be recovered yet.
    pub(crate) fn unrecovered(&self) -> Option<String> {
        self.left.clone()
    }

    /// Returns the number of lines that are not in their day files yet, or whose sync failed there.
    pub(crate) fn unsure(&self) -> u64 {
        let pending = self.pending.values().map(|pending| pending.lines.len() as u64).sum::<u64>();
        pending + self.suspect.values().map(|suspect| suspect.lines).sum::<u64>()
    }

    /// Counts the lines of suspect files as lost. Called when the store closes and does not try again.
    pub(crate) fn give_up(&mut self) {
        for suspect in self.suspect.values_mut() {
            self.losses.count(LossReason::Unsynced, std::mem::take(&mut suspect.lines), &suspect.why);
        }
    }

    /// Marks a file as suspect, so that it is written again before the journal is freed. `lines` of its lines are not
    /// in the journal.
    fn suspect(&mut self, day: Day, why: String, lines: u64) {
        let disk = &**self.home.disk();
        let is_sealed = self.seal_task.sealing().is_some();
        let suspect = self.suspect.entry(day.clone()).or_insert_with(|| {
            // If no mark can be made, the disk takes no seal either.
            let mark = is_sealed.then(|| unsynced::mark(disk, &day).ok()).flatten();
            Suspect { why, lines: 0, _mark: mark }
        });
        suspect.lines += lines;
    }

    /// Whether a flush has something to do.
    fn is_unflushed(&self) -> bool {
        self.flusher.waiting() > 0
            || self.flusher.is_running()
            || !(self.suspect.is_empty() && self.pending.is_empty())
            || self.journal.trouble().is_some()
    }

    /// Returns how long the store needs no attention if no line comes; `None` means without a limit.
    pub(crate) fn patience(&self, settle: Duration) -> Option<Duration> {
        if !self.events.is_empty() {
            Some(Duration::ZERO)
        } else if !self.torn.is_empty() {
            Some(STILL)
        } else if self.flusher.is_running() || self.locked_since.is_some() {
            Some(FLUSH_POLL)
        } else if self.is_unflushed() || !self.losses.is_empty() {
            Some(settle)
        } else if self.journal.is_idle() {
            Some(IDLE_AFTER)
        } else if !self.blocked.is_empty() {
            Some(LOOK_EVERY)
        } else {
            self.left.as_ref().map(|_| RECOVER_EVERY)
        }
    }

    /// Takes the events about the files, for the next batch.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.unreported.take();
        std::mem::take(&mut self.events)
    }

    /// Adds the incident that reports a fragment.
    fn report_fragment(&mut self, fragment: &Fragment) {
        self.unreported.add(&fragment.name);
        let (what, facts) = (fragment.what.clone(), fragment.facts.clone());
        self.events.push(Event::Incident { what, facts });
    }

    /// Whether lines wait because of an incomplete line or the append lock, so that a reader would not find them.
    pub(crate) fn is_deferred(&self) -> bool {
        !self.torn.is_empty() || self.locked_since.is_some()
    }

    /// Returns the folders that have pending lines.
    pub(crate) fn waiting_folders(&self) -> BTreeSet<String> {
        self.pending.keys().map(|(folder, _)| folder.clone()).collect()
    }

    /// Waits until incomplete lines are ended and the append lock is free, at most about a second.
    pub(crate) fn await_deferred(&mut self) {
        for _ in 0..=LOOKS_MAX {
            if !self.is_deferred() {
                return;
            }
            self.home.disk().pause(STILL);
            self.look_at_torn_tails(true);
            self.commit(BTreeMap::new());
        }
    }

    /// Returns the calls that are open in the journal.
    pub(crate) fn open_calls(&self) -> Vec<Record> {
        self.journal.open_calls()
    }

    /// Flushes. Then empties the journal, if all lines are in their day files and no call is open.
    pub(crate) fn close(&mut self) {
        self.await_deferred();
        self.journal_pending();
        self.flush();
        if self.suspect.is_empty() && self.pending.is_empty() && self.journal.open_calls().is_empty() {
            self.close_journal();
        }
    }

    /// Seals what is left, because the recorder closes. Returns whether there is something to record.
    pub(crate) fn seal_rest(&mut self) -> bool {
        if self.left.is_some() {
            return false;
        }
        self.upkeep.close();
        let events = self.seal_task.close(self.clock.monotonic());
        self.events.extend(events);
        !self.events.is_empty()
    }

    /// Gives the journal slot back if the writer has been idle for a while, so that hundreds of idle writers can share a
    /// home. The next line that needs the journal takes a slot again.
    pub(crate) fn rest(&mut self) {
        let is_due = self.clock.monotonic() >= self.flusher.begun_at() + IDLE_AFTER;
        if is_due && self.journal.is_idle() && !self.is_unflushed() {
            self.close_journal();
        }
    }

    /// Empties the journal. All lines must be durable in their day files, and no call may be open.
    fn close_journal(&mut self) {
        // The notes of appends are in the segments that are emptied.
        self.touched.clear();
        if let Err(error) = self.journal.close() {
            self.trouble = Some(format!("could not empty the journal: {error}"));
        }
    }
}
