//! Approvals that a service keeps, so that only its owner can give them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::mcp::tools::definitions::ListedTools;
use crate::mcp::tools::pins::{PinSource, ToolState};

/// How long an answer of the service counts. After an approval, a call may be denied for this time.
const FRESH: Duration = Duration::from_secs(1);

/// Sends a JSON text to the service and returns its answer, or why there is none.
pub(crate) type AskService = Box<dyn Fn(String) -> Result<String, String> + Send + Sync>;

/// The approvals of a server's tools at a service.
pub(crate) struct ServicePins {
    server: String,
    ask: AskService,
    known: Mutex<Option<(Instant, Arc<ToolState>)>>,
}

impl ServicePins {
    pub(crate) fn new(server: &str, ask: AskService) -> Self {
        Self { server: server.to_owned(), ask, known: Mutex::default() }
    }

    /// Asks the service, and keeps what it answers. Without an answer, nothing is approved.
    fn report(&self, page: &ListedTools, listed: &[String]) -> Arc<ToolState> {
        let ListedTools { tools, has_more } = page;
        let page = json!({ "server": self.server, "tools": tools, "listed": listed, "has_more": has_more });
        let state =
            (self.ask)(page.to_string()).ok().and_then(|answer| serde_json::from_str::<ToolState>(&answer).ok());
        let state = Arc::new(state.unwrap_or_default());
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&state)));
        state
    }
}

impl PinSource for ServicePins {
    fn state(&self) -> Arc<ToolState> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some((at, state)) if at.elapsed() < FRESH => state,
            _ => self.report(&ListedTools { has_more: true, ..ListedTools::default() }, &[]),
        }
    }

    fn is_service(&self) -> bool {
        true
    }

    fn take_in(&self, page: &ListedTools, listed: &[String]) -> bool {
        self.report(page, listed);
        true
    }
}

impl fmt::Debug for ServicePins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServicePins").field("server", &self.server).finish_non_exhaustive()
    }
}
