//! `GET /healthz`: the process is alive. `GET /readyz`: it also takes entries and queries.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde_json::json;

use crate::http::api::params::Params;
use crate::http::status::{Problem, answer};
use crate::service::Service;

/// Answers ok without any check, because a slow disk is no reason to kill the process.
pub(crate) async fn live(uri: Uri) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    Ok(answer(r#"{"status":"ok"}"#))
}

/// Answers ready if recovery is done and the home is writable. It also says how far the sealing is, which never stops
/// recording.
pub(crate) async fn ready(State(service): State<Arc<Service>>, uri: Uri) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    service.ready().await?;
    let sealing = service.opened()?.recorder.seal_status();
    let waits = sealing.waiting_since.map(|since| (crate::clock::clock().now().as_millis() - since.as_millis()).max(0));
    let body = json!({
        "status": "ready",
        "sealing": {
            "enabled": sealing.enabled,
            "log_size": sealing.size,
            "waiting_s": waits.unwrap_or(0) / 1_000,
            "in_trouble": sealing.trouble.is_some(),
        },
    });
    Ok(answer(body.to_string()))
}
