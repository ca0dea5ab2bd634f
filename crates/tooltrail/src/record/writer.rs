//! The writer's thread: everything after the queue, batch by batch.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use crate::clock::{Clock, Date, Zone};
use crate::day::{End, LATE_MS, Largest, Notes, Span};
use crate::disk::DiskFile;
use crate::entry::{Line, head, write};
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER};
use crate::random::Random;
use crate::record::counters::{Loss, Meters};
use crate::record::crew::spread;
use crate::record::event::Event;
use crate::record::promise::Promise;
use crate::record::queue::{Batch, Item};
use crate::record::recorder::{Options, State};
use crate::redact::{Redactor, Windowed};

/// How long lines without an acknowledgement may wait for their sync, and counted losses for the next try.
const SETTLE: Duration = Duration::from_secs(1);

/// Files that may wait for their sync at once, below the usual limit of 1,024 open files.
const UNSYNCED_MAX: usize = 256;

/// Files of a batch that are appended to, and open, at once.
const FILES_AT_ONCE_MAX: usize = 64;

/// Threads that wait for files at once: a file system makes syncs that arrive together durable together.
const FILE_THREADS_MAX: usize = 16;

/// Files worth a thread of their own.
const FILES_PER_THREAD: usize = 4;

/// Threads that redact and encode at once; callers need the other processors.
const ENCODE_THREADS_MAX: usize = 4;

/// Entries worth a thread of their own: some milliseconds of work.
const ENTRIES_PER_THREAD: usize = 256;

/// Random bytes of one line: for its id and its salt.
const RANDOM_BYTES: usize = 26;

/// How long another process may hold the append lock: it holds it for one batch of appends, and
/// across a sync only for a new file's name and for the note that lines come late.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Batches after the last for what is still to be told: an incident may cause one more, hardly a third.
const LAST_TRIES: usize = 3;

/// A day file: the user's folder and the date.
type Day = (String, Date);

/// Turns queued entries into lines of day files.
#[derive(Debug)]
pub(crate) struct Writer {
    home: Home,
    redactor: Arc<Redactor>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    state: Arc<State>,
    /// Files with lines that are not synced yet, and how many.
    unsynced: BTreeMap<Day, (Box<dyn DiskFile>, u64)>,
    /// Entries that are not in the trail, by why, until a gap says so.
    lost: BTreeMap<String, u64>,
    /// Entries lost since the last flush.
    lost_since_flush: u64,
    /// Events of the writer's own, for the next batch.
    events: Vec<(Event, Option<u64>)>,
    largest: Largest,
}

/// Lines for one day file and who waits for them.
#[derive(Debug, Default)]
struct Group {
    text: Vec<u8>,
    span: Span,
    waiting: Vec<Waiting>,
}

/// Who waits for a line.
#[derive(Debug)]
enum Waiting {
    Nobody,
    Promise(Promise),
    /// The line is a gap: if it cannot be written, these are still to be told.
    Gap(BTreeMap<String, u64>),
}

impl Writer {
    pub(crate) fn new(home: Home, redactor: Arc<Redactor>, options: &Options, state: Arc<State>) -> Self {
        Self {
            home,
            redactor,
            clock: Arc::clone(&options.clock),
            random: Arc::clone(&options.random),
            state,
            unsynced: BTreeMap::new(),
            lost: BTreeMap::new(),
            lost_since_flush: 0,
            events: Vec::new(),
            largest: Largest::new(Zone::system()),
        }
    }

    /// Writes batches until the queue is closed.
    pub(crate) fn run(mut self) {
        loop {
            let batch = self.state.queue.take(self.patience());
            let closed = batch.closed;
            self.end_reads(closed);
            self.write(batch);
            if closed {
                // What the last batches themselves had to tell, and what could not be told before.
                for _ in 0..LAST_TRIES {
                    if !self.events.is_empty() || !self.lost.is_empty() {
                        self.write(Batch::default());
                    }
                }
                if let Some(trouble) = self.sync() {
                    self.set_trouble(Some(trouble));
                }
                return;
            }
        }
    }

