//! Finds secrets in URLs: passwords before the host, links that grant access to their holder, and query parameters.

use crate::redact::rules::benign::is_random;
use crate::redact::scan::boundaries::{floor, right};
use crate::redact::scan::hit::Hit;

/// Bytes of a URL that are searched.
const ADDRESS_MAX: usize = 512;

/// Parts of paths after which a random segment grants access.
pub(in crate::redact) const PATHS: &[&str] = &[
    "/invit",
    "/reset",
    "/magic",
    "/join/",
    "/verify",
    "/activat",
    "/confirm",
    "/accept",
    "/recover",
    "/password",
    "/login/",
    "/unsubscribe",
    "/onboard",
    "/signup/",
    "/register/",
    "/share/",
    "/auth/",
    // URLs that accept messages and events from any sender who knows the URL. From the documentation of PagerDuty,
    // IFTTT, Slack, Discord, Healthchecks and Make.
    "/integration",
    "/with/key/",
    "/triggers/",
    "/interactions/",
    "hc-ping.com/",
    ".make.com/",
];

/// A word in URLs that accept messages from any sender who knows the URL. From the documentation of Slack, Discord,
/// Teams, Mattermost, Rocket.Chat, Feishu and Lark, Webex, Zoom, Flock, Guilded, Pumble, Zapier, n8n, Netlify, Vercel
/// and Home Assistant.
pub(in crate::redact) const HOOK: &str = "hook";

/// Query parameters whose value is secret if it is random. Each includes the sign before its name.
pub(in crate::redact) const PARAMETERS: &[&str] = &[
    "?code=",
    "&code=",
    "?ticket=",
    "&ticket=",
    "?invite=",
    "&invite=",
    "?t=",
    "&t=",
    "?sig=",
    "&sig=",
    "-signature=",
    "?k=",
    "&k=",
    "?invitation=",
    "?hash=",
    "?s=",
];

/// Returns the password between a user and a host, or the user alone if it is random and there is no password.
pub(in crate::redact) fn userinfo(text: &str, at: usize) -> Option<Hit> {
    let near = &text[at..floor(text, at + ADDRESS_MAX)];
    // Fast exit, because most URLs have no user.
    memchr::memchr(b'@', near.as_bytes())?;
    let near = &near[..right(near, 0, |b| !b.is_ascii_whitespace() && !b"\"'`<>\\".contains(&b))];
    let authority = &near[..near.find(['/', '?', '#']).unwrap_or(near.len())];
    // A password may contain a `/` or `@` that is not encoded. Then the host begins after the last `@`.
    let info = match authority.rsplit_once('@') {
        Some((info, _)) => info,
        None => {
            near.split(['?', '#'])
                .next()?
                .rsplit_once('@')
                .filter(|(info, host)| {
                    let slash = info.find('/').unwrap_or(info.len());
                    info[..slash].contains(':')
                        && !host.is_empty()
                        && !info[..slash].contains('.')
                        && !info[..slash].starts_with("localhost")
                })?
                .0
        }
    };
    let Some((user, password)) = info.split_once(':') else {
        return is_random(info).then_some(Hit::new(at, at + info.len(), "url-password"));
    };
    let port = password
        .split('/')
        .next()
        .is_some_and(|port| !port.is_empty() && port.len() < 6 && port.bytes().all(|b| b.is_ascii_digit()));
    let start = at + user.len() + 1;
    (!port || !password.contains('/')).then_some(Hit::new(start, start + password.len(), "url-password"))
}

/// Returns the password in `jdbc:oracle:thin:scott/tiger@host`.
pub(in crate::redact) fn oracle(text: &str, at: usize) -> Option<Hit> {
    let near = &text[at..floor(text, at + ADDRESS_MAX)];
    let near = &near[..right(near, 0, |b| b.is_ascii_graphic() && !b"\"'`<>".contains(&b))];
    let (info, _) = near.split_once('@')?;
    let (user, password) = info.split_once('/')?;
    let start = at + user.len() + 1;
    (!user.is_empty()).then_some(Hit::new(start, start + password.len(), "url-password"))
}

/// Pushes the secret segments of a URL that has `hook` in its host or path. Returns how far it searched.
pub(in crate::redact) fn hook(text: &str, start: usize, end: usize, hits: &mut Vec<Hit>) -> usize {
    let near = &text[floor(text, start.saturating_sub(ADDRESS_MAX))..start];
    let run = near.rsplit(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '(')).next();
    if run.is_some_and(|run| run.contains("://") || run.contains(".com/"))
        || text[start..].starts_with("hooks.slack.com/")
    {
        path(text, end, hits)
    } else {
        end
    }
}

/// Pushes the random segments of a path from `at` on, which grant access. Returns the end of the path.
pub(in crate::redact) fn path(text: &str, at: usize, hits: &mut Vec<Hit>) -> usize {
    let end =
        right(&text[..floor(text, at + ADDRESS_MAX)], at, |b| b.is_ascii_alphanumeric() || b"-_/.~%=@".contains(&b));
    let mut from = at;
    for segment in text[at..end].split('/') {
        let until = from + segment.len();
        if (from > at || text[..at].ends_with('/')) && segment.len() >= 8 && is_drawn(segment) {
            hits.push(Hit::new(from, until, "link"));
        }
        from = until + 1;
    }
    end
}

/// Returns the value of a query parameter if it is random.
pub(in crate::redact) fn parameter(text: &str, at: usize) -> Option<Hit> {
    let end =
        right(&text[..floor(text, at + ADDRESS_MAX)], at, |b| b.is_ascii_alphanumeric() || b"-_.~%+/=".contains(&b));
    let value = &text[at..end];
    (value.len() >= 10 && is_drawn(value)).then_some(Hit::new(at, end, "link"))
}

/// Returns whether a part of a URL is random, rather than words, a date, a version or a file name.
fn is_drawn(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let file = segment
        .rsplit_once('.')
        .is_some_and(|(_, extension)| extension.len() <= 5 && segment.matches('.').count() == 1);
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    let upper = bytes.iter().filter(|b| b.is_ascii_uppercase()).count();
    let lower = bytes.iter().filter(|b| b.is_ascii_lowercase()).count();
    let mixed = digits >= 2 && upper + lower >= 2
        || digits + upper >= 2 && lower >= 2 && digits >= 1
        || upper >= 3 && lower >= 3;
    // Two or more words joined by hyphens are a title, even with a year among them.
    let title =
        segment.split('-').filter(|word| word.len() >= 2 && word.bytes().all(|b| b.is_ascii_lowercase())).count() >= 2;
    mixed && !file && !title
}
