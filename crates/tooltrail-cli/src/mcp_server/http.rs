//! The server over HTTP: one request after the other, without sessions.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use crate::mcp_server::server::AuditServer;

/// The largest request: the longest query, and what is around it.
const REQUEST_BYTES_MAX: usize = 64 << 10;

/// How often a stream says that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers one request for one user. Host and origin are checked before.
pub(crate) async fn answer(server: AuditServer, request: Request) -> Response {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(Some(KEEP_ALIVE))
        .with_max_request_body_bytes(REQUEST_BYTES_MAX)
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let service =
        StreamableHttpService::new(move || Ok(server.clone()), Arc::new(NeverSessionManager::default()), config);
    service.handle(request).await.map(Body::new)
}
