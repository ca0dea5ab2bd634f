//! The recorder: what callers hold.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::call::Call;
use crate::clock::Clock;
use crate::durability::{Durability, DurabilityPolicy};
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER};
use crate::record::counters::{Counters, Meters};
use crate::record::encoder::Encoder;
use crate::record::event::Event;
use crate::record::loss::LossReason;
use crate::record::open::Open;
use crate::record::open_call_id::OpenCallId;
use crate::record::options::Options;
use crate::record::queue::Queue;
use crate::record::queue::item::{Line, call_bytes};
use crate::record::queue::offer::{Copied, Lent};
use crate::record::queue::promise::{Ack, Promise, promise};
use crate::record::reads::Reads;
use crate::record::store::waiting::WaitingFolders;
use crate::redact::Redactor;
use crate::retention::Retention;

/// What to do about a call whose day is older than the retention.
const TOO_LATE_HINT: &str = "its day would be pruned at once: keep more days, or leave it out";

/// Longest wait for a flush: a full queue on a slow disk.
const FLUSH_WAIT: Duration = Duration::from_secs(30);

/// Longest wait until what was taken as buffered can be read: a full queue on a machine that is busy otherwise.
const SEEN_WAIT: Duration = Duration::from_secs(2);

/// Longest wait of a reader for acknowledged lines whose day files cannot be appended to just now: a process that was
/// stopped while it holds the append lock must not hold up those who read.
const DEFERRED_WAIT: Duration = Duration::from_millis(250);

/// How long the disk may take for a batch or a flush before something is wrong: a little less than an acknowledgement
/// is waited for, so that whoever waited in vain finds it told.
const STUCK_AFTER: Duration = Duration::from_millis(1_800);

/// Bytes of a call that is moved into the queue as it is; of a larger one only what can reach its line waits there, or
/// a crowd of large results would fill the queue with what nobody will see.
const MOVED_BYTES_MAX: usize = 16 * 1024;

/// Writes entries. One per process and home; share it between threads, `&self` is all it needs.
///
/// ```
/// # let home = tempfile::tempdir().unwrap();
/// use tooltrail::{Call, Recorder};
///
/// let recorder = Recorder::open(home.path())?;
/// recorder.record(&Call::new("alice", "fs.read", r#"{"path":"a.txt"}"#).ok("hello"));
/// recorder.close()?;
/// # Ok::<(), tooltrail::Error>(())
/// ```
#[derive(Debug)]
pub struct Recorder {
    home: Home,
    redactor: Arc<Redactor>,
    encoder: Encoder,
    retention: Retention,
    clock: Arc<dyn Clock>,
    state: Arc<State>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the recorder and its writer share.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) queue: Queue,
    /// Why the last batch could not be written.
    pub(crate) trouble: Mutex<Option<String>>,
    /// Why something of a dead process could not be brought into its day file yet.
    pub(crate) unrecovered: Mutex<Option<String>>,
    pub(crate) reads: Mutex<Reads>,
    pub(crate) meters: Arc<Meters>,
    /// Whether lines that were accepted wait for their day files, which cannot be appended to just now.
    pub(crate) deferred: AtomicBool,
    /// Folders whose lines wait for day files, for whatever reason.
    pub(crate) waiting: Arc<WaitingFolders>,
    /// Ids of open calls that were given.
    begun: AtomicU64,
    /// How often buffered entries were acknowledged, and how many of these times they are known to be in day files.
    buffered: AtomicU64,
    seen: AtomicU64,
}

/// A call that is redacted and encoded, and not yet recorded.
#[derive(Debug)]
pub struct Prepared {
    line: Line,
    waits: bool,
}

impl Recorder {
    /// Opens a home with the defaults of [`Options`].
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(home: impl AsRef<Path>) -> Result<Self, Error> {
        Options::new(home).open()
    }

    /// Records a call and returns at once: never waits, never fails.
    ///
    /// Where the queue is full the call is counted, and the count becomes a `tooltrail.gap`.
    pub fn record(&self, call: &Call) {
        self.take(call, None);
    }

    /// As [`Recorder::record`], of a call that is given away.
    ///
    /// Unless it is large nothing of it is copied or looked at before it is with the writer, which costs its caller least.
    #[inline]
    pub fn record_owned(&self, mut call: Call) {
        if call.ts.is_none() {
            call.ts = Some(self.clock.now());
        } else if self.too_late(&call).is_some() {
            return self.refuse(None);
        }
        if call_bytes(&call) <= MOVED_BYTES_MAX { self.state.queue.offer(call, None) } else { self.record(&call) }
    }

