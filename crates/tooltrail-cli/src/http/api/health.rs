//! `GET /healthz`: the process is alive. `GET /readyz`: it also takes entries and queries.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use crate::http::api::params::Params;
use crate::http::status::{Problem, answer};
use crate::service::Service;

/// Answers ok without any check, because a slow disk is no reason to kill the process.
pub(crate) async fn live(uri: Uri) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    Ok(answer(r#"{"status":"ok"}"#))
}

/// Answers ready if recovery is done and the home is writable.
pub(crate) async fn ready(State(service): State<Arc<Service>>, uri: Uri) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    service.ready().await?;
    Ok(answer(r#"{"status":"ready"}"#))
}
