//! Refuses words that look like an operator of another tool. Searching for them as a text would give a wrong answer.

use super::terms::NAMES;

/// Words before an operator that are not fields of an entry.
const KEYWORDS: [&str; 9] =
    ["duration", "duration_ms", "chars", "result_chars", "last", "since", "until", "arg", "host"];

/// Words, in any case, that join terms in other grammars if they are next to a term.
const JOINING: [&str; 3] = ["and", "or", "not"];

/// Words, in any case, that compare in other grammars if they follow a field.
const COMPARING: [&str; 9] =
    ["like", "ilike", "contains", "matches", "between", "equals", "startswith", "endswith", "rlike"];

/// Words that compare in other grammars only together with the next word; `tool is missing` is a text.
const COMPARING_WITH: [(&str, &[&str]); 5] = [
    ("is", &["null", "not"]),
    ("not", &["null", "in", "like", "between", "contains"]),
    ("starts", &["with"]),
    ("ends", &["with"]),
    ("begins", &["with"]),
];

/// Words before a colon with which other grammars ask whether a field exists.
const PRESENCE: [&str; 5] = ["has", "is", "exists", "_exists_", "missing"];

/// What is wrong with a word, and what to write instead.
pub(super) type Refusal = (&'static str, &'static str);

const BLANKS: Refusal = ("blanks around an operator", "write it in one word, as in duration>500ms or status=error");
const JOINED: Refusal = (
    "AND, OR and NOT are words in capitals",
    "write a OR b, or NOT tool=fs.*; put quotes around the word to look for it",
);
const COMPARISON: Refusal = (
    "not a comparison of ours",
    "write tool=fs.*, status=error,denied, arg=*/etc/* or duration>=5s; put quotes around the words to look for them",
);
const COLON: Refusal = ("a colon is no operator here", "write tool=fs.* instead of tool:fs.*, or quote the text");
const PATH: Refusal = (
    "no such member",
    "write args.path=… or extra.name=… for a member, arg=… for any of the arguments, or quote the text",
);
const PATTERN: Refusal = (
    "not an operator of ours",
    "write = or != with * for any text, as in tool=fs.*; put \"…\" around the value if it begins so",
);
const SIGNED: Refusal = (
    "a sign before a word is no operator here",
    "write tool!=fs.* or NOT word to leave something out, or quote the word to look for it",
);
const ELSEWHERE: Refusal = (
    "order and limits are no part of a query",
    "answers are newest first, and so many as --limit says; quote the words to look for them",
);
const QUOTES: Refusal =
    ("quotes are written \"…\", around all of a value", "write \"two words\" or tool=\"two words\"");
const PARENTHESES: Refusal =
    ("a value has no parentheses", "write tool=a,b for one of several values, or quote the value if it begins so");
const LIST: Refusal =
    ("not an operator of ours", "write tool=a,b for one of several values, or quote the value if it holds that sign");
const STAR: Refusal =
    ("a star means any text only after field=", "write tool=fs.*, or quote the text to look for a star");

