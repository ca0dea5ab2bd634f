//! Finished lines into the trail: the journal first, then the day files, then the flush that frees the journal.

mod after_flush;
mod appending;
pub(crate) mod blocked_files;
pub(crate) mod files;
pub(crate) mod flusher;
mod flushing;
pub(crate) mod group;
mod journaling;
pub(crate) mod losses;
pub(crate) mod unreported_fragments;
pub(crate) mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Zone};
use crate::day::{Damage, Fragment, LOOKS_MAX, LatenessNotes, STILL};
use crate::error::Error;
use crate::home::Home;
use crate::journal::{Journal, Record};
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
use crate::record::store::unreported_fragments::UnreportedFragments;
use crate::record::store::waiting::WaitingFolders;

/// How soon the writer looks whether a flush under way is done.
const FLUSH_POLL: Duration = Duration::from_millis(20);

/// How long another process may hold the append lock before that is trouble: a batch of appends takes milliseconds.
const LOCKED_MAX: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Store {
    home: Home,
    clock: Arc<dyn Clock>,
    meters: Arc<Meters>,
    journal: Journal,
    files: Files,
    flusher: Flusher,
    lateness: LatenessNotes,
    pub(crate) losses: Losses,
    /// What the trail is to say about its files.
    events: Vec<Event>,
    /// Fragments of which that tells.
    unreported: UnreportedFragments,
    /// Files that the journal knows to be written, and since which flush.
    touched: BTreeMap<Day, u64>,
    /// Counts flushes.
    epoch: u64,
    /// Files that are to be written again.
    suspect: BTreeMap<Day, Suspect>,
    blocked: BlockedFiles,
    /// Lines that their day files did not take yet.
    pending: BTreeMap<Day, Pending>,
    /// Whose they are, for whoever reads.
    waiting: Arc<WaitingFolders>,
    /// Day files that end with bytes that are no whole line: their lines are pending until it is known who writes there.
    torn: BTreeMap<Day, TornTail>,
    /// Since when another process holds the append lock; lines are pending meanwhile.
    locked_since: Option<Duration>,
    /// Why something of the last batch could not be written.
    trouble: Option<String>,
    /// When to write suspect files again.
    rewrite_at: Duration,
    /// Why something of a dead process could not be brought into its day file yet.
    left: Option<String>,
    /// When to look for dead processes again.
    recover_at: Duration,
    /// Why lines go to a folder that is not the home's any more.
    moved: Option<String>,
}

/// A file of which nobody knows how much is durable.
#[derive(Debug)]
struct Suspect {
    /// Why, in words.
    why: String,
    /// Lines in it that stand nowhere else, and of which nobody was told.
    lines: u64,
}

#[derive(Debug, Default)]
struct Pending {
    /// How long the file was, flushed, before the first try: what of them is there stands behind.
    from: u64,
    lines: Vec<Vec<u8>>,
    bytes: usize,
    /// How many of them do not stand in the journal.
    unjournaled: u64,
}

/// A tail that is no whole line, as it was when it was looked at last.
#[derive(Debug)]
struct TornTail {
    /// Where its line begins.
    line: u64,
    len: u64,
    /// Since when it has this length.
    since: Duration,
    /// When it was seen first.
    first: Duration,
    /// What is kept of it, once it has not grown for a while.
    damage: Option<Damage>,
}

impl Store {
    /// Recovers what dead processes left, and returns a store; with `background` it flushes in a thread of its own.
    ///
    /// # Errors
    /// As [`recover`].
    pub(crate) fn open(
        home: Home,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        meters: Arc<Meters>,
        waiting: Arc<WaitingFolders>,
        background: bool,
    ) -> Result<Self, Error> {
        let mut journal = Journal::new(Arc::clone(home.disk()), random, home.id()?);
        let mut lateness = LatenessNotes::new(Zone::system());
        let now = clock.monotonic();
        let recovered = recover(&home, &mut journal, &mut lateness, RECOVERY_WAIT)?;
        let flusher = Flusher::new(Arc::clone(&clock), Arc::clone(&meters), background);
        let mut store = Self {
            files: Files::new(Arc::clone(home.disk())),
            losses: Losses::new(Arc::clone(&meters)),
            clock,
            meters,
            journal,
            flusher,
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
            home,
        };
        store.take_in(recovered);
        // What is not tidied now is tidied at the next start.
        let _next_time = Fragment::remove_old(&**store.home.disk(), store.clock.now().as_millis() / 1_000);
        Ok(store)
    }

