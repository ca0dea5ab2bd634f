//! Gemini CLI, as version 0.61.0 sends the events. They have no id of a call.

use std::path::PathBuf;

use tooltrail::{Call, Outcome, Reason};

use crate::hook::clients::result;
use crate::hook::event::Event;
use crate::hook::told::{Ends, Key, Step, Told, call, key, label};
use crate::transcripts::text_of;

/// The tool that runs commands, how its output tells the exit code, and in how many last lines.
const SHELL: &str = "run_shell_command";
const EXIT_CODE: (&str, &str) = ("Exit Code: ", "");
const LINES: usize = 5;

/// The wrapping of the output of a command.
const WRAPPING: (&str, &str) = ("<untrusted_context>", "</untrusted_context>");

pub(super) fn read(name: &str, event: &Event<'_>) -> Told {
    let look = event.text("transcript_path").map(|path| Step::LookInto(PathBuf::from(path)));
    let mut steps = Vec::new();
    match name {
        "BeforeTool" => steps.extend(asked(event).map(|(key, call)| Step::Begin(key, Box::new(call)))),
        "AfterTool" => {
            let ended = asked(event).map(|(key, call)| Step::End(key, Box::new(call.ended(outcome(event)))));
            steps.extend(ended);
        }
        "AfterAgent" => {
            steps.extend(look);
            steps.push(Step::Interrupt(Ends::Turn));
        }
        "SessionEnd" => {
            steps.extend(look);
            steps.push(Step::Interrupt(Ends::Session));
        }
        "SessionStart" => steps.push(Step::Interrupt(Ends::Session)),
        _ => {}
    }
    Told { session: event.text("session_id"), agent: None, cwd: event.text("cwd"), label: label(event), steps }
}

fn asked(event: &Event<'_>) -> Option<(Key, Call)> {
    let tool = event.text("tool_name")?;
    let args = event.json("tool_input").unwrap_or_default();
    let key = key(None, &tool, args);
    let mut call = call(event, tool, args);
    if let Some(server) = event.object("mcp_context").and_then(|context| context.text("server_name")) {
        call.server = Some(server);
    }
    Some((key, call))
}

fn outcome(event: &Event<'_>) -> Outcome {
    let Some(response) = event.object("tool_response") else {
        return result::ok(event.json("tool_response"));
    };
    if let Some(error) = response.object("error") {
        return Outcome::error(error.text("message").unwrap_or_default());
    }
    let content = response.value("llmContent");
    if content.is_null() {
        return result::ok(event.json("tool_response"));
    }
    let text = if content.is_object() { text_of(&serde_json::Value::Array(vec![content])) } else { text_of(&content) };
    let text = text.trim().strip_prefix(WRAPPING.0).and_then(|text| text.strip_suffix(WRAPPING.1)).unwrap_or(&text);
    let text = text.trim_matches('\n');
    if event.text("tool_name").as_deref() == Some(SHELL) && result::failed_with(text, EXIT_CODE, LINES) {
        return Outcome::failed(Reason::ToolError, text);
    }
    Outcome::ok(text)
}