    /// Takes all of these calls or none; the acknowledgement resolves when all are durable, and in their day files
    /// wherever those can be written.
    ///
    /// # Errors
    /// [`Error::Busy`] if they do not fit the queue, [`Error::Input`] if the day of one is too old to be kept,
    /// [`Error::Closed`].
    pub fn record_durable(&self, calls: Vec<Call>) -> Result<Ack, Error> {
        self.take_durable(calls, None)
    }

    /// Takes all of these calls or none, each with the durability of its tool: as [`Recorder::record_durable`], but the
    /// acknowledgement does not wait for the buffered ones, and a loss among them is counted in a gap instead.
    ///
    /// # Errors
    /// As [`Recorder::record_durable`].
    pub fn record_through(&self, durability: &DurabilityPolicy, calls: Vec<Call>) -> Result<Ack, Error> {
        let waits = |call: &Call| durability.of(&call.tool) != Durability::Buffered;
        let any_buffered = !calls.iter().all(waits);
        let ack = self.take_all(calls, None, waits)?;
        if any_buffered {
            self.state.buffered.fetch_add(1, Ordering::Release);
        }
        Ok(ack)
    }

    /// Redacts and encodes a call on the caller's thread, for [`Recorder::record_prepared`].
    ///
    /// What the writer does with calls it does for all senders, so a caller with many calls of others prepares them: it
    /// alone then waits for what they cost.
    ///
    /// # Errors
    /// [`Error::Input`] if its day is too old to be kept.
    pub fn prepare(&self, durability: &DurabilityPolicy, mut call: Call) -> Result<Prepared, Error> {
        if let Some(late) = self.too_late(&call) {
            return Err(Error::input(late, TOO_LATE_HINT));
        }
        call.ts.get_or_insert_with(|| self.clock.now());
        let waits = durability.of(&call.tool) != Durability::Buffered;
        Ok(Prepared { line: self.encoder.finished(call), waits })
    }

    /// As [`Recorder::record_through`], of calls that were prepared before.
    ///
    /// # Errors
    /// [`Error::Busy`] if they do not fit the queue; [`Error::Closed`].
    pub fn record_prepared(&self, calls: Vec<Prepared>) -> Result<Ack, Error> {
        let any_buffered = calls.iter().any(|call| !call.waits);
        let (ack, promises) = promised(calls.len(), calls.iter().map(|call| call.waits));
        let lines = calls.into_iter().map(|call| Copied::Line(Box::new(call.line))).collect();
        self.state.queue.offer_all(lines, promises, None)?;
        if any_buffered {
            self.state.buffered.fetch_add(1, Ordering::Release);
        }
        Ok(ack)
    }

    /// Waits until what [`Recorder::record_through`] took as buffered before is in its day files or known to be lost,
    /// at most 2 s; returns whether it is. Costs nothing where nothing of the kind is under way.
    pub fn wait_for_buffered(&self) -> bool {
        let taken = self.state.buffered.load(Ordering::Acquire);
        let is_deferred = self.state.deferred.load(Ordering::Acquire);
        let all_seen = self.state.seen.load(Ordering::Relaxed) >= taken;
        if all_seen && !is_deferred {
            return true;
        }
        let settled = self.state.queue.seen().wait_for(if all_seen { DEFERRED_WAIT } else { SEEN_WAIT }).is_ok();
        if settled {
            self.state.seen.fetch_max(taken, Ordering::Relaxed);
        }
        settled
    }

    /// Returns the folders of users of whom accepted entries wait for their day files, for [`Trail::lacking`].
    ///
    /// [`Trail::lacking`]: crate::Trail::lacking
    #[must_use]
    pub fn waiting_folders(&self) -> Arc<BTreeSet<String>> {
        self.state.waiting.get()
    }

    /// Returns the first so many characters of a message about a call, without the secrets that the message quotes: those
    /// that are found in it, and those that are found in the first 64 KiB of what was sent.
    #[must_use]
    pub fn excerpt(&self, message: &str, sent: &[u8], chars_max: usize) -> String {
        self.redactor.excerpt(message, sent, chars_max)
    }

