//! Finds secrets in sentences such as `the password is …`, and values on the lines below a name.

use crate::redact::rules::benign::{entropy, is_benign, is_password, is_random};
use crate::redact::rules::names::{CARD, Name, ONE_TIME, SEED};
use crate::redact::rules::words::LINKS;
use crate::redact::scan::assign::{Named, QUOTED_MAX, fits, next_line};
use crate::redact::scan::boundaries::{VALUE_MAX, floor, right};
use crate::redact::scan::hit::Hit;

/// Words after `password` that are searched for the password.
const SPOKEN_MAX: usize = 9;
/// Maximum words that say whose password it is, as in `the password for the root account is …`.
const WHOSE_MAX: usize = 4;
/// Bytes before a name in which a user name may be announced.
const WHO_MAX: usize = 48;
/// Maximum lines below a name that are taken as its values.
const BELOW_MAX: usize = 32;

/// Returns the word before the name, as in `use … as the password`, if it looks like a secret.
fn spoken_before(named: &Named<'_>) -> Option<Hit> {
    let Name::Strong(rule) = named.name else { return None };
    let head = &named.text[floor(named.text, named.start.saturating_sub(VALUE_MAX))..named.start];
    let link = [" as the ", " as your ", " as my ", " as a ", " as ", " is the ", " is your ", " is my ", " for the "];
    let link = link.iter().filter(|link| head.ends_with(**link)).max_by_key(|link| link.len())?;
    let end = named.start - link.len();
    let word = head[..head.len() - link.len()].rsplit(char::is_whitespace).next()?;
    let inner = word.trim_matches(['"', '\'', '`', '\\', ',', ':', '(', '*']);
    let from = end - word.len() + word.find(inner)?;
    // A sentence that continues after the name may mean something else: `hunter2 is the password field`.
    let ends = named.text[named.end..].trim_start().chars().next().is_none_or(|c| ".!,;\n\"'".contains(c));
    let looks = match rule {
        "password" => !is_snake(inner) && is_password(inner) && (word != inner || ends || is_strong(inner)),
        SEED | CARD | ONE_TIME | "cookie" => false,
        _ => is_random(inner) && is_drawn(inner),
    };
    (looks && !is_benign(inner)).then(|| Hit::new(from, from + inner.len(), rule))
}

/// Returns the secret in a sentence such as `the password is …`: the word before the name, or the first word after it
/// that is no linking word, if it looks like a secret.
pub(in crate::redact) fn spoken(named: &Named<'_>) -> Option<Hit> {
    spoken_before(named).or_else(|| spoken_after(named))
}

fn spoken_after(named: &Named<'_>) -> Option<Hit> {
    let Name::Strong(rule) = named.name else { return None };
    let text = named.text;
    // `machine a.test login bob password …`, `username bob, password …`: a user name is announced before.
    let head = text[floor(text, named.start.saturating_sub(WHO_MAX))..named.start].to_ascii_lowercase();
    let beside_user = ["login ", "log in", "user ", "username "].iter().any(|word| head.contains(word));
    // `whose`: a word such as `for` was read. `skipped`: the words after it that say whose password it is.
    let (mut whose, mut skipped) = (false, 0);
    let (mut at, mut linked, mut colon) = (right(text, named.end, |b| b"'\"`\\".contains(&b)), beside_user, false);
    for _ in 0..SPOKEN_MAX {
        let start = right(text, at, |b| b == b' ');
        // No space follows: the name is part of a longer word.
        if start == named.end && text[start..].starts_with(|c: char| c.is_ascii_graphic()) {
            return None;
        }
        if start == at && at > named.end || text[start..].starts_with('\n') {
            return None;
        }
        let end = right(&text[..floor(text, start + VALUE_MAX)], start, |b| !b.is_ascii_whitespace());
        let word = &text[start..end];
        let inner = word.trim_matches(['"', '\'', '`', '\\']);
        let bare = inner.trim_end_matches(['.', ',', ';', ':', ')', '"', '\'', '`']);
        let sign = matches!(word, "=" | "-" | "->" | "→" | ":" | "--body" | "-b" | "--value");
        if sign || LINKS.contains(bare.to_ascii_lowercase().as_str()) && !word.starts_with(['\'', '"']) {
            linked |= sign
                || matches!(
                    bare,
                    "is" | "was"
                        | "to"
                        | "lautet"
                        | "ist"
                        | "est"
                        | "es"
                        | "é"
                        | "è"
                        | "är"
                        | "er"
                        | "jest"
                        | "je"
                        | "este"
                        | "yra"
                        | "on"
                        | "adalah"
                        | "ialah"
                );
            whose |= matches!(
                bare,
                "for"
                    | "of"
                    | "für"
                    | "pour"
                    | "para"
                    | "de"
                    | "da"
                    | "do"
                    | "di"
                    | "för"
                    | "til"
                    | "dla"
                    | "pro"
                    | "per"
                    | "voor"
            );
        } else if word.ends_with(':')
            && !colon
            && (whose || bare.bytes().all(|b| b.is_ascii_alphabetic()))
            && at > named.end + 1
        {
            (linked, colon) = (true, true);
        } else {
            let quoted = word.starts_with(['"', '\'', '`', '\\']);
            let from = start + word.find(bare)?;
            let shown = right(text, from + bare.len(), |b| b"!?".contains(&b));
            let believed = match rule {
                "password" => !is_snake(bare) && (is_password(bare) && (linked || quoted || is_strong(bare))),
                ONE_TIME => fits(rule, bare) && bare.len() >= 4 && bare.bytes().all(|b| b.is_ascii_digit()),
                SEED | CARD | "cookie" => false,
                _ => is_random(bare) && (!is_snake(bare) && !bare.contains('/') || is_drawn(bare)),
            };
            let believed = believed && !is_benign(bare);
            let goes_on = rule == "password" && whose && !linked && bare == inner;
            if !believed && goes_on && skipped < WHOSE_MAX {
                (at, skipped) = (end, skipped + 1);
                continue;
            }
            let certain = skipped == 0 || linked;
            return (believed && certain).then_some(Hit::new(from, shown, rule));
        }
        at = end;
    }
    None
}