    /// Returns how long the writer may sleep with nothing to do.
    fn patience(&self) -> Option<Duration> {
        let reads = self.state.reads.lock().unwrap_or_else(PoisonError::into_inner).next(self.clock.monotonic());
        let settle = if !self.events.is_empty() {
            Some(Duration::ZERO)
        } else if !self.unsynced.is_empty() || !self.lost.is_empty() {
            Some(SETTLE)
        } else {
            None
        };
        reads.into_iter().chain(settle).min()
    }

    fn end_reads(&mut self, all: bool) {
        let mut reads = self.state.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = reads.ended(self.clock.monotonic(), all);
        self.events.extend(ended.into_iter().map(|(event, count)| (event, Some(count))));
    }

    /// Writes one batch: lines by file, appended under the lock, synced where somebody waits.
    fn write(&mut self, batch: Batch) {
        let began = self.clock.monotonic();
        let accepted = batch.items.iter().filter(|item| matches!(item, Item::Entry(..))).count();
        self.state.meters.batch_begun(accepted);
        let idle = batch.items.is_empty();
        for (why, count) in batch.shed {
            *self.lost.entry(why.to_owned()).or_default() += count;
            self.lost_since_flush += count;
        }
        let mut entries = Vec::with_capacity(batch.items.len());
        let mut flushes = Vec::new();
        // What these tell of was before the batch.
        for (event, count) in std::mem::take(&mut self.events) {
            entries.push((self.own(event, count), Waiting::Nobody));
        }
        for item in batch.items {
            match item {
                Item::Entry(entry, promise) => {
                    entries.push((entry, promise.map_or(Waiting::Nobody, Waiting::Promise)));
                }
                Item::Flush(promise) => flushes.push(promise),
            }
        }
        if !self.lost.is_empty() {
            let lost = std::mem::take(&mut self.lost);
            let why = lost.iter().map(|(why, count)| (why.clone(), *count)).collect();
            let event = Event::Gap { user: None, lost: lost.values().sum(), why, token: None };
            entries.push((self.own(event, None), Waiting::Gap(lost)));
        }
        let mut groups = self.encode(entries);
        let (wrote, mut trouble) = (!groups.is_empty(), None);
        while !groups.is_empty() {
            let rest = groups.keys().nth(FILES_AT_ONCE_MAX).cloned();
            let rest = rest.map_or_else(BTreeMap::new, |first| groups.split_off(&first));
            trouble = self.append(std::mem::replace(&mut groups, rest)).or(trouble);
            if self.unsynced.len() > UNSYNCED_MAX {
                trouble = self.sync().or(trouble);
            }
        }
        if !flushes.is_empty() || idle {
            trouble = self.sync().or(trouble);
        }
        // Only a batch that was written without any ends the trouble of an earlier one.
        if wrote || trouble.is_some() {
            self.set_trouble(trouble);
        }
        if accepted > 0 {
            self.state.meters.batch_ended(accepted, self.clock.monotonic().saturating_sub(began));
        }
        for flush in flushes {
            match std::mem::take(&mut self.lost_since_flush) {
                0 => flush.keep(),
                lost => flush.fail(lost, &self.trouble().unwrap_or_else(|| "the queue was full".to_owned())),
            }
        }
    }

    fn own(&self, event: Event, count: Option<u64>) -> Box<Windowed> {
        Box::new(Windowed::own(&event.into_call(count), self.clock.now(), &self.redactor))
    }

    /// Redacts, clips and encodes entries, and puts each line into the group of its file.
    fn encode(&mut self, entries: Vec<(Box<Windowed>, Waiting)>) -> BTreeMap<Day, Group> {
        let mut random = vec![0; entries.len() * RANDOM_BYTES];
        self.random.fill(&mut random);
        let entries = entries.into_iter().zip(random.chunks_exact(RANDOM_BYTES)).collect::<Vec<_>>();
        let threads = available_parallelism().map_or(1, usize::from).min(ENCODE_THREADS_MAX);
        let redactor = &self.redactor;
        let lines = spread(entries, threads, ENTRIES_PER_THREAD, |((entry, waiting), random)| {
            // One call that we cannot handle must not end the recording of all others.
            (catch_unwind(AssertUnwindSafe(|| line(redactor, entry, random))), waiting)
        });
        let mut groups = BTreeMap::<Day, Group>::new();
        for (line, waiting) in lines {
            match line {
                Ok(line) => {
                    let group = groups.entry((line.folder, line.date)).or_default();
                    group.text.extend_from_slice(line.text.as_bytes());
                    if let Some(ts) = head(line.text.as_bytes()) {
                        group.span.push(ts.as_millis());
                    }
                    group.waiting.push(waiting);
                }
                Err(_) => self.lose(waiting, Loss::Panicked, "the entry could not be encoded"),
            }
        }
        groups
    }

