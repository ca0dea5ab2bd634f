//! The routes of the page: sessions, the query in the page's address, and protection against attacks through the
//! browser.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, IF_NONE_MATCH, REFERRER_POLICY, SET_COOKIE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use maud::Markup;
use tooltrail::{Page, Query, Question, Status, Timestamp, Trail, Zone};

use crate::http::api::params::Params;
use crate::http::api::read_log;
use crate::http::auth::{Caller, is_own_page, session};
use crate::http::status::{Problem, file, page, see_other};
use crate::output::{first_words, sealed_words};
use crate::service::Service;
use crate::service::peer::{Origin, Peer};
use crate::service::sessions::{
    Session, form_cookie, form_secret, is_our_form, is_same, no_session_cookie, session_cookie,
};
use crate::tokens::Role;
use crate::web::{self, CallsPage, Key, Opened, SignIn, Trouble, View, Viewer};

/// The content security policy: a page may load files only from this service and connect only to it, and no script
/// may be created from text.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
);

/// The referrer policy: other sites do not get page addresses, because these contain the query. `no-referrer` is not
/// used, because it would also remove the origin from form requests, which is needed to check where they come from.
const REFERRER: HeaderValue = HeaderValue::from_static("same-origin");

/// The header that says which sites may embed the answers; its value allows only this service.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Largest form body: a token and an address fit.
const FORM_BYTES_MAX: usize = 16 << 10;

/// Longest wait for a form body, which is usually one packet.
const FORM_WAIT: Duration = Duration::from_secs(10);

/// Largest distance between the time of an entry and the time in its id, because an entry may have been made on another
/// machine.
const ID_SLACK_MS: i64 = 24 * 60 * 60 * 1_000;

/// The parameters that the address of a view may have.
const VIEW: &[&str] = &["q", "status", "tool", "user", "days", "reads", "cursor", "open"];

/// All routes of the page.
pub(super) fn routes() -> [(&'static str, MethodRouter<Arc<Service>>); 6] {
    [
        ("/", get(calls)),
        ("/rows", get(rows)),
        ("/stats", get(stats)),
        ("/session", post(sign_in)),
        ("/session/end", post(sign_out)),
        ("/static/{name}", get(asset)),
    ]
}

/// The session of the user who opens a page; `None` if not signed in.
struct Visitor(Option<Session>);

impl FromRequestParts<Arc<Service>> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Self::Rejection> {
        Ok(Self(session(parts, service)))
    }
}

/// `GET /`: the newest calls; without a session, the sign-in form.
async fn calls(State(service): State<Arc<Service>>, visitor: Visitor, uri: Uri, headers: HeaderMap) -> Response {
    let Visitor(Some(session)) = visitor else { return form(&headers, address(&uri), None) };
    let reader = reader(&session);
    let asked = match ask(&service, &session, &uri) {
        Ok(asked) => asked,
        Err(problem) => return refused(problem, &reader),
    };
    let PageQuestion { view, question } = &asked;
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:7420").to_owned();
    let mut what = CallsPage {
        view,
        reader: &reader,
        answer: Err(&Trouble { what: String::new(), hint: String::new() }),
        opened: Opened::None,
        stream: None,
        zone: service.zone(),
        host: &host,
    };
    let question = match question {
        Ok(question) => question.clone(),
        Err(problem) => {
            let trouble = trouble_of(problem);
            what.answer = Err(&trouble);
            return guarded(problem.clone().into_page(web::calls(&what).into_string()));
        }
    };
    what.stream = view.cursor.is_none().then(|| view.stream_href(&question));
    let (open, zone) = (view.open.clone(), service.zone().clone());
    let read = service.read(&session.token, move |trail| {
        let answer = trail.recent(&question)?;
        let opened = opened(trail, &answer, &question, open.as_deref(), &zone)?;
        Ok((answer, opened))
    });
    match read.await.map_err(Problem::from) {
        Ok((answer, opened)) => shown(web::calls(&CallsPage { answer: Ok(&answer), opened, ..what })),
        // The page shows an error of the query next to the search box.
        Err(problem @ Problem::Unclear { .. }) => {
            let page = web::calls(&CallsPage { answer: Err(&trouble_of(&problem)), ..what });
            guarded(problem.into_page(page.into_string()))
        }
        Err(problem) => refused(problem, &reader),
    }
}

