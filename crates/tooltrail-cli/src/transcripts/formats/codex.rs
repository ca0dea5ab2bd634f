//! Codex: `~/.codex/sessions/**/rollout-*.jsonl`, one object per item.

use serde_json::Value;
use tooltrail::Reason;

use crate::transcripts::formats::{
    Answered, Asked, CALL_LACKS, RESULT_LACKS, Said, Session, keep, text, text_of, time,
};

/// How Codex words the exit code of a command.
const EXIT_CODES: [&str; 2] = ["Process exited with code ", "Exit code: "];

/// How it words a call of a tool that it does not have, and the refusal of a person.
const UNKNOWN_TOOL: [&str; 2] = ["unsupported call: ", "unsupported custom tool call: "];
const REFUSED_BY_USER: [&str; 3] =
    ["exec command rejected by user", "patch rejected by user", "user rejected MCP tool call"];
const ABORTED: &str = "aborted by user";

/// How it words the refusal of a hook and of a rule, and arguments that do not fit.
const REFUSED_BY_HOOK: [&str; 2] = ["Command blocked by PreToolUse hook: ", "Tool call blocked by PreToolUse hook: "];
const REFUSED_BY_RULE: [&str; 4] = [
    "writing outside of the project; rejected by user approval settings",
    "Command denied by sandbox: ",
    "exec_command failed: CreateProcess { message: \"Rejected(",
    "approval policy is ",
];
const INVALID_ARGS: &str = "failed to parse function arguments";

/// How it words that the tool for pictures failed.
const NO_IMAGE: [&str; 2] = ["unable to locate image at ", "unable to process image"];

pub(super) fn is_line(line: &Value) -> bool {
    let kind = line["type"].as_str();
    matches!(kind, Some("session_meta" | "response_item" | "turn_context" | "event_msg")) && line["payload"].is_object()
}

pub(super) fn read(line: &Value, session: &mut Session) -> Option<Vec<Said>> {
    let payload = &line["payload"];
    match line["type"].as_str()? {
        "session_meta" => {
            // The file of a sub-agent names the session of the main agent, and the sub-agent by its own id.
            keep(&mut session.id, text(payload, "session_id").or_else(|| text(payload, "id")));
            if payload["parent_thread_id"].is_string() {
                keep(&mut session.agent, text(payload, "id"));
            }
            keep(&mut session.version, text(payload, "cli_version"));
            keep(&mut session.cwd, text(payload, "cwd"));
        }
        // The model may change from turn to turn.
        "turn_context" => session.model = text(payload, "model").or(session.model.take()),
        "response_item" => {
            let ts = time(line, "timestamp");
            let said = match payload["type"].as_str()? {
                "function_call" | "custom_tool_call" | "local_shell_call" => {
                    let asked = call(payload, session).map(|asked| Said::Call(Asked { ts, ..asked }));
                    Some(asked.unwrap_or(Said::Malformed(CALL_LACKS)))
                }
                "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" => {
                    let answered = answer(payload, session).map(|answered| Said::Result(Answered { ts, ..answered }));
                    Some(answered.unwrap_or(Said::Malformed(RESULT_LACKS)))
                }
                _ => None,
            };
            return Some(said.into_iter().collect());
        }
        // Newer versions tell here, before the result, that a call failed.
        "event_msg" if payload["type"] == "item_completed" && payload["item"]["status"] == "failed" => {
            session.failed.extend(text(&payload["item"], "id"));
        }
        _ => {}
    }
    Some(Vec::new())
}

fn call(payload: &Value, session: &Session) -> Option<Asked> {
    let call_id = text(payload, "call_id").or_else(|| text(payload, "id"))?;
    let model = session.model.clone();
    // Arguments are a text that holds JSON; custom tools get any text; the shell of older versions has an action.
    let (tool, args) = match payload["type"].as_str()? {
        "local_shell_call" => ("local_shell".to_owned(), payload["action"].to_string()),
        "custom_tool_call" => (text(payload, "name")?, serde_json::json!({ "input": payload["input"] }).to_string()),
        _ => (text(payload, "name")?, payload["arguments"].as_str().unwrap_or_default().to_owned()),
    };
    // A tool of an MCP server, in the form in which all clients name it.
    let namespace = text(payload, "namespace").filter(|namespace| namespace.starts_with("mcp__"));
    let tool = namespace.map_or_else(|| tool.clone(), |namespace| format!("{namespace}__{tool}"));
    Some(Asked { call_id, tool, args, model, ..Asked::default() })
}

fn answer(payload: &Value, session: &mut Session) -> Option<Answered> {
    let call_id = text(payload, "call_id").or_else(|| text(payload, "id"))?;
    let output = &payload["output"];
    // The output is a text, an object with a content, or a text that holds such an object.
    let held = output.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).filter(Value::is_object);
    let object = held.as_ref().unwrap_or(output);
    let given = object.get("output").or_else(|| object.get("content")).map(text_of);
    let given = given.unwrap_or_else(|| text_of(output));
    let code = object["metadata"]["exit_code"].as_i64().or_else(|| exit_code(&given));
    let failed = object["success"] == Value::Bool(false)
        || object["isError"] == Value::Bool(true)
        || session.failed.remove(&call_id)
        || code.is_some_and(|code| code != 0);
    let starts = |words: &str| given.starts_with(words);
    let (reason, denied) = if REFUSED_BY_USER.iter().any(|words| starts(words)) {
        (Some(Reason::UserRefused), true)
    } else if REFUSED_BY_HOOK.iter().any(|words| starts(words)) {
        (Some(Reason::Hook), true)
    } else if REFUSED_BY_RULE.iter().any(|words| starts(words)) {
        (Some(Reason::Policy), true)
    } else if UNKNOWN_TOOL.iter().any(|words| starts(words)) {
        (Some(Reason::UnknownTool), false)
    } else if starts(INVALID_ARGS) {
        (Some(Reason::InvalidArgs), false)
    } else if starts(ABORTED) || given.lines().take(2).any(|line| line == ABORTED) {
        (Some(Reason::Cancelled), false)
    } else {
        let failed = failed || NO_IMAGE.iter().any(|words| starts(words));
        (failed.then_some(Reason::ToolError), false)
    };
    Some(Answered { call_id, text: given, ts: None, reason, denied })
}

/// Returns the exit code that the first lines of an output tell.
fn exit_code(text: &str) -> Option<i64> {
    let lines = text.lines().take(5);
    lines.filter_map(|line| EXIT_CODES.iter().find_map(|words| line.strip_prefix(words))).next()?.trim().parse().ok()
}
