//! The HTTP service: the list of all API routes, and the checks and headers that apply to every request.

mod api;
mod auth;
mod server;
mod status;
mod web;
mod witness;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};

pub(crate) use server::host::Hosts;
pub(crate) use server::listen::Listener;
pub(crate) use witness::serve as serve_witness;

use crate::http::server::failures::Failures;
use crate::http::server::framing::Framed;
use crate::http::status::{Problem, is_without_token};
use crate::service::Service;
use crate::service::meters::Meters;
use crate::service::peer::Peer;

/// The header with the newest checkpoint in base64, so that each client can keep one.
const CHECKPOINT: HeaderName = HeaderName::from_static("tooltrail-checkpoint");

/// Longest path and query: enough for a query of a few hundred terms.
const URI_BYTES_MAX: usize = 8 << 10;

/// All routes of the API; the routes of the page are in `web`.
fn routes() -> [(&'static str, MethodRouter<Arc<Service>>); 18] {
    [
        ("/api/audit/recent", get(api::recent::recent)),
        ("/api/audit/stats", get(api::stats::stats)),
        ("/api/audit/series", get(api::series::series)),
        ("/api/audit/sessions", get(api::sessions::sessions)),
        ("/api/audit/export", get(api::export::export)),
        ("/api/audit/users", get(api::users::users)),
        ("/api/audit/stream", get(api::stream::stream)),
        ("/api/audit/entries", post(api::entries::entries)),
        ("/api/audit/entries/{id}", get(api::sealed::entry)),
        ("/api/audit/checkpoint", get(api::sealed::checkpoint)),
        ("/api/audit/tools", post(api::tools::tools)),
        ("/mcp", post(api::mcp::mcp)),
        ("/log/checkpoint", get(api::sealed::public_checkpoint)),
        ("/log/tile/{*path}", get(api::sealed::public_tile)),
        ("/healthz", get(api::health::live)),
        ("/readyz", get(api::health::ready)),
        ("/metrics", get(api::metrics::metrics)),
        ("/openapi.json", get(api::openapi::document)),
    ]
}

/// Returns the router of the service.
pub(crate) fn router(service: Arc<Service>, hosts: Hosts) -> Router {
    let (failures, meters) = (Arc::new(Failures::default()), Arc::clone(service.meters()));
    let with_checkpoint = Arc::clone(&service);
    let routed = routes()
        .into_iter()
        .chain(web::routes())
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    routed.method_not_allowed_fallback(async || Problem::NoSuchMethod).fallback(web::nowhere).with_state(service).layer(
        from_fn(move |request, next| {
            let answered = middleware(hosts.clone(), Arc::clone(&failures), Arc::clone(&meters), request, next);
            let service = Arc::clone(&with_checkpoint);
            async move {
                let mut response = answered.await;
                if let Some(checkpoint) = service.checkpoint() {
                    response.headers_mut().insert(CHECKPOINT, checkpoint);
                }
                response
            }
        }),
    )
}

/// Handles every request: checks it before it is routed, counts and logs it, and forbids caches to store the answer.
async fn middleware(
    hosts: Hosts,
    failures: Arc<Failures>,
    meters: Arc<Meters>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let framed = Framed::of(request.headers());
    let peer = request.extensions().get::<Peer>().map(Peer::address_or_user);
    let method = method_label(request.method());
    // Logs the route, not the URI: the query belongs in the trail, not in the log.
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "-".to_owned(), |path| path.as_str().to_owned());
    let mut response = match check(&hosts, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if is_without_token(&response)
        && let Some(wait) = peer.and_then(|peer| failures.count(peer, Instant::now()))
    {
        meters.sent_away();
        response = Problem::TooManyFailures(wait).into_response();
    }
    framed.close(&mut response);
    // Static files set their own value; every other answer may hold private data.
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let (took, status) = (begun.elapsed(), response.status().as_u16());
    meters.request(&route, method, status, took);
    tracing::info!(method, route, status, took_ms = took.as_millis() as u64, "request");
    response
}

/// Returns the name of a known method, else `other`, because a client can send any word as the method, and that must
/// not get into logs and labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Refuses requests that no route should get.
fn check(hosts: &Hosts, request: &Request) -> Result<(), Problem> {
    let uri = request.uri();
    if uri.path_and_query().is_some_and(|text| text.as_str().len() > URI_BYTES_MAX) {
        return Err(Problem::UriTooLong);
    }
    server::framing::check(request.headers())?;
    hosts.check(request.method(), uri, request.version(), request.headers())?;
    api::params::check(uri)
}
