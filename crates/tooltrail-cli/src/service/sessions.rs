//! Sessions of users who are signed in to the page.
//!
//! A cookie holds a random session name. The sessions are kept in memory, their number is bounded, and each ends when
//! its token is revoked.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::{COOKIE, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::service::Refusal;
use crate::service::peer::Origin;
use crate::tokens::{Token, Tokens};

/// Longest lifetime of a session: one working day. After that, the user must enter the token again.
const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// Most sessions at the same time. A new session beyond this number removes the oldest one. Each takes a few hundred
/// bytes, and no team is larger.
const SESSIONS_MAX: usize = 1_000;

/// Random bytes of a session name and of a form secret. 256 random bits cannot be guessed.
const SECRET_BYTES: usize = 32;

/// Most cookies with the same name that are checked per request.
const COOKIES_MAX: usize = 8;

/// The cookie that holds the session name.
const SESSION_COOKIE: &str = "tooltrail_session";

/// The cookie whose value the sign-in form must send back.
const FORM_COOKIE: &str = "tooltrail_form";

/// Attributes of both cookies: scripts cannot read them, and requests from pages of other sites do not carry them.
const COOKIE_RULES: &str = "Path=/; HttpOnly; SameSite=Strict";

/// All sessions, by the SHA-256 hash of their name.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

/// The session of one signed-in user.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The token that the user signed in with.
    pub(crate) token: Token,
    /// The secret that each form of this session must send back.
    pub(crate) form: String,
    /// The origin of the sign-in request. The session is valid only for requests from the same origin.
    origin: Origin,
    begun: Instant,
}

impl Sessions {
    /// Creates a session and returns its name.
    pub(crate) fn begin(&self, token: Token, origin: Origin) -> Result<String, Refusal> {
        let name = secret()?;
        let session = Session { token, form: secret()?, origin, begun: Instant::now() };
        let mut all = self.all();
        all.retain(|_, session| session.begun.elapsed() < SESSION_LIFE);
        if all.len() >= SESSIONS_MAX
            && let Some(oldest) = all.iter().min_by_key(|(_, session)| session.begun).map(|(name, _)| *name)
        {
            all.remove(&oldest);
        }
        all.insert(hashed(&name), session);
        Ok(name)
    }

    /// Returns the session that a request names, if its token is still in `tokens` and the request comes from the
    /// session's origin.
    ///
    /// A service on another port of this machine can read the cookie and can set further cookies with the same name.
    /// Therefore all of them are tried, and the first one that names a session is used.
    pub(crate) fn find(
        &self,
        headers: &HeaderMap,
        origin: impl FnOnce() -> Origin,
        tokens: &Tokens,
    ) -> Option<Session> {
        let names = cookies(headers, SESSION_COOKIE).map(hashed).collect::<Vec<_>>();
        let mut all = self.all();
        let name = names.into_iter().find(|name| all.contains_key(name))?;
        let session = all.get(&name)?.clone();
        if session.begun.elapsed() >= SESSION_LIFE || !tokens.holds(&session.token) {
            all.remove(&name);
            return None;
        }
        drop(all);
        // A user who cannot be told from others has no session.
        let origin = origin();
        (session.origin == origin && origin != Origin::Nobody).then_some(session)
    }

    /// Removes all sessions that a request names.
    pub(crate) fn end(&self, headers: &HeaderMap) {
        for name in cookies(headers, SESSION_COOKIE) {
            self.all().remove(&hashed(name));
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the cookie for a session that was created for this request.
pub(crate) fn session_cookie(name: &str, headers: &HeaderMap) -> Option<HeaderValue> {
    let life = SESSION_LIFE.as_secs();
    HeaderValue::from_str(&format!("{SESSION_COOKIE}={name}; {COOKIE_RULES}; Max-Age={life}{}", secure(headers))).ok()
}

/// Returns the cookie that deletes the session cookie in the browser.
pub(crate) fn no_session_cookie() -> HeaderValue {
    const { HeaderValue::from_static("tooltrail_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0") }
}

/// Returns the cookie whose value the sign-in form must send back.
pub(crate) fn form_cookie(form: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{FORM_COOKIE}={form}; {COOKIE_RULES}")).ok()
}

/// Returns the secret that the sign-in form must send back. Reuses the secret that the browser already has in its
/// cookie, so that the forms of two tabs are both valid.
pub(crate) fn form_secret(headers: &HeaderMap) -> Result<String, Refusal> {
    let is_secret = |form: &&str| form.len() == 2 * SECRET_BYTES && form.bytes().all(|byte| byte.is_ascii_hexdigit());
    cookies(headers, FORM_COOKIE).find(is_secret).map_or_else(secret, |form| Ok(form.to_owned()))
}

/// Whether a sign-in form comes from a browser that got the form from this service.
pub(crate) fn is_our_form(headers: &HeaderMap, sent: &str) -> bool {
    cookies(headers, FORM_COOKIE).any(|form| is_same(form, sent))
}

/// Whether two secrets are equal. Compares in constant time, so that the time does not show where they differ.
pub(crate) fn is_same(known: &str, sent: &str) -> bool {
    !known.is_empty() && bool::from(known.as_bytes().ct_eq(sent.as_bytes()))
}

/// Returns the `Secure` attribute if the request came over HTTPS, so that the browser sends the cookie over HTTPS only.
fn secure(headers: &HeaderMap) -> &'static str {
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    if origin.is_some_and(|origin| origin.starts_with(b"https://")) { "; Secure" } else { "" }
}

/// Returns the first [`COOKIES_MAX`] values of a cookie. The number is bounded because the caller hashes each value.
fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(move |(known, _)| known.trim() == name).map(|(_, value)| value.trim()).take(COOKIES_MAX)
}

/// Returns [`SECRET_BYTES`] random bytes as hex.
fn secret() -> Result<String, Refusal> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "no random bits");
        Refusal::Broken
    })?;
    Ok(tooltrail::hex(&bytes))
}