    /// Appends each group to its file under the home's lock, then syncs where somebody waits; returns what failed.
    fn append(&mut self, groups: BTreeMap<Day, Group>) -> Option<String> {
        let lock_path = self.home.root().join(OWN_FOLDER).join("append.lock");
        let lock = match self.home.disk().lock(&[OWN_FOLDER, "append.lock"], LOCK_WAIT) {
            Ok(lock) => lock,
            Err(error) => {
                let why = Error::io("lock", &lock_path)(error).to_string();
                for group in groups.into_values() {
                    self.lose_all(group.waiting, &why);
                }
                return Some(why);
            }
        };
        let mut trouble = None;
        let mut opened = Vec::new();
        let disk = &**self.home.disk();
        // A new file is waited for until its name is durable, a torn one until it is seen to stand still.
        let ends =
            spread(groups.into_iter().collect(), FILE_THREADS_MAX, FILES_PER_THREAD, |(day, group): (Day, _)| {
                let end = End::open(disk, &day.0, day.1);
                (day, group, end)
            });
        for (day, group, end) in ends {
            match end {
                Ok(end) => opened.push((day, group, end)),
                Err(error) => {
                    let why = Error::io("open", &self.home.day_path(&day.0, day.1))(error).to_string();
                    self.lose_all(group.waiting, &why);
                    trouble = Some(why);
                }
            }
        }
        // An entry in a wrong place is better than none, so that its note failed does not stop it.
        if let Err(error) = self.note_late(&opened) {
            trouble = Some(Error::io("note what comes late in", self.home.root())(error).to_string());
        }
        let mut appended = Vec::new();
        for (day, group, end) in opened {
            if let Some((torn, fragment)) = &end.torn {
                self.events.push((torn_tail(&day, torn.offset, torn.bytes.len(), fragment.clone()), None));
            }
            match end.append(&group.text) {
                Ok(()) => {
                    self.largest.appended(&day.0, day.1, group.text.len(), &group.span);
                    self.state.meters.written(group.waiting.len(), group.text.len());
                    appended.push((day, end.file, group.waiting));
                }
                Err(error) => {
                    self.largest.forget(&day.0, day.1);
                    let why = Error::io("append to", &self.home.day_path(&day.0, day.1))(error).to_string();
                    self.lose_all(group.waiting, &why);
                    trouble = Some(why);
                }
            }
        }
        drop(lock);
        self.acknowledge(appended).or(trouble)
    }

    /// Syncs the files for which somebody waits and tells them; notes the others; returns what failed.
    fn acknowledge(&mut self, appended: Vec<(Day, Box<dyn DiskFile>, Vec<Waiting>)>) -> Option<String> {
        let (mut awaited, mut trouble) = (Vec::new(), None);
        for (day, file, waiting) in appended {
            if waiting.iter().any(|waiting| matches!(waiting, Waiting::Promise(_))) {
                awaited.push((day, file, waiting));
            } else {
                let unsynced = self.unsynced.entry(day).or_insert((file, 0));
                unsynced.1 += waiting.len() as u64;
            }
        }
        let (clock, meters) = (&*self.clock, &self.state.meters);
        let synced = spread(awaited, FILE_THREADS_MAX, FILES_PER_THREAD, |(day, file, waiting)| {
            (day, waiting, sync(&*file, clock, meters))
        });
        for (day, waiting, synced) in synced {
            match synced {
                Ok(()) => {
                    self.unsynced.remove(&day);
                    for waiting in waiting {
                        if let Waiting::Promise(promise) = waiting {
                            promise.keep();
                        }
                    }
                }
                Err(error) => {
                    let why = Error::io("sync", &self.home.day_path(&day.0, day.1))(error).to_string();
                    self.lose_all(waiting, &why);
                    trouble = Some(why);
                }
            }
        }
        trouble
    }

