//! `GET /api/audit/sessions`: the newest sessions.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use crate::http::api::params::Params;
use crate::http::api::read_log;
use crate::http::auth::Caller;
use crate::http::status::{Problem, answer};
use crate::output::{escaped_json, sessions_json};
use crate::service::Service;

/// Answers with the sessions whose last call is the newest.
pub(crate) async fn sessions(
    State(service): State<Arc<Service>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.may_read()?;
    let params = Params::of(&uri, &["user", "days", "from", "to", "limit", "q"])?;
    let mut question = params.question(service.zone())?;
    caller.narrow(&mut question)?;
    read_log::note(&service, &caller, "sessions", &params)?;
    let sessions = service.read(&caller.0, move |trail| trail.sessions(&question)).await?;
    service.meters().skipped(&sessions.skipped);
    Ok(answer(escaped_json(&sessions_json(&sessions).to_string()).into_owned()))
}
