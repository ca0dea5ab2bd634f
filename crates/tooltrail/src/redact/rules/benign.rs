//! Values that are not secret although they are where a secret could be: references, placeholders, masks, documented
//! examples.

use crate::redact::marks::mark_len;
use crate::redact::rules::words::{PROSE, STANDIN_ENDS, STANDINS, WORLD};

/// Maximum visible characters at the beginning and at the end of a masked value.
const SHOWN_MAX: (usize, usize) = (12, 4);
/// Maximum characters of a placeholder in brackets.
const BRACKETED_MAX: usize = 60;

/// Returns whether a value is not secret, even if its name is that of a secret.
pub(in crate::redact) fn is_benign(value: &str) -> bool {
    let value = value.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '\\'));
    let lower = value.to_ascii_lowercase();
    !value.chars().any(char::is_alphanumeric)
        || value.chars().nth(1).is_none()
        || is_colour(value)
        || is_type(value)
        || value.contains("%s")
        || lower.starts_with("id=")
        || is_name_of_one(&lower)
        || is_prose(value)
        || STANDINS.contains(lower.as_str())
        || is_reference(value)
        || is_masked(value)
        || is_placeholder(&lower)
        || is_version(value)
        || mark_len(value) == Some(value.len())
        || value.ends_with("EXAMPLE")
        || value.ends_with("EXAMPLEKEY")
        || lower.starts_with("ssh-") && value.contains(" AAAA")
        || value.starts_with("-----BEGIN PUBLIC")
        || value.starts_with("-----BEGIN CERT")
}

/// Returns whether a value only refers to a secret: `$NAME`, `${NAME}`, `{{ name }}`, `%NAME%`, `$(command)`.
fn is_reference(value: &str) -> bool {
    let name = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    // A bracket opened at the beginning must be closed at the end, or not at all because the value was cut.
    let closed =
        |open: &str, close: &str| value.starts_with(open) && (value.ends_with(close) || !value.contains(close));
    let place = value.strip_prefix('$').is_some_and(|rest| {
        matches!(rest, "@" | "*" | "#" | "?") || !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())
    });
    place
        || closed("${", "}")
        || closed("{{", "}}")
        || closed("$(", ")")
        || value.starts_with("$env:")
        || value.strip_prefix('$').is_some_and(|rest| name(rest) && is_variable(rest))
        || value.starts_with('%') && value.len() > 2 && value.ends_with('%') && name(&value[1..value.len() - 1])
        || value.starts_with('{') && value.ends_with('}') && name(&value[1..value.len() - 1])
}

/// Returns whether a name can be that of a variable: it does not begin with a digit, and does not mix digits, capitals
/// and small letters. `$up3rS3cret` is a password.
fn is_variable(name: &str) -> bool {
    let has = |fits: fn(&u8) -> bool| name.bytes().any(|byte| fits(&byte));
    let (digit, upper, lower) = (has(u8::is_ascii_digit), has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase));
    let is_mixed = digit && upper && lower;
    !is_mixed && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Returns whether a value is a colour of a style sheet: `#a1b2c3`.
fn is_colour(value: &str) -> bool {
    value
        .strip_prefix('#')
        .is_some_and(|digits| matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Returns whether a value is the name of a type, as code writes it after a colon.
fn is_type(value: &str) -> bool {
    let word = value.trim_start_matches(['&', '*']);
    let sized = word.trim_start_matches(['u', 'i', 'f']);
    let number = sized.len() + 1 == word.len() && matches!(sized, "8" | "16" | "32" | "64" | "128" | "size");
    let named = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    number || named && (word.starts_with("c_") || word.ends_with("_t")) || word.contains("::")
}

/// Returns whether a value is itself the name of a secret: `db_password`, `mot de passe`.
fn is_name_of_one(lower: &str) -> bool {
    let last = lower.rsplit(['_', '-', ' ', '.']).next().unwrap_or("");
    let words = lower.bytes().all(|b| b.is_ascii_lowercase() || b"_-. ".contains(&b));
    let named =
        matches!(last, "password" | "passwd" | "pwd" | "token" | "secret" | "passphrase" | "passwort" | "passe");
    words && named || WORLD.contains(&lower)
}

/// Returns whether a value is part of a sentence or a label rather than a passphrase: `is too short`, `New password`.
fn is_prose(value: &str) -> bool {
    let mut words = value.split(' ');
    let first = words.next().unwrap_or("");
    let plain = value.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '.' | '\'' | ',' | '!' | '?' | '…'));
    let titled =
        first.starts_with(char::is_uppercase) && words.clone().all(|word| word.starts_with(char::is_lowercase));
    let prose = || value.split(' ').any(|word| PROSE.contains(word.to_lowercase().as_str()));
    plain && words.next().is_some() && (titled || prose())
}