/// Returns whether a word is a name, an address or an assignment rather than a password.
fn is_snake(word: &str) -> bool {
    let signs = word.bytes().any(|b| b"!#$%^&*+?~".contains(&b));
    word.contains('=') || word.contains("::") || !signs && word.contains(['_', '.', '@'])
}

/// Returns whether a word is too long and too random to be a name.
fn is_drawn(word: &str) -> bool {
    word.len() >= 20 && entropy(word) > 3.5 && word.bytes().filter(u8::is_ascii_digit).count() >= 3
}

/// Returns whether a word is a password even if only a space separates it from the name.
fn is_strong(word: &str) -> bool {
    let has = |fits: fn(&u8) -> bool| word.bytes().filter(fits).count();
    let (digits, upper, lower) = (has(u8::is_ascii_digit), has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase));
    let signs = word.bytes().filter(|b| b"!@#$%^&*+?~".contains(b)).count();
    digits >= 2 && word.len() >= 8
        || digits >= 1 && upper >= 1 && lower >= 1 && word.len() >= 8
        || signs >= 1 && digits + upper >= 1
}

/// Returns the values on the lines below a name that is followed by a colon at the end of its line.
pub(in crate::redact) fn below(named: &Named<'_>) -> Option<Hit> {
    let Name::Strong(rule) = named.name else { return None };
    let text = named.text;
    let colon = right(text, named.end, |b| b"'\"` ".contains(&b));
    if text.as_bytes().get(colon) != Some(&b':') || !next_line(text, colon + 1) {
        return None;
    }
    let mut at = right(text, colon + 1, |b| b != b'\n') + 1;
    // In YAML, `|` and `>` say that the lines below are the value.
    let block = text[colon + 1..at.min(text.len())].trim_start().starts_with(['|', '>']);
    let (mut from, mut until) = (None, 0);
    for _ in 0..BELOW_MAX {
        let end = right(&text[..floor(text, at + QUOTED_MAX)], at, |b| b != b'\n');
        let Some(line) = text.get(at..end) else { break };
        let inner = line.trim_matches([' ', '\t', '"', '\'', '`', '\r', '-', '*']);
        let item = inner.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(['.', ')', ' ']);
        let fitting = match rule {
            ONE_TIME => fits(rule, inner),
            SEED => !item.is_empty() && item.bytes().all(|b| b.is_ascii_lowercase() || b == b' '),
            CARD | "cookie" => false,
            _ => {
                block && inner.len() >= 4
                    || is_random(inner) && (!inner.contains([':', '=']) || is_drawn(inner))
                    || is_strong(inner) && is_password(inner)
            }
        };
        if inner.is_empty() || !fitting || is_benign(inner) {
            break;
        }
        let start = at + line.find(inner).unwrap_or(0);
        from = from.or(Some(start));
        until = start + inner.len();
        at = end + 1;
        if !matches!(rule, ONE_TIME | SEED) {
            break;
        }
    }
    from.map(|from| Hit::new(from, until, rule))
}
