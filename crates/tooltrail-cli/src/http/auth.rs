//! Authentication and authorization: which token sent a request, and what this token may do.

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

/// The header in which a browser says which page caused a request: `same-origin`, `same-site` (also another port),
/// `cross-site`, or `none` for an address that the user typed.
const SITE: &str = "sec-fetch-site";

/// The token of a request, from its `Authorization` header or from the page session of its cookie.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Token);

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        if !parts.headers.contains_key(AUTHORIZATION) && parts.method.is_safe() && is_own_page(&parts.headers) {
            // Requests of the page itself. A cookie is enough to read; sending entries needs a token.
            if let Some(session) = session(parts, service) {
                return Ok(Self(session.token));
            }
        }
        let Some(presented) = bearer(&parts.headers) else { return Err(Problem::NoToken(false)) };
        Ok(Self(service.token(presented).await?))
    }
}

/// Returns the page session of a request, if it has a valid one.
pub(crate) fn session(parts: &Parts, service: &Service) -> Option<Session> {
    let peer = parts.extensions.get::<Peer>()?;
    service.sessions().find(&parts.headers, || peer.origin(), &service.tokens())
}

/// Whether the request does not come from a page of another site, as far as the browser reports it. This check is
/// needed because a browser may attach the cookie to requests of any page.
pub(crate) fn is_own_page(headers: &HeaderMap) -> bool {
    headers.get_all(SITE).iter().all(|site| site == "same-origin" || site == "none")
}

impl Caller {
    /// Refuses a token that may not send entries.
    pub(crate) fn may_send(&self) -> Result<(), Problem> {
        match self.0.role {
            Role::Admin | Role::Ingest => Ok(()),
            Role::User => Err(Problem::Forbidden {
                detail: "this token may only read",
                hint: "send entries with a token of role ingest",
            }),
        }
    }

    /// Refuses a token that may not read; otherwise returns the one user whose entries it may read, `None` for all
    /// users.
    pub(crate) fn may_read(&self) -> Result<Option<&str>, Problem> {
        match self.0.role {
            Role::Admin => Ok(None),
            Role::Ingest => Err(Problem::Forbidden {
                detail: "this token may only send entries",
                hint: "read with a token of role admin or user",
            }),
            // A token of this role without a user was not created by tooltrail.
            Role::User => self.0.user.as_deref().map(Some).ok_or(Problem::NoToken(true)),
        }
    }

    /// Restricts a query to the entries that the token may read; refuses a query that names another user.
    pub(crate) fn narrow(&self, question: &mut Question) -> Result<(), Problem> {
        let Some(own) = self.may_read()? else { return Ok(()) };
        if question.user.as_deref().into_iter().chain(question.query.whole_users()).any(|user| user != own) {
            return Err(Problem::Forbidden {
                detail: "this token may read its own user only",
                hint: "leave the user out, or use a token of role admin",
            });
        }
        question.user = Some(own.to_owned());
        // Match only this user's folder, not folders of other users with a similar name.
        question.exact_user = true;
        Ok(())
    }
}

/// Returns the bearer token of a request; `None` unless there is exactly one `Authorization` header.
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
