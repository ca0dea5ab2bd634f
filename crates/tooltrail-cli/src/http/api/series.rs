//! `GET /api/audit/series`: calls over time.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use tooltrail::{BucketSize, GroupBy};

use crate::http::api::params::Params;
use crate::http::api::read_log;
use crate::http::auth::Caller;
use crate::http::status::{Problem, answer};
use crate::output::{escaped_json, series_json};
use crate::service::Service;

/// Answers with the counts and durations of each bucket.
pub(crate) async fn series(State(service): State<Arc<Service>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    caller.may_read()?;
    let params = Params::of(&uri, &["user", "days", "from", "to", "q", "bucket", "by"])?;
    let mut question = params.question(service.zone())?;
    let bucket = params.one_of("bucket", &BucketSize::ALL)?.unwrap_or(BucketSize::Hour);
    let by = params.one_of("by", &GroupBy::ALL)?.unwrap_or(GroupBy::Status);
    caller.narrow(&mut question)?;
    read_log::note(&service, &caller, "series", &params)?;
    let series = service.read(&caller.0, move |trail| trail.series(&question, bucket, by)).await?;
    service.meters().skipped(&series.skipped);
    Ok(answer(escaped_json(&series_json(&series).to_string()).into_owned()))
}