/// Returns whether a value is a version or a range of versions: `1.2.3`, `^9.0.2`, `>=24.1,<25`.
fn is_version(value: &str) -> bool {
    let digits = value.trim_start_matches(['^', '~', '>', '<', '=', 'v', ' ']);
    let numbers = digits.bytes().all(|b| b.is_ascii_digit() || b".,<>= ".contains(&b));
    digits.contains('.') && numbers && digits.starts_with(|c: char| c.is_ascii_digit())
}

/// Returns whether a value is a placeholder: `<token>`, `[hidden]`, `your-api-key`.
fn is_placeholder(lower: &str) -> bool {
    let inside = |open: char, close: char| lower.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    let words = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b" _-".contains(&b));
    if let Some(text) = inside('<', '>') {
        return text.len() <= BRACKETED_MAX && !text.contains(['<', '>']);
    }
    if let Some(text) = inside('[', ']').or_else(|| inside('(', ')')) {
        return text.len() <= BRACKETED_MAX && words(text);
    }
    let Some(rest) = lower.strip_prefix("your").or_else(|| lower.strip_prefix("my-")) else { return false };
    words(rest) && rest.rsplit(['-', '_', ' ']).next().is_some_and(|last| STANDIN_ENDS.contains(last))
}

/// Returns whether a value is already masked, except for a few characters at its ends: `****`, `xxxx`, `sk-...1234`.
fn is_masked(value: &str) -> bool {
    let is_mask = |c: char| matches!(c, '*' | '.' | '•' | '…' | 'x' | 'X' | '#');
    let filler = |c: char| is_mask(c) || matches!(c, '-' | '_' | ' ');
    let chars: Vec<char> = value.chars().collect();
    if chars.iter().all(|&c| filler(c)) {
        return true;
    }
    // Find the longest run of one masking character. A single ellipsis counts as such a run.
    let (mut best, mut at) = ((0, 0), 0);
    while at < chars.len() {
        let end = chars[at..].iter().position(|c| *c != chars[at]).map_or(chars.len(), |length| at + length);
        if is_mask(chars[at]) && (end - at > best.1 - best.0 || chars[at] == '…') {
            best = (at, end);
        }
        at = end;
    }
    let least = match chars.get(best.0) {
        Some('…') => 1,
        Some('x' | 'X') => 5,
        _ => 3,
    };
    let head = chars[..best.0].iter().filter(|c| !filler(**c)).count();
    let tail = chars[best.1..].iter().filter(|c| !filler(**c)).count();
    let hidden = best.1 - best.0 >= least
        || tail == 0 && best.1 - best.0 >= 3 && !chars[..best.0].iter().any(char::is_ascii_digit);
    hidden && head <= SHOWN_MAX.0 && tail <= SHOWN_MAX.1 && !value.contains(char::is_whitespace)
}

/// Returns whether a value looks random rather than written by a person. Under a weak name only such a value is secret.
pub(in crate::redact) fn is_random(value: &str) -> bool {
    let bytes = value.as_bytes();
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = bytes.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let plain = bytes.iter().all(|b| b.is_ascii_graphic() && !b"()[]{}<>".contains(b));
    plain
        && bytes.len() >= 8
        && !is_place(value)
        && (digits >= 2 && letters >= 1 && entropy(value) > 2.0
            || bytes.len() >= 14 && digits == bytes.len()
            || letters == bytes.len() && bytes.len() >= 24 && entropy(value) > 3.7
            || letters == bytes.len() && bytes.len() >= 12 && humps(bytes) * 5 > bytes.len()
            || digits >= 1 && bytes.len() >= 12 && humps(bytes) * 7 > bytes.len())
}