    /// Notes, durably and before the lines are there, which of these files get lines that are more than a minute late.
    fn note_late(&mut self, opened: &[(Day, Group, End)]) -> io::Result<()> {
        let disk = &**self.home.disk();
        let mut late = BTreeMap::<Date, Vec<(&str, i64)>>::new();
        for ((folder, day), group, end) in opened {
            let late_ms = self.largest.lateness(disk, (folder, *day), (&*end.file, end.len), &group.span)?;
            if late_ms > LATE_MS {
                late.entry(*day).or_default().push((folder, late_ms));
            }
        }
        for (day, files) in late {
            let mut notes = Notes::read(disk, day)?;
            let raised = files.into_iter().filter(|(folder, late_ms)| notes.raise(folder, *late_ms)).count();
            if raised > 0 {
                notes.write(disk, day)?;
            }
        }
        Ok(())
    }

    /// Makes all appended lines durable; returns what failed.
    fn sync(&mut self) -> Option<String> {
        let mut trouble = None;
        let unsynced = std::mem::take(&mut self.unsynced).into_iter().collect::<Vec<_>>();
        let (clock, meters) = (&*self.clock, &self.state.meters);
        let synced = spread(unsynced, FILE_THREADS_MAX, FILES_PER_THREAD, |(day, (file, entries))| {
            (day, entries, sync(&*file, clock, meters))
        });
        for ((folder, date), entries, synced) in synced {
            // A failed sync is not tried again: the system may then say yes without having written.
            if let Err(error) = synced {
                let why = Error::io("sync", &self.home.day_path(&folder, date))(error).to_string();
                *self.lost.entry(Loss::Unsynced.as_str().to_owned()).or_default() += entries;
                self.state.meters.lost(Loss::Unsynced, entries);
                self.lost_since_flush += entries;
                trouble = Some(why);
            }
        }
        trouble
    }

    fn lose_all(&mut self, waiting: Vec<Waiting>, why: &str) {
        for waiting in waiting {
            self.lose(waiting, Loss::Unwritten, why);
        }
    }

    /// Tells whoever waits for a line that it is not in the trail; what nobody waits for goes into the next gap.
    fn lose(&mut self, waiting: Waiting, reason: Loss, why: &str) {
        match waiting {
            Waiting::Promise(promise) if !promise.is_unheard() => {
                self.state.meters.refused();
                promise.fail(1, why);
            }
            Waiting::Promise(_) | Waiting::Nobody => {
                *self.lost.entry(reason.as_str().to_owned()).or_default() += 1;
                self.state.meters.lost(reason, 1);
                self.lost_since_flush += 1;
            }
            Waiting::Gap(lost) => {
                for (reason, count) in lost {
                    *self.lost.entry(reason).or_default() += count;
                }
            }
        }
    }

    fn trouble(&self) -> Option<String> {
        self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Redacts, clips and encodes an entry with its random bytes.
fn line(redactor: &Redactor, entry: Box<Windowed>, random: &[u8]) -> Line {
    let (mut bits, mut salt) = ([0; 10], [0; 16]);
    bits.copy_from_slice(&random[..10]);
    salt.copy_from_slice(&random[10..RANDOM_BYTES]);
    write(redactor, entry, bits, salt)
}

/// Makes a file durable, and counts how long it took.
fn sync(file: &dyn DiskFile, clock: &dyn Clock, meters: &Meters) -> io::Result<()> {
    let began = clock.monotonic();
    let synced = file.sync();
    meters.sync(synced.is_ok(), clock.monotonic().saturating_sub(began));
    synced
}

fn torn_tail(day: &Day, offset: u64, bytes: usize, fragment: String) -> Event {
    let facts = [
        ("folder", day.0.clone()),
        ("day", day.1.to_string()),
        ("offset", offset.to_string()),
        ("bytes", bytes.to_string()),
        ("fragment", fragment),
    ];
    let facts = facts.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Event::Incident { what: "torn tail".to_owned(), facts }
}
