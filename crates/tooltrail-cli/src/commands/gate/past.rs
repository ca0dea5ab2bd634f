//! Recorded calls, as the gate would see them.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;

use tooltrail::{Status, StoredEntry, is_random_call_id};

use crate::commands::pages::{Read, each_entry};
use crate::failure::Failure;
use crate::mcp::gate::{hook_name, hook_name_parts};
use crate::question::QuestionArgs;
use crate::settings::Settings;

/// The tools whose names begin so are tooltrail's own events.
const OWN_TOOLS: &str = "tooltrail.";

/// A recorded call.
pub(super) struct PastCall<'a> {
    pub(super) entry: &'a StoredEntry,
    /// The stored line.
    pub(super) line: &'a str,
    /// The name that tells tools of several servers apart: the one of the hooks, where there is one.
    pub(super) full_name: String,
}

/// What was read.
pub(super) struct Past {
    pub(super) calls: u64,
    pub(super) read: Read,
}

impl<'a> PastCall<'a> {
    fn new(entry: &'a StoredEntry, line: &'a str) -> Self {
        let full_name = match entry.server.as_deref() {
            Some(server) if hook_name_parts(&entry.tool).is_none() => hook_name(server, &entry.tool),
            _ => entry.tool.clone(),
        };
        Self { entry, line, full_name }
    }

    /// Whether the call was refused when it was made.
    pub(super) fn was_denied(&self) -> bool {
        self.entry.status == Status::Denied
    }
}

/// Reads the calls that a question asks for, the newest first. A call with several entries is given once.
///
/// # Errors
/// If the question is malformed or the home cannot be read.
pub(super) fn read(
    asked: &QuestionArgs,
    settings: &Settings,
    mut take: impl FnMut(&PastCall<'_>),
) -> Result<Past, Failure> {
    asked.check_no_service()?;
    let question = asked.question(&settings.zone()?, true)?;
    let (hasher, mut seen) = (RandomState::new(), HashSet::new());
    let mut calls = 0;
    let read = each_entry(&settings.trail()?, question, |entry, line| {
        let call_id = entry.call_id.as_deref().filter(|id| is_random_call_id(id));
        let is_first =
            call_id.is_none_or(|id| seen.insert(hasher.hash_one((&entry.user, id, entry.status == Status::Denied))));
        if is_first && !entry.tool.starts_with(OWN_TOOLS) {
            calls += 1;
            take(&PastCall::new(entry, line));
        }
        ControlFlow::Continue(())
    })?;
    Ok(Past { calls, read })
}
