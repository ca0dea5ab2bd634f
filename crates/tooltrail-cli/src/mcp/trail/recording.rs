//! What becomes of calls before the home is open, while it is, and while it cannot be opened.

use std::collections::HashMap;
use std::time::Duration;

use tooltrail::{Ack, Call, Durability, DurabilityPolicy, Event, LossReason, Open, Outcome, Reason, Recorder};

use crate::mcp::calls::{Change, Ended};
use crate::mcp::trail::outlet::Outlet;

/// The pause before another attempt to open a home that could not be opened. Each attempt is made for a call, so that an
/// idle proxy does nothing.
const OPEN_PAUSE: Duration = Duration::from_secs(5);

/// How long a call may be open before it is noted that it begins, unless its durability asks for it at once. Most calls
/// have ended by then, and cost half. The recorder takes its time too, so that a call is noted within 100 ms.
const NOTE_AFTER: Duration = Duration::from_millis(25);

/// The most ended calls, and the most bytes of their arguments, that wait until the home is open. Opening takes
/// milliseconds, or some seconds after a crash; a home that cannot be opened is tried again.
const WAITING_MAX: usize = 1_000;
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most events that wait until the home is open: changes of lists of tools, of which there are few.
const EVENTS_MAX: usize = 100;

/// Why a call is not recorded while a service does not take what waits for it.
const TOO_MUCH_WAITS: &str = "too much waits for the service";

/// Records the calls of one proxy.
pub(crate) struct Trail {
    policy: DurabilityPolicy,
    outlet: Option<Box<dyn Outlet>>,
    /// Events that wait until the home is open.
    events: Vec<Event>,
    recording: Recording,
    /// The calls that have begun, by their keys.
    open: HashMap<u64, Begun>,
    /// When the next of them is to be noted.
    next_note: Option<Duration>,
    /// Ended calls that wait until the home is open.
    waiting: Vec<Call>,
    waiting_bytes: usize,
    /// Calls that were lost because the home could not be opened and too many waited, and that no gap has told.
    lost: u64,
    /// Whether a loss was counted that the status file does not tell yet, and whether the file is being written.
    is_status_old: bool,
    is_status_written: bool,
}

/// Whether there is a recorder.
#[derive(Debug)]
enum Recording {
    Closed,
    Opening,
    Open(&'static Recorder),
    Failed { at: Duration, why: String },
}

/// A call that has begun.
#[derive(Debug)]
enum Begun {
    /// The recorder knows it.
    Noted(Box<Open<'static>>),
    /// Nothing is noted yet: it began a moment ago, or before the home was open.
    Kept { since: Duration, call: Box<Call> },
}

/// The result of an attempt to open the home.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The recorder, or why there is none.
    pub(crate) recorder: Result<&'static Recorder, String>,
    /// Calls that earlier proxies of this home lost and could not tell.
    pub(crate) lost_before: u64,
    pub(crate) now: Duration,
}

/// Why a call is not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotRecorded(pub(crate) String);

impl Trail {
    pub(crate) fn new(policy: DurabilityPolicy, outlet: Option<Box<dyn Outlet>>) -> Self {
        let (open, waiting) = (HashMap::new(), Vec::new());
        Self {
            policy,
            outlet,
            events: Vec::new(),
            recording: Recording::Closed,
            open,
            next_note: None,
            waiting,
            waiting_bytes: 0,
            lost: 0,
            is_status_old: false,
            is_status_written: false,
        }
    }

    /// Returns how durable the entries of a tool are.
    pub(crate) fn durability(&self, tool: &str) -> Durability {
        self.policy.of(tool)
    }

    /// Whether some tool's calls wait until they are durable.
    pub(crate) fn may_be_strict(&self) -> bool {
        self.policy.default == Durability::Strict
            || self.policy.tools.iter().any(|(_, durability)| *durability == Durability::Strict)
    }

    /// Whether the home should be opened now. The caller then opens it and calls [`Trail::opened`].
    pub(crate) fn begin_opening(&mut self, now: Duration) -> bool {
        let is_due = match &self.recording {
            Recording::Closed => true,
            Recording::Failed { at, .. } => now >= *at + OPEN_PAUSE,
            Recording::Opening | Recording::Open(_) => false,
        };
        if is_due {
            self.recording = Recording::Opening;
        }
        is_due
    }

