//! What the threads of a proxy share: the open calls, the trail, the rules and our stdout.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tooltrail::{Ack, Clock, Durability, Recorder, RedactionRules, Redactor};

use crate::mcp::calls::{Calls, Change, Moment, ServerEnd};
use crate::mcp::gate::{Refusal, Rules};
use crate::mcp::read::{Id, Message};
use crate::mcp::stdio::event::Event;
use crate::mcp::stdio::lists::Lists;
use crate::mcp::stdio::order::{Side, Tickets, Waiting};
use crate::mcp::stdio::output::Output;
use crate::mcp::tools::{ListedTools, ToolChanges, ToolStore};
use crate::mcp::trail::{Loss, NotRecorded, Opened, StatusFolder, Trail};

/// How long a call in `strict` waits until the home is open: longer than a recovery that waits for another process.
const OPEN_WAIT: Duration = Duration::from_secs(5);

/// How long the end of the proxy may be delayed until its last entries are written: as long as the recorder waits for a
/// slow disk. Usually it takes milliseconds.
const CLOSE_WAIT: Duration = Duration::from_secs(35);

/// How long bytes that were passed on to a server are waited for until they are looked at. It takes longer than some
/// milliseconds only if a process that the server left holds its stdin and reads nothing.
const LOOK_WAIT: Duration = Duration::from_secs(1);

/// The longest name or reason in the status file, in characters.
const STATUS_CHARS_MAX: usize = 300;

/// The name of a server that gives itself none, for the file of its tools.
const UNNAMED: &str = "unnamed";

/// Opens the recorder, or says why it cannot.
pub(super) type Opener = Box<dyn Fn() -> Result<Recorder, String> + Send + Sync>;

/// What the threads of a proxy share.
pub(super) struct Shared {
    state: Mutex<State>,
    opened: Condvar,
    pub(super) rules: Rules,
    pub(super) output: Output,
    pub(super) holds_requests: bool,
    pub(super) holds_answers: bool,
    clock: Arc<dyn Clock>,
    events: Mutex<Sender<Event>>,
    tickets: Tickets,
    open: Opener,
    place: Place,
    status_turn: Mutex<()>,
    lists: Lists,
}

/// Where a proxy keeps what it knows.
pub(super) struct Place {
    pub(super) home: PathBuf,
    pub(super) status: StatusFolder,
    /// Finds the folder with what was seen of servers' tools.
    pub(super) tools: Box<dyn Fn() -> Option<PathBuf> + Send + Sync>,
}

struct State {
    calls: Calls,
    trail: Trail,
    /// Whether the main thread knows that it has to call [`Shared::tick`].
    told_tick: bool,
    /// Messages that were looked at before what they answer.
    waiting: Waiting,
}

/// A call whose beginning or end must be durable before its message goes on.
pub(super) struct Awaited {
    /// The key of a call that begins; `None` for one that ends.
    pub(super) begins: Option<u64>,
    /// Resolves when it is durable; or why it is not recorded.
    ack: Result<Ack, NotRecorded>,
}

impl Shared {
    pub(super) fn new(
        calls: Calls,
        trail: Trail,
        rules: Rules,
        clock: Arc<dyn Clock>,
        events: Sender<Event>,
        open: Opener,
        place: Place,
    ) -> Self {
        let is_strict = trail.may_be_strict();
        Self {
            holds_requests: is_strict || rules.can_refuse(),
            holds_answers: is_strict || rules.can_hide() || rules.need_name(),
            state: Mutex::new(State { calls, trail, told_tick: false, waiting: Waiting::default() }),
            opened: Condvar::new(),
            rules,
            output: Output::default(),
            clock,
            events: Mutex::new(events),
            tickets: Tickets::default(),
            open,
            place,
            status_turn: Mutex::new(()),
            lists: Lists::default(),
        }
    }

    /// Tells the main thread about an event.
    pub(super) fn tell(&self, event: Event) {
        // It is gone only while the process ends.
        let _ = self.events.lock().unwrap_or_else(PoisonError::into_inner).send(event);
    }

    /// Uses the open calls.
    pub(super) fn with_calls<T>(&self, use_them: impl FnOnce(&mut Calls) -> T) -> T {
        use_them(&mut self.lock().calls)
    }

    /// Takes note that bytes of a side are passed on before they are looked at. Returns their ticket and the moment.
    pub(super) fn passing_on(&self, side: Side) -> (u64, Moment) {
        (self.tickets.take(side), self.now())
    }

