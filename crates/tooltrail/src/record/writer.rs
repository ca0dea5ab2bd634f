//! The writer: everything after the queue, batch by batch.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::clip::Clipped;
use crate::clock::Clock;
use crate::entry::{Line, encode, head};
use crate::error::Error;
use crate::home::Home;
use crate::random::Random;
use crate::record::event::Event;
use crate::record::promise::Promise;
use crate::record::queue::{Batch, Item};
use crate::record::recorder::{Options, State};
use crate::record::store::{Begun, Day, Group, Pen, Store, Waiting};
use crate::redact::{Redactor, Windowed};

/// How long lines without an acknowledgement may wait for their flush, and counted losses for the next try.
const SETTLE: Duration = Duration::from_secs(1);

/// How long a call must be open before the journal notes it without being asked: most calls are done by then.
///
/// Within 100 ms of its beginning a call is noted; this leaves the rest of them for what the writer is busy with.
const OPEN_AFTER: Duration = Duration::from_millis(50);

/// Bytes of lines that are stored at once: one write to the journal, which takes several of them.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// Calls that wait to be noted as open: as many as the queue holds. More are not noted.
const OPENING_MAX: usize = 65_536;

/// Batches after the last for what is still to be told: an incident may cause one more, hardly a third.
const LAST_TRIES: usize = 3;

/// Turns queued entries into lines of the trail.
#[derive(Debug)]
pub(crate) struct Writer {
    redactor: Arc<Redactor>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    state: Arc<State>,
    store: Store,
    /// Calls that the journal does not know yet, with when they began.
    opening: BTreeMap<u64, (Duration, Box<Windowed>)>,
    /// Events of the writer's own, for the next batch.
    events: Vec<(Event, Option<u64>)>,
}

/// Lines that are stored at once.
#[derive(Debug, Default)]
struct Commit {
    groups: BTreeMap<Day, Group>,
    bytes: usize,
}

