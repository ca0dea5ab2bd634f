//! What looks like another tool's operator: refused, as a text that nobody meant to look for gives a wrong answer.

use super::terms::NAMES;

/// Fields that are compared rather than named.
const COMPARED: [&str; 5] = ["duration", "chars", "last", "since", "until"];

/// Words that join or compare in other grammars, in whatever case, where they stand beside a field.
const WORDS: [&str; 9] = ["and", "or", "not", "in", "is", "like", "contains", "matches", "between"];

/// What is wrong with a word, and what to write instead.
pub(super) type Refusal = (&'static str, &'static str);

const BLANKS: Refusal = ("blanks around an operator", "write it in one word, as in duration>500ms or status=error");
const JOINED: Refusal = (
    "AND, OR and NOT are not known",
    "terms join by themselves; write status!=ok for NOT, ask twice for OR, or quote the word to look for it",
);
const COLON: Refusal = ("a colon is no operator here", "write tool=fs.* instead of tool:fs.*, or quote the text");
const PATH: Refusal = (
    "fields inside args can't be named yet",
    "look for the value as a text, as in \"src/main.rs\", or quote the whole to look for it",
);
const PATTERN: Refusal = (
    "not an operator of ours",
    "write = or != with * for any text, as in tool=fs.*; put \"…\" around the value if it begins so",
);
const QUOTES: Refusal = ("quotes are written \"…\"", "write \"two words\"");
const PARENTHESES: Refusal = ("parentheses are not known", "terms join by AND; quote the text to look for it");
const LIST: Refusal = ("one value at a time", "ask once for each value, or quote the value if it holds that sign");
const STAR: Refusal =
    ("a star means any text only after field=", "write tool=fs.*, or quote the text to look for a star");

/// Says why a bare word that is no term of ours would be misunderstood as a text; `rest` is what follows it.
pub(super) fn text(word: &str, rest: &str, after_term: bool) -> Option<Refusal> {
    let next = rest.trim_start();
    let is_field = |name: &str| NAMES.contains(&name) || COMPARED.contains(&name);
    let name = |text: &str| text.bytes().take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'_').count();
    let lower = word.to_ascii_lowercase();
    if matches!(word, "&&" | "||" | "|" | "!" | "&") || ["AND", "OR", "NOT"].contains(&word) {
        return Some(JOINED);
    }
    let is_term = |text: &str| {
        let (field, after) = text.split_at(name(text));
        is_field(field) && after.starts_with(['=', '<', '>', '!', ':', '~'])
    };
    if WORDS[..3].contains(&&*lower) && (is_term(next) || (after_term && lower != "not")) {
        return Some(JOINED);
    }
    if word.starts_with(['<', '>', '=', '~']) || word.starts_with("!=") {
        return Some(BLANKS);
    }
    let next_word = next.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    if is_field(&lower) && (next.starts_with(['=', '<', '>', '!', ':', '~']) || WORDS.contains(&&*next_word)) {
        return Some(BLANKS);
    }
    let signed = word.trim_start_matches(['-', '+', '!', '@']);
    let (field, after) = signed.split_at(name(signed));
    if signed.len() < word.len() && is_field(field) && after.starts_with(['=', ':', '<', '>']) {
        return Some(JOINED);
    }
    if word.starts_with('!') {
        return Some(JOINED);
    }
    if is_field(field) && after.starts_with(':') {
        return Some(COLON);
    }
    let is_path = after.starts_with(['.', '[']) && after.contains(['=', ':', '<', '>', '~']);
    if is_path && (is_field(field) || matches!(field, "args" | "arg" | "extra" | "result" | "input" | "params")) {
        return Some(PATH);
    }
    if is_field(field) && after.starts_with(['~', '^', '$', '*', '%', '|', '?']) && after.contains('=') {
        return Some(PATTERN);
    }
    if word.starts_with('\'') {
        return Some(QUOTES);
    }
    if word.starts_with('(') {
        return Some(PARENTHESES);
    }
    word.contains('*').then_some(STAR)
}

/// Says why a bare value after `field=` would be misunderstood.
pub(super) fn value(word: &str) -> Option<Refusal> {
    if word.starts_with(['~', '=', '>', '<', '^']) || (word.len() > 1 && word.starts_with('/') && word.ends_with('/')) {
        return Some(PATTERN);
    }
    if word.starts_with('\'') {
        return Some(QUOTES);
    }
    if word.starts_with(['(', '[', '{']) || (word.ends_with(')') && !word.contains('(')) {
        return Some(PARENTHESES);
    }
    if word.contains([',', '|']) {
        return Some(LIST);
    }
    word.contains('?').then_some(PATTERN)
}
