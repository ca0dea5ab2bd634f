//! Cursor: `cursor.com/docs/agent/hooks`. It was not run; what is here follows its documentation.
//!
//! Newer versions send an event for every tool. Older ones send events for commands, MCP servers and files alone.

use tooltrail::{Call, Outcome, Payload, Reason};

use crate::hook::clients::result;
use crate::hook::event::{Event, text};
use crate::hook::told::{Ends, Key, Step, Told, call, duration, key, label, refused};

pub(super) fn read(name: &str, event: &Event<'_>) -> Told {
    let begin = |asked: Option<(Key, Call)>| asked.map(|(key, call)| Step::Begin(key, Box::new(call)));
    let end = |asked: Option<(Key, Call)>, outcome: Outcome| {
        asked.map(|(key, mut call)| {
            call.duration_ms = duration(event, "duration").or_else(|| duration(event, "duration_ms"));
            Step::End(key, Box::new(call.ended(outcome)))
        })
    };
    let mut steps = Vec::new();
    match name {
        "preToolUse" | "PreToolUse" => steps.extend(begin(tool(event))),
        "postToolUse" | "PostToolUse" => {
            let output = event.first_json(&["tool_output", "tool_response"]);
            steps.extend(end(tool(event), held(output)));
        }
        "postToolUseFailure" | "PostToolUseFailure" => steps.extend(end(tool(event), failure(event))),
        "beforeShellExecution" => steps.extend(begin(shell(event))),
        "afterShellExecution" => steps.extend(end(shell(event), result::ok(event.json("output")))),
        "beforeMCPExecution" => steps.extend(begin(mcp(event))),
        "afterMCPExecution" => steps.extend(end(mcp(event), mcp_outcome(event))),
        "afterFileEdit" => {
            let edit = file(event, "Edit", &["file_path", "edits"]);
            steps.extend(end(edit, Outcome::ok("")));
        }
        "subagentStop" | "SubagentStop" if event.first_text(&["subagent_id", "agent_id"]).is_none() => {}
        "stop" | "Stop" | "subagentStop" | "SubagentStop" => steps.push(Step::Interrupt(Ends::Turn)),
        "sessionStart" | "SessionStart" | "sessionEnd" | "SessionEnd" => steps.push(Step::Interrupt(Ends::Session)),
        _ => {}
    }
    let session = event.first_text(&["conversation_id", "session_id"]);
    let agent = event.first_text(&["subagent_id", "agent_id"]);
    Told { session, agent, cwd: event.text("cwd"), label: label(event), steps }
}

/// Returns the call that an event for every tool names.
fn tool(event: &Event<'_>) -> Option<(Key, Call)> {
    let tool = event.text("tool_name")?;
    let args = json_in(event.json("tool_input"));
    let id = event.text("tool_use_id");
    Some(keyed(event, id, tool, &args))
}

fn shell(event: &Event<'_>) -> Option<(Key, Call)> {
    let command = event.text("command")?;
    Some(keyed(event, None, "Shell".to_owned(), &serde_json::json!({ "command": command }).to_string()))
}

fn mcp(event: &Event<'_>) -> Option<(Key, Call)> {
    let tool = event.text("tool_name")?;
    let (key, mut call) = keyed(event, None, tool, &json_in(event.json("tool_input")));
    call.server = event.text("mcp_server_name").or(call.server);
    Some((key, call))
}

fn file(event: &Event<'_>, tool: &str, members: &[&str]) -> Option<(Key, Call)> {
    let args = members.iter().map(|name| ((*name).to_owned(), event.value(name))).collect();
    event.text("file_path")?;
    Some(keyed(event, None, tool.to_owned(), &serde_json::Value::Object(args).to_string()))
}

fn keyed(event: &Event<'_>, id: Option<String>, tool: String, args: &str) -> (Key, Call) {
    let key = key(id.as_deref(), &tool, args);
    let mut call = call(event, tool, args);
    call.session = event.first_text(&["conversation_id", "session_id"]);
    call.call_id = id;
    if let Some(generation) = event.text("generation_id") {
        call.add_extra("prompt_id", serde_json::Value::from(generation).to_string());
    }
    (key, call)
}

/// Returns JSON that is given as it is, or as a text that holds it.
fn json_in(json: Option<&str>) -> String {
    let json = json.unwrap_or_default();
    match text(json) {
        Some(held) if held.starts_with(['{', '[']) => held,
        _ => json.to_owned(),
    }
}

/// Returns the outcome of a result that is a text, which may hold JSON.
fn held(json: Option<&str>) -> Outcome {
    let json = json_in(json);
    let code = Event::parse(&json).and_then(|output| output.json("exitCode")?.parse::<i64>().ok());
    let outcome = result::ok(Some(&json).filter(|json| !json.is_empty()).map(String::as_str));
    match outcome.result {
        Some(Payload::Text(text) | Payload::Json(text)) if code.is_some_and(|code| code != 0) => Outcome::error(text),
        _ => outcome,
    }
}

fn mcp_outcome(event: &Event<'_>) -> Outcome {
    let json = json_in(event.json("result_json"));
    let is_error = Event::parse(&json).is_some_and(|result| result.is_true("isError"));
    let outcome = result::ok(Some(&json).filter(|json| !json.is_empty()).map(String::as_str));
    match outcome.result {
        Some(Payload::Text(text) | Payload::Json(text)) if is_error => Outcome::error(text),
        _ => outcome,
    }
}

fn failure(event: &Event<'_>) -> Outcome {
    let error = event.first_text(&["error_message", "error"]).unwrap_or_default();
    if event.is_true("is_interrupt") {
        return Outcome::failed(Reason::Cancelled, error);
    }
    match event.text("failure_type").as_deref() {
        Some("timeout") => Outcome::failed(Reason::Timeout, error),
        Some("permission_denied") => refused(Reason::Policy, error),
        _ => Outcome::error(error),
    }
}
