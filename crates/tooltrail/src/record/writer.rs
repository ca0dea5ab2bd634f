//! The writer thread: takes batches from the queue, turns their entries into lines, and stores the lines.
//!
//! Group commit. All callers whose entries are in one batch share one sync. [`Writer::write`] collects the lines of a
//! batch in a [`Commit`], grouped by day file. [`Store::commit`] writes those that must survive a crash into the
//! journal with one write and one sync, and then appends all of them to their day files. While this happens, new
//! entries collect in the queue and become the next batch. Therefore no timer is needed, and the busier a process is,
//! the more callers share a sync. Only a large batch needs several commits: one is stored as soon as it has 10 MiB
//! ([`COMMIT_BYTES`]).
//!
//! Overlapped commit. A batch is encoded in parts of at most 4,096 entries and about 4 MiB. While helper threads redact
//! and encode one part, the writer thread adds the lines of the part before to the commit, stores the commit if it has
//! become large, and notes calls that are open. After that it helps to encode. With few entries there are no helper
//! threads, and the writer thread does one thing after the other. If no caller waits for a batch and enough bytes wait
//! for another full batch, the commit is kept in `held` and stored while the first part of the next batch is encoded.
//! So the disk and the processors work at the same time.
//!
//! Acknowledgements. The promise of an entry is kept when its line is durable in the journal and appended to its day
//! file; `store.rs` describes the exceptions. The promise of a flush is kept after all day files are synced. The room
//! in the queue is given back earlier, as soon as a part is encoded, because the lines in memory have bounds of their
//! own.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::error::Error;
use crate::home::Home;
use crate::journal::Record;
use crate::record::counters::Work;
use crate::record::encoder::{Encoder, Lines};
use crate::record::event::Event;
use crate::record::loss::LossReason;
use crate::record::open_call_id::OpenCallId;
use crate::record::opening::Opening;
use crate::record::options::Options;
use crate::record::queue::Batch;
use crate::record::queue::item::{Item, Source};
use crate::record::queue::promise::Promise;
use crate::record::queue::weight::counted;
use crate::record::recorder::State;
use crate::record::store::Store;
use crate::record::store::group::{Begun, Day, Group, Waiting};
use crate::record::store::seal_task::SealTask;
use crate::record::upkeep::UpkeepTask;
use crate::redact::Redactor;

/// How long appended lines may wait for the next flush, and counted losses for the next attempt to write a gap.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The bytes of lines that are stored at once, with one write to the journal. A journal segment has room for this many
/// bytes together with their frame headers and the copies of the open calls.
const COMMIT_BYTES: usize = 10 * 1024 * 1024;

/// The most entries that are encoded at once: enough work for several threads, and a few megabytes.
const ENCODE_ENTRIES_MAX: usize = 4_096;

/// The most bytes of calls that are encoded at once. While they are encoded, they use a few times as much memory.
const ENCODE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The extra commits after the last batch, for events that are still to be recorded. An incident may cause a second
/// one, but hardly a third.
const LAST_TRIES: usize = 3;

/// Turns queued entries into lines of the trail. Used only by the writer thread.
#[derive(Debug)]
pub(crate) struct Writer {
    encoder: Encoder,
    // Shared with the recorder.
    clock: Arc<dyn Clock>,
    state: Arc<State>,
    // Used only by the writer thread.
    store: Store,
    opening: Opening,
    /// Our own events for the next batch, each with its count if it stands for several.
    events: Vec<(Event, Option<u64>)>,
    /// The commit of the last batch, if it is stored only while the next batch is encoded.
    held: Commit,
    /// The promises of barriers that wait until lines are in their day files, while these cannot be appended to.
    seen: Vec<Promise>,
}

/// The lines that are stored at once.
#[derive(Debug, Default)]
struct Commit {
    groups: HashMap<Day, Group>,
    entries: usize,
    bytes: usize,
    /// The calls that must be noted as open before these lines are stored, and their ids.
    begun: Vec<Begun>,
    begun_ids: BTreeSet<OpenCallId>,
}

/// The promises of the barriers of a batch.
#[derive(Debug, Default)]
struct Barriers {
    /// Kept when the batch is flushed.
    flushes: Vec<Promise>,
    /// Kept when the batch is in its day files.
    seen: Vec<Promise>,
}

/// The items that are turned into lines at once.
#[derive(Debug, Default)]
struct Part {
    entries: Vec<(Source, Role)>,
    /// The open calls that have ended without an entry.
    ended: Vec<OpenCallId>,
    /// The weight of all these items in the queue.
    weight: u64,
}

