//! The recorder: the object with which callers record entries.

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
use crate::record::known_ids::KnownIds;
use crate::record::loss::LossReason;
use crate::record::open::Open;
use crate::record::open_call_id::OpenCallId;
use crate::record::options::Options;
use crate::record::queue::Queue;
use crate::record::queue::item::{Line, call_bytes};
use crate::record::queue::offer::{Copied, Lent};
use crate::record::queue::promise::{Ack, Promise, promise};
use crate::record::reads::Reads;
use crate::record::sealing::{SealStatus, Sealing};
use crate::record::store::waiting::WaitingFolders;
use crate::redact::Redactor;
use crate::retention::Retention;

/// The hint for a call whose day is older than the retention.
const TOO_LATE_HINT: &str = "its day would be pruned at once: keep more days, or leave it out";

/// The longest wait for a flush: enough for a full queue on a slow disk.
const FLUSH_WAIT: Duration = Duration::from_secs(30);

/// The longest wait until buffered entries can be read: enough for a full queue on a busy machine.
const SEEN_WAIT: Duration = Duration::from_secs(2);

/// The longest wait of a reader for acknowledged lines whose day files cannot be appended to at the moment. A process
/// that is stopped while it holds the append lock must not block readers.
const DEFERRED_WAIT: Duration = Duration::from_millis(250);

/// How long the disk may take for a batch or a flush before the health check reports it. It is a little less than
/// `DURABLE_WAIT`, so that a caller whose wait timed out finds the reason in the health check.
const STUCK_AFTER: Duration = Duration::from_millis(1_800);

/// The most bytes of a call that is moved into the queue as it is. Of a larger call, only the parts that can reach its
/// line are put into the queue; otherwise many large results would fill it with bytes that are never written.
const MOVED_BYTES_MAX: usize = 16 * 1024;

/// Writes entries to a home. Open one recorder per process and home, and share it between threads; its methods need
/// only `&self`.
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
    sealing: Option<Arc<dyn Sealing>>,
    known_ids: KnownIds,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// The state that the recorder and its writer thread share.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) queue: Queue,
    // Set by the writer thread, read by the recorder.
    /// Why the last batch could not be written.
    pub(crate) trouble: Mutex<Option<String>>,
    /// Why lines of a dead process could not be recovered yet.
    pub(crate) unrecovered: Mutex<Option<String>>,
    // Used by both.
    pub(crate) reads: Mutex<Reads>,
    pub(crate) meters: Arc<Meters>,
    // Set by the writer thread, read by the recorder.
    /// Whether accepted lines wait because their day files cannot be appended to at the moment.
    pub(crate) deferred: AtomicBool,
    /// The folders with lines that are not in their day files yet, for any reason.
    pub(crate) waiting: Arc<WaitingFolders>,
    // Used only by the recorder.
    /// The number of ids given to open calls.
    begun: AtomicU64,
    /// The number of requests with buffered entries, and how many of them are known to be in day files.
    buffered: AtomicU64,
    seen: AtomicU64,
}

/// A call that is redacted and encoded, and not yet recorded.
#[derive(Debug)]
pub struct Prepared {
    line: Line,
    waits: bool,
}

impl Prepared {
    pub(super) const fn new(line: Line, waits: bool) -> Self {
        Self { line, waits }
    }

    pub(super) const fn line(&self) -> &Line {
        &self.line
    }

    pub(super) const fn waits(&self) -> bool {
        self.waits
    }
}

impl Recorder {
    /// Opens a home with the defaults of [`Options`].
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(home: impl AsRef<Path>) -> Result<Self, Error> {
        Options::new(home).open()
    }

    /// Records a call and returns at once. It never waits for the disk and never fails.
    ///
    /// If the queue is full, the call is counted as lost, and a `tooltrail.gap` entry reports the count.
    pub fn record(&self, call: &Call) {
        self.take(call, None);
    }

