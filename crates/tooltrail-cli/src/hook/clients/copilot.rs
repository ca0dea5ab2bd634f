//! Copilot CLI, as version 1.0.102 sends the events. They have no id of a call, and most do not tell their own name.

use std::path::PathBuf;

use tooltrail::{Call, Outcome, Reason};

use crate::hook::client::Client;
use crate::hook::clients::result;
use crate::hook::event::Event;
use crate::hook::told::{Ends, Key, Step, Told, call, key, label};

/// How the output of a command tells its exit code.
const EXIT_CODE: (&str, &str) = (" completed with exit code ", ">");

/// How the errors of calls that were never made begin or end.
const UNKNOWN_TOOL: &str = " does not exist";

/// Whether this is an event that Copilot sends to the hooks of Claude Code in a repository: it has the names of Claude
/// Code's members, but a time and no id of the call.
pub(super) fn is_its_event_for_claude(event: &Event<'_>) -> bool {
    event.json("timestamp").is_some() && event.json("tool_use_id").is_none()
}

/// Returns the name of an event that does not tell it.
pub(super) fn guess(client: Client, event: &Event<'_>) -> Option<&'static str> {
    let has = |name: &str| event.json(name).is_some();
    if client != Client::Copilot {
        None
    } else if has("toolResult") {
        Some("postToolUse")
    } else if has("toolName") && has("error") {
        Some("postToolUseFailure")
    } else if has("toolName") && has("toolArgs") {
        Some("preToolUse")
    } else if has("stopReason") {
        Some("agentStop")
    } else {
        None
    }
}

pub(super) fn read(name: &str, event: &Event<'_>) -> Told {
    let look = event.first_text(&["transcriptPath", "transcript_path"]).map(|path| Step::LookInto(PathBuf::from(path)));
    let end = |outcome: Outcome| asked(event).map(|(key, call)| Step::End(key, Box::new(call.ended(outcome))));
    let mut steps = Vec::new();
    match name {
        "preToolUse" | "PreToolUse" => {
            steps.extend(asked(event).map(|(key, call)| Step::Begin(key, Box::new(call))));
        }
        "postToolUse" | "PostToolUse" => steps.extend(end(outcome(event))),
        "postToolUseFailure" | "PostToolUseFailure" => steps.extend(end(failure(event))),
        "subagentStop" | "SubagentStop" if event.first_text(&["agentId", "agent_id"]).is_none() => {}
        "agentStop" | "Stop" | "subagentStop" | "SubagentStop" => {
            steps.extend(look);
            steps.push(Step::Interrupt(Ends::Turn));
        }
        "sessionEnd" | "SessionEnd" | "sessionStart" | "SessionStart" => steps.push(Step::Interrupt(Ends::Session)),
        _ => {}
    }
    let agent = event.first_text(&["agentId", "agent_id"]);
    Told { session: session(event), agent, cwd: event.text("cwd"), label: label(event), steps }
}

fn asked(event: &Event<'_>) -> Option<(Key, Call)> {
    let tool = event.first_text(&["toolName", "tool_name"])?;
    let args = event.first_json(&["toolArgs", "tool_input"]).unwrap_or_default();
    // Older versions send the arguments as a text that holds JSON.
    let held = crate::hook::event::text(args).filter(|text| text.starts_with('{'));
    let args = held.as_deref().unwrap_or(args);
    let agent = event.first_text(&["agentId", "agent_id"]);
    let key = key_of(agent.as_deref(), &tool, args);
    let mut call = call(event, tool, args);
    call.session = session(event);
    Some((key, call))
}

/// Returns the key of a call. The main agent and a sub-agent may make equal calls at the same time.
pub(crate) fn key_of(agent: Option<&str>, tool: &str, args: &str) -> Key {
    key(None, &format!("{} {tool}", agent.unwrap_or_default()), args)
}

/// Returns the session. The calls of a sub-agent have its own id there, and beside it that of the main agent's session.
fn session(event: &Event<'_>) -> Option<String> {
    let session = event.first_text(&["sessionId", "session_id"]);
    let parent = event.first_text(&["parentAgentId", "parent_agent_id"]);
    let is_own = session.is_some() && session == event.first_text(&["agentId", "agent_id"]);
    parent.filter(|_| is_own).or(session)
}

fn outcome(event: &Event<'_>) -> Outcome {
    let Some(given) = event.object("toolResult").or_else(|| event.object("tool_result")) else {
        return result::ok(event.first_json(&["toolResult", "tool_result", "tool_response"]));
    };
    let text = given.first_text(&["textResultForLlm", "text_result_for_llm"]).unwrap_or_default();
    match given.first_text(&["resultType", "result_type"]).as_deref() {
        Some("denied") => crate::hook::told::refused(Reason::Policy, text),
        Some("rejected") => crate::hook::told::refused(Reason::UserRefused, text),
        Some("failure" | "error") => Outcome::error(text),
        Some("timeout") => Outcome::failed(Reason::Timeout, text),
        // The last line tells how a command of the shell ended.
        _ if result::failed_with(&text, EXIT_CODE, 1) => Outcome::error(text),
        _ => Outcome::ok(text),
    }
}

fn failure(event: &Event<'_>) -> Outcome {
    let error = event.text("error").or_else(|| event.object("error")?.text("message")).unwrap_or_default();
    if error.starts_with("Tool '") && error.trim_end_matches('.').ends_with(UNKNOWN_TOOL) {
        Outcome::failed(Reason::UnknownTool, error)
    } else if error.starts_with('"') && error.contains("\": ") {
        // The message of the check against the tool's schema: `"command": Required`.
        Outcome::failed(Reason::InvalidArgs, error)
    } else {
        Outcome::error(error)
    }
}
