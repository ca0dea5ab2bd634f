//! `GET /healthz`: the process answers. `GET /readyz`: it also takes entries.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use crate::http::api::params::Params;
use crate::http::status::{Problem, answer};
use crate::service::Service;

/// Answers without looking at anything: a slow disk is no reason to kill the process.
pub(crate) async fn live(uri: Uri) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    Ok(answer(r#"{"status":"ok"}"#))
}

/// Answers yes once recovery is done and while the home can be written.
pub(crate) async fn ready(State(service): State<Arc<Service>>, uri: Uri) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    service.ready().await?;
    Ok(answer(r#"{"status":"ready"}"#))
}
