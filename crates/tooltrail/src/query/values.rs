//! Finds values inside of the arguments of a call: at a path, at any depth, and the hosts of addresses.

use std::borrow::Cow;

use crate::json;

/// Returns the values at a path inside of a JSON value: names of members and positions in arrays.
///
/// The name of a member may have dots, so that `a.b` also finds the member `a.b`. The text of a string is decoded;
/// numbers, `true`, `false` and `null` are given as they are written, and an object or array as nothing.
pub(super) fn at_path<'a>(value: &'a str, path: &[String], each: &mut dyn FnMut(&str) -> bool) -> bool {
    let Some(first) = value.bytes().next() else { return false };
    if path.is_empty() {
        return match first {
            // Half of a surrogate pair is shown as U+FFFD, as in the fields of an entry.
            b'"' => each(&json::unescape(&value[1..value.len().saturating_sub(1).max(1)])),
            b'{' | b'[' => false,
            _ => each(value),
        };
    }
    match first {
        b'{' => {
            let Ok(members) = json::members(value) else { return false };
            (1..=path.len()).any(|taken| {
                let name: Cow<'_, str> =
                    if taken == 1 { Cow::Borrowed(&path[0]) } else { Cow::Owned(path[..taken].join(".")) };
                let found = members.iter().filter(|(known, _)| *known == name);
                found.into_iter().any(|(_, inner)| at_path(inner, &path[taken..], each))
            })
        }
        b'[' => {
            let Ok(position) = path[0].parse::<usize>() else { return false };
            elements(value).nth(position).is_some_and(|inner| at_path(inner, &path[1..], each))
        }
        _ => false,
    }
}

/// Returns whether `each` is true for a string inside of a checked JSON value, at any depth. Names of members do not
/// count.
pub(super) fn any_string(value: &str, mut each: impl FnMut(&str) -> bool) -> bool {
    let bytes = value.as_bytes();
    let mut at = 0;
    while let Some(start) = memchr::memchr(b'"', &bytes[at..]).map(|found| at + found) {
        let end = string_end(bytes, start);
        let after = bytes[end..].iter().position(|byte| !byte.is_ascii_whitespace()).map(|found| bytes[end + found]);
        let inner = &value[start + 1..end.saturating_sub(1).max(start + 1)];
        if after != Some(b':') && each(&json::unescape(inner)) {
            return true;
        }
        at = end;
    }
    false
}

/// Returns whether `each` is true for the host of an address in a text, such as `example.com` of
/// `https://user@example.com:8443/path`. Hosts are given in lower case, IPv6 addresses without brackets.
///
/// An address may stand in a command or in a sentence, so a host ends at the first character that no host has. If other
/// signs come before a `@`, as in `https://a.example;@b.example`, both hosts are given, because a shell may end the
/// address there.
pub(super) fn any_host(text: &str, mut each: impl FnMut(&str) -> bool) -> bool {
    // Some programs write JSON into a text once more, with `\/` for a slash.
    let plain = if text.contains("\\/") { Cow::Owned(text.replace("\\/", "/")) } else { Cow::Borrowed(text) };
    plain.match_indices("://").any(|(at, sign)| {
        let has_scheme = plain[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        if !has_scheme {
            return false;
        }
        let rest = &plain[at + sign.len()..];
        let is_end = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '\\' | '`');
        let authority = &rest[..rest.find(is_end).unwrap_or(rest.len())];
        let last = authority.rsplit_once('@').map(|(_, host)| host);
        // A name and a password are no host.
        let first = host_at(authority);
        let is_name = last.is_some() && authority[first.len().min(authority.len())..].starts_with(['@', ':']);
        let first = Some(first).filter(|_| !is_name);
        first.into_iter().chain(last.map(host_at)).any(|host| !host.is_empty() && each(&host.to_lowercase()))
    })
}

/// Returns the host at the begin of a text.
fn host_at(text: &str) -> &str {
    let host = match text.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or(inner),
        None => {
            let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
            &text[..text.find(|c| !is_part(c)).unwrap_or(text.len())]
        }
    };
    host.trim_end_matches('.')
}

/// Returns the elements of a checked JSON array, as they are written.
fn elements(array: &str) -> impl Iterator<Item = &str> {
    let bytes = array.as_bytes();
    let (mut at, mut is_over) = (1, false);
    std::iter::from_fn(move || {
        let start = at + array.get(at..)?.bytes().position(|byte| !byte.is_ascii_whitespace())?;
        if is_over || bytes[start] == b']' {
            return None;
        }
        let (mut depth, mut end) = (0_usize, start);
        while let Some(byte) = bytes.get(end) {
            match byte {
                b'"' => {
                    end = string_end(bytes, end);
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b']' if depth == 0 => break,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' if depth == 0 => break,
                _ => {}
            }
            end += 1;
        }
        is_over = bytes.get(end) != Some(&b',');
        at = end + 1;
        Some(array[start..end].trim_end())
    })
}

/// Returns the offset after the closing quote of a string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGS: &str =
        r#"{"path":"/etc/p\u0061sswd","n":8080,"deep":[{"a.b":{"c":"x"}}, true,null , "w\"z,]"],"":"e"}"#;

    fn path(path: &str, expected: &[&str]) {
        let parts = path.split('.').map(str::to_owned).collect::<Vec<_>>();
        let mut found = Vec::new();
        at_path(ARGS, &parts, &mut |text| {
            found.push(text.to_owned());
            false
        });
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn paths_name_members_and_positions() {
        path("path", &["/etc/passwd"]);
        path("n", &["8080"]);
        path("deep.0.a.b.c", &["x"]);
        path("deep.1", &["true"]);
        path("deep.2", &["null"]);
        path("deep.3", &["w\"z,]"]);
        path("", &["e"]);
        for nothing in ["deep", "deep.0", "deep.4", "deep.x", "path.x", "n.0", "none", "deep.0.a"] {
            path(nothing, &[]);
        }
    }

    #[test]
    fn strings_are_found_at_any_depth_and_names_are_not() {
        let mut found = Vec::new();
        any_string(ARGS, |text| {
            found.push(text.to_owned());
            false
        });
        assert_eq!(found, ["/etc/passwd", "x", "w\"z,]", "e"]);
    }

    fn hosts(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        any_host(text, |host| {
            found.push(host.to_owned());
            false
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn hosts_of_addresses_are_found() {
        hosts("https://Example.COM/a?b", &["example.com"]);
        hosts(
            "curl -s http://user:pw@10.0.0.1:8080/x && git clone ssh://git@host.example",
            &["10.0.0.1", "host.example"],
        );
        hosts("(see https://a.example). Also ftp://[2001:db8::1]:21", &["a.example", "2001:db8::1"]);
        hosts("no address: a/b, mail@example.com, ://x and http://", &[]);
        hosts("wss://bücher.example.", &["bücher.example"]);
    }
}
