//! `GET /api/audit/recent`: the newest entries, as they are stored.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde_json::json;
use tooltrail::Page;

use crate::http::api::params::Params;
use crate::http::api::read_log;
use crate::http::api::reserved_body::ReservedBody;
use crate::http::auth::Caller;
use crate::http::status::{Problem, answer};
use crate::output::{nothing_json, scanned_json, skipped_json};
use crate::service::Service;

/// Answers with one page of entries.
pub(crate) async fn recent(State(service): State<Arc<Service>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    caller.may_read()?;
    let params = Params::of(&uri, &["user", "days", "from", "to", "limit", "q", "cursor"])?;
    let mut question = params.question(service.zone())?;
    caller.narrow(&mut question)?;
    read_log::note(&service, &caller, "recent", &params)?;
    let page = service.read(&caller.0, move |trail| trail.recent(&question)).await?;
    service.meters().skipped(&page.skipped);
    let body = body(page);
    let room = service.answer_permit(&caller.0, body.len())?;
    Ok(answer(ReservedBody::body(body, room)))
}

/// Returns the JSON body. The stored lines are copied into it byte for byte, without parsing them.
fn body(page: Page) -> String {
    let next = serde_json::Value::from(page.next.as_deref());
    let mut tail = format!(
        r#"],"next":{next},"skipped":{},"scanned":{},"complete":{}"#,
        skipped_json(&page.skipped),
        scanned_json(&page.scanned),
        page.complete,
    );
    if !page.unreadable_names.is_empty() {
        tail += &format!(r#","unreadable_names":{}"#, json!(page.unreadable_names));
    }
    if let Some(nothing) = &page.nothing {
        tail += &format!(r#","nothing":{}"#, nothing_json(nothing));
    }
    tail.push('}');
    let bytes = page.lines.iter().map(|line| line.len() + 1).sum::<usize>();
    let mut body = String::with_capacity(bytes + tail.len() + 16);
    body.push_str(r#"{"entries":["#);
    for (index, line) in page.lines.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(line);
    }
    body + &tail
}
