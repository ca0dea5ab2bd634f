//! Gemini CLI: `~/.gemini/tmp/PROJECT/chats/session-*.jsonl`, a log of changes to one document; in older versions
//! `session-*.json`, the document itself.

use serde_json::Value;
use tooltrail::Reason;

use crate::transcripts::formats::{Answered, Asked, CALL_LACKS, Said, Session, keep, text, time};

/// The tool that runs commands, and how its output tells the exit code.
const SHELL: &str = "run_shell_command";
const EXIT_CODE: &str = "Exit Code: ";

/// How Gemini CLI words calls that were refused or never made.
const REFUSED_BY_RULE: &str = "Tool execution denied by policy";
const NOBODY_TO_ASK: &str = "requires user confirmation, which is not supported in non-interactive mode";
const REFUSED_BY_HOOK: &str = "Tool execution blocked: ";
const REFUSED_BY_USER: [&str; 2] = ["User denied execution", "User did not allow tool call"];
const INVALID_ARGS: &str = "params must ";

pub(super) fn is_line(line: &Value) -> bool {
    let is_document = line["sessionId"].is_string() && line["projectHash"].is_string();
    let is_message = line["type"] == "gemini" && line["id"].is_string() && line["timestamp"].is_string();
    is_document || is_message
}

pub(super) fn read(line: &Value, session: &mut Session) -> Option<Vec<Said>> {
    if line["sessionId"].is_string() {
        keep(&mut session.id, text(line, "sessionId"));
        if line["kind"] == "subagent" {
            session.agent.clone_from(&session.id);
        }
    }
    // A document has its messages, and so has a change of the whole list; other lines are one message.
    let list = line["messages"].as_array().or_else(|| line["$set"]["messages"].as_array());
    let messages = list.map_or_else(|| std::slice::from_ref(line), Vec::as_slice);
    let is_known = list.is_some() || line["$set"].is_object() || line["sessionId"].is_string();
    if !is_known && !line["type"].is_string() {
        return None;
    }
    Some(messages.iter().flat_map(|message| of_message(message, session)).collect())
}

fn of_message(message: &Value, session: &mut Session) -> Vec<Said> {
    let model = text(message, "model");
    let calls = message["toolCalls"].as_array().into_iter().flatten();
    let mut said = Vec::new();
    for call in calls {
        let (Some(call_id), Some(tool)) = (text(call, "id"), text(call, "name")) else {
            said.push(Said::Malformed(CALL_LACKS));
            continue;
        };
        // A message is written again each time it grows, and with the list of all messages.
        if !session.told.insert(call_id.clone()) {
            continue;
        }
        let args = if call["args"].is_null() { String::new() } else { call["args"].to_string() };
        let model = model.clone();
        said.push(Said::Call(Asked { call_id: call_id.clone(), tool, args, model, ..Asked::default() }));
        let (text, reason, denied) = outcome(call);
        let ts = time(call, "timestamp").or_else(|| time(message, "timestamp"));
        said.push(Said::Result(Answered { call_id, text, ts, reason, denied }));
    }
    said
}

/// Returns the result of a call, why it is not ok, and whether it was refused.
fn outcome(call: &Value) -> (String, Option<Reason>, bool) {
    let responses = call["result"].as_array().into_iter().flatten().map(|part| &part["functionResponse"]["response"]);
    let said = |response: &Value| {
        let said = ["output", "error"].iter().find_map(|name| response[*name].as_str());
        said.map_or_else(|| response.to_string(), str::to_owned)
    };
    let mut given = responses.filter(|response| !response.is_null()).map(said).collect::<Vec<_>>().join("\n");
    if given.is_empty() {
        given = text(call, "resultDisplay").unwrap_or_default();
    }
    let failed = |reason: Reason, denied: bool| (Some(reason), denied);
    let (reason, denied) = match call["status"].as_str() {
        Some("cancelled" | "error") if REFUSED_BY_USER.iter().any(|words| given.contains(words)) => {
            failed(Reason::UserRefused, true)
        }
        Some("cancelled") => failed(Reason::Cancelled, false),
        Some("error") if given.starts_with(REFUSED_BY_RULE) || given.contains(NOBODY_TO_ASK) => {
            failed(Reason::Policy, true)
        }
        Some("error") if given.starts_with(REFUSED_BY_HOOK) => failed(Reason::Hook, true),
        Some("error") if given.starts_with("Tool \"") && given.contains("\" not found") => {
            failed(Reason::UnknownTool, false)
        }
        Some("error") if given.starts_with(INVALID_ARGS) => failed(Reason::InvalidArgs, false),
        Some("error") => failed(Reason::ToolError, false),
        _ if call["name"] == SHELL && exit_code(&given).is_some_and(|code| code != 0) => {
            failed(Reason::ToolError, false)
        }
        _ => (None, false),
    };
    (given, reason, denied)
}

/// Returns the exit code that one of the last lines of an output tells.
fn exit_code(output: &str) -> Option<i64> {
    let lines = output.lines().rev().take(5);
    lines.filter_map(|line| line.strip_prefix(EXIT_CODE)).next()?.trim().parse().ok()
}
