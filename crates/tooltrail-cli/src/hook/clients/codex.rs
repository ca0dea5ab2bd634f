//! Codex: events in the shape of Claude Code's, as version 0.169.0 sends them. No event tells that a call failed, and the
//! session file tells it before the event comes.

use std::path::PathBuf;

use tooltrail::Call;

use crate::hook::clients::result;
use crate::hook::event::Event;
use crate::hook::told::{Ends, Step, Told, asked};

/// The tools with which the model runs a command; hooks call all of them `Bash`.
const SHELLS: [&str; 4] = ["exec_command", "shell", "shell_command", "local_shell"];

pub(super) fn read(name: &str, event: &Event<'_>) -> Told {
    let file = event.text("transcript_path").map(PathBuf::from);
    // The calls of a sub-agent are in a file of its own.
    let of_agent = event.text("agent_transcript_path").map(PathBuf::from);
    let look = of_agent.or_else(|| file.clone()).map(Step::LookInto);
    let asked = || {
        let (key, mut call) = asked(event, event)?;
        if let Some(turn) = event.text("turn_id") {
            call.add_extra("prompt_id", serde_json::Value::from(turn).to_string());
        }
        Some((key, call))
    };
    let mut steps = Vec::new();
    match name {
        "PreToolUse" => steps.extend(asked().map(|(key, call)| Step::Begin(key, Box::new(call)))),
        "PostToolUse" => steps.extend(asked().map(|(key, call)| {
            let call = call.ended(result::ok(event.json("tool_response")));
            Step::EndAsTold(key, Box::new(call), file)
        })),
        "SubagentStop" if event.text("agent_id").is_none() => {}
        "Stop" | "SubagentStop" | "Interrupt" => {
            steps.extend(look);
            steps.push(Step::Interrupt(Ends::Turn));
        }
        "SessionEnd" => {
            steps.extend(look);
            steps.push(Step::Interrupt(Ends::Session));
        }
        "SessionStart" if event.text("source").as_deref() != Some("compact") => {
            steps.push(Step::Interrupt(Ends::Session));
        }
        _ => {}
    }
    Told::of(event, steps)
}

/// Changes a call of the session file into what the hooks call it.
pub(crate) fn as_hook_calls_it(call: &mut Call) {
    let args = serde_json::from_str::<serde_json::Value>(&call.args).unwrap_or_default();
    let command = ["cmd", "command", "input"].iter().find_map(|name| args.get(name));
    let is_shell = SHELLS.contains(&call.tool.as_str());
    if is_shell || call.tool == "apply_patch" {
        if is_shell {
            "Bash".clone_into(&mut call.tool);
        }
        if let Some(command) = command {
            call.args = serde_json::json!({ "command": command }).to_string();
        }
    }
}
