//! Properties of reading events that must hold for any bytes. The crate in `fuzz/` runs them for
//! minutes, a test for a moment.

use serde_json::Value;

use crate::hook::client::Client;
use crate::hook::clients::{denial, read, sender};
use crate::hook::event::Event;
use crate::hook::told::{Key, Step};

/// Reads each line as an event of each client. Nothing may panic, reading again must tell the same, and a call must have
/// the name of a tool.
pub(crate) fn events(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        if let Some(event) = Event::parse(line) {
            for client in Client::ALL {
                told(sender(client, &event), &event);
            }
        }
    }
}

fn told(client: Client, event: &Event<'_>) {
    for name in [None, Some("preToolUse"), Some("PostToolUse")] {
        let told = read(client, name, event);
        let again = read(client, name, event);
        assert_eq!(told.session, again.session, "reading again tells the same session");
        assert_eq!(told.steps.len(), again.steps.len(), "reading again tells the same steps");
        for (step, again) in told.steps.iter().zip(&again.steps) {
            let (Some((key, tool)), Some((other, _))) = (call(step), call(again)) else { continue };
            assert_eq!(key, other, "reading again tells the same call");
            assert!(!tool.is_empty(), "a call has a tool");
            assert!(serde_json::from_str::<Value>(&denial(client, tool)).is_ok(), "a denial is JSON");
        }
    }
}

fn call(step: &Step) -> Option<(&Key, &str)> {
    match step {
        Step::Begin(key, call) | Step::End(key, call) | Step::EndIfOpen(key, call) | Step::EndAsTold(key, call, _) => {
            Some((key, &call.tool))
        }
        Step::Interrupt(_) | Step::LookInto(_) => None,
    }
}

/// Returns the first inputs: an event of each shape.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let lines = [
        r#"{"hook_event_name":"PreToolUse","session_id":"s","tool_name":"Bash","tool_input":{"command":"ls"},"tool_use_id":"toolu_1"}"#,
        r#"{"hook_event_name":"PostToolUse","session_id":"s","tool_name":"Bash","tool_input":{},"tool_response":{"stdout":"a","stderr":""},"tool_use_id":"toolu_1","duration_ms":3}"#,
        r#"{"hook_event_name":"PostToolBatch","session_id":"s","tool_calls":[{"tool_name":"x","tool_input":{},"tool_use_id":"t","tool_response":[{"type":"text","text":"y"}]}]}"#,
        r#"{"hook_event_name":"AfterTool","session_id":"s","tool_name":"run_shell_command","tool_input":{},"tool_response":{"llmContent":"Exit Code: 1","error":{"message":"m"}},"mcp_context":{"server_name":"n"}}"#,
        r#"{"sessionId":"s","timestamp":1,"toolName":"bash","toolArgs":"{}","toolResult":{"resultType":"success","textResultForLlm":"<shellId: 0 completed with exit code 1>"}}"#,
        r#"{"hook_event_name":"postToolUse","conversation_id":"c","cursor_version":"1","tool_name":"Shell","tool_input":{},"tool_output":"{\"exitCode\":1}","tool_use_id":"t"}"#,
    ];
    lines.iter().map(|line| line.as_bytes().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{events, seeds};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Any bytes, and the seeds with some of their bytes changed.
        #[test]
        fn events_of_any_shape_are_read(noise: Vec<u8>, seed in 0..6_usize, changes: Vec<(u16, u8)>) {
            events(&noise);
            let mut bytes = seeds().swap_remove(seed);
            let length = bytes.len();
            for (at, byte) in changes {
                bytes[usize::from(at) % length] = byte;
            }
            events(&bytes);
        }
    }
}