    /// Like [`Recorder::record`], but takes the call by value.
    ///
    /// Unless the call is large, nothing of it is copied or processed on the caller's thread. This is the cheapest way
    /// for the caller.
    #[inline]
    pub fn record_owned(&self, mut call: Call) {
        if call.ts.is_none() {
            call.ts = Some(self.clock.now());
        } else if self.too_late(&call).is_some() {
            return self.refuse(None);
        }
        if call_bytes(&call) <= MOVED_BYTES_MAX { self.state.queue.offer(call, None) } else { self.record(&call) }
    }

    /// Records a call with its batch, durably, and returns at once: like [`Recorder::record_durable`] for a caller that
    /// waits for no acknowledgement.
    ///
    /// If the queue is full, or if the call's day is too old to be kept, the call is counted as lost, and a
    /// `tooltrail.gap` entry reports the count.
    pub fn record_grouped(&self, mut call: Call) {
        if self.too_late(&call).is_some() {
            return self.refuse(None);
        }
        let now = *call.ts.get_or_insert_with(|| self.clock.now());
        let Some(promise) = promise(1).1.into_iter().next() else { return };
        let taken = if call_bytes(&call) <= MOVED_BYTES_MAX {
            self.state.queue.offer_unhurried(call, promise)
        } else {
            self.state.queue.offer_unhurried(Lent::new(&call, now, &self.redactor), promise)
        };
        if let Err(why) = taken {
            self.count_refused(&why);
        }
    }

    /// Accepts all of these calls or none. The acknowledgement resolves when all are durable. They are then also in
    /// their day files, unless a file cannot be written at the moment.
    ///
    /// # Errors
    /// [`Error::Busy`] if they do not fit into the queue; [`Error::Input`] if the day of one of them is too old to be
    /// kept; [`Error::Closed`].
    pub fn record_durable(&self, calls: Vec<Call>) -> Result<Ack, Error> {
        self.take_durable(calls, None)
    }

    /// Accepts all of these calls or none, each with the durability of its tool. Like [`Recorder::record_durable`], but
    /// the acknowledgement does not wait for the buffered calls; if one of them is lost, a gap reports it.
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
    /// The writer thread serves all senders. A caller that passes on many calls of others should prepare them, so that
    /// only this caller waits for that work.
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

    /// Like [`Recorder::record_through`], for calls that were prepared before.
    ///
    /// # Errors
    /// [`Error::Busy`] if they do not fit into the queue; [`Error::Closed`].
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

    /// Waits until all buffered calls that [`Recorder::record_through`] accepted before are in their day files or known
    /// to be lost, at most 2 s. Returns whether they are. It returns at once if there are no such calls.
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

    /// Returns the folders of the users whose accepted entries are not in their day files yet, for [`Trail::lacking`].
    ///
    /// [`Trail::lacking`]: crate::Trail::lacking
    #[must_use]
    pub fn waiting_folders(&self) -> Arc<BTreeSet<String>> {
        self.state.waiting.get()
    }

    /// Returns the first `chars_max` characters of a message about a call, without the secrets that the message quotes:
    /// those that are found in the message, and those that are found in the first 64 KiB of `sent`.
    #[must_use]
    pub fn excerpt(&self, message: &str, sent: &[u8], chars_max: usize) -> String {
        self.redactor.excerpt(message, sent, chars_max)
    }

    /// Returns a message if the day of a call is older than the retention, so that the call would be refused.
    #[must_use]
    pub fn too_late(&self, call: &Call) -> Option<String> {
        let day = call.ts?.date();
        let first = self.retention.first_day(self.clock.now().date())?;
        (day < first).then(|| format!("older than the retention: of {day}, and kept is what is of {first} or later"))
    }