    /// Takes in the messages of bytes that were passed on with this ticket, at this moment.
    pub(super) fn looked_at(self: &Arc<Self>, side: Side, (ticket, at): (u64, Moment), messages: Vec<Message>) {
        let mut state = self.lock();
        self.tickets.give_back(side);
        if !messages.is_empty() {
            state.waiting.add(ticket, (side, at, messages));
        }
        let mut changes = Vec::new();
        while let Some((side, at, messages)) = state.waiting.next(&self.tickets) {
            state.take_in(side, at, messages, &mut changes);
        }
        self.apply(state, changes);
    }

    /// Takes in messages of the client. In `strict`, it returns what must be waited for.
    pub(super) fn client(self: &Arc<Self>, messages: Vec<Message>) -> Vec<Awaited> {
        if messages.is_empty() {
            return Vec::new();
        }
        let now = self.now();
        let mut state = self.lock();
        let mut changes = Vec::new();
        for message in messages {
            state.calls.client(message, now, &mut changes);
        }
        self.apply(state, changes)
    }

    /// Takes in a message of the server. Returns whether it answers `tools/list`, and what must be waited for.
    pub(super) fn server(self: &Arc<Self>, message: &Message) -> (bool, Vec<Awaited>) {
        let now = self.now();
        let mut state = self.lock();
        let mut changes = Vec::new();
        let is_list = state.calls.server(message, now, &mut changes);
        (is_list, self.apply(state, changes))
    }

    /// Records the calls of a line that is refused.
    pub(super) fn refused(self: &Arc<Self>, messages: &[Message], refusal: &Refusal) {
        let now = self.now();
        let state = self.lock();
        let is_call = |message: &&Message| message.ambiguous_method || message.method.as_deref() == Some("tools/call");
        let calls = messages.iter().filter(is_call);
        let mut changes = calls.map(|call| state.calls.refused(call, refusal.rule.as_deref(), now)).collect::<Vec<_>>();
        for change in &mut changes {
            let Change::Whole(call) = change else { continue };
            if refusal.rule.is_none() {
                call.add_extra("why", serde_json::Value::from(refusal.text.as_str()).to_string());
            }
            if self.rules.are_broken() {
                // Secrets that only the rules of the unreadable file would find must not be stored.
                (call.args, call.args_chars) = (String::new(), None);
                call.add_extra("args", "\"left out: the configuration could not be read\"".to_owned());
            }
        }
        self.apply(state, changes);
    }

    /// Gives up calls that were not passed on, because their beginning could not be recorded.
    pub(super) fn not_made(&self, keys: &[u64], why: &str) {
        let mut state = self.lock();
        for key in keys {
            state.calls.withdraw(*key);
            state.trail.not_made(*key, why);
        }
    }

    /// Takes in a line that may list tools. If the tools must be approved, this ends when it is known what is; otherwise a
    /// thread of its own does it, because the file may be on a slow disk.
    pub(super) fn may_be_list(self: &Arc<Self>, line: &[u8]) {
        let Some(page) = ListedTools::in_line(line) else { return };
        if let Some(pins) = self.rules.pins() {
            if !pins.take_in(&page) {
                self.listed(page);
            }
        } else {
            let shared = Arc::clone(self);
            self.lists.pass(page, move |page| shared.listed(page));
        }
    }

    /// Whether the client has asked for a list of tools that has not come yet.
    pub(super) fn is_list_asked(&self) -> bool {
        self.lock().calls.is_list_asked()
    }

    /// Compares a page of a list with what was seen before, and records what changed.
    pub(super) fn listed(self: &Arc<Self>, page: ListedTools) {
        let Some(folder) = (self.place.tools)() else { return };
        let (user, server) = self.with_calls(|calls| (calls.user().to_owned(), calls.server_name().map(str::to_owned)));
        let server = server.unwrap_or_else(|| UNNAMED.to_owned());
        let store = ToolStore::new(folder, &server);
        // If nothing can be stored, the next list is compared with what was stored last.
        let changes = self.lists.take_in(&store, page);
        let Some(changes) = changes.ok().filter(|changes| !changes.is_empty()) else { return };
        let ToolChanges { added, removed, changed, signs } = changes;
        self.record_event(tooltrail::Event::Tools { user: Some(user), server, added, removed, changed, signs });
    }

    fn record_event(self: &Arc<Self>, event: tooltrail::Event) {
        let mut state = self.lock();
        state.trail.event(event);
        self.open_if_closed(&mut state);
    }

