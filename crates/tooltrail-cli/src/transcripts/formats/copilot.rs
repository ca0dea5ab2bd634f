//! Copilot CLI: `~/.copilot/session-state/SESSION/events.jsonl`, one object per event.

use serde_json::Value;
use tooltrail::Reason;

use crate::transcripts::formats::{
    Answered, Asked, CALL_LACKS, RESULT_LACKS, Said, Session, keep, text, text_of, time,
};

/// How Copilot words calls that were refused or never made.
const REFUSED_BY_HOOK: &str = "Denied by preToolUse hook";
const REFUSAL_OF_USER: &str = "The user rejected this tool call";
const UNKNOWN_TOOL: &str = " does not exist";

/// What it says of a permission that a person did not give.
const REFUSED_BY_USER: &str = "denied-interactively-by-user";

pub(super) fn is_line(line: &Value) -> bool {
    let groups = ["session.", "assistant.", "user.", "tool.", "permission.", "hook.", "system.", "subagent."];
    let is_event = line["type"].as_str().is_some_and(|kind| groups.iter().any(|group| kind.starts_with(group)));
    is_event && line["data"].is_object() && line["id"].is_string() && line["timestamp"].is_string()
}

pub(super) fn read(line: &Value, session: &mut Session) -> Option<Vec<Said>> {
    let data = &line["data"];
    match line["type"].as_str()? {
        "session.start" => {
            keep(&mut session.id, text(data, "sessionId"));
            keep(&mut session.version, text(data, "copilotVersion"));
            keep(&mut session.cwd, text(&data["context"], "cwd"));
            session.model = text(data, "selectedModel").or(session.model.take());
        }
        "permission.completed" if data["result"]["kind"] == REFUSED_BY_USER => {
            session.refused.extend(text(data, "toolCallId"));
        }
        "tool.execution_start" => {
            let asked = call(line, data).map_or(Said::Malformed(CALL_LACKS), Said::Call);
            return Some(vec![asked]);
        }
        "tool.execution_complete" => {
            let answered = answer(line, data, session).map_or(Said::Malformed(RESULT_LACKS), Said::Result);
            return Some(vec![answered]);
        }
        _ => {}
    }
    Some(Vec::new())
}

fn call(line: &Value, data: &Value) -> Option<Asked> {
    let args = if data["arguments"].is_null() { String::new() } else { data["arguments"].to_string() };
    Some(Asked {
        call_id: text(data, "toolCallId")?,
        tool: text(data, "toolName")?,
        args,
        ts: time(line, "timestamp"),
        model: text(data, "model"),
        agent: text(line, "agentId"),
        server: text(data, "mcpServerName"),
        ..Asked::default()
    })
}

fn answer(line: &Value, data: &Value, session: &mut Session) -> Option<Answered> {
    let call_id = text(data, "toolCallId")?;
    let ts = time(line, "timestamp");
    let error = text(&data["error"], "message").unwrap_or_default();
    let (reason, denied) = match data["error"]["code"].as_str() {
        _ if session.refused.remove(&call_id) || error.starts_with(REFUSAL_OF_USER) => {
            (Some(Reason::UserRefused), true)
        }
        Some("denied") if error.starts_with(REFUSED_BY_HOOK) => (Some(Reason::Hook), true),
        Some("denied") => (Some(Reason::Policy), true),
        Some("rejected") => (Some(Reason::UserRefused), true),
        Some("interrupted") => (Some(Reason::Interrupted), false),
        Some("timeout") => (Some(Reason::Timeout), false),
        _ if error.starts_with("Tool '") && error.trim_end_matches('.').ends_with(UNKNOWN_TOOL) => {
            (Some(Reason::UnknownTool), false)
        }
        _ if error.starts_with('"') && error.contains("\": ") => (Some(Reason::InvalidArgs), false),
        _ if data["success"] == Value::Bool(false) || data["error"].is_object() => (Some(Reason::ToolError), false),
        _ if data["shellExecution"]["exitCode"].as_i64().is_some_and(|code| code != 0) => {
            (Some(Reason::ToolError), false)
        }
        _ => (None, false),
    };
    let result = text_of(&data["result"]["content"]);
    let text = if data["error"].is_object() { error } else { result };
    Some(Answered { call_id, text, ts, reason, denied })
}
