//! pi: one object per message, with `toolCall` blocks and messages of the role `toolResult`.

use serde_json::Value;
use tooltrail::Reason;

use crate::transcripts::formats::{
    Answered, Asked, CALL_LACKS, RESULT_LACKS, Said, Session, keep, text, text_of, time,
};

pub(super) fn is_line(line: &Value) -> bool {
    let message = &line["message"];
    line["type"] == "message" && matches!(message["role"].as_str(), Some("assistant" | "toolResult" | "user"))
        || line["type"] == "session" && line["id"].is_string() && line["cwd"].is_string()
}

pub(super) fn read(line: &Value, session: &mut Session) -> Option<Vec<Said>> {
    match line["type"].as_str()? {
        "session" => {
            keep(&mut session.id, text(line, "id"));
            keep(&mut session.cwd, text(line, "cwd"));
            session.model = text(line, "modelId").or(session.model.take());
        }
        "model_change" => session.model = text(line, "modelId").or(session.model.take()),
        "message" => return Some(message(line, session)),
        _ => {}
    }
    Some(Vec::new())
}

fn message(line: &Value, session: &Session) -> Vec<Said> {
    let (message, ts) = (&line["message"], time(line, "timestamp"));
    if message["role"] == "toolResult" {
        let reason = (message["isError"] == Value::Bool(true)).then_some(Reason::ToolError);
        let said = text(message, "toolCallId").map_or(Said::Malformed(RESULT_LACKS), |call_id| {
            Said::Result(Answered { call_id, text: text_of(&message["content"]), ts, reason, denied: false })
        });
        return vec![said];
    }
    let blocks = message["content"].as_array().into_iter().flatten();
    let call = |block: &Value| {
        Some(Asked {
            call_id: text(block, "id")?,
            tool: text(block, "name")?,
            args: block["arguments"].to_string(),
            ts,
            model: text(message, "model").or_else(|| session.model.clone()),
            ..Asked::default()
        })
    };
    let calls = blocks.filter(|block| block["type"] == "toolCall");
    calls.map(|block| call(block).map_or(Said::Malformed(CALL_LACKS), Said::Call)).collect()
}
