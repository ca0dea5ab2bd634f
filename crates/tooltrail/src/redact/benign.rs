//! What is no secret although it stands where one could: references, placeholders, masks, documented examples.

/// Words that stand for a value to be filled in.
const STANDINS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "changeit",
    "password",
    "passwd",
    "secret",
    "token",
    "todo",
    "none",
    "null",
    "nil",
    "undefined",
    "true",
    "false",
    "string",
    "str",
    "number",
    "boolean",
    "bool",
    "any",
    "example",
    "placeholder",
    "redacted",
    "hidden",
    "masked",
    "your-token",
    "unset",
    "empty",
    "required",
    "optional",
    "bytes",
    "object",
    "n/a",
    "dummy",
    "replace_me",
    "replaceme",
    "pass",
    "int",
];

/// Whether a value under a secret's name is none.
pub(super) fn is_benign(value: &str) -> bool {
    let value = value.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '\\'));
    let lower = value.to_ascii_lowercase();
    value.is_empty()
        || STANDINS.contains(&lower.as_str())
        || is_reference(value)
        || is_masked(value)
        || value.starts_with('<') && value.ends_with('>')
        || lower.starts_with("your-")
        || lower.starts_with("your_")
        || lower.starts_with("<your")
        || value.ends_with("EXAMPLE")
        || value.ends_with("EXAMPLEKEY")
        || lower.starts_with("[redacted")
        || lower.starts_with("***")
        || lower.starts_with("ssh-")
        || value.starts_with("-----BEGIN PUBLIC")
        || value.starts_with("-----BEGIN CERT")
}

/// Whether a value only names where the secret is: `$NAME`, `${NAME}`, `{{ name }}`, `%NAME%`, `$(command)`.
fn is_reference(value: &str) -> bool {
    let name = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    value.starts_with("${")
        || value.starts_with("{{")
        || value.starts_with("$(")
        || value.starts_with("$env:")
        || value.strip_prefix('$').is_some_and(|rest| name(rest) && !rest.starts_with(|c: char| c.is_ascii_digit()))
        || value.starts_with('%') && value.len() > 2 && value.ends_with('%') && name(&value[1..value.len() - 1])
        || value.starts_with('{') && value.ends_with('}') && name(&value[1..value.len() - 1])
}

/// Whether a value is (nearly) one character over and over: `****`, `xxxx`, `sk-xxxxxxxx`, `1234...`.
fn is_masked(value: &str) -> bool {
    let filler = value.chars().filter(|c| matches!(c, '*' | 'x' | 'X' | '.' | '•' | '…' | '_' | '-')).count();
    let all = value.chars().count();
    filler == all
        || filler * 10 >= all * 6
            && filler >= 6
            && (value.contains("***")
                || value.contains("xxxxx")
                || value.contains("XXXXX")
                || value.contains("...")
                || value.contains('…')
                || value.contains('•'))
}

/// Whether a value looks drawn at random rather than written: what a weak name needs to be believed.
pub(super) fn is_random(value: &str) -> bool {
    let bytes = value.as_bytes();
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = bytes.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let plain = bytes
        .iter()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>'));
    plain
        && bytes.len() >= 8
        && (digits >= 2 && letters >= 1 && entropy(value) > 2.0
            || bytes.len() >= 14 && digits == bytes.len()
            || bytes.len() >= 24 && entropy(value) > 3.7 && letters == bytes.len())
}

/// Shannon entropy in bits a byte.
pub(super) fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let all = text.len().max(1) as f64;
    counts.iter().filter(|&&count| count > 0).map(|&count| f64::from(count) / all).map(|p| -p * p.log2()).sum()
}