/// Returns the hash that is the map key for a session name. Because the lookup compares hashes, its time does not show
/// how much of a guessed name was right.
fn hashed(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::{SESSIONS_MAX, Sessions, cookies, form_secret, is_our_form, is_same};
    use crate::service::peer::Origin;
    use crate::tokens::{Role, TokenStore, Tokens};
    use axum::http::{HeaderMap, HeaderValue};

    fn with_cookies(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("cookie", HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn tokens() -> Tokens {
        let folder = tempfile::tempdir().unwrap();
        let store = TokenStore::new(folder.path().join("keys"));
        store.add("root", Role::Admin, None).unwrap();
        store.load().unwrap()
    }

    #[test]
    fn a_session_ends_with_its_token_or_when_told() {
        let (sessions, tokens) = (Sessions::default(), tokens());
        let token = tokens.iter().next().unwrap().clone();
        let name = sessions.begin(token.clone(), Origin::User(7)).unwrap();
        let headers = with_cookies(&[&format!("a=b; tooltrail_session={name}")]);
        assert_eq!(sessions.find(&headers, || Origin::User(7), &tokens).unwrap().token.name, "root");
        sessions.end(&headers);
        assert!(sessions.find(&headers, || Origin::User(7), &tokens).is_none());

        let name = sessions.begin(token, Origin::User(7)).unwrap();
        let headers = with_cookies(&[&format!("tooltrail_session={name}")]);
        assert!(sessions.find(&headers, || Origin::User(7), &Tokens::default()).is_none());
        assert!(
            sessions.find(&headers, || Origin::User(7), &tokens).is_none(),
            "a session does not come back with its token"
        );
        assert!(sessions.find(&with_cookies(&["tooltrail_session="]), || Origin::User(7), &tokens).is_none());
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let (sessions, tokens) = (Sessions::default(), tokens());
        let token = tokens.iter().next().unwrap();
        let names =
            (0..=SESSIONS_MAX).map(|_| sessions.begin(token.clone(), Origin::User(7)).unwrap()).collect::<Vec<_>>();
        let lives = |name: &String| {
            let headers = with_cookies(&[&format!("tooltrail_session={name}")]);
            sessions.find(&headers, || Origin::User(7), &tokens)
        };
        assert!(lives(&names[0]).is_none() && lives(&names[1]).is_some() && lives(&names[SESSIONS_MAX]).is_some());
    }

    #[test]
    fn every_cookie_of_a_name_is_read() {
        let check = |values: &[&str], expected: &[&str]| {
            assert_eq!(cookies(&with_cookies(values), "x").collect::<Vec<_>>(), expected, "{values:?}");
        };
        check(&["x=1"], &["1"]);
        check(&["a=2;x=1; b"], &["1"]);
        check(&["a=2", "x=1"], &["1"]);
        check(&["xx=1; ax=2"], &[]);
        check(&["x=1; x=2", "x=3"], &["1", "2", "3"]);
    }

    #[test]
    fn a_session_is_its_own_peers_and_found_among_other_cookies() {
        let (sessions, tokens) = (Sessions::default(), tokens());
        let name = sessions.begin(tokens.iter().next().unwrap().clone(), Origin::User(1000)).unwrap();
        let headers = with_cookies(&[&format!("tooltrail_session=junk; tooltrail_session={name}")]);
        assert!(sessions.find(&headers, || Origin::User(1000), &tokens).is_some());
        assert!(sessions.find(&headers, || Origin::User(1001), &tokens).is_none(), "another user replays the cookie");
        let address = "127.0.0.1".parse().unwrap();
        assert!(sessions.find(&headers, || Origin::Address(address), &tokens).is_none());
        assert!(sessions.find(&headers, || Origin::User(1000), &tokens).is_some(), "which ends nothing");
    }

    #[test]
    fn a_form_matches_the_browser_that_asked() {
        let secret = form_secret(&HeaderMap::new()).unwrap();
        let headers = with_cookies(&[&format!("tooltrail_form={secret}")]);
        assert_eq!(form_secret(&headers).unwrap(), secret);
        assert!(is_our_form(&headers, &secret));
        assert!(!is_our_form(&headers, "") && !is_our_form(&HeaderMap::new(), &secret));
        assert_ne!(form_secret(&with_cookies(&["tooltrail_form=short"])).unwrap(), "short");
        assert!(!is_our_form(&with_cookies(&["tooltrail_form="]), "") && !is_same("", ""));
    }
}