    /// Notes that a call begins. The returned guard records how the call ends and how long it took.
    ///
    /// It does not wait. If the process is killed after the call has been open for 100 ms, the call is recorded as
    /// `error`, `interrupted` when the home is next opened for writing.
    pub fn begin(&self, call: Call) -> Open<'_> {
        let id = self.next_id();
        let begins = Lent::new(&call, self.clock.now(), &self.redactor);
        // If the queue is full, the begin is not noted. This matters only if the process is killed; the outcome is
        // recorded by itself.
        let taken = self.state.queue.begin(id, begins, None);
        Open::new(self, call, taken.is_ok().then_some(id))
    }

    /// Like [`Recorder::begin`], but nothing is noted before the outcome. If the process is killed, no trace of the
    /// call is left.
    pub fn begin_buffered(&self, call: Call) -> Open<'_> {
        Open::new(self, call, None)
    }

    /// Like [`Recorder::begin`], but the acknowledgement resolves when the begin of the call is durable. If the caller
    /// awaits it before the tool runs, neither a kill nor a power cut can hide that the tool ran.
    ///
    /// # Errors
    /// [`Error::Busy`] if the queue is full; [`Error::Closed`]. In both cases, the call is counted as lost.
    pub fn begin_durable(&self, call: Call) -> Result<(Open<'_>, Ack), Error> {
        let id = self.next_id();
        let begins = Lent::new(&call, self.clock.now(), &self.redactor);
        let (ack, promises) = promise(1);
        let promise = promises.into_iter().next();
        self.state.queue.begin(id, begins, promise).inspect_err(|why| self.count_refused(why))?;
        Ok((Open::new(self, call, Some(id)), ack))
    }

    /// Counts entries that a capture could not hand over, so that a `tooltrail.gap` entry reports them.
    pub fn count_lost(&self, why: LossReason, entries: u64) {
        if entries > 0 {
            self.state.queue.count_shed(why, entries);
        }
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

    /// Records one of our own events and waits until it is durable, at most 30 s.
    pub(crate) fn event_durable(&self, event: Event) -> Result<(), Error> {
        let call = event.into_call(None);
        let (ack, promises) = promise(1);
        let entry = Copied::own(&call, self.clock.now(), &self.redactor);
        self.state.queue.offer_all(vec![entry], promises.into_iter().map(Some).collect(), None)?;
        ack.wait_for(FLUSH_WAIT)
    }

    /// Waits until all entries accepted before are in their day files and durable, at most 30 s.
    ///
    /// # Errors
    /// [`Error::Unwritten`] with the number of entries, of all callers, that were lost since the last flush. Each loss is
    /// reported to one flush, or to all that run at the same time.
    pub fn flush(&self) -> Result<(), Error> {
        flushed(self.state.queue.flush().wait_for(FLUSH_WAIT))
    }

    /// Flushes, and accepts no entry afterwards. A later flush or close waits for this one and returns the same result.
    ///
    /// # Errors
    /// As [`Recorder::flush`].
    pub fn close(&self) -> Result<(), Error> {
        let flushed = flushed(self.state.queue.close().wait_for(FLUSH_WAIT));
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (flushed, writer.map(JoinHandle::join)) {
            (Ok(()), Some(Err(_))) => {
                Err(Error::Unwritten { entries: 0, why: "the writer panicked".to_owned(), which: Vec::new() })
            }
            (flushed, _) => flushed,
        }
    }

    /// Checks that the home and all of its day files can be written at the moment. It writes a small file as a test.
    ///
    /// # Errors
    /// [`Error::Unhealthy`], which says why not.
    pub fn health(&self) -> Result<(), Error> {
        let unhealthy = |why: String| Err(Error::Unhealthy { why });
        self.home.check_stands()?;
        // Checked before the probe, because the probe would wait for the same disk.
        let at_work = self.state.meters.at_work(self.clock.monotonic());
        if at_work > STUCK_AFTER {
            return unhealthy(format!(
                "the disk of {} has not answered for {} s",
                self.home.root().display(),
                at_work.as_secs()
            ));
        }
        let probe = self.home.disk().replace(&[OWN_FOLDER, "probe"], b"ok\n");
        if let Err(error) = probe {
            return unhealthy(format!("could not write to {}: {error}", self.home.root().display()));
        }
        let stopped = match &*self.writer.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(writer) => writer.is_finished(),
            None => true,
        };
        if stopped {
            return unhealthy("the writer has stopped".to_owned());
        }
        let trouble = self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone().map_or(Ok(()), unhealthy)
    }

    /// Returns a message that says why lines of a dead process are still only in its journal; `None` if there are none.
    #[must_use]
    pub fn unrecovered(&self) -> Option<String> {
        self.state.unrecovered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the counters of this recorder since it was opened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = self.state.meters.read();
        let (entries, bytes, shed) = self.state.queue.counts();
        (counters.queued_entries, counters.queued_bytes) = (entries as u64, bytes as u64);
        counters.lost_entries.extend(shed);
        counters.untold_entries += self.state.queue.unreported_shed();
        counters.in_trouble = self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        counters
    }

    /// Returns what is sealed at the moment.
    #[must_use]
    pub fn seal_status(&self) -> SealStatus {
        self.sealing.as_ref().map(|sealing| sealing.status()).unwrap_or_default()
    }

    /// Returns who seals; `None` if nobody does.
    pub(crate) fn sealing(&self) -> Option<&Arc<dyn Sealing>> {
        self.sealing.as_ref()
    }

    /// Returns the home that the recorder writes to.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Returns a recorder that has no writer thread yet.
    pub(crate) fn without_writer(
        home: Home,
        redactor: Arc<Redactor>,
        encoder: Encoder,
        retention: Retention,
        clock: Arc<dyn Clock>,
        state: Arc<State>,
        sealing: Option<Arc<dyn Sealing>>,
    ) -> Self {
        let (known_ids, writer) = (KnownIds::default(), Mutex::new(None));
        Self { home, redactor, encoder, retention, clock, state, sealing, known_ids, writer }
    }

    /// Sets the writer thread of the recorder.
    pub(crate) fn run_by(&self, writer: JoinHandle<()>) {
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
    }

    pub(super) const fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    pub(super) const fn known_ids(&self) -> &KnownIds {
        &self.known_ids
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Records a call without an acknowledgement. With `ends`, it ends that open call.
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

    /// Records calls durably. With `ends`, the one call ends that open call.
    pub(crate) fn take_durable(&self, calls: Vec<Call>, ends: Option<OpenCallId>) -> Result<Ack, Error> {
        self.take_all(calls, ends, |_| true)
    }

    /// Accepts all of these calls or none. The acknowledgement covers only the calls for which `waits` returns true.
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

    fn next_id(&self) -> OpenCallId {
        // Ids begin at 1, because 0 means no call in the journal.
        OpenCallId::after(self.state.begun.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts a call as lost that was refused and that the caller cannot retry.
    pub(crate) fn count_refused(&self, why: &Error) {
        let why = match why {
            Error::Input { .. } => LossReason::Retention,
            Error::Closed => LossReason::Closed,
            _ => LossReason::QueueFull,
        };
        self.state.queue.count_shed(why, 1);
    }
}

/// Returns the answer of a flush. It concerns no request, so that it names none of a request's calls.
fn flushed(answer: Result<(), Error>) -> Result<(), Error> {
    answer.map_err(|error| match error {
        Error::Unwritten { entries, why, .. } => Error::Unwritten { entries, why, which: Vec::new() },
        error => error,
    })
}

/// Returns an acknowledgement for this many calls, and a promise for each call that it waits for.
fn promised(count: usize, waits: impl Iterator<Item = bool>) -> (Ack, Vec<Option<Promise>>) {
    let (ack, promises) = promise(count);
    let promises = promises.into_iter().zip(waits).map(|(promise, waits)| {
        if waits {
            return Some(promise);
        }
        // Kept at once, although nothing is queued yet. If the queue refuses the calls, the caller gets an error and
        // never sees this acknowledgement.
        promise.keep();
        None
    });
    (ack, promises.collect())
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // The result is ignored; a caller that needs it calls `close`. Without a writer thread, `close` would wait for
        // an answer that never comes.
        if self.writer.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            let _ = self.close();
        }
    }
}