    /// Counts calls whose ends could not be recorded before their answers went on.
    pub(super) fn not_stored(&self, calls: u64) {
        self.lock().trail.count_unwritten(calls);
    }

    /// Notes calls that are open, and records cancelled calls whose answers did not come. Returns how long until there is
    /// something to do again.
    pub(super) fn tick(self: &Arc<Self>) -> Option<Duration> {
        let now = self.now();
        let mut state = self.lock();
        let mut changes = Vec::new();
        state.calls.tick(now, &mut changes);
        state.trail.tick(now.monotonic);
        let next = [state.calls.next_tick(), state.trail.next_tick()].into_iter().flatten().min();
        state.told_tick = next.is_some();
        self.apply(state, changes);
        next.map(|next| next.saturating_sub(now.monotonic))
    }

    /// Ends all open calls, because the server gives no answer any more. A server may end because of bytes that were
    /// passed on to it a moment ago, so these are looked at first: the call in them was made too.
    pub(super) fn end_all(self: &Arc<Self>, server: ServerEnd) {
        self.tickets.wait_until_back(Side::Client, LOOK_WAIT);
        let now = self.now();
        let mut state = self.lock();
        let mut changes = Vec::new();
        while let Some((side, at, messages)) = state.waiting.rest() {
            state.take_in(side, at, messages, &mut changes);
        }
        state.calls.end_all(server, now, &mut changes);
        self.apply(state, changes);
    }

    /// Writes the last entries, and the status file if some could not be recorded. Waits some seconds at most.
    pub(super) fn close(self: &Arc<Self>) {
        let (done, closed) = std::sync::mpsc::channel();
        let shared = Arc::clone(self);
        let closing = std::thread::Builder::new().name("tooltrail-close".to_owned()).spawn(move || {
            shared.close_now();
            let _ = done.send(());
        });
        if closing.is_ok() {
            let _ = closed.recv_timeout(CLOSE_WAIT);
        }
    }

    fn close_now(self: &Arc<Self>) {
        self.lists.end();
        let mut state = self.until_open(self.lock(), OPEN_WAIT);
        if state.trail.recorder().is_none() && state.trail.untold().0 > 0 {
            // One more attempt, whenever the last one was.
            drop(state);
            self.open_now();
            state = self.lock();
        }
        let recorder = state.trail.recorder();
        let (untold, why) = state.trail.untold();
        drop(state);
        let Some(recorder) = recorder else {
            if untold > 0 {
                self.write_status();
            }
            return;
        };
        let closed = recorder.close();
        // What the recorder could not tell in a gap either, and what a writer that has died never took.
        let counters = recorder.counters();
        let untold = untold + counters.untold_entries + counters.queued_entries + counters.writing_entries;
        // The status thread may still be writing an older number.
        let _turn = self.status_turn();
        match closed {
            _ if untold == 0 => self.place.status.remove(std::process::id()),
            Err(error) => self.write_status_of(untold, &error.message()),
            Ok(()) => self.write_status_of(untold, &why),
        }
    }

    /// Records changes. If the home is not open, it is opened in a thread of its own.
    fn apply(self: &Arc<Self>, mut state: MutexGuard<'_, State>, changes: Vec<Change>) -> Vec<Awaited> {
        let now = self.clock.monotonic();
        if !changes.is_empty() {
            self.open_if_closed(&mut state);
        }
        let is_strict = |change: &Change| {
            let tool = match change {
                Change::Begin { call, .. } => &call.tool,
                Change::Whole(call) => &call.tool,
                Change::End { ended, .. } => &ended.tool,
            };
            state.trail.durability(tool) == Durability::Strict
        };
        if state.trail.is_opening() && changes.iter().any(is_strict) {
            state = self.until_open(state, OPEN_WAIT);
        }
        let mut awaited = Vec::new();
        for change in changes {
            let begins = match &change {
                Change::Begin { key, .. } => Some(*key),
                _ => None,
            };
            match state.trail.apply(change, now) {
                Ok(Some(ack)) => awaited.push(Awaited { begins, ack: Ok(ack) }),
                Ok(None) => {}
                Err(why) => awaited.push(Awaited { begins, ack: Err(why) }),
            }
        }
        if state.trail.begin_writing_status() {
            let shared = Arc::clone(self);
            // In a thread of its own, because this folder may be on a slow disk too.
            let writing = std::thread::Builder::new().name("tooltrail-status".to_owned());
            let _ = writing.spawn(move || {
                shared.write_status();
                // More calls may have been lost meanwhile.
                while shared.lock().trail.go_on_writing_status() {
                    shared.write_status();
                }
            });
        }
        let is_tick_due = state.calls.next_tick().is_some() || state.trail.next_tick().is_some();
        if is_tick_due && !std::mem::replace(&mut state.told_tick, true) {
            self.tell(Event::Tick);
        }
        awaited
    }