/// Returns why a bare word that is not a term of ours would be misread as a text; `rest` is the text after it.
pub(super) fn text(word: &str, rest: &str, after_term: bool) -> Option<Refusal> {
    let next = rest.trim_start();
    let is_field = |name: &str| NAMES.contains(&name) || KEYWORDS.contains(&name);
    let name = |text: &str| text.bytes().take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'_').count();
    let lower = word.to_ascii_lowercase();
    if matches!(word, "&&" | "||" | "|" | "!" | "&") {
        return Some(JOINED);
    }
    let is_term = |text: &str| {
        let (field, after) = text.split_at(name(text));
        is_field(field) && after.starts_with(['=', '<', '>', '!', ':', '~'])
    };
    if JOINING.contains(&&*lower) && (is_term(next) || (after_term && lower != "not")) {
        return Some(JOINED);
    }
    if word.starts_with(['<', '>', '=', '~']) || word.starts_with("!=") {
        return Some(BLANKS);
    }
    let next_word = next.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    if is_field(&lower) && next.starts_with(['=', '<', '>', '!', ':', '~']) {
        return Some(BLANKS);
    }
    if is_field(&lower) && compares(next) {
        return Some(COMPARISON);
    }
    let is_number = !next_word.is_empty() && next_word.bytes().all(|byte| byte.is_ascii_digit());
    if matches!(&*lower, "order" | "sort" | "group") && next_word == "by" || lower == "limit" && is_number {
        return Some(ELSEWHERE);
    }
    let signed = word.trim_start_matches(['-', '+', '!', '@']);
    let (field, after) = signed.split_at(name(signed));
    if signed.len() < word.len() && is_field(field) && after.starts_with(['=', ':', '<', '>']) {
        return Some(JOINED);
    }
    if word.starts_with('!') {
        return Some(JOINED);
    }
    // `--force` and `-rf` are flags that a user may search for.
    if word.strip_prefix(['-', '+']).is_some_and(|rest| rest.len() > 2 && rest.starts_with(char::is_alphabetic)) {
        return Some(SIGNED);
    }
    if (is_field(field) || PRESENCE.contains(&field)) && after.starts_with(':') {
        return Some(COLON);
    }
    let is_path = after.starts_with(['.', '[']) && after.contains(['=', ':', '<', '>', '~']);
    let field_lower = field.to_ascii_lowercase();
    if is_path && (is_field(field) || matches!(&*field_lower, "args" | "arg" | "extra" | "result" | "input" | "params"))
    {
        return Some(PATH);
    }
    if is_field(field) && after.starts_with(['~', '^', '$', '*', '%', '|', '?']) && after.contains(['=', '~']) {
        return Some(PATTERN);
    }
    if is_field(field) && after.starts_with("!~") || is_expression(word) || is_weighted(word) {
        return Some(PATTERN);
    }
    if word.contains('|') {
        return Some(LIST);
    }
    if word.starts_with(['\'', '“', '”', '„', '«']) {
        return Some(QUOTES);
    }
    if is_field(field) && after.starts_with(['≥', '≤', '≠']) {
        return Some(COMPARISON);
    }
    word.contains('*').then_some(STAR)
}

/// Whether a word of a text needs no quotes, whatever is next to it.
pub(super) fn is_plain(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let is_known = NAMES.contains(&&*lower) || KEYWORDS.contains(&&*lower) || JOINING.contains(&&*lower);
    !is_known && !matches!(&*lower, "order" | "sort" | "group" | "limit") && text(word, "", true).is_none()
}

/// Whether the words after a field are a comparison in another grammar.
fn compares(next: &str) -> bool {
    let mut words = next.split_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (lower, then) = (first.to_ascii_lowercase(), second.to_ascii_lowercase());
    COMPARING.contains(&&*lower)
        || matches!(first, "IN" | "IS" | "NOT")
        || lower == "in" && then.starts_with(['(', '['])
        || COMPARING_WITH.iter().any(|(word, with)| *word == lower && with.contains(&&*then))
}

/// Whether a word is a regular expression between slashes: a path contains none of these characters.
fn is_expression(word: &str) -> bool {
    let inner = word.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    inner.is_some_and(|inner| inner.contains(['+', '*', '?', '[', '(', '^', '$', '|', '\\']))
}

/// Whether a word has a weight or a distance, or a wildcard for one character, as in `word~2`, `word^2` or `wo?d`.
fn is_weighted(word: &str) -> bool {
    let head = word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let weighted = head.strip_suffix(['~', '^']).is_some_and(|rest| rest.ends_with(char::is_alphanumeric));
    let any = word.split_once('?').is_some_and(|(before, after)| {
        before.ends_with(char::is_alphanumeric) && after.starts_with(char::is_alphanumeric)
    });
    weighted || any && !word.contains(['/', '='])
}

/// Returns why a bare value after `field=` would be misread.
pub(super) fn value(word: &str) -> Option<Refusal> {
    if word.starts_with(['~', '=', '>', '<', '^', '!', '%'])
        || word.ends_with('%')
        || (word.len() > 1 && word.starts_with('/') && word.ends_with('/'))
    {
        return Some(PATTERN);
    }
    if word.starts_with(['\'', '“', '”', '„', '«']) || word.contains('"') {
        return Some(QUOTES);
    }
    if word.contains('[') && word.contains(']') {
        return Some(PATTERN);
    }
    if word.starts_with(['(', '[', '{']) || (word.ends_with(')') && !word.contains('(')) {
        return Some(PARENTHESES);
    }
    if word.contains('|') {
        return Some(LIST);
    }
    word.contains('?').then_some(PATTERN)
}
