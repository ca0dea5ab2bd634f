//! The answers that tooltrail gives in the server's place.

use serde_json::{Value, json};

use crate::mcp::calls::is_stateless;
use crate::mcp::gate::rules::Refusal;
use crate::mcp::read::{Id, Message};

/// The JSON-RPC code for a request that is refused for a reason of the receiver.
const INTERNAL_ERROR: i64 = -32603;

/// The JSON-RPC code for what is not JSON.
const PARSE_ERROR: i64 = -32700;

/// Returns the line that answers the requests of a refused line; `None` if nobody waits for an answer.
///
/// A call gets a proper result, so that the model reads why it was refused. Other requests of the line get an error.
pub(crate) fn refusal(messages: &[Message], is_batch: bool, refusal: &Refusal) -> Option<Vec<u8>> {
    let answers = messages.iter().filter_map(|message| {
        let id = message.id.as_ref().filter(|_| message.method.is_some())?;
        Some(match message.method.as_deref() {
            Some("tools/call") => {
                let text = refusal.text_for(message.params.name.as_deref());
                let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
                if is_stateless(message) {
                    result["resultType"] = json!("complete");
                }
                answer(id, "result", &result)
            }
            _ if is_batch => error(Some(id), INTERNAL_ERROR, &format!("Refused with its batch. {}", refusal.text)),
            _ => error(Some(id), INTERNAL_ERROR, &refusal.text),
        })
    });
    line(answers.collect(), is_batch)
}

/// Returns the line that answers a line which is not read as JSON.
pub(crate) fn unreadable(why: &str) -> Vec<u8> {
    let text = format!("Denied: tooltrail's gate cannot read this line, {why}.");
    format!("{}\n", error(None, PARSE_ERROR, &text)).into_bytes()
}

/// Returns the line that answers requests with an error; `None` if there are none.
pub(crate) fn error_line(ids: &[Id], is_batch: bool, text: &str) -> Option<Vec<u8>> {
    line(ids.iter().map(|id| error(Some(id), INTERNAL_ERROR, text)).collect(), is_batch)
}

fn line(answers: Vec<String>, is_batch: bool) -> Option<Vec<u8>> {
    match (answers.is_empty(), is_batch) {
        (true, _) => None,
        (false, true) => Some(format!("[{}]\n", answers.join(",")).into_bytes()),
        (false, false) => Some(answers.concat().into_bytes()).map(|mut line| {
            line.push(b'\n');
            line
        }),
    }
}

fn error(id: Option<&Id>, code: i64, message: &str) -> String {
    let error = json!({ "code": code, "message": message });
    match id {
        Some(id) => answer(id, "error", &error),
        None => format!(r#"{{"jsonrpc":"2.0","id":null,"error":{error}}}"#),
    }
}

/// Returns an answer. The id is written as it was sent, because a number may have more digits than ours.
fn answer(id: &Id, member: &str, value: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"{member}":{value}}}"#, id.json())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::read::Scanner;

    fn messages(line: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        Scanner::new().feed(format!("{line}\n").as_bytes(), &mut messages);
        messages
    }

    #[test]
    fn each_request_of_a_refused_line_is_answered() {
        let check = |line: &str, is_batch: bool, expected: Option<&str>| {
            let why = Refusal::new("No.");
            let answer = refusal(&messages(line), is_batch, &why).map(|line| String::from_utf8(line).unwrap());
            assert_eq!(answer.as_deref(), expected.map(|line| format!("{line}\n")).as_deref(), "{line}");
        };
        let call = r#"{"id":7,"method":"tools/call","params":{"name":"x"}}"#;
        let said = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"No."}],"isError":true}}"#;
        check(call, false, Some(said));
        check(&format!("[{call}]"), true, Some(&format!("[{said}]")));
        let batch = format!(r#"[{{"id":"a","method":"ping"}},{{"method":"notifications/x"}},{call}]"#);
        let ping = r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32603,"message":"Refused with its batch. No."}}"#;
        check(&batch, true, Some(&format!("[{ping},{said}]")));
        check(r#"{"method":"tools/call","params":{"name":"x"}}"#, false, None);
        let stateless = r#"{"id":1,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let typed = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"No."}],"isError":true,"resultType":"complete"}}"#;
        check(stateless, false, Some(typed));
    }
}
