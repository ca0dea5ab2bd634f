//! `GET /metrics`: the metrics of the service. They contain no user, no tool and no data of entries.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use crate::http::api::params::Params;
use crate::http::status::{Problem, metrics_answer};
use crate::service::Service;

/// Answers with all metrics.
pub(crate) async fn metrics(State(service): State<Arc<Service>>, uri: Uri) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    let opened = service.opened().ok();
    let counters = opened.map(|opened| opened.recorder.counters());
    let sealing = opened.map(|opened| opened.recorder.seal_status());
    service.meters().text(counters, sealing).map(metrics_answer).map_err(|_| Problem::Broken)
}
