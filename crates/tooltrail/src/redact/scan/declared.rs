//! Skips what code writes between the name of a secret and its value: a declared type, or a call that only wraps a
//! text.

use crate::redact::scan::boundaries::{floor, right};

/// Maximum bytes of a type between a name and its value.
const TYPE_MAX: usize = 48;

/// Calls that turn their argument into a text or a secret.
const WRAPPERS: [&str; 11] = [
    "str",
    "string",
    "new string",
    "string::from",
    "secret",
    "secret::new",
    "secretstr",
    "secretstring",
    "secretstring::from",
    "secretstring::new",
    "protectedstring",
];

/// Returns where the value begins after a type that code declares between a name and its sign: `: &str = "…"`,
/// ` string = "…"`.
pub(in crate::redact) fn sign(text: &str, at: usize) -> Option<usize> {
    let near = &text[at..floor(text, at + TYPE_MAX)];
    let (kind, rest) = near.split_once('=')?;
    let is_type = kind.bytes().all(|b| b.is_ascii_alphanumeric() || b" &'_.:?<>|[]*".contains(&b));
    let lower = kind.to_ascii_lowercase();
    let text_type = ["str", "char", "secret", "any", "object", "bytes"].iter().any(|word| lower.contains(word));
    let quoted = rest.trim_start_matches(' ').starts_with(['"', '\'', '`']);
    (is_type && text_type && quoted).then_some(at + kind.len() + 1)
}

/// Returns the length of the beginning of a call that only wraps a quoted value, up to its quote: `SecretStr("…")`.
/// Returns 0 if there is no such call.
pub(in crate::redact) fn wrapper(text: &str) -> usize {
    let length = right(&text[..floor(text, TYPE_MAX)], 0, |b| b.is_ascii_alphanumeric() || b"_:. ".contains(&b));
    let lower = text[..length].to_ascii_lowercase();
    let text_type = WRAPPERS.contains(&lower.as_str());
    let quoted = text[length..].strip_prefix('(').is_some_and(|rest| rest.starts_with(['"', '\'']));
    if text_type && quoted { length + 1 } else { 0 }
}