    /// Whether an attempt to open the home is under way.
    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.recording, Recording::Opening)
    }

    /// Returns the recorder, if the home is open.
    pub(crate) fn recorder(&self) -> Option<&'static Recorder> {
        match &self.recording {
            Recording::Open(recorder) => Some(recorder),
            _ => None,
        }
    }

    /// Returns the calls that were lost and that no gap has told, and why.
    pub(crate) fn untold(&self) -> (u64, String) {
        let why = match &self.recording {
            Recording::Failed { why, .. } => why.clone(),
            _ => String::new(),
        };
        (self.lost + self.waiting.len() as u64, why)
    }

    /// Takes the result of an attempt to open the home.
    pub(crate) fn opened(&mut self, opened: Opened) {
        let recorder = match opened.recorder {
            Ok(recorder) => recorder,
            Err(why) => {
                // What waits is recorded if a later attempt works.
                self.is_status_old = true;
                self.recording = Recording::Failed { at: opened.now, why };
                return;
            }
        };
        self.recording = Recording::Open(recorder);
        self.events.drain(..).for_each(|event| recorder.event(event));
        for begun in self.open.values_mut() {
            if let Begun::Kept { call, .. } = begun {
                *begun = Begun::Noted(Box::new(noted(recorder, self.policy.of(&call.tool), std::mem::take(call))));
            }
        }
        self.next_note = None;
        for call in std::mem::take(&mut self.waiting) {
            let _ = self.record(recorder, call);
        }
        self.waiting_bytes = 0;
        recorder.count_lost(LossReason::Unopened, std::mem::take(&mut self.lost) + opened.lost_before);
    }

    /// Whether the status file should be written now. The caller then writes it and asks
    /// [`Trail::go_on_writing_status`].
    pub(crate) fn begin_writing_status(&mut self) -> bool {
        let is_due =
            self.is_status_old && !self.is_status_written && matches!(self.recording, Recording::Failed { .. });
        if is_due {
            (self.is_status_old, self.is_status_written) = (false, true);
        }
        is_due
    }

    /// Whether the status file that is being written is old already, so that it must be written once more.
    pub(crate) fn go_on_writing_status(&mut self) -> bool {
        self.is_status_written = false;
        self.begin_writing_status()
    }

    /// Counts calls that were to be durable before their message went on, and are not recorded. While the home is not
    /// open, they are counted already.
    pub(crate) fn count_unwritten(&mut self, calls: u64) {
        if let Recording::Open(recorder) = self.recording {
            recorder.count_lost(LossReason::Unwritten, calls);
        }
    }

    fn lose(&mut self) {
        self.lost += 1;
        self.is_status_old = true;
    }

    /// Records a change. In `strict`, it returns what must be waited for before the message goes on.
    ///
    /// # Errors
    /// In `strict` only: why the call is not recorded, so that its message must not go on.
    pub(crate) fn apply(&mut self, change: Change, now: Duration) -> Result<Option<Ack>, NotRecorded> {
        let is_begin = matches!(change, Change::Begin { .. });
        let applied = match change {
            Change::Begin { key, call } => self.begin(key, call, now),
            Change::End { key, ended } => self.end(key, *ended),
            Change::Whole(call) => self.whole(*call),
        };
        if let Some(outlet) = self.outlet.as_ref().filter(|_| !is_begin) {
            outlet.recorded();
        }
        applied
    }

    /// Notes the calls that have been open for a moment.
    pub(crate) fn tick(&mut self, now: Duration) {
        if self.next_note.is_none_or(|next| next > now) {
            return;
        }
        self.next_note = None;
        let Recording::Open(recorder) = self.recording else { return };
        for begun in self.open.values_mut() {
            let Begun::Kept { since, call } = begun else { continue };
            let durability = self.policy.of(&call.tool);
            if durability == Durability::Buffered {
                continue;
            }
            if *since + NOTE_AFTER <= now {
                *begun = Begun::Noted(Box::new(noted(recorder, durability, std::mem::take(call))));
            } else {
                let next = *since + NOTE_AFTER;
                self.next_note = Some(self.next_note.map_or(next, |other| other.min(next)));
            }
        }
    }

    /// Returns when [`Trail::tick`] has something to do.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        self.next_note
    }

    /// Records that a call whose beginning could not be noted was not made.
    pub(crate) fn not_made(&mut self, key: u64, why: &str) {
        if let Some(Begun::Noted(open)) = self.open.remove(&key) {
            open.finish_buffered(Outcome::failed(Reason::Cancelled, why));
        }
    }

    fn begin(&mut self, key: u64, call: Box<Call>, now: Duration) -> Result<Option<Ack>, NotRecorded> {
        let durability = self.policy.of(&call.tool);
        if durability != Durability::Strict {
            if durability == Durability::Grouped && self.recorder().is_some() {
                self.next_note.get_or_insert(now + NOTE_AFTER);
            }
            self.open.insert(key, Begun::Kept { since: now, call });
            return Ok(None);
        }
        let Recording::Open(recorder) = self.recording else {
            self.lose();
            return Err(self.recording.why());
        };
        if self.is_full() {
            recorder.count_lost(LossReason::SpoolFull, 1);
            return Err(NotRecorded(TOO_MUCH_WAITS.to_owned()));
        }
        let (open, ack) = recorder.begin_durable(*call).map_err(|error| NotRecorded(error.message()))?;
        self.open.insert(key, Begun::Noted(Box::new(open)));
        Ok(Some(ack))
    }

    fn end(&mut self, key: u64, ended: Ended) -> Result<Option<Ack>, NotRecorded> {
        let durability = self.policy.of(&ended.tool);
        match self.open.remove(&key) {
            None => Ok(None),
            Some(Begun::Noted(mut open)) => {
                let outcome = ended.outcome.clone();
                if let Some(call) = open.call_mut() {
                    complete(call, ended);
                }
                if durability == Durability::Buffered {
                    open.finish_buffered(outcome);
                    return Ok(None);
                }
                let ack = open.finish(outcome).map_err(|error| NotRecorded(error.message()));
                if durability == Durability::Strict { ack.map(Some) } else { Ok(None) }
            }
            Some(Begun::Kept { mut call, .. }) => {
                let outcome = ended.outcome.clone();
                complete(&mut call, ended);
                self.whole(call.ended(outcome))
            }
        }
    }

    fn whole(&mut self, call: Call) -> Result<Option<Ack>, NotRecorded> {
        let is_strict = self.policy.of(&call.tool) == Durability::Strict;
        match &self.recording {
            Recording::Open(recorder) if self.is_full() => {
                recorder.count_lost(LossReason::SpoolFull, 1);
                if is_strict { Err(NotRecorded(TOO_MUCH_WAITS.to_owned())) } else { Ok(None) }
            }
            Recording::Open(recorder) => {
                let ack = self.record(recorder, call);
                if is_strict { ack } else { Ok(None) }
            }
            _ if !is_strict
                && self.waiting.len() < WAITING_MAX
                && self.waiting_bytes + call.args.len() <= WAITING_BYTES_MAX =>
            {
                self.waiting_bytes += call.args.len();
                self.waiting.push(call);
                self.is_status_old = true;
                Ok(None)
            }
            recording => {
                let why = recording.why();
                self.lose();
                if is_strict { Err(why) } else { Ok(None) }
            }
        }
    }

    /// Records an event, as soon as the home is open.
    pub(crate) fn event(&mut self, event: Event) {
        match &self.recording {
            Recording::Open(recorder) => recorder.event(event),
            _ if self.events.len() < EVENTS_MAX => self.events.push(event),
            _ => {}
        }
        if let Some(outlet) = &self.outlet {
            outlet.recorded();
        }
    }

    /// Whether there is no room where the entries go.
    fn is_full(&self) -> bool {
        self.outlet.as_ref().is_some_and(|outlet| outlet.is_full())
    }

    /// Records a call that has ended.
    fn record(&self, recorder: &Recorder, call: Call) -> Result<Option<Ack>, NotRecorded> {
        match self.policy.of(&call.tool) {
            Durability::Buffered => recorder.record_owned(call),
            Durability::Strict => {
                let ack = recorder.record_durable(vec![call]);
                return ack.map(Some).map_err(|error| NotRecorded(error.message()));
            }
            _ => recorder.record_grouped(call),
        }
        Ok(None)
    }
}

impl Recording {
    fn why(&self) -> NotRecorded {
        NotRecorded(match self {
            Self::Failed { why, .. } => why.clone(),
            _ => "the home is still being opened".to_owned(),
        })
    }
}

/// Notes that a call begins, without waiting.
fn noted(recorder: &'static Recorder, durability: Durability, call: Call) -> Open<'static> {
    if durability == Durability::Buffered { recorder.begin_buffered(call) } else { recorder.begin(call) }
}

/// Adds to a call what its end told.
fn complete(call: &mut Call, ended: Ended) {
    call.ts = Some(ended.ts);
    call.duration_ms = Some(ended.duration);
    call.server = call.server.take().or(ended.server);
    for (name, json) in ended.extra {
        call.add_extra(&name, json);
    }
}
