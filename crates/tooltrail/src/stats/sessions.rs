//! The sessions of agents: whose, in which program, when, and how many calls failed or were denied.

use std::collections::HashMap;

use super::calls::count_calls;
use super::counting::CountCalls;
use crate::call::Status;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::query::Question;
use crate::read::{Scanned, Skipped, Trail};
use crate::rollup::Sighting;

/// The most sessions that are counted, about 200 bytes each. Calls of further ones are left out, and the answer says so.
const SESSIONS_MAX: usize = 200_000;

/// The newest sessions.
#[derive(Clone, Debug)]
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

#[derive(Default)]
struct Counting {
    /// The sessions by user and name.
    sessions: HashMap<(Box<str>, Box<str>), SessionSummary>,
    left_out: bool,
}

impl CountCalls for Counting {
    const WANTS_CLIENTS: bool = true;

    fn count(&mut self, call: &Sighting) {
        let Some(name) = &call.session else { return };
        let key = (call.user.clone(), name.clone());
        if self.sessions.len() >= SESSIONS_MAX && !self.sessions.contains_key(&key) {
            self.left_out = true;
            return;
        }
        let (begin, end) = (Timestamp::from_millis(call.began_ms()), Timestamp::from_millis(call.ended_ms));
        let session = self.sessions.entry(key).or_insert_with(|| SessionSummary {
            session: name.to_string(),
            user: call.user.to_string(),
            client: None,
            begin,
            end,
            calls: 0,
            errors: 0,
            denied: 0,
        });
        session.begin = session.begin.min(begin);
        session.end = session.end.max(end);
        session.calls += 1;
        session.errors += u64::from(call.status == Status::Error);
        session.denied += u64::from(call.status == Status::Denied);
        // A sub-agent's calls may name the program without its version.
        let knows_more = |client: &str| {
            session.client.as_ref().is_none_or(|known| client.len() > known.len() && client.starts_with(known.as_str()))
        };
        if let Some(client) = call.client.as_deref().filter(|client| knows_more(client)) {
            session.client = Some(client.to_owned());
        }
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
        let mut sessions = counting.sessions.into_values().collect::<Vec<_>>();
        let total = sessions.len() as u64;
        sessions.sort_by(|a, b| b.end.cmp(&a.end).then_with(|| (&a.user, &a.session).cmp(&(&b.user, &b.session))));
        sessions.truncate(question.limit);
        let complete = read.complete && !counting.left_out;
        let (skipped, scanned, unreadable_names) = (read.skipped, read.scanned, read.unreadable_names);
        Ok(Sessions { sessions, total, skipped, scanned, unreadable_names, complete })
    }
}
