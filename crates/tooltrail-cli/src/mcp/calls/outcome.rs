//! How a call ended, from the answer that the server gave.

use tooltrail::{ClippedResult, Outcome, Reason};

use crate::mcp::read::Answer;

/// The JSON-RPC code for parameters that do not fit.
const INVALID_PARAMS: i64 = -32602;

/// Returns how a call ended.
pub(super) fn outcome(answer: &Answer) -> Outcome {
    if let Some((code, message)) = &answer.error {
        return Outcome::failed(reason(*code, message), message);
    }
    let (text, chars) = answer.text.text();
    let mut outcome = if answer.is_error { Outcome::failed(Reason::ToolError, &*text) } else { Outcome::ok(&*text) };
    if let Some(result_chars) = chars {
        (outcome.result, outcome.error) = (None, None);
        outcome.kept = Some(ClippedResult { result_chars, result_snippet: text });
    }
    outcome
}

/// Returns why the server refused a request. Servers use one code for an unknown tool and for invalid arguments, and
/// tell them apart in the message.
fn reason(code: i64, message: &str) -> Reason {
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let is_unknown = says(&["unknown", "not found", "no such", "does not exist", "not exist", "unrecognized"]);
    if is_unknown && says(&["tool"]) {
        Reason::UnknownTool
    } else if code == INVALID_PARAMS {
        Reason::InvalidArgs
    } else {
        Reason::ProtocolError
    }
}

/// Returns how a task ended; `None` while it has not.
pub(super) fn task_outcome(status: &str, answer: Option<&Answer>) -> Option<Outcome> {
    let given = answer.map(outcome);
    let text = || answer.and_then(|answer| answer.task_error.clone()).unwrap_or_default();
    match status {
        "completed" => Some(given.unwrap_or_else(|| Outcome::ok(""))),
        "failed" => Some(given.filter(|given| given.reason.is_some()).unwrap_or_else(|| Outcome::error(text()))),
        "cancelled" => Some(Outcome::failed(Reason::Cancelled, "")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_protocol_have_their_reasons() {
        let check = |code, message: &str, expected: Reason| assert_eq!(reason(code, message), expected, "{message}");
        check(-32602, "Unknown tool: x", Reason::UnknownTool);
        check(-32602, "Tool nope not found", Reason::UnknownTool);
        check(-32601, "tool does not exist", Reason::UnknownTool);
        check(-32602, "Invalid arguments for tool echo", Reason::InvalidArgs);
        check(-32602, "missing field `path`", Reason::InvalidArgs);
        check(-32603, "Internal error", Reason::ProtocolError);
        check(-32601, "Method not found", Reason::ProtocolError);
        check(0, "unknown", Reason::ProtocolError);
    }
}
