//! Decides by what is approved whether a tool may be listed and called.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::mcp::tools::compare::Definitions;
use crate::mcp::tools::definitions::ListedTools;

/// The definitions of a server's tools that were seen last, and those that are approved, by their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToolState {
    pub(crate) seen: BTreeMap<String, String>,
    pub(crate) approved: BTreeMap<String, String>,
}

/// Where approvals are kept.
pub(crate) trait PinSource: fmt::Debug + Send + Sync {
    /// Returns what is seen and approved now. If that is not known, nothing is approved. It is asked for each tool of a
    /// list, so it copies nothing that grows with the list.
    fn state(&self) -> Arc<ToolState>;

    /// Whether a service keeps the approvals, so that only its owner gives them.
    fn is_service(&self) -> bool;

    /// Takes in a page of a list, if the source keeps what was seen by itself. `listed` has the names on the pages before.
    /// Returns false if it does not.
    fn take_in(&self, page: &ListedTools, listed: &[String]) -> bool;
}

/// The tools of one connection, which must be approved.
#[derive(Debug)]
pub(crate) struct PinnedTools {
    server: String,
    source: Box<dyn PinSource>,
    /// What the server of this connection has listed.
    current: Mutex<Option<Definitions>>,
}

impl PinnedTools {
    pub(crate) fn new(server: &str, source: Box<dyn PinSource>) -> Self {
        Self { server: server.to_owned(), source, current: Mutex::default() }
    }

    /// Takes in a page that the server of this connection has listed. Returns whether the source keeps it by itself.
    pub(crate) fn take_in(&self, page: &ListedTools) -> bool {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let definitions = current.get_or_insert_default();
        let listed = definitions.listed().map(str::to_owned).collect::<Vec<_>>();
        definitions.take_in(page.clone());
        drop(current);
        self.source.take_in(page, &listed)
    }

    /// Whether the definition of a tool is approved: the one that the server of this connection has listed. Before it has
    /// listed any, the one that was seen last in another connection counts.
    pub(crate) fn allows(&self, tool: &str) -> bool {
        let state = self.source.state();
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let definition = match &*current {
            Some(current) => current.tools.get(tool).map(|definition| &definition.sha256),
            None => state.seen.get(tool),
        };
        definition.is_some_and(|definition| state.approved.get(tool) == Some(definition))
    }

    /// Returns how somebody sees and approves the definition of a tool, in a sentence.
    pub(crate) fn how_to_approve(&self, tool: &str) -> String {
        let server = &self.server;
        if self.source.is_service() {
            return format!(
                "The owner of the service sees it with `tooltrail mcp approve USER/{server} {tool} --show`, where USER is the user \
                 of the token, and approves it without --show."
            );
        }
        format!("`tooltrail mcp approve {server} {tool} --show` shows it; without --show, it is approved.")
    }
}
