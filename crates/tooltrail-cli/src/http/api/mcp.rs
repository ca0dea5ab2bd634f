//! `POST /mcp`: the trail as an MCP server, for the user of the token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use tooltrail::Identity;
use tooltrail_toolbox::Context;

use crate::http::api::params::Params;
use crate::http::auth::Caller;
use crate::http::status::Problem;
use crate::mcp_server::{self, AuditServer};
use crate::service::{Opened, Service};

/// Answers one message of a client.
pub(crate) async fn mcp(
    State(service): State<Arc<Service>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let Some(user) = caller.may_read()? else {
        return Err(Problem::Forbidden {
            detail: "an MCP client reads the trail of one user",
            hint: "give it a token of role user",
        });
    };
    Params::of(request.uri(), &[])?;
    let mut context = Context::new(user);
    context.identity = Some(Identity::Verified);
    let Opened { recorder, trail } = service.opened()?.clone();
    let toolbox = match service.toolbox() {
        Some(toolbox) => toolbox,
        None => {
            let made = mcp_server::toolbox(Arc::clone(&recorder), trail, None);
            service.set_toolbox(made.map_err(|_| Problem::Broken)?)
        }
    };
    // What was acknowledged before must be in the answer.
    let _ = tokio::task::spawn_blocking(move || recorder.wait_for_buffered()).await;
    Ok(mcp_server::answer(AuditServer::new(toolbox, context), request).await)
}
