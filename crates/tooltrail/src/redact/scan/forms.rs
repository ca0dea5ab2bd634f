//! Finds secrets at a fixed position of a known kind of text: manifests, password files, calls, Wi-Fi codes.

use crate::redact::rules::benign::is_random;
use crate::redact::rules::words::OPEN_VALUES;
use crate::redact::scan::boundaries::{NAME_MAX, VALUE_MAX, floor, is_name, right};
use crate::redact::scan::hit::Hit;

/// Bytes before and after `data:` in which `kind: Secret` is searched.
const MANIFEST: (usize, usize) = (256, 1_024);
/// Bytes of the arguments of a call that are searched.
const CALL_MAX: usize = 256;

/// Pushes the values of a Kubernetes secret.
pub(in crate::redact) fn manifest(text: &str, at: usize, hits: &mut Vec<Hit>) {
    let around = text[floor(text, at.saturating_sub(MANIFEST.0))..floor(text, at + MANIFEST.1)].to_ascii_lowercase();
    let mut kinds = around.split("kind:").skip(1);
    if !kinds.any(|rest| rest.trim_start_matches([' ', '\t', '"', '\'']).starts_with("secret")) {
        return;
    }
    let near = &text[at..floor(text, at + MANIFEST.1)];
    let mut from = 0;
    while let Some(colon) = near[from..].find(':').map(|colon| from + colon + 1) {
        let start = right(near, colon, |b| b" \t|>+-\n\r'\"".contains(&b));
        let end = right(near, start, |b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        if end - start >= 10 && (near.as_bytes().get(end) != Some(&b':') || near[start..end].contains('=')) {
            let end = near[start..end].find('=').map_or(end, |e| start + e + 1);
            hits.push(Hit::new(at + start, at + end, "kubernetes-secret-yaml"));
        }
        from = colon;
    }
}

/// Returns the password in `host:5432:database:user:password`.
pub(in crate::redact) fn pgpass(text: &str, at: usize) -> Option<Hit> {
    let end = right(&text[..floor(text, at + VALUE_MAX)], at, |b| !b.is_ascii_whitespace());
    let mut fields = text[at..end].splitn(3, ':');
    let (database, user) = (fields.next()?, fields.next()?);
    let start = at + database.len() + user.len() + 2;
    let name = |field: &str| !field.is_empty() && field.bytes().all(|b| is_name(b) || b == b'*');
    (name(database) && name(user) && fields.next().is_some_and(|password| !password.is_empty()))
        .then_some(Hit::new(start, end, "password"))
}

/// Returns the password in `WIFI:T:WPA;S:home;P:password;;`.
pub(in crate::redact) fn wifi(text: &str, at: usize) -> Option<Hit> {
    let near = &text[at..floor(text, at + VALUE_MAX)];
    let start = near.find("P:").filter(|at| *at == 0 || near.as_bytes()[at - 1] == b';')? + 2;
    let end = right(near, start, |b| b != b';' && b != b'\n');
    Some(Hit::new(at + start, at + end, "password"))
}

/// Returns the password in `IDENTIFIED BY 'password'`.
pub(in crate::redact) fn identified(text: &str, at: usize) -> Option<Hit> {
    let open = text[at..floor(text, at + 64)].find(['\'', '"']).map(|open| at + open + 1)?;
    let words = text[at..open - 1].bytes().all(|b| b.is_ascii_alphabetic() || b == b' ' || b == b'_');
    let quote = text.as_bytes()[open - 1];
    let end = right(&text[..floor(text, open + VALUE_MAX)], open, |b| b != quote && b != b'\n');
    words.then_some(Hit::new(open, end, "password"))
}

/// Returns the second of two quoted arguments of a call that signs in.
pub(in crate::redact) fn call(text: &str, at: usize) -> Option<Hit> {
    let near = &text[at..floor(text, at + CALL_MAX)];
    let mut quoted = Vec::new();
    let mut from = 0;
    while let Some(open) = near[from..].find(['"', '\'']).map(|open| from + open) {
        let quote = near.as_bytes()[open];
        let close = right(near, open + 1, |b| b != quote && b != b'\n');
        if near[from..open].contains([')', '=', '\n', ':']) || near.as_bytes().get(close) != Some(&quote) {
            break;
        }
        quoted.push((open + 1, close));
        from = close + 1;
    }
    // `connect(url, "user", "password")` has one more argument. It counts only if it is quoted.
    let &(start, end) = quoted.get(1)?;
    let place = |text: &str| text.contains("://") || text.starts_with("jdbc:");
    let (start, end) = if place(&near[quoted[0].0..quoted[0].1]) { *quoted.get(2)? } else { (start, end) };
    Some(Hit::new(at + start, at + end, "password"))
}

/// Returns the value of `NAME="…"` if the name is in capitals and the value is random. A value that may be a digest
/// counts only before a command.
pub(in crate::redact) fn assigned(text: &str, at: usize, start: usize) -> Option<Hit> {
    let bytes = text.as_bytes();
    let capital = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let mut from = at;
    while from > 0 && at - from < NAME_MAX && capital(bytes[from - 1]) {
        from -= 1;
    }
    let most = floor(text, start + VALUE_MAX);
    let end = right(&text[..most], start, |b| b.is_ascii_alphanumeric() || b"_-.~+/=:|%".contains(&b));
    let value = &text[start..end];
    let alone = from < at && (from == 0 || !is_name(bytes[from - 1]) && bytes[from - 1] != b'<');
    if !alone || bytes.get(end) != Some(&b'"') || value.len() < 11 || !is_random(value) {
        return None;
    }
    let name = text[from..at].to_ascii_lowercase();
    if name.split('_').any(|word| OPEN_VALUES.contains(word)) {
        return None;
    }
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    let open = value.len() < 16 || !plain || !value.bytes().any(|b| b.is_ascii_alphabetic() && !b.is_ascii_hexdigit());
    // A name of one or two letters before a command passes a secret to it; elsewhere it may be anything.
    let handed = at - from <= 2 && bytes.get(end + 1) == Some(&b' ');
    (!open || handed).then_some(Hit::new(start, end, "assigned"))
}
