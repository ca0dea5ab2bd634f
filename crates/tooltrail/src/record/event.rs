//! Our own events: what the trail says about itself.

use crate::call::{Call, Outcome, Status};
use crate::home::SYSTEM_USER;
use crate::json::push_string;
use crate::record::loss::LossReason;

/// Something that tooltrail itself records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Calls were lost before they could be recorded: `tooltrail.gap`.
    Gap {
        /// Whose, where one user is known.
        user: Option<String>,
        /// How many.
        lost: u64,
        /// Why, and how many for each reason.
        why: Vec<(LossReason, u64)>,
        /// The name of the token of a sender that said so.
        token: Option<String>,
    },
    /// Somebody read the trail: `tooltrail.read`. Repeats within a minute become one more entry with a count.
    Read {
        /// The token's user.
        user: Option<String>,
        /// The token's name.
        token: String,
        /// What was read: `recent`, `stats`, `users`, …
        what: String,
        /// The question as text.
        query: String,
    },
    /// The service began: `tooltrail.start`.
    Start {
        /// Its version.
        version: String,
    },
    /// The service ended: `tooltrail.stop`.
    Stop,
    /// A day's files are about to be removed: `tooltrail.prune`.
    Prune {
        /// Which day.
        day: String,
        /// How many files, of all users.
        files: u64,
        /// How many entries.
        entries: u64,
        /// How many bytes.
        bytes: u64,
        /// Over which limit it is.
        limit: &'static str,
        /// Who does it: a command, or the service.
        by: String,
    },
    /// Something is wrong with a file: `tooltrail.incident`.
    Incident {
        /// What happened, in a word or two.
        what: String,
        /// Where and how much: names and values.
        facts: Vec<(String, String)>,
    },
}

impl Event {
    /// Returns the event as a call; `count` tells of how many equal events it stands for, where it is not one.
    pub(crate) fn into_call(self, count: Option<u64>) -> Call {
        let system = || SYSTEM_USER.to_owned();
        let (user, tool, mut args) = match self {
            Self::Gap { user, lost, why, token } => {
                let mut reasons = Args::default();
                for (reason, count) in &why {
                    reasons.number(reason.as_str(), *count);
                }
                let mut args = Args::default();
                args.number("lost", lost);
                args.raw("why", &reasons.done());
                if let Some(token) = token {
                    args.string("token", &token);
                }
                (user.unwrap_or_else(system), "gap", args)
            }
            Self::Read { user, token, what, query } => {
                let mut args = Args::default();
                args.string("token", &token);
                args.string("what", &what);
                args.string("query", &query);
                (user.unwrap_or_else(system), "read", args)
            }
            Self::Start { version } => {
                let mut args = Args::default();
                args.string("version", &version);
                (system(), "start", args)
            }
            Self::Stop => (system(), "stop", Args::default()),
            Self::Prune { day, files, entries, bytes, limit, by } => {
                let mut args = Args::default();
                args.string("day", &day);
                args.number("files", files);
                args.number("entries", entries);
                args.number("bytes", bytes);
                args.string("limit", limit);
                args.string("by", &by);
                (system(), "prune", args)
            }
            Self::Incident { what, facts } => {
                let mut args = Args::default();
                args.string("what", &what);
                for (name, value) in &facts {
                    args.string(name, value);
                }
                (system(), "incident", args)
            }
        };
        if let Some(count) = count {
            args.number("count", count);
        }
        let status = if matches!(tool, "gap" | "incident") { Status::Error } else { Status::Ok };
        let outcome = Outcome { status, ..Outcome::default() };
        Call::new(user, format!("tooltrail.{tool}"), args.done()).ended(outcome)
    }
}

/// The members of an event's args.
#[derive(Default)]
struct Args(String);

impl Args {
    fn raw(&mut self, name: &str, json: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        push_string(&mut self.0, name);
        self.0.push(':');
        self.0.push_str(json);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.raw(name, &value.to_string());
    }

    fn string(&mut self, name: &str, value: &str) {
        self.raw(name, "");
        push_string(&mut self.0, value);
    }

    fn done(self) -> String {
        if self.0.is_empty() { "{}".to_owned() } else { self.0 + "}" }
    }
}