/// Any other path: for a browser, a page with a link back; for a program, the problem as JSON.
pub(super) async fn nowhere(uri: Uri, headers: HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    if uri.path().starts_with("/api/") || !accepted.contains("text/html") {
        return Problem::NoSuchPath.into_response();
    }
    let trouble = Trouble {
        what: "This address leads nowhere.".to_owned(),
        hint: "It may be mistyped, or from another version.".to_owned(),
    };
    guarded(Problem::NoSuchPath.into_page(web::trouble("Nothing is here", &trouble, None).into_string()))
}

/// `GET /rows`: only the rows of the newest calls, for the script that keeps the list live.
async fn rows(State(service): State<Arc<Service>>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let Visitor(Some(session)) = visitor else { return Err(Problem::NoToken(false)) };
    let PageQuestion { view, question } = ask(&service, &session, &uri)?;
    let question = question?;
    let answer = service.read(&session.token, move |trail| trail.recent(&question)).await?;
    Ok(shown(web::rows_alone(&answer, &view, service.zone())))
}

/// `GET /stats`: counts and quantiles.
async fn stats(State(service): State<Arc<Service>>, visitor: Visitor, uri: Uri, headers: HeaderMap) -> Response {
    let Visitor(Some(session)) = visitor else { return form(&headers, address(&uri), None) };
    let reader = reader(&session);
    let PageQuestion { view, question } = match ask(&service, &session, &uri) {
        Ok(asked) => asked,
        Err(problem) => return refused(problem, &reader),
    };
    let question = match question {
        Ok(question) => question,
        Err(problem) => {
            let html = web::stats(&view, &reader, Err(&trouble_of(&problem)));
            return guarded(problem.into_page(html.into_string()));
        }
    };
    match service.read(&session.token, move |trail| trail.stats(&question)).await {
        Ok(stats) => shown(web::stats(&view, &reader, Ok(&stats))),
        Err(refusal) => refused(refusal.into(), &reader),
    }
}

/// `POST /session`: signs in with a token and starts a session.
async fn sign_in(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let params = match sent(&parts.headers, body, &["form", "token", "next"]).await {
        Ok(params) => params,
        Err(problem) => return form(&parts.headers, "/".to_owned(), Some(problem)),
    };
    let next = params.text("next").filter(|next| is_ours(next)).unwrap_or("/").to_owned();
    if !is_our_form(&parts.headers, params.text("form").unwrap_or_default()) {
        let problem =
            Problem::Forbidden { detail: "this form is out of date", hint: "allow cookies here and try again" };
        return form(&parts.headers, next, Some(problem));
    }
    // A pasted token often has white space around it.
    let token = match service.token(params.text("token").unwrap_or_default().trim()).await {
        Ok(token) => token,
        Err(refusal) => return form(&parts.headers, next, Some(refusal.into())),
    };
    if token.role == Role::Ingest {
        let problem = Problem::Forbidden {
            detail: "this token may only send entries",
            hint: "sign in with a token of role admin or user",
        };
        return form(&parts.headers, next, Some(problem));
    }
    // If the browser was already signed in, its old session ends.
    service.sessions().end(&parts.headers);
    let Some(peer) = parts.extensions.get::<Peer>() else { return Problem::Broken.into_response() };
    let origin = peer.origin();
    if origin == Origin::Nobody {
        let problem = Problem::Forbidden {
            detail: "the service cannot tell you from other users: it runs in a user namespace without them",
            hint: "run it without PrivateUsers=, or ask with a token in the header Authorization",
        };
        return form(&parts.headers, next, Some(problem));
    }
    match service.sessions().begin(token, origin) {
        Ok(name) => with_cookie(see_other(&next), session_cookie(&name, &parts.headers)),
        Err(refusal) => form(&parts.headers, next, Some(refusal.into())),
    }
}