/// Returns whether a value consists of words and numbers joined by signs, or is a file path: `users:42:profile`,
/// `a/b-2026.jpg`.
pub(in crate::redact) fn is_composed(value: &str) -> bool {
    let mut parts = value.split(['-', '_', '/', ':', '.', '#', '+', '@']);
    let plain = |part: &str| {
        part.bytes().all(|b| b.is_ascii_lowercase())
            || part.bytes().all(|b| b.is_ascii_uppercase())
            || part.bytes().all(|b| b.is_ascii_digit())
            || is_word(part)
            || matches!(part.len(), 40 | 64) && part.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let extension = value
        .rsplit_once('.')
        .is_some_and(|(_, last)| (2..=5).contains(&last.len()) && last.bytes().all(|b| b.is_ascii_lowercase()));
    parts.clone().count() > 1 && parts.all(plain) || extension && value.contains('/')
}

/// Returns whether a part of a value is a word with a first capital.
fn is_word(part: &str) -> bool {
    let mut bytes = part.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_uppercase())
        && part.len() <= 12
        && bytes.all(|b| b.is_ascii_lowercase())
}

/// Returns how often a capital follows a small letter. In camel-case names this is much rarer than in random text.
fn humps(bytes: &[u8]) -> usize {
    bytes.windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()).count()
}

/// Returns whether a value is a path, a URL or a date.
pub(in crate::redact) fn is_place(value: &str) -> bool {
    let date = value.len() >= 10
        && value
            .bytes()
            .take(10)
            .enumerate()
            .all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    date || value.starts_with(['/', '~', '.', '@']) || value.contains("://")
}

/// Returns whether a word looks like a password: letters together with digits or signs.
pub(in crate::redact) fn is_password(word: &str) -> bool {
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let inner = word.len().saturating_sub(1);
    let signs = word.bytes().enumerate().filter(|(at, b)| b"!@#$%^&*+?~=".contains(b) && *at < inner).count();
    let plain = word.bytes().all(|b| b.is_ascii_graphic() && !b"()[]{}<>\"'`,;|/\\".contains(&b));
    let counted = word.as_bytes().first().is_some_and(u8::is_ascii_digit) && word.contains('-');
    plain && word.len() >= 6 && letters >= 2 && digits + signs >= 1 && !is_place(word) && !counted
}

/// Returns the Shannon entropy in bits per byte.
pub(in crate::redact) fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let all = text.len().max(1) as f64;
    counts.iter().filter(|&&count| count > 0).map(|&count| f64::from(count) / all).map(|p| -p * p.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_references_and_placeholders_are_no_secrets() {
        for value in [
            "********",
            "xxxxxxxx",
            "sk-...",
            "sk-...1a2b",
            "ghp_xxxxxxxxxxxxxxxxxxxx",
            "••••••••",
            "...",
            "***1234",
            "${NAME}",
            "$NAME",
            "{{ vault.token }}",
            "$(cat token)",
            "%TOKEN%",
            "<token>",
            "[hidden]",
            "[REDACTED]",
            "(hidden)",
            "[redacted:password]",
            "your-api-key-here",
            "YOUR_TOKEN",
            "changeme",
            "",
            "null",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            assert!(is_benign(value), "{value}");
        }
    }

    #[test]
    fn what_only_begins_like_one_is_secret() {
        for value in [
            "[redacted real value",
            "[redacted:password] s3cr3t",
            "***hunter2",
            "your-Winter77",
            "your-own-winterfell",
            "<abc",
            "${NAME}s3cr3t",
            "xxs3cr3t",
            "[h1dden]",
            "$2b$12$abc",
            "$1secret",
            "{{ name }}tail",
            "...longer tail",
        ] {
            assert!(!is_benign(value), "{value}");
        }
    }
}
