//! Claude Code: `~/.claude/projects/**/*.jsonl`, one object per message.

use serde_json::Value;
use tooltrail::Reason;

use crate::transcripts::formats::{Answered, Asked, Said, Session, keep, text, text_of, time};

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
    let message = &line["message"];
    let blocks = message["content"].as_array();
    let ts = time(line, "timestamp");
    let said = blocks.into_iter().flatten().filter_map(|block| match (kind, block["type"].as_str()?) {
        ("assistant", "tool_use") => Some(Said::Call(Asked {
            call_id: text(block, "id")?,
            tool: text(block, "name")?,
            args: block["input"].to_string(),
            ts,
            model: text(message, "model"),
            agent: text(line, "agentId"),
        })),
        ("user", "tool_result") => {
            let given = text_of(&block["content"]);
            let (reason, denied) = reason(&given, block["is_error"].as_bool().unwrap_or(false));
            Some(Said::Result(Answered { call_id: text(block, "tool_use_id")?, text: given, ts, reason, denied }))
        }
        _ => None,
    });
    Some(said.collect())
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
