//! The calls that have begun and not ended, found again by the id of their request.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tooltrail::{Call, DurationMs, Outcome, Reason, Timestamp, Via};

use crate::mcp::calls::about::{About, Meta, name, name_and_version};
use crate::mcp::calls::outcome::{outcome, task_outcome};
use crate::mcp::read::{Answer, Id, Message};

/// The most calls that are open at the same time. A client that leaves more without an answer is broken; the oldest is
/// then recorded as interrupted.
const OPEN_MAX: usize = 10_000;

/// The most bytes of arguments of open calls that are kept whole; of further ones only the beginning is kept.
const OPEN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most other requests whose answers are looked at, such as `initialize`.
const ASKED_MAX: usize = 10_000;

/// How long an answer to a cancelled call may still come and be noted, and the result of a task that is completed.
const GRACE: Duration = Duration::from_secs(2);

/// An instant: the time of day, and a time that only goes forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) ts: Timestamp,
    pub(crate) monotonic: Duration,
}

/// What a message changed.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A call begins. The key is given to no other call.
    Begin { key: u64, call: Box<Call> },
    /// The call of this key has ended.
    End { key: u64, ended: Box<Ended> },
    /// A call whose end is known when it begins.
    Whole(Box<Call>),
}

/// How and when a call ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) tool: String,
    pub(crate) outcome: Outcome,
    pub(crate) ts: Timestamp,
    pub(crate) duration: DurationMs,
    /// Other facts, as pairs of name and JSON text.
    pub(crate) extra: Vec<(String, String)>,
    /// The server's own name, if only its answer told it.
    pub(crate) server: Option<String>,
}

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerEnd {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It lives, or nobody knows.
    Unknown,
}

/// The calls of one connection.
#[derive(Debug)]
pub(crate) struct Calls {
    about: About,
    /// The client's name and version, and the server's own name, as far as they were told.
    client: Option<String>,
    server: Option<String>,
    open: BTreeMap<u64, Open>,
    args_bytes: usize,
    by_id: HashMap<Id, VecDeque<u64>>,
    by_task: HashMap<String, u64>,
    /// Calls that wait for input from the client, by the state that the server gave them, or by tool and arguments.
    by_state: HashMap<Asking, VecDeque<u64>>,
    hasher: RandomState,
    /// Calls that have ended but for a late answer, and until when it is waited for, in order.
    grace: VecDeque<(Duration, u64)>,
    asked: HashMap<Id, Asked>,
    next_key: u64,
}

/// A call that has begun.
#[derive(Debug)]
struct Open {
    tool: String,
    began: Duration,
    args_bytes: usize,
    /// The hash of tool and arguments.
    identity: u64,
    state: State,
}

/// What an open call waits for.
#[derive(Debug)]
enum State {
    Answer(Id),
    Input(Asking),
    Task(String),
    /// It was cancelled at this moment, for this reason. Its answer may still come.
    Cancelled(Id, Moment, String),
    /// It is this task, which was completed at this moment. Its result may still be fetched.
    Completed(String, Moment),
}

/// By what the repetition of a call is known for which the server asked the client for input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asking {
    /// By the hash of the state that the server gave the client.
    State([u8; 32]),
    /// By the hash of its tool and arguments.
    Same(u64),
}

/// A request that is no call and whose answer is looked at.
#[derive(Debug)]
enum Asked {
    Server,
    List,
    /// The status of a task, or its result.
    Task {
        task: String,
        is_result: bool,
    },
}

impl Calls {
    pub(crate) fn new(about: About) -> Self {
        Self {
            about,
            client: None,
            server: None,
            open: BTreeMap::new(),
            args_bytes: 0,
            by_id: HashMap::new(),
            by_task: HashMap::new(),
            by_state: HashMap::new(),
            hasher: RandomState::new(),
            grace: VecDeque::new(),
            asked: HashMap::new(),
            next_key: 1,
        }
    }

