//! `GET /openapi.json`: the OpenAPI description of this API, maintained by hand.

use axum::http::Uri;
use axum::response::Response;

use crate::http::api::params::Params;
use crate::http::status::{Problem, answer};

/// The OpenAPI document.
const DOCUMENT: &str = include_str!("openapi.json");

/// Answers with the document.
pub(crate) async fn document(uri: Uri) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    Ok(answer(DOCUMENT))
}

#[cfg(test)]
mod tests {
    use super::DOCUMENT;
    use crate::http::routes;

    #[test]
    fn every_route_is_described_and_no_other() {
        let document = serde_json::from_str::<serde_json::Value>(DOCUMENT).unwrap();
        let mut described = document["paths"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        // OpenAPI has no sign for a parameter of several segments.
        let mut routed = routes().into_iter().map(|(path, _)| path.replace("{*", "{")).collect::<Vec<_>>();
        described.sort();
        routed.sort();
        assert_eq!(described, routed);
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
