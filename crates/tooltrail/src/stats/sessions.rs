//! The sessions of agents: whose, in which program, when, and how many calls failed or were denied.

use std::collections::HashMap;

use super::calls::count_calls;
use super::counting::{CountCalls, Grain, Sources};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::query::Question;
use crate::read::{Scanned, Skipped, Trail};
use crate::rollup::{SessionRow, Sighting};

/// The most sessions that are counted, about 200 bytes each. Calls of further ones are left out, and the answer says so.
const SESSIONS_MAX: usize = 200_000;

/// The newest sessions.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Sessions {
    /// The sessions whose last call is the newest first, as many as the question's limit.
    pub sessions: Vec<SessionSummary>,
    /// The number of all sessions in the range.
    pub total: u64,
    /// Counts of lines that are not entries.
    pub skipped: Skipped,
    /// How much was read.
    pub scanned: Scanned,
    /// Where the numbers are from.
    pub sources: Sources,
    /// The first ten files and folders that could not be read, by their paths below the home.
    pub unreadable_names: Vec<String>,
    /// False if a limit was reached or something could not be read.
    pub complete: bool,
}

/// One session: a conversation or run, as the agent names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionSummary {
    /// Its name.
    pub session: String,
    /// Whose it is.
    pub user: String,
    /// The program, if it is known: the longest name that its calls give.
    pub client: Option<String>,
    /// When its first call in the range began.
    pub begin: Timestamp,
    /// When its last call in the range ended.
    pub end: Timestamp,
    /// Its calls in the range.
    pub calls: u64,
    /// The calls that failed.
    pub errors: u64,
    /// The calls that were denied.
    pub denied: u64,
}

impl SessionSummary {
    /// Returns a session without calls, to be filled.
    #[must_use]
    pub fn new(session: impl Into<String>, user: impl Into<String>, begin: Timestamp, end: Timestamp) -> Self {
        let (session, user) = (session.into(), user.into());
        Self { session, user, client: None, begin, end, calls: 0, errors: 0, denied: 0 }
    }
}

#[derive(Default)]
struct Counting {
    /// The sessions by user and name.
    sessions: HashMap<(Box<str>, Box<str>), SessionRow>,
    left_out: bool,
}

impl Counting {
    fn session(&mut self, user: &str, session: &str) -> Option<&mut SessionRow> {
        let key = (user.into(), session.into());
        if self.sessions.len() >= SESSIONS_MAX && !self.sessions.contains_key(&key) {
            self.left_out = true;
            return None;
        }
        Some(self.sessions.entry(key).or_default())
    }
}

impl CountCalls for Counting {
    const WANTS_CLIENTS: bool = true;

    fn grain(&self) -> Grain {
        Grain::Session
    }

    fn see(&mut self, sighting: &Sighting) {
        let Some(session) = &sighting.session else { return };
        if let Some(row) = self.session(&sighting.user, session) {
            row.see_sighting(sighting);
        }
    }

    fn count(&mut self, call: &Sighting) {
        let Some(session) = &call.session else { return };
        if let Some(row) = self.session(&call.user, session) {
            row.count(call.status);
        }
    }

    fn count_session(&mut self, user: &str, session: &str, row: &SessionRow) {
        if let Some(known) = self.session(user, session) {
            known.merge(row);
        }
    }
}

/// Returns a session as it is answered.
fn summary(((user, session), row): ((Box<str>, Box<str>), SessionRow)) -> SessionSummary {
    SessionSummary {
        session: session.into(),
        user: user.into(),
        client: row.client.map(Into::into),
        begin: Timestamp::from_millis(row.begin_ms),
        end: Timestamp::from_millis(row.end_ms),
        calls: row.calls,
        errors: row.errors,
        denied: row.denied,
    }
}

impl Trail {
    /// Returns the newest sessions of the matching calls, as many as the question's limit; the cursor is ignored. Calls
    /// count as in [`Trail::stats`].
    ///
    /// # Errors
    /// As [`Trail::recent`].
    pub fn sessions(&self, question: &Question) -> Result<Sessions, Error> {
        let mut counting = Counting::default();
        let read = count_calls(self, question, &mut counting)?;
        // A session of which no entry counts as a call has none.
        let sessions = counting.sessions.into_iter().filter(|(_, row)| row.calls > 0);
        let mut sessions = sessions.map(summary).collect::<Vec<_>>();
        let total = sessions.len() as u64;
        sessions.sort_by(|a, b| b.end.cmp(&a.end).then_with(|| (&a.user, &a.session).cmp(&(&b.user, &b.session))));
        sessions.truncate(question.limit);
        let complete = read.complete && !counting.left_out;
        let (skipped, scanned, unreadable_names) = (read.skipped, read.scanned, read.unreadable_names);
        let sources = read.sources;
        Ok(Sessions { sessions, total, skipped, scanned, sources, unreadable_names, complete })
    }
}
