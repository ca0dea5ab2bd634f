//! Copilot CLI, as version 1.0.102 sends the events. They have no id of a call, and most do not tell their own name.

use std::path::PathBuf;

use tooltrail::{Call, Outcome, Reason};

use crate::hook::client::Client;
use crate::hook::clients::result;
use crate::hook::event::Event;
use crate::hook::told::{Ends, Key, Step, Told, call, key};

/// How the output of a command tells its exit code.
const EXIT_CODE: &str = " completed with exit code ";

/// How the errors of calls that were never made begin or end.
const UNKNOWN_TOOL: &str = " does not exist";

/// Whether this is an event that Copilot sends to the hooks of Claude Code in a repository: it has the names of Claude
/// Code's members, but a time and no id of the call.
pub(super) fn is_its_event_for_claude(event: &Event<'_>) -> bool {
    event.json("timestamp").is_some() && event.json("tool_use_id").is_none() && event.json("transcript_path").is_none()
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
        "agentStop" | "Stop" | "subagentStop" | "SubagentStop" => {
            steps.extend(look);
            steps.push(Step::Interrupt(Ends::Turn));
        }
        "sessionEnd" | "SessionEnd" | "sessionStart" | "SessionStart" => steps.push(Step::Interrupt(Ends::Session)),
        _ => {}
    }
    let agent = event.first_text(&["agentId", "agent_id"]);
    Told { session: event.first_text(&["sessionId", "session_id"]), agent, cwd: event.text("cwd"), steps }
}

fn asked(event: &Event<'_>) -> Option<(Key, Call)> {
    let tool = event.first_text(&["toolName", "tool_name"])?;
    let args = event.first_json(&["toolArgs", "tool_input"]).unwrap_or_default();
    // Older versions send the arguments as a text that holds JSON.
    let held = crate::hook::event::text(args).filter(|text| text.starts_with('{'));
    let args = held.as_deref().unwrap_or(args);
    let key = key(None, &tool, args);
    Some((key, call(event, tool, args)))
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
        _ if text.ends_with('>') && result::failed_with(&text, EXIT_CODE) => Outcome::error(text),
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