/// The lines of a part, and the open calls that have ended without an entry.
#[derive(Debug, Default)]
struct EncodedPart {
    lines: Vec<Lines<Role>>,
    ended: Vec<OpenCallId>,
}

/// The purpose of a line.
#[derive(Debug)]
enum Role {
    /// An entry. With an id, it ends that open call.
    Entry(Waiting, Option<OpenCallId>),
    /// The line that is recorded if the call of this id never ends.
    Intent(OpenCallId, Option<Promise>),
}

impl Writer {
    /// Recovers the lines that dead processes left in the journal, and returns the writer of the home.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) fn open(
        home: Home,
        redactor: Arc<Redactor>,
        options: &Options,
        state: Arc<State>,
        background: bool,
    ) -> Result<Self, Error> {
        let (clock, random) = (Arc::clone(&options.clock), Arc::clone(&options.random));
        let meters = Arc::clone(&state.meters);
        let waiting = Arc::clone(&state.waiting);
        let (sealing, looks) = (options.sealing.clone(), options.seals_when_idle);
        let seal_task = SealTask::new(sealing, background, looks, clock.monotonic());
        let tasks = (seal_task, UpkeepTask::new(options.upkeep.clone(), clock.monotonic()));
        let store = Store::open(home, Arc::clone(&clock), Arc::clone(&random), tasks, meters, waiting, background)?;
        let encoder = Encoder::new(redactor, random);
        *state.unrecovered.lock().unwrap_or_else(PoisonError::into_inner) = store.unrecovered();
        Ok(Self {
            encoder,
            clock,
            state,
            store,
            opening: Opening::default(),
            events: Vec::new(),
            held: Commit::default(),
            seen: Vec::new(),
        })
    }

    /// Returns an encoder for callers that encode their entries themselves.
    pub(crate) fn encoder(&self) -> Encoder {
        self.encoder.clone()
    }

    /// Writes batches until the queue is closed. This is the loop of the writer thread.
    pub(crate) fn run(mut self) {
        loop {
            let batch = self.state.queue.take(self.patience());
            if self.step(batch) {
                return;
            }
        }
    }

    /// Writes one batch. Returns whether it was the last one.
    pub(crate) fn step(&mut self, batch: Batch) -> bool {
        let closed = batch.closed;
        self.end_reads(closed);
        self.write(batch);
        closed
    }

    /// Returns how long the writer thread may sleep if no item comes; `None` means without a limit.
    fn patience(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let reads = self.state.reads.lock().unwrap_or_else(PoisonError::into_inner).next(now);
        let opening = self.opening.patience(now);
        let sealing = self.store.seal_patience(now);
        let settle = if self.events.is_empty() { self.store.patience(FLUSH_EVERY) } else { Some(Duration::ZERO) };
        reads.into_iter().chain(settle).chain(opening).chain(sealing).min()
    }

    fn end_reads(&mut self, all: bool) {
        let mut reads = self.state.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = reads.ended(self.clock.monotonic(), all);
        self.events.extend(ended.into_iter().map(|(event, count)| (event, Some(count))));
    }

    /// Writes one batch. Promises are kept only after their lines are durable.
    fn write(&mut self, batch: Batch) {
        let began = self.clock.monotonic();
        let accepted = batch.items.iter().filter(|(item, _)| matches!(item, Item::Entry(..))).count();
        self.state.meters.batch_begun(accepted + self.held.entries);
        self.state.meters.begun(Work::Batch, began);
        for (why, count) in batch.shed {
            self.store.losses.shed(why, count);
        }
        let mut commit = Commit::default();
        // These events happened before the batch, so their entries come first.
        self.add_events(&mut commit);
        let mut barriers = Barriers::default();
        let (mut items, mut made) = (batch.items, EncodedPart::default());
        let is_awaited = items.iter().any(|(item, _)| item.is_awaited());
        while !items.is_empty() {
            let Part { entries, ended, weight } = self.part(&mut items, &mut barriers);
            let encoder = self.encoder.clone();
            let lines = encoder.encode_beside(entries, || {
                self.store_held();
                self.add_made(&mut commit, std::mem::take(&mut made));
                // Calls that are open are noted now, so that they do not wait for the rest of a large batch.
                self.open_due(&mut commit, false);
                self.note_begun(&mut commit);
            });
            // The items are lines now, and the lines in memory have bounds of their own.
            self.state.queue.done(weight);
            made = EncodedPart { lines, ended };
        }
        self.store_held();
        self.add_made(&mut commit, made);
        self.open_due(&mut commit, batch.closed);
        if batch.closed {
            self.interrupt(&mut commit);
        }
        if !is_awaited && !batch.closed && self.state.queue.is_crowded() {
            self.held = commit;
        } else {
            self.add_gap(&mut commit);
            self.store(&mut commit);
        }
        self.seen.append(&mut barriers.seen);
        let flushes = barriers.flushes;
        if flushes.is_empty() && !batch.closed {
            self.store.maintain(FLUSH_EVERY)
        } else {
            self.store.await_deferred();
            // Events found meanwhile are recorded before the flush is acknowledged.
            let mut told = Commit::default();
            self.add_events(&mut told);
            self.store(&mut told);
            self.store.flush();
        }
        if !self.store.is_deferred() {
            self.seen.drain(..).for_each(Promise::keep);
        }
        let took = self.clock.monotonic().saturating_sub(began);
        self.state.meters.batch_ended(accepted, self.held.entries, took);
        self.report_flushes(flushes);
        if batch.closed {
            self.close();
        }
        self.state.meters.ended(Work::Batch);
    }

    /// Takes the items of the next part from a batch.
    fn part(&mut self, items: &mut VecDeque<(Item, u64)>, barriers: &mut Barriers) -> Part {
        let now = self.clock.monotonic();
        let mut bytes = 0;
        let within = items.iter().take(ENCODE_ENTRIES_MAX).take_while(|(_, weight)| {
            let first = bytes == 0;
            bytes += counted(*weight).1;
            first || bytes <= ENCODE_BYTES_MAX
        });
        let count = within.count();
        let mut part = Part { entries: Vec::with_capacity(count), ..Part::default() };
        for (item, weight) in items.drain(..count) {
            part.weight = part.weight.wrapping_add(weight);
            match item {
                Item::Entry(entry, promise, ends) => {
                    ends.iter().for_each(|id| self.opening.remove(*id));
                    let waiting = promise.map_or(Waiting::Nobody, Waiting::Promise);
                    part.entries.push((entry, Role::Entry(waiting, ends)));
                }
                Item::Begin(id, call, None) => self.opening.insert(id, now, self.encoder.hold(call)),
                Item::Begin(id, call, promise) => part.entries.push((call, Role::Intent(id, promise))),
                Item::Ended(id) => {
                    id.iter().for_each(|id| self.opening.remove(*id));
                    part.ended.extend(id);
                }
                Item::Flush(promise, _) => barriers.flushes.push(promise),
                Item::Seen(promise) => barriers.seen.push(promise),
            }
        }
        part
    }

    /// Adds the lines of a part to the commit, and stores the commit each time it reaches [`COMMIT_BYTES`].
    fn add_made(&mut self, commit: &mut Commit, made: EncodedPart) {
        for lines in made.lines {
            lines.each(|line, role| {
                self.add(commit, line, role);
                if commit.bytes >= COMMIT_BYTES {
                    self.store(commit);
                }
            });
        }
        if !made.ended.is_empty() {
            self.note_begun(commit);
            self.store.end(&made.ended);
        }
    }

    /// Adds a line to the commit. `None` stands for an entry that could not be encoded; it counts as lost.
    fn add(&mut self, commit: &mut Commit, line: Option<(Day, &[u8])>, role: Role) {
        match (line, role) {
            (Some((day, line)), Role::Entry(waiting, ends)) => {
                if ends.is_some_and(|id| commit.begun_ids.contains(&id)) {
                    self.note_begun(commit);
                }
                commit.entries += 1;
                commit.bytes += line.len();
                commit.groups.entry(day).or_default().add(line, waiting, ends);
            }
            (Some((day, line)), Role::Intent(id, promise)) => {
                commit.bytes += line.len();
                commit.begun_ids.insert(id);
                commit.begun.push(Begun { id, day, line: line.to_vec(), promise });
            }
            (None, Role::Entry(waiting, ends)) => {
                self.store.losses.lose(waiting, LossReason::Panicked, "the entry could not be encoded");
                self.store.end(ends.as_slice());
            }
            (None, Role::Intent(_, Some(promise))) => promise.fail(1, "the call could not be encoded"),
            (None, Role::Intent(_, None)) => {}
        }
    }

    /// Stores the commit that was held back.
    fn store_held(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        if held.bytes > 0 || !held.begun.is_empty() {
            self.store(&mut held);
        }
    }

    /// Stores a commit and leaves it empty.
    fn store(&mut self, commit: &mut Commit) {
        self.note_begun(commit);
        (commit.entries, commit.bytes) = (0, 0);
        self.store.commit(commit.groups.drain().collect());
    }

    /// Notes calls as open in the journal, at most [`COMMIT_BYTES`] with one write.
    fn note_begun(&mut self, commit: &mut Commit) {
        commit.begun_ids.clear();
        let mut begun = std::mem::take(&mut commit.begun);
        while !begun.is_empty() {
            let mut bytes = 0;
            let within = begun.iter().take_while(|call| {
                bytes += call.line.len();
                bytes <= COMMIT_BYTES
            });
            let part = within.count().max(1);
            self.store.begin(begun.drain(..part).collect());
        }
    }

    /// Adds the calls that have been open for long enough to be noted in the journal; with `all`, every waiting call.
    fn open_due(&mut self, commit: &mut Commit, all: bool) {
        let due = self.opening.due(self.clock.monotonic(), all).into_iter();
        let due = due.map(|(id, call)| (Source::BoundedCall(call), Role::Intent(id, None))).collect();
        for lines in self.encoder.encode(due) {
            lines.each(|line, role| self.add(commit, line, role));
        }
    }

    /// Records the calls that are still open as interrupted, because the recorder is closed before their outcomes come.
    fn interrupt(&mut self, commit: &mut Commit) {
        self.note_begun(commit);
        // The ends in this commit are not in the journal yet, so their calls still seem open there.
        let lines = commit.groups.values().flat_map(|group| &group.lines);
        let ended = lines.filter_map(|line| line.ends).collect::<BTreeSet<_>>();
        let is_open = |call: &Record| OpenCallId::new(call.id).is_none_or(|id| !ended.contains(&id));
        for call in self.store.open_calls().into_iter().filter(is_open) {
            let group = commit.groups.entry((call.folder, call.day)).or_default();
            group.add(&call.line, Waiting::Nobody, OpenCallId::new(call.id));
        }
    }

    /// Adds our own events.
    fn add_events(&mut self, commit: &mut Commit) {
        self.events.extend(self.store.take_events().into_iter().map(|event| (event, None)));
        for (event, count) in std::mem::take(&mut self.events) {
            self.add_event(commit, event, count, Waiting::Nobody);
        }
    }

    /// Adds a gap with the counts of the losses that are not reported yet.
    fn add_gap(&mut self, commit: &mut Commit) {
        if !self.store.losses.is_empty() {
            let lost = self.store.losses.take();
            let why = lost.iter().map(|(why, count)| (*why, *count)).collect();
            let event = Event::Gap { user: None, lost: lost.values().sum(), why, token: None };
            self.add_event(commit, event, None, Waiting::Gap(lost));
        }
    }

    fn add_event(&mut self, commit: &mut Commit, event: Event, count: Option<u64>, waiting: Waiting) {
        let entry = self.encoder.own(&event.into_call(count), self.clock.now());
        for lines in self.encoder.encode(vec![(entry, Role::Entry(waiting, None))]) {
            lines.each(|line, role| self.add(commit, line, role));
        }
    }

    /// Answers the flushes and updates the state from which the recorder reports its health.
    fn report_flushes(&mut self, flushes: Vec<Promise>) {
        let trouble = self.store.trouble();
        if !flushes.is_empty() {
            // All flushes of a batch get the same answer: any of their callers may have lost the entries.
            let (lost, why) = self.store.losses.take_since_flush();
            let lost = lost + self.store.unsure();
            for flush in flushes {
                match lost {
                    0 => flush.keep(),
                    lost => flush.fail(lost, trouble.as_deref().unwrap_or(&why)),
                }
            }
        }
        self.state.meters.untold(self.store.losses.untold());
        self.state.deferred.store(self.store.is_deferred(), Ordering::Release);
        self.state.waiting.set(self.store.waiting_folders());
        *self.state.unrecovered.lock().unwrap_or_else(PoisonError::into_inner) = self.store.unrecovered();
        *self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn close(&mut self) {
        self.store.give_up();
        // Records the events of the last commits, and losses that could not be recorded before.
        for _ in 0..LAST_TRIES {
            let mut rest = Commit::default();
            self.add_events(&mut rest);
            self.add_gap(&mut rest);
            self.store(&mut rest);
        }
        self.store.close();
        if self.store.seal_rest() {
            // What sealing found is recorded, and sealed by the next process.
            let mut found = Commit::default();
            self.add_events(&mut found);
            self.store(&mut found);
            self.store.close();
        }
        self.report_flushes(Vec::new());
    }
}
