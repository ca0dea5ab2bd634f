//! `GET /api/audit/users`: who has a trail.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde_json::json;
use tooltrail::UserSummary;

use crate::http::auth::Caller;
use crate::http::error::{Problem, answer};
use crate::http::params::{Params, user_cursor};
use crate::http::read_log;
use crate::http::service::Service;

/// Users of a page: as many as entries.
const USERS_MAX: usize = 1_000;

/// Answers with the users whom the token may read.
pub(crate) async fn users(State(service): State<Arc<Service>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let only = caller.may_read()?.map(str::to_owned);
    let params = Params::of(&uri, &["cursor"])?;
    let after = params.user_cursor()?;
    read_log::note(&service, &caller, "users", &params)?;
    let page = service.read(move |trail| trail.users_page(only.as_deref(), after.as_deref(), USERS_MAX)).await?;
    let users = page
        .users
        .iter()
        .map(|UserSummary { user, entries, last, .. }| json!({ "user": user, "entries": entries, "last": last }));
    let next = page.next.as_deref().map(user_cursor);
    Ok(answer(json!({ "users": users.collect::<Vec<_>>(), "next": next }).to_string()))
}