/// `POST /session/end`: signs out.
async fn sign_out(State(service): State<Arc<Service>>, visitor: Visitor, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Visitor(Some(session)) = visitor else {
        return with_cookie(see_other("/"), Some(no_session_cookie()));
    };
    match sent(&parts.headers, body, &["form"]).await {
        Ok(params) if is_same(&session.form, params.text("form").unwrap_or_default()) => {
            service.sessions().end(&parts.headers);
            with_cookie(see_other("/"), Some(no_session_cookie()))
        }
        Ok(_) => {
            let problem = Problem::Forbidden { detail: "this form is out of date", hint: "load the page again" };
            refused(problem, &reader(&session))
        }
        Err(problem) => refused(problem, &reader(&session)),
    }
}

/// `GET /static/NAME`: a static file, available without a session.
async fn asset(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    Params::of(&uri, &[])?;
    let asset = web::asset(&name).ok_or(Problem::NoSuchPath)?;
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let known = known.flat_map(|tags| tags.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == asset.tag);
    let mut response = guarded(file(asset.content_type, &asset.tag, asset.body, known));
    // The name stays the same when the content changes, so the browser must revalidate; usually it gets a 304.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// The view and the query that an address describes.
struct PageQuestion {
    view: View,
    /// An error here is shown by the view.
    question: Result<Question, Problem>,
}

/// Parses an address, restricts its query to the entries that the reader may see, and records the read in the trail.
fn ask(service: &Service, session: &Session, uri: &Uri) -> Result<PageQuestion, Problem> {
    let params = Params::of(uri, VIEW)?;
    let text = |name: &str| params.text(name).map(str::to_owned);
    let mut view = View {
        query: text("q").unwrap_or_default(),
        tool: text("tool"),
        user: text("user"),
        reads: params.text("reads").is_some(),
        cursor: text("cursor"),
        open: text("open"),
        ..View::default()
    };
    if let Some(status) = params.text("status") {
        let known = Status::parse(status);
        view.status = Some(known.ok_or_else(|| Problem::unclear("no such status", "use ok, error or denied"))?);
    }
    if let Some(days) = params.days()? {
        view.days = days;
    }
    let caller = Caller(session.token.clone());
    let mut question = view.question().map_err(|error| Problem::reading(&error));
    if let Ok(question) = &mut question {
        caller.narrow(question)?;
        read_log::note(service, &caller, "page", &params)?;
    }
    Ok(PageQuestion { view, question })
}

/// Finds the call that an address opens: first on the page itself, then at the time that its key contains.
fn opened(
    trail: &Trail,
    page: &Page,
    asked: &Question,
    key: Option<&str>,
    zone: &Zone,
) -> Result<Opened, tooltrail::Error> {
    let Some(key) = key else { return Ok(Opened::None) };
    let found = |lines: &[String]| lines.iter().find(|line| web::key_of(line, zone) == key).cloned();
    if let Some(line) = found(&page.lines) {
        return Ok(line_of(trail, line, zone));
    }
    let (terms, ts, slack_ms) = match Key::parse(key) {
        Some(Key::Id(id, ts)) => (format!("id={id} "), ts, ID_SLACK_MS),
        Some(Key::At(ts)) => (String::new(), ts, 0),
        None => return Ok(Opened::Missing),
    };
    let (since, until) = (ts.as_millis() - slack_ms, ts.as_millis() + slack_ms + 1);
    let (since, until) = (Timestamp::from_millis(since), Timestamp::from_millis(until));
    let days_back = (crate::clock::now().as_millis() - since.as_millis()) / (24 * 60 * 60 * 1_000) + 2;
    let mut question = Question::new();
    question.query = Query::parse(&format!("{terms}since={since} until={until}"))?;
    // Keeps the restriction to the user, but drops the other filters of the view.
    question.user.clone_from(&asked.user);
    question.exact_user = asked.exact_user;
    question.days = u32::try_from(days_back.clamp(1, 3_650)).unwrap_or(1);
    question.limit = 1_000;
    let line = found(&trail.recent(&question)?.lines);
    Ok(line.map_or(Opened::Missing, |line| line_of(trail, line, zone)))
}

/// Returns an opened call with what is known of its seal, and what it is the first use of.
fn line_of(trail: &Trail, line: String, zone: &Zone) -> Opened {
    let sealed = sealed_words(trail.home(), &line, zone).map(|text| ("sealed", text));
    let first = first_words(trail, &line).map(|text| ("first", text));
    Opened::Line(line, first.into_iter().chain(sealed).collect())
}

/// Reads the body of a form and returns its fields.
async fn sent(headers: &HeaderMap, body: Body, known: &[&str]) -> Result<Params, Problem> {
    if !is_own_page(headers) {
        return Err(Problem::Forbidden { detail: "another site's page sent this", hint: "open the page itself" });
    }
    let bytes = tokio::time::timeout(FORM_WAIT, axum::body::to_bytes(body, FORM_BYTES_MAX)).await;
    let bytes = bytes.map_err(|_| Problem::TooSlow)?;
    let bytes = bytes.map_err(|_| Problem::TooLarge { detail: "the form is too large".to_owned() })?;
    Params::of_form(&bytes, known)
}

/// Returns the sign-in form.
fn form(headers: &HeaderMap, next: String, problem: Option<Problem>) -> Response {
    let form = match form_secret(headers) {
        Ok(form) => form,
        Err(refusal) => return Problem::from(refusal).into_response(),
    };
    let refused = problem.as_ref().map(|problem| match problem {
        Problem::NoToken(_) => {
            Trouble { what: "This token is not valid".to_owned(), hint: "It may be mistyped or revoked.".to_owned() }
        }
        problem => trouble_of(problem),
    });
    let cookie = form_cookie(&form);
    let again = problem.is_none() && is_ours(&next) && !is_own_page(headers);
    let html = web::sign_in(&SignIn { form, next, again, refused }).into_string();
    with_cookie(guarded(problem.map_or_else(|| page(html.clone()), |problem| problem.into_page(html.clone()))), cookie)
}

/// Returns the response for a page.
fn shown(html: Markup) -> Response {
    guarded(page(html.into_string()))
}

/// Returns the page that shows a problem.
fn refused(problem: Problem, reader: &Viewer) -> Response {
    let html = web::trouble("That did not work", &trouble_of(&problem), Some(reader));
    guarded(problem.into_page(html.into_string()))
}

/// Returns a problem as text for the page.
fn trouble_of(problem: &Problem) -> Trouble {
    let (what, hint) = problem.words();
    let hint = if matches!(problem, Problem::Busy(_)) { "Load the page again in a moment." } else { hint };
    Trouble { what: sentence(what), hint: sentence(hint) }
}

/// Returns the text with its first letter in upper case.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Returns the signed-in user in the form that the page needs.
fn reader(session: &Session) -> Viewer {
    Viewer {
        name: session.token.name.clone(),
        user: session.token.user.clone().filter(|_| session.token.role == Role::User),
        form: session.form.clone(),
    }
}

/// Returns the response with the security headers of a page.
fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, REFERRER);
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Returns the response with a cookie.
fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Returns the path and query of a request.
fn address(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
}

/// Whether an address is a view of this page. The redirect after signing in goes only to such addresses.
fn is_ours(address: &str) -> bool {
    let path = address.split('?').next().unwrap_or_default();
    matches!(path, "/" | "/stats") && address.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for ours in ["/", "/?q=a%20b&open=x", "/stats?days=1"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in
            ["", "//evil.example", "/\\evil.example", "https://evil.example/", "/session", "/?a b", "/?\r\nx", "?"]
        {
            assert!(!is_ours(other), "{other}");
        }
    }
}
