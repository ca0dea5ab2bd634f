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
const REFUSED_BY_RULE: [&str; 2] = ["Permission to use ", "Claude requested permissions to "];

/// How it words an interruption by a person.
const INTERRUPTED: &str = "[Request interrupted by user";

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
        ("user", "tool_result") => Some(answer(block, ts).map_or(Said::Malformed(RESULT_LACKS), Said::Result)),
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

fn answer(block: &Value, ts: Option<Timestamp>) -> Option<Answered> {
    let call_id = text(block, "tool_use_id")?;
    let text = text_of(&block["content"]);
    let (reason, denied) = reason(&text, block["is_error"].as_bool().unwrap_or(false));
    Some(Answered { call_id, text, ts, reason, denied })
}

/// Returns why a call is not ok, and whether it was refused.
fn reason(text: &str, is_error: bool) -> (Option<Reason>, bool) {
    let starts = |words: &[&str]| words.iter().any(|words| text.starts_with(words));
    if starts(&REFUSED_BY_USER) {
        (Some(Reason::UserRefused), true)
    } else if !is_error {
        (None, false)
    } else if starts(&REFUSED_BY_RULE) {
        (Some(Reason::Policy), true)
    } else if text.starts_with(INTERRUPTED) {
        (Some(Reason::Cancelled), false)
    } else if text.contains(UNKNOWN_TOOL) {
        (Some(Reason::UnknownTool), false)
    } else if text.contains(INVALID_ARGS) {
        (Some(Reason::InvalidArgs), false)
    } else {
        (Some(Reason::ToolError), false)
    }
}
