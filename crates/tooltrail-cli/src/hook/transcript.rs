//! What the session file of a client tells of its calls.

use std::path::Path;

use tooltrail::{Call, Timestamp};

use crate::hook::client::Client;
use crate::hook::clients::as_hook_calls_it;
use crate::transcripts::{FileEnd, Format};

/// The bytes at the end of a session file that are read: the calls of a turn, with their results.
const END_BYTES: u64 = 4 * 1024 * 1024;

/// The bytes at the end in which the result of one call is looked for that has just ended.
const LAST_BYTES: u64 = 512 * 1024;

/// The age of a call beyond which it is left alone: an earlier hook told of it, or it is older than the hooks. Signs of
/// recorded calls are kept for longer.
const AGE_MS_MAX: i64 = 12 * 60 * 60 * 1_000;

/// Returns the ended calls that the end of a session file tells, in the form of the hooks.
pub(super) fn calls(client: Client, path: &Path, now: Timestamp) -> Vec<Call> {
    let Some(end) = end(client, path, END_BYTES) else { return Vec::new() };
    let is_recent = |call: &Call| call.ts.is_some_and(|ts| now.as_millis() - ts.as_millis() < AGE_MS_MAX);
    end.calls.into_iter().filter(is_recent).map(|call| of_hooks(client, call)).collect()
}

/// Returns how a call ended that the client gave this id; `None` if the file does not tell.
pub(super) fn call(client: Client, path: &Path, id: &str) -> Option<Call> {
    let end = end(client, path, LAST_BYTES)?;
    if let Some(call) = end.calls.into_iter().rfind(|call| call.call_id.as_deref() == Some(id)) {
        return Some(of_hooks(client, call));
    }
    end.failed.contains(id).then(|| Call::default().error(""))
}

/// Returns the version of the client that a session file names.
pub(super) fn version(client: Client, path: &Path) -> Option<String> {
    FileEnd::version(format(client)?, path)
}

fn end(client: Client, path: &Path, bytes: u64) -> Option<FileEnd> {
    FileEnd::read(format(client)?, path, bytes).ok()
}

fn format(client: Client) -> Option<Format> {
    match client {
        Client::ClaudeCode => Some(Format::ClaudeCode),
        Client::Codex => Some(Format::Codex),
        Client::Gemini => Some(Format::Gemini),
        Client::Copilot => Some(Format::Copilot),
        Client::Cursor => None,
    }
}

fn of_hooks(client: Client, mut call: Call) -> Call {
    if client == Client::Codex {
        as_hook_calls_it(&mut call);
    }
    call
}
