//! Our own events: entries that tooltrail itself adds to the trail.

use crate::call::{Call, Outcome, Status};
use crate::home::SYSTEM_USER;
use crate::json::push_string;
use crate::record::loss::LossReason;

/// An event that tooltrail itself records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Calls were lost: `tooltrail.gap`.
    Gap {
        /// The user of the calls, if they are of one known user.
        user: Option<String>,
        /// The number of lost calls.
        lost: u64,
        /// The reasons, each with its number of lost calls.
        why: Vec<(LossReason, u64)>,
        /// The name of the sender's token, if the sender reported the loss.
        token: Option<String>,
    },
    /// The trail was read: `tooltrail.read`. Repeated reads within a minute are recorded as one more entry with a
    /// count.
    Read {
        /// The user of the token.
        user: Option<String>,
        /// The name of the token.
        token: String,
        /// The kind of read: `recent`, `stats`, `users`, …
        what: String,
        /// The query as text.
        query: String,
    },
    /// The service has started: `tooltrail.start`.
    Start {
        /// The version of the service.
        version: String,
    },
    /// The service has stopped: `tooltrail.stop`.
    Stop,
    /// The files of a day are about to be removed: `tooltrail.prune`.
    Prune {
        /// The day.
        day: String,
        /// The number of files, of all users.
        files: u64,
        /// The number of entries.
        entries: u64,
        /// The number of bytes.
        bytes: u64,
        /// The limit that the day exceeds.
        limit: &'static str,
        /// The part of tooltrail that removes it: a command, or the service.
        by: String,
    },
    /// Entries were erased: `tooltrail.erase`. It names neither the entries nor their user.
    Erase {
        /// The number of entries that were overwritten.
        entries: u64,
        /// The number of day files that were removed.
        files: u64,
        /// Who asked for it.
        by: String,
        /// Why.
        why: String,
    },
    /// The tools that a server offers are others than before: `tooltrail.tools`.
    Tools {
        /// The user whose agent uses the server.
        user: Option<String>,
        /// The name of the server.
        server: String,
        /// The tools that were not there before.
        added: Vec<String>,
        /// The tools that are gone.
        removed: Vec<String>,
        /// The tools whose definitions are others now.
        changed: Vec<String>,
        /// What added and changed definitions speak about besides their tool, if they do.
        signs: Vec<(String, Vec<String>)>,
    },
    /// There is a problem with a file: `tooltrail.incident`.
    Incident {
        /// What happened, in a few words.
        what: String,
        /// Details, for example where and how much, as names and values.
        facts: Vec<(String, String)>,
    },
}

impl Event {
    /// Returns the event as a call. `count` is the number of equal events that the call stands for, if it stands for
    /// several.
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
            Self::Erase { entries, files, by, why } => {
                let mut args = Args::default();
                args.number("entries", entries);
                args.number("files", files);
                args.string("by", &by);
                args.string("why", &why);
                (system(), "erase", args)
            }
            Self::Tools { user, server, added, removed, changed, signs } => {
                let mut args = Args::default();
                args.string("server", &server);
                for (name, tools) in [("added", &added), ("removed", &removed), ("changed", &changed)] {
                    args.raw(name, &list(tools));
                }
                if !signs.is_empty() {
                    let mut of_tools = Args::default();
                    signs.iter().for_each(|(tool, signs)| of_tools.raw(tool, &list(signs)));
                    args.raw("signs", &of_tools.done());
                }
                (user.unwrap_or_else(system), "tools", args)
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

/// Returns texts as a JSON list.
fn list(texts: &[String]) -> String {
    let mut out = "[".to_owned();
    for (n, text) in texts.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        push_string(&mut out, text);
    }
    out + "]"
}

/// The members of the args of an event, as JSON.
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
