//! What the events of each client mean, as pure functions.

mod claude_code;
mod codex;
mod copilot;
mod cursor;
mod gemini;
mod result;

use crate::hook::client::Client;
use crate::hook::event::Event;
use crate::hook::told::Told;

pub(super) use codex::as_hook_calls_it;
pub(super) use copilot::key_of as copilot_key;

/// Returns whose event it is: Cursor sends its own events to hooks that were installed for Claude Code, and so does
/// Copilot.
pub(super) fn sender(installed_for: Client, event: &Event<'_>) -> Client {
    if event.text("cursor_version").is_some() {
        Client::Cursor
    } else if installed_for == Client::ClaudeCode && copilot::is_its_event_for_claude(event) {
        Client::Copilot
    } else {
        installed_for
    }
}

/// Returns what an event tells. `name` is the event's name if the client does not tell it with the event.
pub(super) fn read(client: Client, name: Option<&str>, event: &Event<'_>) -> Told {
    let told = event.first_text(&["hook_event_name", "hookEventName"]);
    let Some(name) = told.as_deref().or(name).or_else(|| copilot::guess(client, event)) else { return Told::default() };
    match client {
        Client::ClaudeCode => claude_code::read(name, event),
        Client::Codex => codex::read(name, event),
        Client::Gemini => gemini::read(name, event),
        Client::Copilot => copilot::read(name, event),
        Client::Cursor => cursor::read(name, event),
    }
}

/// Returns what a hook prints to refuse the call that the client is about to make.
pub(super) fn denial(client: Client, reason: &str) -> String {
    let json = match client {
        Client::ClaudeCode | Client::Codex => serde_json::json!({ "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": "deny",
            "permissionDecisionReason": reason,
        } }),
        Client::Gemini => serde_json::json!({ "decision": "deny", "reason": reason }),
        Client::Copilot => {
            serde_json::json!({ "permissionDecision": "deny", "permissionDecisionReason": reason })
        }
        Client::Cursor => {
            serde_json::json!({ "permission": "deny", "user_message": reason, "agent_message": reason })
        }
    };
    json.to_string()
}