impl Writer {
    /// Recovers what dead processes left in the home, and returns its writer.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) fn open(
        home: Home,
        redactor: Arc<Redactor>,
        options: &Options,
        state: Arc<State>,
    ) -> Result<Self, Error> {
        let (clock, random) = (Arc::clone(&options.clock), Arc::clone(&options.random));
        let store = Store::open(home, Arc::clone(&clock), Arc::clone(&random))?;
        Ok(Self { redactor, clock, random, state, store, opening: BTreeMap::new(), events: Vec::new() })
    }

    /// Writes batches until the queue is closed.
    pub(crate) fn run(mut self) {
        loop {
            let batch = self.state.queue.take(self.patience());
            if self.step(batch) {
                return;
            }
        }
    }

    /// Writes one batch; returns whether it was the last.
    pub(crate) fn step(&mut self, batch: Batch) -> bool {
        let closed = batch.closed;
        self.end_reads(closed);
        self.write(batch);
        closed
    }

    /// Returns how long the writer may sleep with nothing to do.
    fn patience(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let reads = self.state.reads.lock().unwrap_or_else(PoisonError::into_inner).next(now);
        // Ids grow with time, so that the first of the open ones is the oldest.
        let opening = self.opening.values().next().map(|(began, _)| (*began + OPEN_AFTER).saturating_sub(now));
        let settle = if !self.events.is_empty() || !self.store.events.is_empty() {
            Some(Duration::ZERO)
        } else if self.store.is_unflushed() || !self.store.losses.is_empty() {
            Some(SETTLE)
        } else {
            None
        };
        reads.into_iter().chain(settle).chain(opening).min()
    }

    fn end_reads(&mut self, all: bool) {
        let mut reads = self.state.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = reads.ended(self.clock.monotonic(), all);
        self.events.extend(ended.into_iter().map(|(event, count)| (event, Some(count))));
    }

    /// Writes one batch: lines by file, durable before anybody is told so.
    fn write(&mut self, batch: Batch) {
        let idle = batch.items.is_empty();
        for (why, count) in batch.shed {
            self.store.losses.count(why, count);
        }
        let mut commit = Commit::default();
        let mut begun = Vec::new();
        let mut flushes = Vec::new();
        for item in batch.items {
            match item {
                Item::Begin(id, call, Some(promise)) => self.begin(&mut begun, id, *call, Some(promise)),
                Item::Begin(id, call, None) => {
                    if self.opening.len() < OPENING_MAX {
                        self.opening.insert(id, (self.clock.monotonic(), call));
                    }
                }
                Item::Ended(id) => {
                    self.note_begun(&mut begun);
                    self.opening.remove(&id);
                    self.store.end(&[id]);
                }
                Item::Entry(entry, promise, ends) => {
                    self.opening.remove(&ends);
                    if begun.iter().any(|call| call.id == ends) {
                        self.note_begun(&mut begun);
                    }
                    self.add(&mut commit, *entry, promise.map_or(Waiting::Nobody, Waiting::Promise), ends);
                }
                Item::Flush(promise) => flushes.push(promise),
            }
            if commit.bytes >= COMMIT_BYTES {
                self.note_begun(&mut begun);
                self.store.commit(std::mem::take(&mut commit).groups);
            }
        }
        self.open_due(&mut begun, batch.closed);
        self.note_begun(&mut begun);
        if batch.closed {
            self.interrupt(&mut commit);
        }
        self.add_events(&mut commit);
        self.store.commit(commit.groups);
        if !flushes.is_empty() || batch.closed || (idle && self.store.is_unflushed()) || self.is_due() {
            self.store.flush();
        }
        self.tell(flushes);
        if batch.closed {
            // What the last batches themselves had to tell, and what could not be told before.
            for _ in 0..LAST_TRIES {
                let mut rest = Commit::default();
                self.add_events(&mut rest);
                self.store.commit(rest.groups);
            }
            self.store.close();
            self.tell(Vec::new());
        }
    }

    /// Whether a flush is overdue under load.
    fn is_due(&self) -> bool {
        self.store.is_unflushed() && self.clock.monotonic() >= self.store.flushed_at() + SETTLE
    }

    /// Tells whoever waits for a flush, and the health.
    fn tell(&mut self, flushes: Vec<Promise>) {
        let trouble = self.store.trouble();
        for flush in flushes {
            match self.store.losses.take_since_flush() + self.store.pending() {
                0 => flush.keep(),
                lost => flush.fail(lost, trouble.as_deref().unwrap_or("the queue was full")),
            }
        }
        *self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Takes the line of a call that begins.
    fn begin(&self, begun: &mut Vec<Begun>, id: u64, call: Windowed, promise: Option<Promise>) {
        match catch_unwind(AssertUnwindSafe(|| self.line(call))) {
            Ok(line) => {
                let day = (line.folder, line.date);
                begun.push(Begun { id, day, line: line.text.into_bytes(), promise });
            }
            Err(_) => {
                if let Some(promise) = promise {
                    promise.fail(1, "the call could not be encoded");
                }
            }
        }
    }

    /// Notes calls as open, a journal's batch at a time.
    fn note_begun(&mut self, begun: &mut Vec<Begun>) {
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

    /// Takes the calls that have been open for a while; with `all` none is left.
    fn open_due(&mut self, begun: &mut Vec<Begun>, all: bool) {
        let now = self.clock.monotonic();
        while let Some(first) = self.opening.first_entry() {
            if !all && first.get().0 + OPEN_AFTER > now {
                break;
            }
            let (id, (_, call)) = first.remove_entry();
            self.begin(begun, id, *call, None);
        }
    }

    /// Ends the calls that are still open: their outcome will find the recorder closed.
    fn interrupt(&mut self, commit: &mut Commit) {
        for call in self.store.open_calls() {
            let (day, id) = ((call.folder, call.day), call.id);
            commit.add(day, &call.line, Waiting::Nobody, id);
        }
    }

    /// Adds what the trail says about itself.
    fn add_events(&mut self, commit: &mut Commit) {
        self.events.extend(self.store.events.drain(..).map(|event| (event, None)));
        for (event, count) in std::mem::take(&mut self.events) {
            self.add_event(commit, event, count, Waiting::Nobody);
        }
        if !self.store.losses.is_empty() {
            let lost = self.store.losses.take();
            let why = lost.iter().map(|(why, count)| (why.clone(), *count)).collect();
            let event = Event::Gap { user: None, lost: lost.values().sum(), why, token: None };
            self.add_event(commit, event, None, Waiting::Gap(lost));
        }
    }

    fn add_event(&mut self, commit: &mut Commit, event: Event, count: Option<u64>, waiting: Waiting) {
        let call = event.into_call(count);
        let entry = Windowed::own(&call, self.clock.now(), &self.redactor);
        self.add(commit, entry, waiting, 0);
    }

    /// Adds an entry's line.
    fn add(&mut self, commit: &mut Commit, entry: Windowed, waiting: Waiting, ends: u64) {
        // One call that we cannot handle must not end the recording of all others.
        match catch_unwind(AssertUnwindSafe(|| self.line(entry))) {
            Ok(line) => {
                commit.add((line.folder, line.date), line.text.as_bytes(), waiting, ends);
            }
            Err(_) => {
                self.store.losses.lose(waiting, "panicked", "the entry could not be encoded");
                self.store.end(&[ends]);
            }
        }
    }

    /// Redacts, clips and encodes an entry.
    fn line(&self, entry: Windowed) -> Line {
        let mut random = [0; 26];
        self.random.fill(&mut random);
        let (mut bits, mut salt) = ([0; 10], [0; 16]);
        bits.copy_from_slice(&random[..10]);
        salt.copy_from_slice(&random[10..]);
        encode(Clipped::of(self.redactor.redact(entry)), bits, salt)
    }
}

impl Commit {
    fn add(&mut self, day: Day, line: &[u8], waiting: Waiting, ends: u64) {
        let group = self.groups.entry(day).or_default();
        group.text.extend_from_slice(line);
        self.bytes += line.len();
        if let Some(ts) = head(line) {
            group.span.push(ts.as_millis());
        }
        group.lines.push(Pen { end: group.text.len(), ends, waiting, journaled: false });
    }
}
