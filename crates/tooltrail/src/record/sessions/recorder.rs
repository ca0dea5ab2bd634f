//! The object with which short-lived processes record the calls of sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::call::{Call, DurationMs, Reason, Status};
use crate::clock::{Clock, Zone};
use crate::disk::Disk;
use crate::durability::Durability;
use crate::entry::StoredEntry;
use crate::error::Error;
use crate::hex::hex;
use crate::home::{Home, OWN_FOLDER, TRAIL_FOLDER, day_name};
use crate::journal::waiting;
use crate::json::members;
use crate::random::Random;
use crate::record::encoder::Encoder;
use crate::record::event::Event;
use crate::record::loss::LossReason;
use crate::record::sealing::{SealWhen, Sealing};
use crate::record::sessions::append::{Appender, ended_in};
use crate::record::sessions::note::{
    CLAIMS_FOLDER, ENDED_FOLDER, LOCK_WAIT, Note, OPEN_FOLDER, agent_name, call_name, session_name,
};
use crate::record::sessions::requested::requested;
use crate::record::sessions::settle::settle;

/// The end of the name of a call that is recorded a second time: first as interrupted, and then with its outcome, which
/// came later than expected.
const LATE: &str = ".late";

/// A call of a session.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what a hook knows about a call")]
pub struct SessionCall<'a> {
    /// The session, by a text that no other client's session has.
    pub session: &'a str,
    /// What tells the call from the session's other calls.
    pub key: CallKey<'a>,
    /// The sub-agent that makes the call; `None` for the main agent.
    pub agent: Option<&'a str>,
}

/// What tells a call from the other calls of its session.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a client gives an id, or it does not")]
pub enum CallKey<'a> {
    /// The id that the client gave the call.
    Id(&'a str),
    /// The client gives no id, but this text, which is the same when the call begins and when it ends. Of several open
    /// calls with the same text, the one that began first ends first.
    Alike(&'a str),
}

/// The open calls of a session that end with something else.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a session has a main agent and sub-agents")]
pub enum OpenCalls<'a> {
    /// All.
    All,
    /// Those of the main agent.
    OfMainAgent,
    /// Those of this sub-agent.
    OfAgent(&'a str),
}

impl OpenCalls<'_> {
    fn holds(self, note: &Note) -> bool {
        match self {
            Self::All => true,
            Self::OfMainAgent => note.agent.is_none(),
            Self::OfAgent(agent) => note.agent.as_deref() == Some(&*agent_name(agent)),
        }
    }
}

/// What became of a call that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// It is recorded.
    Recorded,
    /// It was recorded before, so nothing was done.
    Before,
    /// Its finished line is stored, and a later process appends it to the day file, which could not be done now.
    Waits,
}

/// What is known about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallState {
    /// Nothing was told of it within the last day, or only that it was interrupted.
    Unknown,
    /// It has begun.
    Open,
    /// It is recorded with its outcome.
    Ended,
}

/// Records calls that begin in one process and end in another. Each method is complete when it returns; there is no
/// thread and nothing to close.
///
/// ```
/// # let home = tempfile::tempdir().unwrap();
/// use tooltrail::{Call, CallKey, Durability, Ended, Options, SessionCall};
///
/// let of = SessionCall { session: "agent/s-1", key: CallKey::Id("toolu_1"), agent: None };
/// let recorder = Options::new(home.path()).open_sessions()?;
/// recorder.begin(of, Call::new("alice", "Bash", r#"{"command":"ls"}"#), Durability::Grouped)?;
/// let ended = Call::new("alice", "Bash", r#"{"command":"ls"}"#).ok("a.txt");
/// assert_eq!(recorder.end(of, ended, Durability::Grouped)?, Ended::Recorded);
/// # Ok::<(), tooltrail::Error>(())
/// ```
#[derive(Debug)]
pub struct SessionRecorder {
    home: Home,
    encoder: Encoder,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    sealing: Option<Arc<dyn Sealing>>,
    /// Whether this process has waited for the append lock in vain. It does not wait again then.
    has_waited: AtomicBool,
}

impl SessionRecorder {
    pub(crate) fn new(
        home: Home,
        encoder: Encoder,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        sealing: Option<Arc<dyn Sealing>>,
    ) -> Self {
        Self { home, encoder, clock, random, sealing, has_waited: AtomicBool::new(false) }
    }

