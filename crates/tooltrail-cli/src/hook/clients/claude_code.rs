//! Claude Code: `code.claude.com/docs/en/hooks`, as version 2.1.330 sends the events.

use std::path::PathBuf;

use tooltrail::{Outcome, Reason};

use crate::hook::clients::result;
use crate::hook::event::{Event, text};
use crate::hook::told::{Ends, Key, Step, Told, asked, duration, refused};
use crate::transcripts::claude_code_words;

pub(super) fn read(name: &str, event: &Event<'_>) -> Told {
    let steps = match name {
        "PreToolUse" => begin(event).into_iter().collect(),
        "PostToolUse" => end(event, result::ok(event.json("tool_response"))).into_iter().collect(),
        "PostToolUseFailure" => end(event, failure(event)).into_iter().collect(),
        "PermissionDenied" => {
            let reason = event.text("reason").unwrap_or_default();
            end(event, refused(Reason::Policy, reason)).into_iter().collect()
        }
        // It comes after the other events of its calls, and it alone tells of calls that were never made.
        "PostToolBatch" => event.objects("tool_calls").iter().filter_map(|told| of_batch(event, told)).collect(),
        "Stop" | "StopFailure" => vec![Step::Interrupt(Ends::Turn)],
        // After a compaction it comes without the id of an agent, and then no agent of ours has ended.
        "SubagentStop" if event.text("agent_id").is_some() => vec![Step::Interrupt(Ends::Turn)],
        "SessionEnd" => vec![Step::Interrupt(Ends::Session)],
        "SessionStart" if event.text("source").as_deref() != Some("compact") => {
            vec![Step::Interrupt(Ends::Session)]
        }
        _ => Vec::new(),
    };
    Told::of(event, steps)
}

fn begin(event: &Event<'_>) -> Option<Step> {
    let (key, call) = asked(event, event)?;
    Some(Step::Begin(key, Box::new(call)))
}

fn end(event: &Event<'_>, outcome: Outcome) -> Option<Step> {
    let (key, mut call) = asked(event, event)?;
    call.duration_ms = duration(event, "duration_ms");
    Some(Step::End(key, Box::new(call.ended(outcome))))
}

fn failure(event: &Event<'_>) -> Outcome {
    let error = event.text("error").unwrap_or_default();
    let reason = if event.is_true("is_interrupt") { Reason::Cancelled } else { Reason::ToolError };
    Outcome::failed(reason, error)
}

/// Returns what a batch tells of one of its calls. It repeats the result as the model reads it, and does not say whether
/// that is an error.
fn of_batch(event: &Event<'_>, told: &Event<'_>) -> Option<Step> {
    let (key, call) = asked(event, told)?;
    let response = told.json("tool_response");
    let said = response.and_then(|json| match text(json) {
        Some(text) => Some(text),
        None => serde_json::from_str(json).ok().and_then(|value| result::text(&value)),
    });
    let said = said.unwrap_or_default();
    let Some((reason, is_denied)) = claude_code_words(&said) else {
        let path = event.text("transcript_path").map(PathBuf::from);
        let call = Box::new(call.ended(result::ok(response)));
        return Some(match key {
            Key::Id(_) => Step::EndAsTold(key, call, path),
            Key::Alike(_) => Step::EndIfOpen(key, call),
        });
    };
    let outcome = if is_denied { refused(reason, said) } else { Outcome::failed(reason, said) };
    let call = Box::new(call.ended(outcome));
    // Without an id, a call that is recorded already cannot be told from one that never began.
    Some(if matches!(key, Key::Id(_)) { Step::End(key, call) } else { Step::EndIfOpen(key, call) })
}
