//! What the lines of a session file say, by the agent that wrote it.

mod claude_code;
mod codex;
mod content;
mod pi;

use serde_json::Value;
use tooltrail::{Reason, Timestamp, Zone};

pub(super) use content::text_of;

/// An agent whose session files are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Format {
    ClaudeCode,
    Codex,
    Pi,
}

/// What a line says about tool calls.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Call(Asked),
    Result(Answered),
}

/// A call that the model asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) call_id: String,
    pub(super) tool: String,
    /// The arguments as JSON text.
    pub(super) args: String,
    pub(super) ts: Option<Timestamp>,
    pub(super) model: Option<String>,
    /// The sub-agent that made the call.
    pub(super) agent: Option<String>,
}

/// The result of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answered {
    pub(super) call_id: String,
    pub(super) text: String,
    pub(super) ts: Option<Timestamp>,
    /// Why the call is not ok, if it is not.
    pub(super) reason: Option<Reason>,
    /// Whether it was refused before it ran.
    pub(super) denied: bool,
}

/// What a file says about itself in some of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) id: Option<String>,
    pub(super) version: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) model: Option<String>,
}

impl Format {
    /// All formats.
    pub(crate) const ALL: [Self; 3] = [Self::ClaudeCode, Self::Codex, Self::Pi];

    /// Returns the name of the agent, as `client` has it in the trail.
    pub(crate) const fn client(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::Pi => "pi",
        }
    }

    /// Whether a line is one of this agent's session files and of nothing else.
    pub(super) fn is_sure_of(self, line: &Value) -> bool {
        match self {
            Self::ClaudeCode => claude_code::is_line(line),
            Self::Codex => codex::is_line(line),
            Self::Pi => pi::is_line(line),
        }
    }

    /// Reads a line: what it says about calls, and about the session. Returns `None` if the line is of no known kind.
    pub(super) fn read(self, line: &Value, session: &mut Session) -> Option<Vec<Said>> {
        match self {
            Self::ClaudeCode => claude_code::read(line, session),
            Self::Codex => codex::read(line, session),
            Self::Pi => pi::read(line, session),
        }
    }
}

/// Returns a member that is a text.
fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Returns the time in a member.
fn time(value: &Value, name: &str) -> Option<Timestamp> {
    Timestamp::parse(value.get(name)?.as_str()?, &Zone::UTC).ok()
}

/// Keeps the first value that is told.
fn keep(known: &mut Option<String>, told: Option<String>) {
    if known.is_none() {
        *known = told;
    }
}