    /// Notes that a call begins. If it is never ended, it is recorded as `error`, `interrupted` when its session ends,
    /// or after a day. Does nothing if the call is known already.
    ///
    /// With [`Durability::Strict`], the note is durable when this returns.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn begin(&self, of: SessionCall<'_>, mut call: Call, durability: Durability) -> Result<(), Error> {
        call.outcome = None;
        let note = self.note(of.agent, call, false)?;
        let name = match of.key {
            CallKey::Id(id) => call_name(of.session, "id", id),
            CallKey::Alike(text) => self.fresh_name(of.session, text),
        };
        if self.is_claimed(&name)? || self.ended(&name)?.is_some() {
            return Ok(());
        }
        let path = [OWN_FOLDER, OPEN_FOLDER, &*name];
        self.io("create", &path, self.disk().create(&path, &note.encode(), durability == Durability::Strict))?;
        Ok(())
    }

    /// Records how a call ended, once: if it was ended before, nothing is recorded. A call that was recorded as
    /// `interrupted` is recorded a second time, with its outcome.
    ///
    /// Without a duration in the call, it is the time since its begin. What the begin told and the call does not (its
    /// model, its server and the like) is added. If the arguments differ from those at its begin, those are added to
    /// `extra` as `requested`.
    ///
    /// # Errors
    /// Any I/O error of the operating system. The call is not recorded then.
    pub fn end(&self, of: SessionCall<'_>, call: Call, durability: Durability) -> Result<Ended, Error> {
        match of.key {
            CallKey::Id(id) => self.end_known(of, call_name(of.session, "id", id), call, durability),
            CallKey::Alike(text) => {
                let mut names = self.open_names(&call_name(of.session, "alike", text))?;
                names.sort();
                for name in names {
                    // Another process may end the same one at the same time; then the next one is ours.
                    let ended = self.end_known(of, name, call.clone(), durability)?;
                    if ended != Ended::Before {
                        return Ok(ended);
                    }
                }
                self.end_known(of, self.fresh_name(of.session, text), call, durability)
            }
        }
    }

    /// Like [`SessionRecorder::end`], but does nothing if no such call is open that began before the time of `call`.
    /// Returns whether one was ended.
    ///
    /// # Errors
    /// As [`SessionRecorder::end`].
    pub fn end_if_open(&self, of: SessionCall<'_>, call: Call, durability: Durability) -> Result<bool, Error> {
        let mut names = match of.key {
            CallKey::Id(id) => vec![call_name(of.session, "id", id)],
            CallKey::Alike(text) => self.open_names(&call_name(of.session, "alike", text))?,
        };
        names.sort();
        for name in names {
            let began = self.open_note(&name)?.map(|note| note.at);
            let is_open = began.is_some_and(|began| call.ts.is_none_or(|ended| began <= ended));
            if is_open && self.end_known(of, name, call.clone(), durability)? != Ended::Before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns what is known about the call to which the client gave this id.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn state(&self, session: &str, id: &str) -> Result<CallState, Error> {
        let name = call_name(session, "id", id);
        if self.ended(&name)? == Some(true) || self.is_claimed(&name)? {
            return Ok(CallState::Ended);
        }
        let is_open = self.stat(&[OWN_FOLDER, OPEN_FOLDER, &*name])?.is_some();
        Ok(if is_open { CallState::Open } else { CallState::Unknown })
    }

    /// Whether calls of a session are open.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn has_open(&self, session: &str, which: OpenCalls<'_>) -> Result<bool, Error> {
        for name in self.open_names(&session_name(session))? {
            if self.open_note(&name)?.is_some_and(|note| which.holds(&note)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Records open calls of a session as `interrupted`, because their agent or session has ended. Returns how many.
    ///
    /// # Errors
    /// Any I/O error of the operating system. Calls that are not recorded then stay open.
    pub fn interrupt(&self, session: &str, which: OpenCalls<'_>, durability: Durability) -> Result<u64, Error> {
        let (mut interrupted, mut done) = (0, Ok(()));
        for name in self.open_names(&session_name(session))? {
            match self.interrupt_call(&name, which, durability) {
                Ok(was_open) => interrupted += u64::from(was_open),
                // One file that cannot be read is no reason to leave the others.
                Err(error) => done = done.and(Err(error)),
            }
        }
        done.map(|()| interrupted)
    }

    /// Records an open call as interrupted if it is meant. Returns whether it was open.
    fn interrupt_call(&self, name: &str, which: OpenCalls<'_>, durability: Durability) -> Result<bool, Error> {
        let Some(mut note) = self.open_note(name)? else { return Ok(false) };
        if !which.holds(&note) {
            return Ok(false);
        }
        if self.ended(name)?.is_some() {
            // The process that recorded it was killed before it removed this file.
            let path = [OWN_FOLDER, OPEN_FOLDER, name];
            self.io("remove", &path, self.disk().remove(&path))?;
            return Ok(false);
        }
        note.at = self.clock.now();
        note.from = self.day_len(&note.day)?;
        Ok(self.claim(name, note, durability)? != Ended::Before)
    }

    /// Records calls that earlier processes could not record completely: those whose process was killed in the middle,
    /// and those that nobody has ended for a day. The work of one call of this is bounded.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn settle(&self) -> Result<(), Error> {
        let settled = settle(&self.home, self.clock.now());
        settled.map_err(Error::io("settle the calls of sessions in", self.home.root()))
    }

    /// Seals the day files: with `all` everything, otherwise the files that have enough new lines or whose lines have
    /// waited for ten seconds. Does nothing without a folder of keys.
    pub fn seal(&self, all: bool) {
        let Some(sealing) = &self.sealing else { return };
        // A recorder that is at work seals by itself. One that was killed has lines that must be recovered first.
        let is_journaled = self.home.id().and_then(|id| {
            let held = waiting(self.disk(), &id).map_err(Error::io("read the journal of", self.home.root()))?;
            Ok(!held.is_empty())
        });
        if is_journaled.is_ok_and(|is| !is) {
            // What it finds is also found by the next recorder, which has a place for events.
            sealing.seal(if all { SealWhen::Closing } else { SealWhen::Due });
        }
    }

    /// Records that calls were lost, as a `tooltrail.gap`.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn record_lost(&self, why: LossReason, lost: u64) -> Result<(), Error> {
        let gap = Event::Gap { user: None, lost, why: vec![(why, lost)], token: None };
        let line = self.encoder.finished_own(&gap.into_call(None), self.clock.now());
        let Some(day) = line.day else { return Ok(()) };
        let note = Note {
            at: self.clock.now(),
            agent: None,
            is_finished: true,
            from: self.day_len(&day)?,
            day,
            line: line.text.into_bytes(),
        };
        self.claim(&self.fresh_name("tooltrail", "gap"), note, Durability::Grouped)?;
        Ok(())
    }

    /// Ends the call of this name.
    fn end_known(
        &self,
        of: SessionCall<'_>,
        mut name: String,
        mut call: Call,
        durability: Durability,
    ) -> Result<Ended, Error> {
        if let Some(is_finished) = self.ended(&name)? {
            if is_finished || is_interrupted(&call) {
                return Ok(Ended::Before);
            }
            name += LATE;
            if self.ended(&name)?.is_some() {
                return Ok(Ended::Before);
            }
        } else if !is_interrupted(&call) && self.is_claimed_unfinished(&name)? {
            // That it was interrupted is not in the day file yet, and cannot be taken back.
            name += LATE;
        }
        let open = self.open_note(&name)?;
        if let Some(open) = &open {
            fill(&mut call, &open.line);
        }
        if let (Some(open), None) = (&open, &call.duration_ms) {
            let ended = call.ts.unwrap_or_else(|| self.clock.now());
            let took = ended.as_millis() - open.at.as_millis();
            call.duration_ms = u64::try_from(took).ok().map(|ms| DurationMs::measured(Duration::from_millis(ms)));
        }
        let is_finished = !is_interrupted(&call);
        let mut note = self.note(of.agent, call.clone(), is_finished)?;
        if let Some(requested) = open.and_then(|open| requested(&open.line, &note.line)) {
            call.add_extra("requested", requested);
            note = self.note(of.agent, call, is_finished)?;
        }
        self.claim(&name, note, durability)
    }

    /// Makes this process the one that records a call, and records it.
    fn claim(&self, name: &str, note: Note, durability: Durability) -> Result<Ended, Error> {
        let path = [OWN_FOLDER, CLAIMS_FOLDER, name];
        if !self.io("create", &path, self.disk().create(&path, &note.encode(), false))? {
            return Ok(Ended::Before);
        }
        // Another process may have recorded the call between the look for it and the claim.
        if self.ended(name)?.is_some() {
            self.io("remove", &path, self.disk().remove(&path))?;
            return Ok(Ended::Before);
        }
        let wait = if self.has_waited.load(Ordering::Relaxed) { Duration::ZERO } else { LOCK_WAIT };
        match Appender::new(&self.home, self.sealing.as_deref(), wait).append(name, &note, self.clock.now(), durability)
        {
            Ok(()) => return Ok(Ended::Recorded),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                self.has_waited.store(true, Ordering::Relaxed)
            }
            Err(_) => {}
        }
        // The claim is now the only place of the line.
        let synced = self.disk().write(&path).and_then(|claim| claim.sync());
        self.io("sync", &path, synced.and_then(|()| self.disk().sync_folder(&[OWN_FOLDER, CLAIMS_FOLDER])))?;
        Ok(Ended::Waits)
    }

    fn note(&self, agent: Option<&str>, mut call: Call, is_finished: bool) -> Result<Note, Error> {
        let at = self.clock.now();
        call.ts.get_or_insert(at);
        let line = self.encoder.finished(call);
        let day = line.day.ok_or_else(|| Error::input("the call cannot be encoded", "report it with its arguments"))?;
        let from = self.day_len(&day)?;
        Ok(Note { at, agent: agent.map(agent_name), is_finished, day, from, line: line.text.into_bytes() })
    }

    /// Returns the note of an open call; `None` if there is none, or none that is whole.
    fn open_note(&self, name: &str) -> Result<Option<Note>, Error> {
        let path = [OWN_FOLDER, OPEN_FOLDER, name];
        let read = self.disk().open(&path).and_then(|file| file.map_or(Ok(None), |file| Note::read(&*file)));
        self.io("read", &path, read)
    }

    /// Returns the names of open calls that begin so.
    fn open_names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let path = [OWN_FOLDER, OPEN_FOLDER];
        let listed = self.io("list", &path, self.disk().list(&path))?;
        let files = listed.into_iter().filter(|listed| !listed.folder).map(|listed| listed.name);
        Ok(files.filter(|name| name.starts_with(prefix)).collect())
    }

    /// Returns a name that sorts after the earlier ones of the same text.
    fn fresh_name(&self, session: &str, text: &str) -> String {
        let mut bits = [0; 4];
        self.random.fill(&mut bits);
        format!("{}.{:012x}{}", call_name(session, "alike", text), self.clock.now().as_millis(), hex(&bits))
    }

    /// Returns whether a call was recorded within the last day, and if so, whether with its outcome.
    fn ended(&self, name: &str) -> Result<Option<bool>, Error> {
        let ended = ended_in(self.disk(), name, self.clock.now());
        ended.map_err(Error::io("look into", &self.home.root().join(OWN_FOLDER).join(ENDED_FOLDER)))
    }

    /// Whether a claim exists whose line does not say how the call ended.
    fn is_claimed_unfinished(&self, name: &str) -> Result<bool, Error> {
        let path = [OWN_FOLDER, CLAIMS_FOLDER, name];
        let read = self.disk().open(&path).and_then(|file| file.map_or(Ok(None), |file| Note::read(&*file)));
        Ok(self.io("read", &path, read)?.is_some_and(|note| !note.is_finished))
    }

    fn is_claimed(&self, name: &str) -> Result<bool, Error> {
        Ok(self.stat(&[OWN_FOLDER, CLAIMS_FOLDER, name])?.is_some())
    }

    fn day_len(&self, day: &(String, crate::clock::Date)) -> Result<u64, Error> {
        Ok(self.stat(&[&day.0, TRAIL_FOLDER, &day_name(day.1)])?.map_or(0, |stat| stat.len))
    }

    fn stat(&self, path: &[&str]) -> Result<Option<crate::disk::Stat>, Error> {
        self.io("look at", path, self.disk().stat(path))
    }

    fn io<T>(&self, action: &'static str, path: &[&str], done: std::io::Result<T>) -> Result<T, Error> {
        done.map_err(Error::io(action, &path.iter().fold(self.home.root().to_owned(), |path, name| path.join(name))))
    }

    fn disk(&self) -> &dyn Disk {
        &**self.home.disk()
    }
}

/// Adds to a call what the line of its begin tells and the call does not.
fn fill(call: &mut Call, begun: &[u8]) {
    let begun = std::str::from_utf8(begun).ok().and_then(|line| StoredEntry::parse(line.trim_end(), &Zone::UTC).ok());
    let Some(begun) = begun else { return };
    let fields = [
        (&mut call.session, begun.session),
        (&mut call.call_id, begun.call_id),
        (&mut call.agent, begun.agent),
        (&mut call.model, begun.model),
        (&mut call.client, begun.client),
        (&mut call.server, begun.server),
    ];
    for (field, known) in fields {
        if field.is_none() {
            *field = known;
        }
    }
    let extra = begun.other.into_iter().filter(|(name, _)| name == "extra");
    for (_, json) in extra {
        for (name, value) in members(&json).into_iter().flatten() {
            if !call.extra.iter().any(|(known, _)| *known == name) {
                call.add_extra(&name, value.to_owned());
            }
        }
    }
}

/// Whether the outcome of a call is that nobody knows it.
fn is_interrupted(call: &Call) -> bool {
    call.outcome
        .as_ref()
        .is_none_or(|outcome| outcome.status == Status::Error && matches!(outcome.reason, Some(Reason::Interrupted)))
}