    /// Says in words that a call's day is older than the retention, and that it would therefore be refused.
    #[must_use]
    pub fn too_late(&self, call: &Call) -> Option<String> {
        let day = call.ts?.date();
        let first = self.retention.first_day(self.clock.now().date())?;
        (day < first).then(|| format!("older than the retention: of {day}, and kept is what is of {first} or later"))
    }

    /// Notes that a call begins; the guard records how it ends and how long it took.
    ///
    /// Nothing is waited for. If the process is killed once the call has been open for 100 ms, it is recorded as
    /// `error`, `interrupted` when the home is next opened for writing.
    pub fn begin(&self, call: Call) -> Open<'_> {
        let id = self.next_id();
        let begins = Lent::new(&call, self.clock.now(), &self.redactor);
        // Without room for it only a kill would show: the outcome finds its own way.
        let taken = self.state.queue.begin(id, begins, None);
        Open::new(self, call, id.filter(|_| taken.is_ok()))
    }

    /// As [`Recorder::begin`], but nothing is noted before the outcome: a kill leaves no trace of the call.
    pub fn begin_buffered(&self, call: Call) -> Open<'_> {
        Open::new(self, call, None)
    }

    /// As [`Recorder::begin`], but the acknowledgement resolves when it is durable that the call begins: await it
    /// before the tool runs, and no kill or power cut hides that it ran.
    ///
    /// # Errors
    /// [`Error::Busy`] if the queue is full, and then the call is counted in the next gap; [`Error::Closed`].
    pub fn begin_durable(&self, call: Call) -> Result<(Open<'_>, Ack), Error> {
        let id = self.next_id();
        let begins = Lent::new(&call, self.clock.now(), &self.redactor);
        let (ack, promises) = promise(1);
        let promise = promises.into_iter().next();
        self.state.queue.begin(id, begins, promise).inspect_err(|why| self.count_refused(why))?;
        Ok((Open::new(self, call, id), ack))
    }

    /// Records one of our own events.
    pub fn event(&self, event: Event) {
        let now = self.clock.monotonic();
        let mut reads = self.state.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(event) = reads.first(event, now) else { return };
        drop(reads);
        let call = event.into_call(None);
        let entry = Copied::own(&call, self.clock.now(), &self.redactor);
        self.state.queue.offer(entry, None);
    }

    /// Records one of our own events, and waits until it is durable, at most as long as for a flush.
    pub(crate) fn event_durable(&self, event: Event) -> Result<(), Error> {
        let call = event.into_call(None);
        let (ack, promises) = promise(1);
        let entry = Copied::own(&call, self.clock.now(), &self.redactor);
        self.state.queue.offer_all(vec![entry], promises.into_iter().map(Some).collect(), None)?;
        ack.wait_for(FLUSH_WAIT)
    }

    /// Waits until all that was accepted before is visible and durable, at most 30 s.
    ///
    /// # Errors
    /// [`Error::Unwritten`] with the count of entries accepted since the last flush that could not be written.
    pub fn flush(&self) -> Result<(), Error> {
        self.barrier(false)
    }

    /// Flushes, and then takes no more. A later flush or close waits for the first and answers as it does.
    ///
    /// # Errors
    /// As [`Recorder::flush`].
    pub fn close(&self) -> Result<(), Error> {
        let flushed = self.barrier(true);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (flushed, writer.map(JoinHandle::join)) {
            (Ok(()), Some(Err(_))) => {
                Err(Error::Unwritten { entries: 0, why: "the writer panicked".to_owned(), which: Vec::new() })
            }
            (flushed, _) => flushed,
        }
    }

    /// Says whether the home can be written just now, each of its day files included; tries it with a small file.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn health(&self) -> Result<(), String> {
        self.home.check_stands()?;
        // Before the probe, which would wait too.
        let at_work = self.state.meters.at_work(self.clock.monotonic());
        if at_work > STUCK_AFTER {
            return Err(format!(
                "the disk of {} has not answered for {} s",
                self.home.root().display(),
                at_work.as_secs()
            ));
        }
        let probe = self.home.disk().replace(&[OWN_FOLDER, "probe"], b"ok\n");
        probe.map_err(|error| format!("could not write to {}: {error}", self.home.root().display()))?;
        let stopped = match &*self.writer.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(writer) => writer.is_finished(),
            None => true,
        };
        if stopped {
            return Err("the writer has stopped".to_owned());
        }
        let trouble = self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone().map_or(Ok(()), Err)
    }

    /// Says in words why lines of a process that died still stand in its journal alone; `None` where there are none.
    #[must_use]
    pub fn unrecovered(&self) -> Option<String> {
        self.state.unrecovered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns in numbers what it has done since it was opened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = self.state.meters.read();
        let (entries, bytes, shed) = self.state.queue.counts();
        (counters.queued_entries, counters.queued_bytes) = (entries as u64, bytes as u64);
        counters.lost_entries.extend(shed);
        counters.in_trouble = self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        counters
    }

    /// Returns the home it writes to.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Returns a recorder for which nobody writes yet.
    pub(crate) fn without_writer(
        home: Home,
        redactor: Arc<Redactor>,
        encoder: Encoder,
        retention: Retention,
        clock: Arc<dyn Clock>,
        state: Arc<State>,
    ) -> Self {
        Self { home, redactor, encoder, retention, clock, state, writer: Mutex::new(None) }
    }

    /// Notes the thread that writes for it.
    pub(crate) fn run_by(&self, writer: JoinHandle<()>) {
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Takes a call, which ends the open call of this id.
    pub(crate) fn take(&self, call: &Call, ends: Option<OpenCallId>) {
        if self.too_late(call).is_some() {
            return self.refuse(ends);
        }
        match Lent::new(call, self.clock.now(), &self.redactor) {
            Lent::Small(call) => self.state.queue.offer(call, ends),
            Lent::Copied(call) => self.state.queue.offer(call, ends),
        }
    }

    #[cold]
    fn refuse(&self, ends: Option<OpenCallId>) {
        self.state.queue.count_shed(LossReason::Retention, 1);
        self.state.queue.end(ends);
    }

    /// Takes calls durably; a single one may end an open call.
    pub(crate) fn take_durable(&self, calls: Vec<Call>, ends: Option<OpenCallId>) -> Result<Ack, Error> {
        self.take_all(calls, ends, |_| true)
    }

    /// Takes all of these calls or none; the acknowledgement says nothing of those for which it is not to wait.
    fn take_all(
        &self,
        mut calls: Vec<Call>,
        ends: Option<OpenCallId>,
        waits: impl Fn(&Call) -> bool,
    ) -> Result<Ack, Error> {
        if let Some(late) = calls.iter().find_map(|call| self.too_late(call)) {
            self.state.queue.end(ends);
            return Err(Error::input(late, TOO_LATE_HINT));
        }
        let now = self.clock.now();
        for call in &mut calls {
            call.ts.get_or_insert(now);
        }
        let (ack, promises) = promised(calls.len(), calls.iter().map(waits));
        if calls.iter().all(|call| call_bytes(call) <= MOVED_BYTES_MAX) {
            self.state.queue.offer_all(calls, promises, ends)?;
        } else {
            let lent = calls.iter().map(|call| Lent::new(call, now, &self.redactor)).collect();
            self.state.queue.offer_all(lent, promises, ends)?;
        }
        Ok(ack)
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    fn next_id(&self) -> Option<OpenCallId> {
        // 0 is no call.
        OpenCallId::new(self.state.begun.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Counts a call that was refused and that nobody brings again.
    pub(crate) fn count_refused(&self, why: &Error) {
        let why = match why {
            Error::Input { .. } => LossReason::Retention,
            Error::Closed => LossReason::Closed,
            _ => LossReason::QueueFull,
        };
        self.state.queue.count_shed(why, 1);
    }

    fn barrier(&self, close: bool) -> Result<(), Error> {
        self.state.queue.flush(close).wait_for(FLUSH_WAIT)
    }
}

/// Returns the acknowledgement of so many calls, and the promise of each for which it waits.
fn promised(count: usize, waits: impl Iterator<Item = bool>) -> (Ack, Vec<Option<Promise>>) {
    let (ack, promises) = promise(count);
    let promises = promises.into_iter().zip(waits).map(|(promise, waits)| {
        if waits {
            return Some(promise);
        }
        // Kept already: of what the queue refuses nobody gets the acknowledgement.
        promise.keep();
        None
    });
    (ack, promises.collect())
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Nobody is left to tell; whoever wants to know calls `close`. Without a writer nobody would answer either.
        if self.writer.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            let _unheard = self.close();
        }
    }
}