    /// Opens the home in a thread of its own, if it is not open and it is time for another attempt.
    fn open_if_closed(self: &Arc<Self>, state: &mut State) {
        let now = self.clock.monotonic();
        if state.trail.begin_opening(now) {
            let shared = Arc::clone(self);
            let opening = std::thread::Builder::new().name("tooltrail-open".to_owned());
            if let Err(error) = opening.spawn(move || shared.open_now()) {
                let recorder = Err(format!("could not start a thread: {error}"));
                state.trail.opened(Opened { recorder, lost_before: 0, now });
            }
        }
    }

    fn until_open<'a>(&self, state: MutexGuard<'a, State>, longest: Duration) -> MutexGuard<'a, State> {
        let waited = self.opened.wait_timeout_while(state, longest, |state| state.trail.is_opening());
        waited.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state)
    }

    fn open_now(&self) {
        // The recorder lives as long as the process: open calls refer to it.
        let recorder = (self.open)().map(|recorder| &*Box::leak(Box::new(recorder)));
        let lost_before = if recorder.is_ok() { self.place.status.take(&self.place.home) } else { 0 };
        let mut state = self.lock();
        state.trail.opened(Opened { recorder, lost_before, now: self.clock.monotonic() });
        let is_open = state.trail.recorder().is_some();
        drop(state);
        self.opened.notify_all();
        if !is_open {
            self.write_status();
        }
    }

    /// Waits until nobody writes the status file. One writes after the other, so that an older number never replaces a
    /// newer one.
    fn status_turn(&self) -> MutexGuard<'_, ()> {
        self.status_turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the status file with what is lost by now.
    fn write_status(&self) {
        let _turn = self.status_turn();
        let (untold, why) = self.lock().trail.untold();
        self.write_status_of(untold, &why);
    }

    fn write_status_of(&self, lost: u64, why: &str) {
        let (user, server) = self.with_calls(|calls| (calls.user().to_owned(), calls.server_name().map(str::to_owned)));
        let (at, pid, home) = (self.clock.now().to_string(), std::process::id(), self.place.home.clone());
        // A name or a reason may hold a secret, and this file is not redacted by the recorder.
        let redactor = Redactor::with(None, &RedactionRules::default());
        let safe = |text: &str| redactor.excerpt(text, &[], STATUS_CHARS_MAX);
        let (user, server, why) = (safe(&user), server.as_deref().map(safe), safe(why));
        self.place.status.write(&Loss { at, pid, home, user, server, why, lost });
    }

    fn now(&self) -> Moment {
        Moment { ts: self.clock.now(), monotonic: self.clock.monotonic() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_in(&mut self, side: Side, at: Moment, messages: Vec<Message>, changes: &mut Vec<Change>) {
        for message in messages {
            match side {
                Side::Client => self.calls.client(message, at, changes),
                Side::Server => {
                    self.calls.server(&message, at, changes);
                }
            }
        }
    }
}

/// What became of calls that were to be durable before their message went on.
#[derive(Debug, Default)]
pub(super) struct Waited {
    /// The keys of the calls that begin.
    pub(super) begun: Vec<u64>,
    /// Why one of the calls is not recorded.
    pub(super) failed: Option<String>,
    /// How many calls have ended and are not recorded.
    pub(super) unwritten: u64,
}

/// Waits until all calls are durable.
pub(super) fn wait(awaited: Vec<Awaited>) -> Waited {
    let mut waited = Waited::default();
    for Awaited { begins, ack } in awaited {
        waited.begun.extend(begins);
        let recorded = ack.and_then(|ack| ack.wait().map_err(|error| NotRecorded(error.message())));
        if let Err(NotRecorded(why)) = recorded {
            waited.failed.get_or_insert(why);
            waited.unwritten += u64::from(begins.is_none());
        }
    }
    waited
}

/// Returns the ids of the requests, or of the answers, among the messages.
pub(super) fn ids(messages: &[Message], are_requests: bool) -> Vec<Id> {
    let wanted = messages.iter().filter(|message| message.method.is_some() == are_requests);
    wanted.filter_map(|message| message.id.clone()).collect()
}
