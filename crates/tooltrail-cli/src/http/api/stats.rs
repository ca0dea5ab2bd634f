//! `GET /api/audit/stats`: counts and quantiles.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use crate::http::api::params::Params;
use crate::http::api::read_log;
use crate::http::auth::Caller;
use crate::http::status::{Problem, answer};
use crate::output::{escaped_json, stats_json};
use crate::service::Service;

/// Answers with the counts and quantiles.
pub(crate) async fn stats(State(service): State<Arc<Service>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    caller.may_read()?;
    let params = Params::of(&uri, &["user", "days", "from", "to", "q", "by_day"])?;
    let mut question = params.question(service.zone())?;
    question.local_days = params.choice("by_day", &["utc", "local"])? == Some("local");
    caller.narrow(&mut question)?;
    read_log::note(&service, &caller, "stats", &params)?;
    let stats = service.read(&caller.0, move |trail| trail.stats(&question)).await?;
    service.meters().skipped(&stats.skipped);
    Ok(answer(escaped_json(&stats_json(&stats).to_string()).into_owned()))
}
