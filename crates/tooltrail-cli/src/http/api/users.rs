//! `GET /api/audit/users`: the users that have a trail.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde_json::json;
use tooltrail::{Question, UserSummary};

use crate::http::api::params::{Params, user_cursor};
use crate::http::api::read_log;
use crate::http::auth::Caller;
use crate::http::status::{Problem, answer};
use crate::output::skipped_json;
use crate::service::Service;

/// Most users on a page: the same limit as for entries.
const USERS_MAX: usize = 1_000;

/// Answers with the users whose entries the token may read.
pub(crate) async fn users(State(service): State<Arc<Service>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    caller.may_read()?;
    let mut question = Question::new();
    question.limit = USERS_MAX;
    caller.narrow(&mut question)?;
    let params = Params::of(&uri, &["cursor"])?;
    let after = params.user_cursor()?;
    read_log::note(&service, &caller, "users", &params)?;
    let page = service.read(&caller.0, move |trail| trail.users_page(&question, after.as_deref())).await?;
    let users = page
        .users
        .iter()
        .map(|UserSummary { user, entries, last, .. }| json!({ "user": user, "entries": entries, "last": last }));
    let next = page.next.as_deref().map(user_cursor);
    let mut body = json!({ "users": users.collect::<Vec<_>>(), "next": next });
    if !page.complete {
        body["complete"] = json!(false);
        body["skipped"] = skipped_json(&page.skipped);
        body["unreadable_names"] = json!(page.unreadable_names);
    }
    Ok(answer(body.to_string()))
}