    /// Returns the server's name: the chosen one, else its own.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.about.server.as_deref().or(self.server.as_deref())
    }

    /// Returns the user whose agent makes the calls.
    pub(crate) fn user(&self) -> &str {
        &self.about.user
    }

    /// Takes in a message of the client that goes on to the server.
    pub(crate) fn client(&mut self, message: Message, now: Moment, changes: &mut Vec<Change>) {
        let Some(method) = message.method.as_deref() else { return };
        let asked = match method {
            "tools/call" => return self.begin(message, now, changes),
            "notifications/cancelled" => return self.cancel(message, now, changes),
            "initialize" => {
                let info = message.params.client_info.whole().and_then(|info| serde_json::from_str(&info).ok());
                self.client = info.as_ref().and_then(name_and_version).or(self.client.take());
                Asked::Server
            }
            "server/discover" => Asked::Server,
            "tools/list" => Asked::List,
            "tasks/get" | "tasks/result" | "tasks/cancel" => match message.params.task_id {
                Some(task) if self.by_task.contains_key(&task) => {
                    Asked::Task { task, is_result: method == "tasks/result" }
                }
                _ => return,
            },
            _ => return,
        };
        let Some(id) = message.id else { return };
        if self.asked.len() < ASKED_MAX {
            self.asked.insert(id, asked);
        }
    }

    /// Returns the entry of a call that is refused and does not go on to the server.
    pub(crate) fn refused(&self, message: &Message, rule: Option<&str>, now: Moment) -> Change {
        let (mut call, _) = self.call(message);
        call.ts = Some(now.ts);
        call.rule = rule.map(str::to_owned);
        Change::Whole(Box::new(call.denied(Reason::Policy)))
    }

    /// Gives up a call whose request did not go on to the server.
    pub(crate) fn withdraw(&mut self, key: u64) {
        // Its end is recorded elsewhere.
        let now = Moment { ts: Timestamp::from_millis(0), monotonic: Duration::ZERO };
        self.end(key, Outcome::default(), now, &mut Vec::new());
    }

    /// Takes in a message of the server. Returns whether it answers `tools/list`.
    pub(crate) fn server(&mut self, message: &Message, now: Moment, changes: &mut Vec<Change>) -> bool {
        if let Some(method) = &message.method {
            // `notifications/tasks/status` in 2025-11-25, `notifications/tasks` later.
            if let (Some(task), Some(status)) = (&message.params.task_id, &message.params.status)
                && method.starts_with("notifications/tasks")
                && let Some(key) = self.by_task.get(task)
            {
                self.task_told(*key, status, None, now, changes);
            }
            return false;
        }
        let (Some(id), Some(answer)) = (&message.id, &message.outcome) else { return false };
        let number = self.number_in(id);
        let id = number.as_ref().unwrap_or(id);
        if let Some(key) = self.by_id.get(id).and_then(VecDeque::front) {
            self.answered(*key, answer, now, changes);
            return false;
        }
        match self.asked.remove(id) {
            Some(Asked::List) => return true,
            Some(Asked::Server) => self.learn_server(answer),
            Some(Asked::Task { task, is_result }) => {
                let Some(key) = self.by_task.get(&task).copied() else { return false };
                match &answer.status {
                    Some(status) => self.task_told(key, status, Some(answer), now, changes),
                    // `tasks/result` gives the result of the call itself, which has no status.
                    None if is_result && (answer.error.is_some() || answer.text.has_parts() || answer.is_error) => {
                        self.end(key, outcome(answer), now, changes);
                    }
                    None => {}
                }
            }
            None => {}
        }
        false
    }

    /// Returns the number in an id that is a text, if the client asked with the number: some clients take such an answer.
    fn number_in(&self, id: &Id) -> Option<Id> {
        let Id::Text(text) = id else { return None };
        let is_open = |id: &Id| self.by_id.contains_key(id) || self.asked.contains_key(id);
        Id::parse(text).filter(|number| matches!(number, Id::Number(_)) && is_open(number) && !is_open(id))
    }

    /// Whether the client has asked for a list of tools that has not come yet.
    pub(crate) fn is_list_asked(&self) -> bool {
        self.asked.values().any(|asked| matches!(asked, Asked::List))
    }

    /// Takes the status of a task. A completed one whose result did not come with the status may still be asked for it.
    fn task_told(&mut self, key: u64, status: &str, answer: Option<&Answer>, now: Moment, changes: &mut Vec<Change>) {
        let Some(outcome) = task_outcome(status, answer) else { return };
        let has_result = answer.is_some_and(|answer| answer.text.has_parts() || answer.is_error);
        let Some(open) = self.open.get_mut(&key) else { return };
        match &open.state {
            State::Task(task) if outcome.reason.is_none() && !has_result => {
                open.state = State::Completed(task.clone(), now);
                self.grace.push_back((now.monotonic + GRACE, key));
            }
            State::Completed(..) if !has_result => {}
            _ => self.end(key, outcome, now, changes),
        }
    }

    /// Records calls whose late answers did not come in time.
    pub(crate) fn tick(&mut self, now: Moment, changes: &mut Vec<Change>) {
        while let Some((_, key)) = self.grace.front().copied().filter(|(until, _)| *until <= now.monotonic) {
            self.grace.pop_front();
            self.end_grace(key, false, changes);
        }
    }

    /// Returns when [`Calls::tick`] has something to do.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        self.grace.front().map(|(until, _)| *until)
    }

    /// Ends all calls, because the server gives no answer any more.
    pub(crate) fn end_all(&mut self, server: ServerEnd, now: Moment, changes: &mut Vec<Change>) {
        for key in self.open.keys().copied().collect::<Vec<_>>() {
            self.interrupt(key, server, now, changes);
        }
    }

    fn begin(&mut self, message: Message, now: Moment, changes: &mut Vec<Change>) {
        let identity = self.identity(&message);
        let Some(id) = message.id.clone() else {
            // Without an id there is no answer, so the end is never known.
            let (mut call, _) = self.call(&message);
            call.ts = Some(now.ts);
            call.add_extra("notification", "true".to_owned());
            changes.push(Change::Whole(Box::new(call.ended(Outcome::failed(Reason::Interrupted, "")))));
            return;
        };
        // An id that comes again means that the cancelled call of that id is over.
        if let Some(key) = self.by_id.get(&id).and_then(VecDeque::front).copied()
            && matches!(self.open.get(&key), Some(Open { state: State::Cancelled(..), .. }))
        {
            self.end_grace(key, false, changes);
        }
        let same = message.params.has_input.then_some(Asking::Same(identity));
        let repeats = message.params.request_state.map(Asking::State).or(same);
        // The state alone is not enough: with that of another call, a client would hide what it calls.
        let is_same = |key: &&u64| self.open.get(key).is_some_and(|open| open.identity == identity);
        let asking = repeats.and_then(|state| self.by_state.get(&state)).and_then(|keys| keys.iter().find(is_same));
        if let Some(key) = asking.copied() {
            self.forget_state(key);
            if let Some(open) = self.open.get_mut(&key) {
                open.state = State::Answer(id.clone());
            }
            self.by_id.entry(id).or_default().push_back(key);
            return;
        }
        if self.open.len() >= OPEN_MAX
            && let Some(oldest) = self.open.keys().next().copied()
        {
            self.interrupt(oldest, ServerEnd::Unknown, now, changes);
        }
        let (mut call, mut args_bytes) = self.call(&message);
        if self.args_bytes + args_bytes > OPEN_BYTES_MAX
            && let Some(mut arguments) = message.params.arguments
        {
            arguments.shorten();
            (call.args, call.args_chars) = arguments.text();
            args_bytes = arguments.len();
        }
        self.args_bytes += args_bytes;
        let key = self.next_key;
        self.next_key += 1;
        let (tool, state) = (call.tool.clone(), State::Answer(id.clone()));
        self.open.insert(key, Open { tool, began: now.monotonic, args_bytes, identity, state });
        self.by_id.entry(id).or_default().push_back(key);
        changes.push(Change::Begin { key, call: Box::new(call) });
    }

    /// Returns the hash of tool and arguments.
    fn identity(&self, message: &Message) -> u64 {
        let arguments = message.params.arguments.as_ref().map(|arguments| arguments.parts());
        self.hasher.hash_one((&message.params.name, arguments))
    }

    /// Returns the call that a request asks for, and the bytes of its arguments.
    fn call(&self, message: &Message) -> (Call, usize) {
        let (args, args_chars) =
            message.params.arguments.as_ref().map(|arguments| arguments.text()).unwrap_or_default();
        let args_bytes = args.len();
        let mut call = Call::new(&*self.about.user, message.params.name.as_deref().unwrap_or_default(), args);
        let meta = Meta::parse(message.params.meta.whole().as_deref());
        call.args_chars = args_chars;
        call.via = Via::Proxy;
        call.server = self.server_name().map(str::to_owned);
        call.client = meta.client().or_else(|| self.client.clone());
        let session = self.about.session.clone().or_else(|| meta.session());
        call.session = Some(session.unwrap_or_else(|| self.about.session_default.clone()));
        call.call_id = meta.call_id();
        (call.trace_id, call.span_id) = meta.trace().unzip();
        (call, args_bytes)
    }

    fn cancel(&mut self, message: Message, now: Moment, changes: &mut Vec<Change>) {
        let Some(id) = message.params.request_id else { return };
        let Some(key) = self.by_id.get(&id).and_then(VecDeque::back).copied() else { return };
        let Some(open) = self.open.get_mut(&key) else { return };
        if matches!(open.state, State::Answer(_)) {
            open.state = State::Cancelled(id, now, message.params.reason.unwrap_or_default());
            self.grace.push_back((now.monotonic + GRACE, key));
        }
        self.tick(now, changes);
    }

    fn answered(&mut self, key: u64, answer: &Answer, now: Moment, changes: &mut Vec<Change>) {
        self.learn_server(answer);
        let Some(open) = self.open.get_mut(&key) else { return };
        if matches!(open.state, State::Cancelled(..)) {
            return self.end_grace(key, true, changes);
        }
        let waits =
            answer.error.is_none() && !answer.text.has_parts() && answer.result_type.as_deref() != Some("complete");
        match (&answer.task_id, answer.result_type.as_deref()) {
            (_, Some("input_required")) => {
                let state = answer.request_state.map_or(Asking::Same(open.identity), Asking::State);
                self.by_state.entry(state).or_default().push_back(key);
                self.wait_for(key, State::Input(state));
            }
            (Some(task), _) if waits => {
                self.by_task.insert(task.clone(), key);
                self.wait_for(key, State::Task(task.clone()));
                self.task_told(key, answer.status.as_deref().unwrap_or_default(), Some(answer), now, changes);
            }
            _ => self.end(key, outcome(answer), now, changes),
        }
    }

    /// Lets an open call wait for something else than the answer to its request.
    fn wait_for(&mut self, key: u64, state: State) {
        let Some(open) = self.open.get_mut(&key) else { return };
        if let State::Answer(id) = std::mem::replace(&mut open.state, state) {
            self.forget_id(&id, key);
        }
    }

    fn learn_server(&mut self, answer: &Answer) {
        let info = answer.server_info.whole().filter(|info| !info.is_empty());
        let told = info.and_then(|info| serde_json::from_str(&info).ok()).as_ref().and_then(name);
        let told = told.or_else(|| Meta::parse(answer.meta.whole().as_deref()).server());
        self.server = told.or(self.server.take());
    }

    fn end(&mut self, key: u64, outcome: Outcome, now: Moment, changes: &mut Vec<Change>) {
        self.end_with(key, outcome, now, Vec::new(), changes);
    }

    /// Ends a call that waits for a late answer only.
    fn end_grace(&mut self, key: u64, is_answered: bool, changes: &mut Vec<Change>) {
        let (at, outcome) = match self.open.get(&key).map(|open| &open.state) {
            Some(State::Cancelled(_, at, why)) => (*at, Outcome::failed(Reason::Cancelled, why)),
            Some(State::Completed(_, at)) => (*at, Outcome::ok("")),
            _ => return,
        };
        let extra = is_answered.then(|| ("answered".to_owned(), "true".to_owned()));
        self.end_with(key, outcome, at, extra.into_iter().collect(), changes);
    }

    fn interrupt(&mut self, key: u64, server: ServerEnd, now: Moment, changes: &mut Vec<Change>) {
        if matches!(self.open.get(&key), Some(Open { state: State::Cancelled(..) | State::Completed(..), .. })) {
            return self.end_grace(key, false, changes);
        }
        let extra = match server {
            ServerEnd::Code(code) => vec![("exit_code".to_owned(), code.to_string())],
            ServerEnd::Signal(signal) => vec![("signal".to_owned(), signal.to_string())],
            ServerEnd::Unknown => Vec::new(),
        };
        self.end_with(key, Outcome::failed(Reason::Interrupted, ""), now, extra, changes);
    }

    fn end_with(
        &mut self,
        key: u64,
        outcome: Outcome,
        at: Moment,
        extra: Vec<(String, String)>,
        changes: &mut Vec<Change>,
    ) {
        self.forget_state(key);
        let Some(open) = self.open.remove(&key) else { return };
        self.args_bytes -= open.args_bytes;
        match &open.state {
            State::Answer(id) | State::Cancelled(id, ..) => self.forget_id(id, key),
            State::Task(task) | State::Completed(task, _) => {
                self.by_task.remove(task);
            }
            State::Input(_) => {}
        }
        if matches!(open.state, State::Cancelled(..) | State::Completed(..)) {
            self.grace.retain(|(_, other)| *other != key);
        }
        let duration = DurationMs::measured(at.monotonic.saturating_sub(open.began));
        let server = self.about.server.is_none().then(|| self.server.clone()).flatten();
        let ended = Ended { tool: open.tool, outcome, ts: at.ts, duration, extra, server };
        changes.push(Change::End { key, ended: Box::new(ended) });
    }

    fn forget_id(&mut self, id: &Id, key: u64) {
        if let Some(keys) = self.by_id.get_mut(id) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_id.remove(id);
            }
        }
    }

    fn forget_state(&mut self, key: u64) {
        let Some(Open { state: State::Input(state), .. }) = self.open.get(&key) else { return };
        if let Some(keys) = self.by_state.get_mut(state) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_state.remove(state);
            }
        }
    }
}
