//! Claude Code: `~/.claude/projects/**/*.jsonl`, one object per message.

use serde_json::Value;
use tooltrail::{Reason, Timestamp};

use crate::transcripts::formats::{
    Answered, Asked, CALL_LACKS, RESULT_LACKS, Said, Session, keep, text, text_of, time,
};

/// How Claude Code words the refusal of a person.
const REFUSED_BY_USER: [&str; 2] =
    ["The user doesn't want to proceed with this tool use", "The user doesn't want to take this action right now"];

/// How it words the refusal of a rule.
const REFUSED_BY_RULE: [&str; 6] = [
    "Permission to use ",
    "Permission for this action was denied by the Claude Code auto mode classifier",
    "Permission for this action has been denied",
    "Permission denied for <",
    "Claude requested permissions to ",
    "<tool_use_error>File is in a directory that is denied by your permission settings",
];

/// How it words the refusal of a hook: the event, the tool, and this.
const HOOK_EVENT: &str = "PreToolUse:";
const REFUSED_BY_HOOK: &str = " hook error: ";

/// How it words an error of its own, not of the tool.
const OWN_ERROR: &str = "<tool_use_error>";

/// How it words the refusal of an agent: the type of the agent comes between.
const REFUSED_AGENT: (&str, &str) = ("Agent type '", "has been denied by permission rule");

/// How it words an interruption by a person.
const CANCELLED: &str = "[Request interrupted by user";

/// How it words that a call has no result.
const INTERRUPTED: [&str; 4] = [
    "[Tool call did not complete: ",
    "[Tool call interrupted: ",
    "[Tool result missing due to internal error]",
    "A safety monitor blocked this turn, so this tool call was cancelled",
];

/// How it words calls that it never made.
const UNKNOWN_TOOL: &str = "No such tool available";
const INVALID_ARGS: &str = "InputValidationError";

pub(super) fn is_line(line: &Value) -> bool {
    matches!(line["type"].as_str(), Some("user" | "assistant"))
        && line["message"].is_object()
        && (line["sessionId"].is_string() || line["parentUuid"].is_string())
}

pub(super) fn read(line: &Value, session: &mut Session) -> Option<Vec<Said>> {
    let kind = line["type"].as_str()?;
    keep(&mut session.id, text(line, "sessionId"));
    keep(&mut session.version, text(line, "version"));
    keep(&mut session.cwd, text(line, "cwd"));
    let blocks = line["message"]["content"].as_array();
    let ts = time(line, "timestamp");
    let said = blocks.into_iter().flatten().filter_map(|block| match (kind, block["type"].as_str()?) {
        ("assistant", "tool_use") => Some(call(line, block, ts).map_or(Said::Malformed(CALL_LACKS), Said::Call)),
        ("user", "tool_result") => Some(answer(line, block, ts).map_or(Said::Malformed(RESULT_LACKS), Said::Result)),
        _ => None,
    });
    Some(said.collect())
}

fn call(line: &Value, block: &Value, ts: Option<Timestamp>) -> Option<Asked> {
    Some(Asked {
        call_id: text(block, "id")?,
        tool: text(block, "name")?,
        args: block["input"].to_string(),
        ts,
        model: text(&line["message"], "model"),
        agent: text(line, "agentId"),
        ..Asked::default()
    })
}

fn answer(line: &Value, block: &Value, ts: Option<Timestamp>) -> Option<Answered> {
    let call_id = text(block, "tool_use_id")?;
    let text = text_of(&block["content"]);
    let (reason, denied) = reason(line, &text, block["is_error"].as_bool().unwrap_or(false));
    Some(Answered { call_id, text, ts, reason, denied })
}

/// Returns why a call is not ok, and whether it was refused.
fn reason(line: &Value, text: &str, is_error: bool) -> (Option<Reason>, bool) {
    let is_refused_by_user = REFUSED_BY_USER.iter().any(|words| text.starts_with(words));
    if !is_error && !is_refused_by_user {
        return (None, false);
    }
    if let Some((reason, denied)) = words(text) {
        return (Some(reason), denied);
    }
    // Newer versions say who refused a call. Without a terminal, nobody is there to refuse, but the word is the same.
    match line["toolDenialKind"].as_str() {
        Some("interrupted") => (Some(Reason::Interrupted), false),
        Some(_) if line["permissionDecision"]["source"] == "hook" => (Some(Reason::Hook), true),
        Some(_) => (Some(Reason::Policy), true),
        None => (Some(Reason::ToolError), false),
    }
}

/// Returns why a call was not made, or not made to its end, and whether it was refused, if the result says so in fixed
/// words.
pub(crate) fn words(text: &str) -> Option<(Reason, bool)> {
    let starts = |words: &[&str]| words.iter().any(|words| text.starts_with(words));
    if starts(&REFUSED_BY_USER) {
        Some((Reason::UserRefused, true))
    } else if starts(&REFUSED_BY_RULE) || text.starts_with(REFUSED_AGENT.0) && text.contains(REFUSED_AGENT.1) {
        Some((Reason::Policy, true))
    } else if text.starts_with(HOOK_EVENT) && text.contains(REFUSED_BY_HOOK) {
        Some((Reason::Hook, true))
    } else if text.starts_with(CANCELLED) {
        Some((Reason::Cancelled, false))
    } else if starts(&INTERRUPTED) {
        Some((Reason::Interrupted, false))
    } else if text.contains(UNKNOWN_TOOL) && text.trim_start_matches(OWN_ERROR).starts_with("Error: ") {
        Some((Reason::UnknownTool, false))
    } else if text.trim_start_matches(OWN_ERROR).starts_with(INVALID_ARGS) {
        Some((Reason::InvalidArgs, false))
    } else if text.starts_with(OWN_ERROR) {
        Some((Reason::ToolError, false))
    } else {
        None
    }
}
