//! The flush of the day files: syncs them in the background, once a second, and remembers the durable length of each.

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

/// The most files whose durable length is remembered. If a length is forgotten, recovery only has to read more of that
/// file.
const DURABLE_LENGTHS_MAX: usize = 16_384;

/// The files with lines that are not synced yet, and the durable lengths of files.
#[derive(Debug)]
pub(crate) struct Flusher {
    // Shared with the thread of a flush.
    clock: Arc<dyn Clock>,
    meters: Arc<Meters>,
    // Used only by the writer thread.
    /// Whether a flush runs in a thread of its own. If not, it runs when its result is asked for.
    background: bool,
    unflushed: BTreeMap<Day, Unflushed>,
    running: Option<Running>,
    /// The durable length of each file: its length at its last flush.
    durable_len: HashMap<Day, u64>,
    begun_at: Duration,
}

/// A file with lines that are not synced yet.
#[derive(Clone, Debug)]
pub(crate) struct Unflushed {
    pub(crate) file: Arc<dyn DiskFile>,
    /// The device and inode of the file.
    pub(crate) file_id: FileId,
    pub(crate) len: u64,
    /// The number of these lines that are not in the journal.
    pub(crate) unjournaled: u64,
}

/// The result of a flush.
#[derive(Debug)]
pub(crate) struct Flushed {
    /// The end of the journal when the flush began; `None` if some lines before it were not in their day files.
    pub(crate) end: Option<(u64, u64)>,
    /// The number of the flush.
    pub(crate) epoch: u64,
    pub(crate) files: Vec<(Day, Unflushed, io::Result<()>)>,
}

#[derive(Debug)]
enum Running {
    Thread(JoinHandle<Flushed>),
    /// Runs on the writer thread when the result is asked for.
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

    /// Returns when the last flush began.
    pub(crate) fn begun_at(&self) -> Duration {
        self.begun_at
    }

    /// Whether a flush is running.
    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Returns the number of files that wait for the next flush.
    pub(crate) fn waiting(&self) -> usize {
        self.unflushed.len()
    }

    /// Whether a file waits for the next flush.
    pub(crate) fn holds(&self, day: &Day) -> bool {
        self.unflushed.contains_key(day)
    }

    /// Returns the durable length of a file, which is its length at its last flush; 0 if it is not known.
    pub(crate) fn durable_len(&self, day: &Day) -> u64 {
        self.durable_len.get(day).copied().unwrap_or(0)
    }

    /// Sets the durable length of a file.
    pub(crate) fn set_durable_len(&mut self, day: Day, len: u64) {
        if self.durable_len.len() >= DURABLE_LENGTHS_MAX {
            self.durable_len.clear();
        }
        self.durable_len.insert(day, len);
    }

    /// Forgets the durable length of a file, because another file may be under its name.
    pub(crate) fn forget_clean(&mut self, day: &Day) {
        self.durable_len.remove(day);
    }

    /// Notes that a file was appended to.
    pub(crate) fn appended(&mut self, day: Day, now: Unflushed) {
        let noted = match self.unflushed.remove(&day) {
            // The older handle is kept, because it also reports a write error that happened before the new handle was
            // opened.
            Some(before) if before.file_id == now.file_id => {
                Unflushed { len: now.len, unjournaled: before.unjournaled + now.unjournaled, ..before }
            }
            Some(before) => Unflushed { unjournaled: before.unjournaled + now.unjournaled, ..now },
            None => now,
        };
        self.unflushed.insert(day, noted);
    }

    /// Removes a file from the next flush and returns it; the caller syncs or rewrites it.
    pub(crate) fn take(&mut self, day: &Day) -> Option<Unflushed> {
        self.unflushed.remove(day)
    }

    /// Begins a flush of all appended files, unless one is running. `end` is the current end of the journal, if all
    /// lines before it are in their day files.
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

    /// Returns the result of the running flush if it is done. With `wait`, waits for it.
    pub(crate) fn done(&mut self) -> Option<Flushed> {
        let is_under_way = matches!(&self.running, Some(Running::Thread(thread)) if !thread.is_finished());
        if is_under_way { None } else { self.wait() }
    }

    /// Waits for the flush that is under way, if there is one, and returns it.
    pub(crate) fn wait(&mut self) -> Option<Flushed> {
        let flushed = match self.running.take()? {
            Running::Here(job) => job.run(&*self.clock, &self.meters),
            Running::Thread(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        };
        self.meters.ended(Work::Flush);
        Some(flushed)
    }

    fn start(&self, job: Job) -> Running {
        let (clock, meters, files) = (Arc::clone(&self.clock), Arc::clone(&self.meters), job.clone());
        let thread = Builder::new().name("tooltrail-flush".to_owned()).spawn(move || files.run(&*clock, &meters));
        // If no thread can be started, the flush runs on the writer thread.
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

/// Syncs a file and counts the time.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn sync(file: &dyn DiskFile, clock: &dyn Clock, meters: &Meters) -> io::Result<()> {
    let began = clock.monotonic();
    let synced = file.sync();
    meters.sync(synced.is_ok(), clock.monotonic().saturating_sub(began));
    synced
}
