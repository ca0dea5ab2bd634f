//! What an event tells.

use std::path::PathBuf;

use serde_json::Value;
use tooltrail::{Call, DurationMs, Outcome, Reason, Via};

use crate::hook::event::Event;
use crate::mcp::gate::hook_name_parts;

/// What an event tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The session, as the client calls it.
    pub(crate) session: Option<String>,
    /// The sub-agent whose calls these are.
    pub(crate) agent: Option<String>,
    /// The name and the id of the sub-agent, as entries have them.
    pub(crate) label: Option<String>,
    /// The folder in which the client works.
    pub(crate) cwd: Option<String>,
    pub(crate) steps: Vec<Step>,
}

impl Told {
    /// Returns what an event in the shape of Claude Code's tells.
    pub(crate) fn of(event: &Event<'_>, steps: Vec<Step>) -> Self {
        let (session, agent) = (event.text("session_id"), event.text("agent_id"));
        Self { session, agent, cwd: event.text("cwd"), label: label(event), steps }
    }
}

/// One thing that an event tells.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A call is about to be made. Rules may refuse it.
    Begin(Key, Box<Call>),
    /// A call has ended.
    End(Key, Box<Call>),
    /// Like [`Step::End`], but nothing is known of a call that is not open.
    EndIfOpen(Key, Box<Call>),
    /// A call has ended, but the event does not tell how. The session file may.
    EndAsTold(Key, Box<Call>, Option<PathBuf>),
    /// Something has ended, and with it the calls whose outcome nobody told.
    Interrupt(Ends),
    /// The session file may tell of calls that no event tells of.
    LookInto(PathBuf),
}

/// What tells a call from the others of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The client's id of the call.
    Id(String),
    /// The client gives no id, but this is the same in all events of a call.
    Alike(String),
}

/// What has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The session.
    Session,
    /// The turn of the main agent, or of the sub-agent that the event names.
    Turn,
}

/// Returns a call of a tool with these arguments, as JSON text.
pub(crate) fn call(event: &Event<'_>, tool: String, args: &str) -> Call {
    let mut call = Call::new("", tool, args);
    call.via = Via::Hook;
    call.session = event.first_text(&["session_id", "sessionId", "conversation_id"]);
    call.model = event.text("model");
    call.agent = label(event);
    call.server = hook_name_parts(&call.tool).map(|(server, _)| server.to_owned());
    for name in ["cwd", "permission_mode", "prompt_id"] {
        if let Some(text) = event.text(name) {
            call.add_extra(name, Value::from(text).to_string());
        }
    }
    call
}

/// Returns the call that the members `tool_name`, `tool_input` and `tool_use_id` of `told` name.
pub(crate) fn asked(event: &Event<'_>, told: &Event<'_>) -> Option<(Key, Call)> {
    let tool = told.text("tool_name")?;
    let args = told.json("tool_input").unwrap_or_default();
    let id = told.text("tool_use_id");
    let key = key(id.as_deref(), &tool, args);
    let mut call = call(event, tool, args);
    call.call_id = id;
    if let Some(server) = event.object("mcp_server").and_then(|server| server.text("name")) {
        call.server = Some(server);
    }
    Some((key, call))
}

/// Returns the key of a call: the client's id, else what is the same in all its events.
pub(crate) fn key(id: Option<&str>, tool: &str, args: &str) -> Key {
    match id {
        Some(id) => Key::Id(id.to_owned()),
        None => {
            // Clients may change the order of members.
            let args = serde_json::from_str::<Value>(args).map_or_else(
                |_| args.to_owned(),
                |mut args| {
                    args.sort_all_objects();
                    args.to_string()
                },
            );
            Key::Alike(format!("{tool} {args}"))
        }
    }
}

/// Returns the name and the id of the sub-agent that makes the call.
pub(crate) fn label(event: &Event<'_>) -> Option<String> {
    let id = event.first_text(&["agent_id", "agentId", "subagent_id"]);
    let kind = event.first_text(&["agent_type", "agentType", "subagent_type"]);
    match (kind, id) {
        (Some(kind), Some(id)) => Some(format!("{kind}/{id}")),
        (kind, id) => id.or(kind),
    }
}

/// Returns the duration in a member that is a number of milliseconds.
pub(crate) fn duration(event: &Event<'_>, name: &str) -> Option<DurationMs> {
    DurationMs::received(event.json(name)?)
}

/// Returns the outcome of a call that was refused with this text.
pub(crate) fn refused(reason: Reason, text: String) -> Outcome {
    let mut outcome = Outcome::denied(reason);
    outcome.error = Some(text);
    outcome
}
