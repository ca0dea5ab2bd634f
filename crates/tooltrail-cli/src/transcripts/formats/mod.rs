//! What the lines of a session file say, by the agent that wrote it.

mod claude_code;
mod codex;
mod content;
mod copilot;
mod gemini;
mod pi;

use std::collections::HashSet;

use serde_json::Value;
use tooltrail::{Reason, Timestamp, Zone};

pub(crate) use claude_code::words as claude_code_words;
pub(crate) use content::text_of;

/// An agent whose session files are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Format {
    ClaudeCode,
    Codex,
    Gemini,
    Copilot,
    Pi,
}

/// What a line says about tool calls.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Call(Asked),
    Result(Answered),
    /// A call or a result that lacks something, and what it lacks.
    Malformed(&'static str),
}

/// What is said of a call and of a result that cannot be joined with anything.
pub(super) const CALL_LACKS: &str = "a tool call without an id or a name";
pub(super) const RESULT_LACKS: &str = "a result that does not say of which call";

/// A call that the model asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) call_id: String,
    pub(super) tool: String,
    /// The arguments as JSON text.
    pub(super) args: String,
    /// The characters of the whole arguments, if only their beginning is kept.
    pub(super) args_chars: Option<u64>,
    pub(super) ts: Option<Timestamp>,
    pub(super) model: Option<String>,
    /// The sub-agent that made the call.
    pub(super) agent: Option<String>,
    /// The server of the tool, where the line names it.
    pub(super) server: Option<String>,
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
    /// The sub-agent whose file it is.
    pub(super) agent: Option<String>,
    /// The calls that failed, of which the result does not say so.
    pub(super) failed: HashSet<String>,
    /// The calls that a person refused, of which the result does not say so.
    pub(super) refused: HashSet<String>,
    /// The calls that were told, in a file that tells the same calls several times.
    pub(super) told: HashSet<String>,
    /// The time of the last line that has one.
    pub(super) last_ts: Option<Timestamp>,
}

impl Format {
    /// All formats.
    pub(crate) const ALL: [Self; 5] = [Self::ClaudeCode, Self::Codex, Self::Gemini, Self::Copilot, Self::Pi];

    /// Returns the name of the agent, as `client` has it in the trail.
    pub(crate) const fn client(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Copilot => "copilot",
            Self::Pi => "pi",
        }
    }

    /// Returns whose session files have such a line, and nothing else has.
    pub(super) fn of_line(line: &Value) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.is_sure_of(line))
    }

    fn is_sure_of(self, line: &Value) -> bool {
        match self {
            Self::ClaudeCode => claude_code::is_line(line),
            Self::Codex => codex::is_line(line),
            Self::Gemini => gemini::is_line(line),
            Self::Copilot => copilot::is_line(line),
            Self::Pi => pi::is_line(line),
        }
    }

    /// Reads a line: what it says about calls, and about the session. Returns `None` if the line is of no known kind.
    pub(super) fn read(self, line: &Value, session: &mut Session) -> Option<Vec<Said>> {
        session.last_ts = time(line, "timestamp").or(session.last_ts);
        match self {
            Self::ClaudeCode => claude_code::read(line, session),
            Self::Codex => codex::read(line, session),
            Self::Gemini => gemini::read(line, session),
            Self::Copilot => copilot::read(line, session),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Format, Session};

    /// Lines of each format.
    const LINES: [&str; 6] = [
        r#"{"type":"assistant","sessionId":"s","message":{"content":[{"type":"tool_use","id":"t","name":"Bash","input":{}}]}}"#,
        r#"{"type":"user","sessionId":"s","toolDenialKind":"x","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":"x","is_error":true}]}}"#,
        r#"{"type":"response_item","payload":{"type":"function_call_output","call_id":"c","output":"unsupported call: x"}}"#,
        r#"{"type":"event_msg","payload":{"type":"item_completed","item":{"id":"c","status":"failed"}}}"#,
        r#"{"$set":{"messages":[{"type":"gemini","toolCalls":[{"id":"i","name":"n","args":{},"status":"error","result":[{"functionResponse":{"response":{"error":"e"}}}]}]}]}}"#,
        r#"{"type":"tool.execution_complete","id":"e","timestamp":"t","data":{"toolCallId":"c","success":false,"error":{"code":"denied","message":"m"}}}"#,
    ];

    proptest! {
        /// Lines in which some bytes are changed, as damaged files have them: nothing panics.
        #[test]
        fn lines_of_any_shape_are_read(line in 0..LINES.len(), changes: Vec<(u16, u8)>) {
            let mut bytes = LINES[line].as_bytes().to_vec();
            let length = bytes.len();
            for (at, byte) in changes {
                bytes[usize::from(at) % length] = byte;
            }
            if let Ok(value) = serde_json::from_slice(&bytes) {
                for format in Format::ALL {
                    format.read(&value, &mut Session::default());
                }
            }
        }
    }
}
