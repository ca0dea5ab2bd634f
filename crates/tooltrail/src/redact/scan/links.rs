//! Secrets in addresses: passwords before the host, links that let in whoever holds them, parameters.

use crate::redact::rules::benign::is_random;
use crate::redact::scan::boundaries::{floor, right};
use crate::redact::scan::hit::Hit;

/// Bytes of an address that are looked at.
const ADDRESS_MAX: usize = 512;

/// Parts of paths after which a segment lets in.
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
    // Addresses to which messages and candidates are sent: whoever knows one may send. From the documentation of PagerDuty,
    // IFTTT, Slack, Discord, Healthchecks and Make.
    "/integration",
    "/with/key/",
    "/triggers/",
    "/interactions/",
    "hc-ping.com/",
    ".make.com/",
];

/// A part of the addresses to which messages are sent, so that whoever knows one may send. From the documentation of
/// Slack, Discord, Teams, Mattermost, Rocket.Chat, Feishu and Lark, Webex, Zoom, Flock, Guilded, Pumble, Zapier, n8n,
/// Netlify, Vercel and Home Assistant.
pub(in crate::redact) const HOOK: &str = "hook";

/// Parameters whose value is secret if it is random, with what stands before them.
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

/// The password between a user and a host.
pub(in crate::redact) fn userinfo(text: &str, at: usize) -> Option<Hit> {
    let near = &text[at..floor(text, at + ADDRESS_MAX)];
    // Most addresses name no user.
    memchr::memchr(b'@', near.as_bytes())?;
    let near = &near[..right(near, 0, |b| !b.is_ascii_whitespace() && !b"\"'`<>\\".contains(&b))];
    let authority = &near[..near.find(['/', '?', '#']).unwrap_or(near.len())];
    // A password may hold a bare slash or sign; then the host follows the last sign of all.
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

/// `jdbc:oracle:thin:scott/tiger@host`.
pub(in crate::redact) fn oracle(text: &str, at: usize) -> Option<Hit> {
    let near = &text[at..floor(text, at + ADDRESS_MAX)];
    let near = &near[..right(near, 0, |b| b.is_ascii_graphic() && !b"\"'`<>".contains(&b))];
    let (info, _) = near.split_once('@')?;
    let (user, password) = info.split_once('/')?;
    let start = at + user.len() + 1;
    (!user.is_empty()).then_some(Hit::new(start, start + password.len(), "url-password"))
}

/// The segments of an address that has `hook` in its host or path.
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

/// The segments of a path after a word that says that they let in.
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

/// The value of a parameter.
pub(in crate::redact) fn parameter(text: &str, at: usize) -> Option<Hit> {
    let end =
        right(&text[..floor(text, at + ADDRESS_MAX)], at, |b| b.is_ascii_alphanumeric() || b"-_.~%+/=".contains(&b));
    let value = &text[at..end];
    (value.len() >= 10 && is_drawn(value)).then_some(Hit::new(at, end, "link"))
}

/// Whether a piece of an address is drawn at random: no words, dates, versions or file names.
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
    // Words joined by hyphens with a year among them are a title.
    let title =
        segment.split('-').filter(|word| word.len() >= 2 && word.bytes().all(|b| b.is_ascii_lowercase())).count() >= 2;
    mixed && !file && !title
}
