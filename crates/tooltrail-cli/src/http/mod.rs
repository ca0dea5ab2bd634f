//! The service: every route on one screen, and what holds for all of them.

mod auth;
mod entries;
mod error;
mod health;
mod host;
mod listen;
mod openapi;
mod params;
mod read_log;
mod recent;
mod service;
mod sessions;
mod stats;
mod stream;
mod users;
mod web;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};

pub(crate) use host::Hosts;
pub(crate) use listen::Listener;
pub(crate) use service::{Opened, Service};

use crate::http::error::Problem;

/// Longest path and query: a question of some hundred terms.
const URI_BYTES_MAX: usize = 8 << 10;

/// Every route of the API; the page's are in `web`.
fn routes() -> [(&'static str, MethodRouter<Arc<Service>>); 8] {
    [
        ("/api/audit/recent", get(recent::recent)),
        ("/api/audit/stats", get(stats::stats)),
        ("/api/audit/users", get(users::users)),
        ("/api/audit/stream", get(stream::stream)),
        ("/api/audit/entries", post(entries::entries)),
        ("/healthz", get(health::live)),
        ("/readyz", get(health::ready)),
        ("/openapi.json", get(openapi::document)),
    ]
}

/// Returns the service as routes.
pub(crate) fn router(service: Arc<Service>, hosts: Hosts) -> Router {
    let routed = routes()
        .into_iter()
        .chain(web::routes())
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    routed
        .method_not_allowed_fallback(async || Problem::NoSuchMethod)
        .fallback(async || Problem::NoSuchPath)
        .with_state(service)
        .layer(from_fn(move |request, next| around(hosts, request, next)))
}

/// What holds for every request: it is checked before it is routed, noted in the log, and its answer stays with the caller.
async fn around(hosts: Hosts, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    // The route, not the address: what somebody asked is the trail's business, not the log's.
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "-".to_owned(), |path| path.as_str().to_owned());
    let mut response = match check(hosts, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    // Static files say otherwise; all else is somebody's.
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let took_ms = begun.elapsed().as_millis();
    tracing::info!(%method, route, status = response.status().as_u16(), took_ms, "request");
    response
}

/// Refuses what no route should see.
fn check(hosts: Hosts, request: &Request) -> Result<(), Problem> {
    let uri = request.uri();
    if uri.path_and_query().is_some_and(|text| text.as_str().len() > URI_BYTES_MAX) {
        return Err(Problem::UriTooLong);
    }
    hosts.check(request.method(), uri, request.version(), request.headers())?;
    params::check(uri)
}
