//! Who is signed in to the page: random names in a cookie, held in memory, bounded, and no longer than their token.

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

/// Longest session: a working day; then the token is asked for again.
const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// Sessions at once; the oldest makes room. Each is some hundred bytes, and no team is larger.
const SESSIONS_MAX: usize = 1_000;

/// Random bytes of a session's name and of a form's secret: nobody guesses 256 bits.
const SECRET_BYTES: usize = 32;

/// Cookies of one name that are looked at.
const COOKIES_MAX: usize = 8;

/// The cookie that names a session.
const SESSION_COOKIE: &str = "tooltrail_session";

/// The cookie that the form of those who are not signed in must match.
const FORM_COOKIE: &str = "tooltrail_form";

/// What holds for both cookies: no script reads them, and no other site's page sends them.
const COOKIE_RULES: &str = "Path=/; HttpOnly; SameSite=Strict";

/// Everybody who is signed in.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

/// One who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// With which token.
    pub(crate) token: Token,
    /// What each of its forms must send back.
    pub(crate) form: String,
    /// From where it was begun: nobody else's connection has it.
    origin: Origin,
    begun: Instant,
}

impl Sessions {
    /// Begins a session and returns its name.
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

    /// Returns the session that a request names, as long as its token is one of these and it comes from where it began.
    ///
    /// Whoever serves another port of this machine can read the cookie, and set others of its name: the one that names a
    /// session counts.
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
        (session.origin == origin()).then_some(session)
    }

    /// Ends the sessions that a request names.
    pub(crate) fn end(&self, headers: &HeaderMap) {
        for name in cookies(headers, SESSION_COOKIE) {
            self.all().remove(&hashed(name));
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the cookie of a session that begins with this request.
pub(crate) fn session_cookie(name: &str, headers: &HeaderMap) -> Option<HeaderValue> {
    let life = SESSION_LIFE.as_secs();
    HeaderValue::from_str(&format!("{SESSION_COOKIE}={name}; {COOKIE_RULES}; Max-Age={life}{}", secure(headers))).ok()
}

/// Returns the cookie that takes a session's name away.
pub(crate) fn no_session_cookie() -> HeaderValue {
    const { HeaderValue::from_static("tooltrail_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0") }
}

/// Returns the cookie that the sign-in form must match.
pub(crate) fn form_cookie(form: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{FORM_COOKIE}={form}; {COOKIE_RULES}")).ok()
}

/// Returns what the sign-in form must send back: what the browser holds already, so that two tabs agree.
pub(crate) fn form_secret(headers: &HeaderMap) -> Result<String, Refusal> {
    let is_secret = |form: &&str| form.len() == 2 * SECRET_BYTES && form.bytes().all(|byte| byte.is_ascii_hexdigit());
    cookies(headers, FORM_COOKIE).find(is_secret).map_or_else(secret, |form| Ok(form.to_owned()))
}

/// Whether a sign-in form comes from a browser that asked us for it.
pub(crate) fn is_our_form(headers: &HeaderMap, sent: &str) -> bool {
    cookies(headers, FORM_COOKIE).any(|form| is_same(form, sent))
}

/// Whether two secrets are the same; how long it takes says nothing about where they differ.
pub(crate) fn is_same(known: &str, sent: &str) -> bool {
    !known.is_empty() && bool::from(known.as_bytes().ct_eq(sent.as_bytes()))
}

/// Keeps a cookie off unencrypted connections where this one came over an encrypted one.
fn secure(headers: &HeaderMap) -> &'static str {
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    if origin.is_some_and(|origin| origin.starts_with(b"https://")) { "; Secure" } else { "" }
}

/// Returns the values of a cookie, the first few of them: each costs a hash.
fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(move |(known, _)| known.trim() == name).map(|(_, value)| value.trim()).take(COOKIES_MAX)
}

/// Returns random bytes as hex.
fn secret() -> Result<String, Refusal> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "no random bits");
        Refusal::Broken
    })?;
    Ok(tooltrail::hex(&bytes))
}

/// Returns the hash under which a name is held: looking it up takes no time that says how much of it was right.
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