    /// Notes what recovery found.
    fn take_in(&mut self, recovered: Recovered) {
        self.recover_at = self.clock.monotonic() + RECOVER_EVERY;
        // What is told once is not told with each try.
        if self.left.is_none() || recovered.left.is_none() {
            self.events.extend(recovered.events);
        }
        for fragment in &recovered.fragments {
            // Others are told of already.
            if !self.unreported.holds(&fragment.name) {
                self.report_fragment(fragment);
            }
        }
        self.left = recovered.left;
        for (day, durable_len) in recovered.suspect {
            let path = self.home.day_path(&day.0, day.1);
            self.suspect(day.clone(), format!("could not flush {} in recovery", path.display()), 0);
            self.flusher.set_durable_len(day, durable_len);
        }
    }

    /// Why not all is well, in words.
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

    /// Says that another process does not give the append lock back.
    fn why_locked(&self) -> Option<String> {
        let held = self.clock.monotonic().saturating_sub(self.locked_since?);
        let root = self.home.root().display();
        (held >= LOCKED_MAX).then(|| {
            format!("could not lock the appends of {root}: another process holds the lock for {} s", held.as_secs())
        })
    }

    /// Why something of a dead process could not be brought into its day file yet.
    pub(crate) fn unrecovered(&self) -> Option<String> {
        self.left.clone()
    }

    /// Lines that are not in their day files yet, or there and not durable.
    pub(crate) fn unsure(&self) -> u64 {
        let pending = self.pending.values().map(|pending| pending.lines.len() as u64).sum::<u64>();
        pending + self.suspect.values().map(|suspect| suspect.lines).sum::<u64>()
    }

    /// Counts as lost what could not be made durable: nobody will try again.
    pub(crate) fn give_up(&mut self) {
        for suspect in self.suspect.values_mut() {
            self.losses.count(LossReason::Unsynced, std::mem::take(&mut suspect.lines), &suspect.why);
        }
    }

    /// Has a file written again before the journal is freed; so many of its lines stand nowhere else.
    fn suspect(&mut self, day: Day, why: String, lines: u64) {
        let suspect = self.suspect.entry(day).or_insert_with(|| Suspect { why, lines: 0 });
        suspect.lines += lines;
    }

    /// Whether a flush has something to do.
    fn is_unflushed(&self) -> bool {
        self.flusher.waiting() > 0
            || self.flusher.is_running()
            || !(self.suspect.is_empty() && self.pending.is_empty())
            || self.journal.trouble().is_some()
    }

    /// How long nothing need be done, when nothing comes; `None` for ever.
    pub(crate) fn patience(&self, settle: Duration) -> Option<Duration> {
        if !self.events.is_empty() {
            Some(Duration::ZERO)
        } else if !self.torn.is_empty() {
            Some(STILL)
        } else if self.flusher.is_running() || self.locked_since.is_some() {
            Some(FLUSH_POLL)
        } else if self.is_unflushed() || !self.losses.is_empty() {
            Some(settle)
        } else if !self.blocked.is_empty() {
            Some(LOOK_EVERY)
        } else {
            self.left.as_ref().map(|_| RECOVER_EVERY)
        }
    }

    /// Takes what the trail is to say about its files, for the next batch.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.unreported.take();
        std::mem::take(&mut self.events)
    }

    /// Has the trail tell of a fragment.
    fn report_fragment(&mut self, fragment: &Fragment) {
        self.unreported.add(&fragment.name);
        let (what, facts) = (fragment.what.clone(), fragment.facts.clone());
        self.events.push(Event::Incident { what, facts });
    }

    /// Whether lines wait for a day file that can't be appended to just now: who reads would not find them.
    pub(crate) fn is_deferred(&self) -> bool {
        !self.torn.is_empty() || self.locked_since.is_some()
    }

    /// Returns the folders whose lines wait for day files.
    pub(crate) fn waiting_folders(&self) -> BTreeSet<String> {
        self.pending.keys().map(|(folder, _)| folder.clone()).collect()
    }

    /// Gives torn tails and the holder of the append lock the time that they are waited for, at most about a second.
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

    /// Flushes, and leaves an empty journal if everything is in its day file and no call is open.
    pub(crate) fn close(&mut self) {
        self.await_deferred();
        self.journal_pending();
        self.flush();
        if self.suspect.is_empty()
            && self.pending.is_empty()
            && self.journal.open_calls().is_empty()
            && let Err(error) = self.journal.close()
        {
            self.trouble = Some(format!("could not empty the journal: {error}"));
        }
    }
}
