//! Who asks, and whether they may.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use tooltrail::Question;

use crate::http::status::Problem;
use crate::service::Service;
use crate::service::peer::Peer;
use crate::service::sessions::Session;
use crate::tokens::{Role, Token};

/// In which a browser says whose page sends a request: `same-origin`, `same-site` (another port too), `cross-site`, or
/// `none` for an address that somebody typed.
const SITE: &str = "sec-fetch-site";

/// Whoever sent a valid token, or a session that began with one.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Token);

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        if !parts.headers.contains_key(AUTHORIZATION) && parts.method.is_safe() && is_own_page(&parts.headers) {
            // The page's own requests: a cookie reads, and only a token sends.
            if let Some(session) = session(parts, service) {
                return Ok(Self(session.token));
            }
        }
        let Some(presented) = bearer(&parts.headers) else { return Err(Problem::NoToken(false)) };
        Ok(Self(service.token(presented).await?))
    }
}

/// Returns the session of a request.
pub(crate) fn session(parts: &Parts, service: &Service) -> Option<Session> {
    let peer = parts.extensions.get::<Peer>()?;
    service.sessions().find(&parts.headers, || peer.origin(), &service.tokens())
}

/// Whether no other site's page sends this, as far as the browser says: a cookie is the browser's, whoever asks.
pub(crate) fn is_own_page(headers: &HeaderMap) -> bool {
    headers.get_all(SITE).iter().all(|site| site == "same-origin" || site == "none")
}

impl Caller {
    /// Refuses whoever may not send entries.
    pub(crate) fn may_send(&self) -> Result<(), Problem> {
        match self.0.role {
            Role::Admin | Role::Ingest => Ok(()),
            Role::User => Err(Problem::Forbidden {
                detail: "this token may only read",
                hint: "send entries with a token of role ingest",
            }),
        }
    }

    /// Refuses whoever may not read; returns the one user whom the token may read, `None` for all.
    pub(crate) fn may_read(&self) -> Result<Option<&str>, Problem> {
        match self.0.role {
            Role::Admin => Ok(None),
            Role::Ingest => Err(Problem::Forbidden {
                detail: "this token may only send entries",
                hint: "read with a token of role admin or user",
            }),
            // A token of this role without a user is none that we made.
            Role::User => self.0.user.as_deref().map(Some).ok_or(Problem::NoToken(true)),
        }
    }

    /// Narrows a question to what the token may read; one that names another user is refused.
    pub(crate) fn narrow(&self, question: &mut Question) -> Result<(), Problem> {
        let Some(own) = self.may_read()? else { return Ok(()) };
        if question.user.as_deref().into_iter().chain(question.query.whole_users()).any(|user| user != own) {
            return Err(Problem::Forbidden {
                detail: "this token may read its own user only",
                hint: "leave the user out, or use a token of role admin",
            });
        }
        question.user = Some(own.to_owned());
        // Nobody else's folder, however alike its name is.
        question.exact_user = true;
        Ok(())
    }
}

/// Returns the bearer token of a request that has exactly one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::{bearer, is_own_page};
    use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

    #[test]
    fn one_bearer_token_is_taken() {
        let check = |values: &[&'static str], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(bearer(&headers), expected, "{values:?}");
        };
        check(&["Bearer abc"], Some("abc"));
        check(&["bearer  abc "], Some("abc"));
        check(&["Basic abc"], None);
        check(&["Bearer"], None);
        check(&["abc"], None);
        check(&["Bearer abc", "Bearer abc"], None);
        check(&[], None);
    }

    #[test]
    fn a_cookie_counts_from_our_own_page_only() {
        let check = |sites: &[&'static str], expected: bool| {
            let mut headers = HeaderMap::new();
            for site in sites {
                headers.append("sec-fetch-site", HeaderValue::from_static(site));
            }
            assert_eq!(is_own_page(&headers), expected, "{sites:?}");
        };
        check(&[], true);
        check(&["same-origin"], true);
        check(&["none"], true);
        check(&["same-site"], false);
        check(&["cross-site"], false);
        check(&["same-origin", "cross-site"], false);
    }
}
