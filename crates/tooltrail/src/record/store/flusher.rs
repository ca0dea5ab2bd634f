//! Once a second: day files made durable, in the background, and what each is then known to hold.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::clock::Clock;
use crate::disk::{DiskFile, FileId};
use crate::record::counters::{Meters, Work};
use crate::record::parallel_map::parallel_map;
use crate::record::store::files::{FILE_THREADS_MAX, FILES_PER_THREAD};
use crate::record::store::group::Day;

/// Files whose flushed length is remembered; a forgotten one only costs recovery a longer look.
const DURABLE_LENGTHS_MAX: usize = 16_384;

/// Files with lines that are not flushed yet, and what is known of the flushed ones.
#[derive(Debug)]
pub(crate) struct Flusher {
    clock: Arc<dyn Clock>,
    meters: Arc<Meters>,
    /// Whether a flush has a thread of its own; without one it is done when it is asked for.
    background: bool,
    unflushed: BTreeMap<Day, Unflushed>,
    running: Option<Running>,
    /// How long files were at their last flush.
    durable_len: HashMap<Day, u64>,
    begun_at: Duration,
}

/// A file with lines that are not flushed yet.
#[derive(Clone, Debug)]
pub(crate) struct Unflushed {
    pub(crate) file: Arc<dyn DiskFile>,
    /// Its device and inode.
    pub(crate) file_id: FileId,
    pub(crate) len: u64,
    /// Lines that do not stand in the journal.
    pub(crate) unjournaled: u64,
}

/// A flush that was done.
#[derive(Debug)]
pub(crate) struct Flushed {
    /// Where the journal ended when it was begun.
    pub(crate) end: Option<(u64, u64)>,
    /// When it was begun, in batches.
    pub(crate) epoch: u64,
    pub(crate) files: Vec<(Day, Unflushed, io::Result<()>)>,
}

#[derive(Debug)]
enum Running {
    Thread(JoinHandle<Flushed>),
    /// To be done when somebody looks.
    Here(Job),
}

#[derive(Clone, Debug)]
struct Job {
    end: Option<(u64, u64)>,
    epoch: u64,
    files: Vec<(Day, Unflushed)>,
}

impl Flusher {
    pub(crate) fn new(clock: Arc<dyn Clock>, meters: Arc<Meters>, background: bool) -> Self {
        let begun_at = clock.monotonic();
        Self {
            clock,
            meters,
            background,
            unflushed: BTreeMap::new(),
            running: None,
            durable_len: HashMap::new(),
            begun_at,
        }
    }

    /// When the last flush began.
    pub(crate) fn begun_at(&self) -> Duration {
        self.begun_at
    }

    /// Whether a flush is under way.
    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Files that wait for their flush.
    pub(crate) fn waiting(&self) -> usize {
        self.unflushed.len()
    }

    /// Whether a file waits for its flush.
    pub(crate) fn holds(&self, day: &Day) -> bool {
        self.unflushed.contains_key(day)
    }

    /// How long a file was at its last flush; 0 if that is not known.
    pub(crate) fn durable_len(&self, day: &Day) -> u64 {
        self.durable_len.get(day).copied().unwrap_or(0)
    }

    /// Notes how long a file is, flushed.
    pub(crate) fn set_durable_len(&mut self, day: Day, len: u64) {
        if self.durable_len.len() >= DURABLE_LENGTHS_MAX {
            self.durable_len.clear();
        }
        self.durable_len.insert(day, len);
    }

    /// Forgets how long a file was: it is not that file any more.
    pub(crate) fn forget_clean(&mut self, day: &Day) {
        self.durable_len.remove(day);
    }

    /// Notes that a file was appended to.
    pub(crate) fn appended(&mut self, day: Day, now: Unflushed) {
        let noted = match self.unflushed.remove(&day) {
            // An older handle hears of a sync that failed for somebody else before the new one was opened.
            Some(before) if before.file_id == now.file_id => {
                Unflushed { len: now.len, unjournaled: before.unjournaled + now.unjournaled, ..before }
            }
            Some(before) => Unflushed { unjournaled: before.unjournaled + now.unjournaled, ..now },
            None => now,
        };
        self.unflushed.insert(day, noted);
    }

    /// Takes a file out: somebody else sees to it.
    pub(crate) fn take(&mut self, day: &Day) -> Option<Unflushed> {
        self.unflushed.remove(day)
    }

    /// Begins to flush what was appended; `end` is where the journal ends now, if all before it was appended.
    pub(crate) fn begin(&mut self, end: Option<(u64, u64)>, epoch: u64) {
        if self.running.is_some() {
            return;
        }
        self.begun_at = self.clock.monotonic();
        self.meters.begun(Work::Flush, self.begun_at);
        let files = std::mem::take(&mut self.unflushed).into_iter().collect();
        let job = Job { end, epoch, files };
        self.running =
            Some(if self.background && !job.files.is_empty() { self.start(job) } else { Running::Here(job) });
    }

    /// Returns the flush that was under way, if it is done; with `wait` it is waited for.
    pub(crate) fn done(&mut self, wait: bool) -> Option<Flushed> {
        let flushed = match self.running.take()? {
            Running::Here(job) => job.run(&*self.clock, &self.meters),
            Running::Thread(thread) if wait || thread.is_finished() => {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            running => {
                self.running = Some(running);
                return None;
            }
        };
        self.meters.ended(Work::Flush);
        Some(flushed)
    }

    fn start(&self, job: Job) -> Running {
        let (clock, meters, files) = (Arc::clone(&self.clock), Arc::clone(&self.meters), job.clone());
        let thread = Builder::new().name("tooltrail-flush".to_owned()).spawn(move || files.run(&*clock, &meters));
        // A system that has no thread to give has it done here.
        thread.map_or_else(|_| Running::Here(job), Running::Thread)
    }
}

impl Job {
    fn run(self, clock: &dyn Clock, meters: &Meters) -> Flushed {
        let files = parallel_map(self.files, FILE_THREADS_MAX, FILES_PER_THREAD, |(day, unflushed)| {
            let synced = sync(&*unflushed.file, clock, meters);
            (day, unflushed, synced)
        });
        Flushed { end: self.end, epoch: self.epoch, files }
    }
}

/// Makes a file durable, and counts how long it took.
///
/// # Errors
/// What the system says.
pub(crate) fn sync(file: &dyn DiskFile, clock: &dyn Clock, meters: &Meters) -> io::Result<()> {
    let began = clock.monotonic();
    let synced = file.sync();
    meters.sync(synced.is_ok(), clock.monotonic().saturating_sub(began));
    synced
}
