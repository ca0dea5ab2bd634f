//! `POST /api/audit/tools`: what a server's tools are, as the proxy of another user has seen them, and which are approved.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use tooltrail::Event;

use crate::http::api::params::Params;
use crate::http::auth::Caller;
use crate::http::status::{Problem, answer};
use crate::mcp::tools::{Definition, ListedTools, Listing, NAME_BYTES_MAX, ToolChanges, ToolStore};
use crate::service::Service;

/// The largest body: a page of definitions, as large as a proxy looks at, with its escapes.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Longest name of a server.
const SERVER_CHARS_MAX: usize = 200;

/// One page of a list of tools.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    server: String,
    /// The definitions by name. None of them, and `has_more`, only asks.
    tools: BTreeMap<String, Told>,
    /// The names on the pages before.
    listed: Vec<String>,
    has_more: bool,
}

/// A definition. Its hash is computed here: what is shown to whoever approves it must be what is approved.
#[derive(Deserialize)]
struct Told {
    text: String,
}

/// Compares a page with what was seen of the same server of the token's user, and answers with what is seen and approved.
pub(crate) async fn tools(
    State(service): State<Arc<Service>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.may_send()?;
    Params::of(request.uri(), &[])?;
    let (Some(user), Some(_)) = (caller.0.user.clone(), caller.0.kind) else {
        return Err(Problem::Forbidden {
            detail: "only the hooks and proxies of one user report tools",
            hint: "use a token of kind spool with a user",
        });
    };
    let recorder = Arc::clone(&service.opened()?.recorder);
    let room = service.body_permit(&caller.0, BODY_BYTES_MAX)?;
    let body = to_bytes(request.into_body(), BODY_BYTES_MAX).await;
    let body =
        body.map_err(|_| Problem::TooLarge { detail: format!("the page is over {} MiB", BODY_BYTES_MAX >> 20) })?;
    let page = serde_json::from_slice::<Page>(&body).map_err(|error| {
        Problem::unclear(format!("this is no page of tools: {error}"), "send server, tools, listed and has_more")
    })?;
    drop((body, room));
    if page.server.is_empty() || page.server.chars().count() > SERVER_CHARS_MAX {
        return Err(Problem::unclear("the server has no name of 1 to 200 characters", "name it with --server"));
    }
    let store = ToolStore::new(service.keys().join("tools"), &name_of(&user, &page.server));
    let compared = tokio::task::spawn_blocking(move || {
        let Page { server, tools, listed, has_more } = page;
        let mut changes = ToolChanges::default();
        if !(tools.is_empty() && has_more) {
            let tools = tools.into_iter().filter(|(name, _)| name.len() <= NAME_BYTES_MAX);
            let tools = tools.map(|(name, told)| (name, Definition::new(told.text))).collect();
            changes = store.take_in(&mut Listing::after(listed), ListedTools { tools, has_more })?;
        }
        Ok::<_, std::io::Error>((server, changes, store.state()?))
    });
    let (server, changes, state) = compared.await.map_err(|_| Problem::Broken)?.map_err(|error| {
        tracing::error!(%error, "the definitions of tools could not be stored");
        Problem::Broken
    })?;
    if !changes.is_empty() {
        let ToolChanges { added, removed, changed, signs } = changes;
        recorder.event(Event::Tools { user: Some(user), server, added, removed, changed, signs });
    }
    Ok(answer(serde_json::to_string(&state).unwrap_or_default()))
}

/// Returns the name under which `tooltrail mcp approve` knows a server of a user whose proxy delivers.
fn name_of(user: &str, server: &str) -> String {
    format!("{user}/{server}")
}
