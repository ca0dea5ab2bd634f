//! The scan of free text: each trigger is looked at once, with its surroundings.

use super::benign::{is_benign, is_random};
use super::engine::{Hit, Redactor, Trigger};
use super::names::{self, Name};
use super::shapes::{PREFIXED, VENDORS};

/// Beginnings of secrets that neither a token's shape nor a name tells.
pub(super) const TRIGGERS: &[&str] =
    &["://", "-----begin ", "bearer ", "basic ", "/invite/", "curl", "sshpass", "mysql", " code is ", "data:", "=\""];
/// Bytes of a name on either side of its trigger.
const NAME_MAX: usize = 64;
/// Bytes of an unquoted value that are judged; what follows in the same run is hidden with it.
const VALUE_MAX: usize = 256;
/// Bytes of a form or a command that are looked at.
const NEAR_MAX: usize = 8_192;

/// All that looks secret in a text, in no order.
pub(super) fn scan(redactor: &Redactor, text: &str, cut: bool) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    let Some(finder) = &redactor.finder else { return hits };
    let (mut named, mut covered, mut key_end_missing, mut command) = (0, vec![0; PREFIXED.len()], false, 0);
    let (mut key_end, mut listed) = (0, 0);
    cards(text, &mut hits);
    for found in finder.find_overlapping_iter(text) {
        let (start, end) = (found.start(), found.end());
        match redactor.triggers[found.pattern().as_usize()] {
            Trigger::Shape(index) if start >= covered[index] => {
                if let Some(hit) = token(redactor, text, index, start, cut) {
                    covered[index] = hit.end;
                    hits.push(hit);
                }
            }
            Trigger::Vendor => hits.extend(vendor(redactor, text, start, end)),
            Trigger::Name if end > named => {
                named = right(text, end, is_name);
                if let Some(hit) = name(text, start, named, cut) {
                    named = named.max(hit.end);
                    hits.push(hit);
                }
            }
            Trigger::Text("-----begin ") if !key_end_missing && start >= key_end => {
                let line = &text[start..floor(text, start + 100)];
                if line.contains("PRIVATE KEY") {
                    let close = text[start + 11..].find("-----END").map(|at| start + 11 + at + 8);
                    let close = close.and_then(|at| {
                        text[at..]
                            .find("KEY")
                            .map(|k| right(text, at + k + 3, |b| b == b'-' || b.is_ascii_uppercase() || b == b' '))
                    });
                    key_end_missing = close.is_none();
                    key_end = close.unwrap_or(text.len());
                    hits.push(Hit { start, end: key_end, rule: "private-key", tagged: false });
                }
            }
            Trigger::Text("://") => hits.extend(userinfo(text, end)),
            Trigger::Text("bearer " | "basic ") => {
                let until = right(text, end, |b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
                if until - end >= 8 && (is_random(&text[end..until]) || text[end..until].ends_with('=')) {
                    hits.push(Hit { start: end, end: until, rule: "authorization", tagged: false });
                }
            }
            Trigger::Text("/invite/") => {
                let until = right(text, end, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                if until - end >= 12 && is_random(&text[end..until]) {
                    hits.push(Hit { start: end, end: until, rule: "invite", tagged: false });
                }
            }
            Trigger::Text(" code is ") => {
                let until = right(text, end, |b| b.is_ascii_digit());
                if (4..=8).contains(&(until - end)) {
                    hits.push(Hit { start: end, end: until, rule: "one-time-code", tagged: false });
                }
            }
            Trigger::Text("data:") if start >= listed => {
                listed = end + 256;
                manifest(text, end, &mut hits);
            }
            Trigger::Text("=\"") => hits.extend(assigned(text, start, end)),
            Trigger::Text(which @ ("curl" | "sshpass" | "mysql")) if start >= command => {
                command = flags(text, end, which, &mut hits);
            }
            _ => {}
        }
    }
    hits
}

fn token(redactor: &Redactor, text: &str, index: usize, at: usize, cut: bool) -> Option<Hit> {
    let shape = &PREFIXED[index];
    let start = at.checked_sub(shape.inner.map_or(0, |(_, before)| before))?;
    let glued = start > 0 && text.as_bytes()[start - 1].is_ascii_alphanumeric();
    let escaped = start > 1 && text.as_bytes()[start - 2] == b'\\' || start > 2 && text.as_bytes()[start - 3] == b'%';
    if !text.is_char_boundary(start) || glued && !escaped {
        return None;
    }
    let near = &text[start..floor(text, start + NEAR_MAX)];
    let end = match redactor.matches(index, shape, near) {
        Some(length) => right(text, start + length, |b| b.is_ascii_alphanumeric() || b == b'_'),
        // What is cut short of its form; a short beginning, or one in the other case, says too little.
        None if cut
            && shape.triggers().iter().any(|word| word.len() >= 4 && near.starts_with(word.as_str()))
            && right(text, start, |b| b.is_ascii_graphic() && !b"\"'`<>".contains(&b)) == text.len() =>
        {
            text.len()
        }
        None => return None,
    };
    Some(Hit { start, end, rule: shape.rule, tagged: shape.tagged })
}

fn vendor(redactor: &Redactor, text: &str, from: usize, at: usize) -> Option<Hit> {
    let word = text[from..at].to_ascii_lowercase();
    let bytes = text.as_bytes();
    let name_end = right(text, at, |b| is_name(b) || matches!(b, b' ' | b'\t' | b'.'));
    if name_end - at > 24 {
        return None;
    }
    let quoted = right(text, name_end, |b| b"'\"`\\ ".contains(&b));
    let separated = right(text, quoted, |b| b"=>:|?,".contains(&b));
    if separated == quoted || separated - quoted > 3 || quoted - name_end > 6 {
        return None;
    }
    let start = right(text, separated, |b| b"'\"`\\ =\t".contains(&b));
    let near = &text[start..floor(text, start + 512)];
    VENDORS.iter().enumerate().filter(|(_, shape)| shape.words.contains(&word.as_str())).find_map(|(index, shape)| {
        let end = start + redactor.matches(PREFIXED.len() + index, shape, near)?;
        let ends = bytes.get(end).is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'-' && *b != b'_');
        ends.then_some(Hit { start, end, rule: shape.rule, tagged: false })
    })
}

/// A name, what separates it from its value, and the value.
fn name(text: &str, trigger: usize, end: usize, cut: bool) -> Option<Hit> {
    let bytes = text.as_bytes();
    let mut start = trigger;
    while start > 0 && trigger - start < NAME_MAX && is_name(bytes[start - 1]) {
        start -= 1;
    }
    let judged = names::judge(text.get(start..end)?)?;
    let flag = bytes[start] == b'-';
    let query = start > 0 && matches!(bytes[start - 1], b'?' | b'&');
    let judged = match judged {
        Name::Weak(rule) if query => Name::Strong(rule),
        other => other,
    };
    let quotes = right(text, end, |b| b"'\"`\\]".contains(&b));
    let spaced = right(text, quotes, |b| b == b' ' || b == b'\t');
    let mut at = right(text, spaced, |b| b"=:>|?,".contains(&b));
    if at == spaced && !(flag && spaced > end) || at - spaced > 3 {
        return None;
    }
    let (separator, tagged) = (&text[spaced..at], start > 0 && bytes[start - 1] == b'<');
    let known = matches!(separator, "" | "=" | ":" | "=>" | ":=" | "::" | "||" | "?=" | "==" | "===" | ",");
    let accepted = known || separator == ">" && tagged;
    if !accepted || separator == "," && quotes == end {
        return None;
    }
    at = right(text, at, |b| b == b' ' || b == b'\t');
    let beside = right(text, at, |b| b"'\"\\".contains(&b));
    let named_value =
        text[beside..].strip_prefix("value").map(|_| right(text, beside + 5, |b| b"'\"\\ :=".contains(&b)));
    let open = named_value.unwrap_or_else(|| right(text, at, |b| b"'\"`\\".contains(&b)));
    let quote = (open > at).then(|| bytes[open - 1]);
    let colon = bytes[spaced..at].contains(&b':');
    let stop = match quote {
        Some(quote) => memchr::memchr2(quote, b'\n', &bytes[open..]).map_or(text.len(), |length| open + length),
        None => right(&text[..floor(text, open + VALUE_MAX)], open, |b| b != b'\n' && b != b'\r'),
    };
    let mut value_end = stop;
    if quote.is_some() {
        while value_end > open && bytes[value_end - 1] == b'\\' {
            value_end -= 1;
        }
        if stop == text.len() || bytes[stop] == b'\n' {
            value_end = right(text, open, |b| !b.is_ascii_whitespace() && !b"'\"`".contains(&b));
        }
    }
    let value = &text[open..value_end];
    let hit = match (quote, judged) {
        (None, Name::Strong(rule @ ("cookie" | "seed-phrase"))) => {
            Hit { start: 0, end: value.len(), rule, tagged: false }
        }
        (None, _) => unquoted(value, judged, query, flag, colon || spaced > quotes)?,
        (Some(_), _) => self::value(value, judged)?,
    };
    let mut hit = hit;
    if quote.is_none() && value.len() + 4 > VALUE_MAX && hit.end + 4 > value.len() {
        hit.end = right(text, open + hit.end, |b| b.is_ascii_graphic() && !b"'\"`<>\\&;,".contains(&b)) - open;
    }
    let end = if cut && open + hit.end >= text.len() { text.len() } else { open + hit.end };
    Some(Hit { start: open + hit.start, end, ..hit })
}

/// The secret part of a whole value under a secret's name.
pub(super) fn value(value: &str, name: Name) -> Option<Hit> {
    let scheme = ["bearer ", "basic ", "token ", "digest ", "apikey "]
        .iter()
        .find(|scheme| value.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)));
    let start = scheme.map_or(0, |scheme| scheme.len());
    let secret = &value[start..];
    let (rule, believed) = match name {
        Name::Strong(rule) => (rule, true),
        Name::Weak(rule) => (rule, is_random(secret)),
    };
    (believed && !is_benign(secret)).then_some(Hit { start, end: value.len(), rule, tagged: false })
}

fn unquoted(line: &str, name: Name, query: bool, flag: bool, loose: bool) -> Option<Hit> {
    let scheme = value(line, Name::Strong("")).map_or(0, |hit| hit.start);
    let bytes = line.as_bytes();
    let mut end = right(line, scheme, |b| !b.is_ascii_whitespace() && !b"'\"`<>\\".contains(&b));
    if query {
        end = right(line, scheme, |b| !b.is_ascii_whitespace() && !b"&#'\"`<>\\;,)".contains(&b));
    }
    let tail = if line[end..].starts_with([' ', '\t']) { line[end..].trim() } else { "" };
    let word = line[scheme..end].trim_end_matches([',', ';', ')', ']', '}', '.', ':']);
    let hit = Hit { start: scheme, end: scheme + word.len(), rule: "", tagged: false };
    let letters = word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    // Code and prose: a call, a path of names, a word among words.
    let shortened = line[scheme..end].ends_with("...") || line[scheme..end].ends_with('…');
    let code = shortened
        || word.contains("?.")
        || bytes.get(end) == Some(&b'<') && bytes.get(end + 1) != Some(&b'/')
        || word.contains('(')
        || word.contains('[')
        || bytes.get(scheme) == Some(&b'{')
        || word.len() < 3
        || word.contains('.')
            && word
                .split('.')
                .all(|part| part.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_') && !part.is_empty());
    let prose = letters && !flag && !query && (loose && !tail.is_empty() || word.len() < end - scheme);
    let (rule, believed) = match name {
        Name::Strong(rule) => (rule, !code && !prose),
        Name::Weak(rule) => (rule, !code && is_random(word)),
    };
    (believed && !is_benign(word)).then_some(Hit { rule, ..hit })
}

fn userinfo(text: &str, at: usize) -> Option<Hit> {
    let near = &text[at..floor(text, at + 512)];
    let near = &near[..right(near, 0, |b| !b.is_ascii_whitespace() && !b"'\"`<>/\\".contains(&b))];
    let (info, _) = near.rsplit_once('@')?;
    let (user, password) = info.split_once(':')?;
    let start = at + user.len() + 1;
    Some(Hit { start, end: start + password.len(), rule: "url-password", tagged: false })
}

/// The values of a Kubernetes secret.
fn manifest(text: &str, at: usize, hits: &mut Vec<Hit>) {
    let around = text[floor(text, at.saturating_sub(256))..floor(text, at + 1_024)].to_ascii_lowercase();
    let secret =
        around.split("kind:").skip(1).any(|rest| rest.trim_start_matches([' ', '\t', '"', '\'']).starts_with("secret"));
    if !secret {
        return;
    }
    let near = &text[at..floor(text, at + 1_024)];
    let mut from = 0;
    while let Some(colon) = near[from..].find(':').map(|colon| from + colon + 1) {
        let start = right(near, colon, |b| b" \t|>+-\n\r'\"".contains(&b));
        let end = right(near, start, |b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        if end - start >= 10 && (near.as_bytes().get(end) != Some(&b':') || near[start..end].contains('=')) {
            let end = near[start..end].find('=').map_or(end, |e| start + e + 1);
            hits.push(Hit { start: at + start, end: at + end, rule: "kubernetes-secret-yaml", tagged: false });
        }
        from = colon;
    }
}

/// Passwords after the flags of a command; answers where it stopped looking.
fn flags(text: &str, at: usize, command: &str, hits: &mut Vec<Hit>) -> usize {
    let stop = floor(text, at + 2_048);
    let near = &text[at..stop];
    let wanted: &[&str] = match command {
        "curl" => &["-u", "--user"],
        _ => &["-p"],
    };
    for flag in wanted {
        for (found, _) in near.match_indices(flag) {
            let free = found == 0 || !is_name(near.as_bytes()[found - 1]);
            let joined = found + flag.len();
            let start = right(near, joined, |b| b" =\t'\"".contains(&b));
            let spaced = near[joined..start].contains(' ');
            if !free || command == "mysql" && spaced || *flag == "-u" && near[joined..].starts_with("ser") {
                continue;
            }
            let quoted = near[joined..start].contains(['\'', '"']);
            let end = right(near, start, |b| if quoted { !b"'\"\n".contains(&b) } else { !b.is_ascii_whitespace() });
            let secret = &near[start..end];
            let from = if command == "curl" { secret.find(':').map(|colon| colon + 1) } else { Some(0) };
            if let Some(from) = from.filter(|from| from + 2 < secret.len().max(3)) {
                hits.push(Hit { start: at + start + from, end: at + end, rule: "flag", tagged: false });
            }
        }
    }
    stop
}

/// `NAME="…"`, the name in capitals, with a value drawn at random that is no digest.
fn assigned(text: &str, at: usize, start: usize) -> Option<Hit> {
    let bytes = text.as_bytes();
    let capital = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let mut from = at;
    while from > 0 && at - from < NAME_MAX && capital(bytes[from - 1]) {
        from -= 1;
    }
    let end =
        right(&text[..floor(text, start + VALUE_MAX)], start, |b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    let value = &text[start..end];
    let random = value.len() >= 16
        && is_random(value)
        && value.bytes().any(|b| b.is_ascii_alphabetic() && !b.is_ascii_hexdigit());
    let alone = from < at && (from == 0 || !is_name(bytes[from - 1]));
    (alone && random && bytes.get(end) == Some(&b'"')).then_some(Hit { start, end, rule: "assigned", tagged: false })
}

/// Numbers of payment cards: a plausible beginning, a right check digit, and nothing joined to them.
fn cards(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    if bytes.iter().filter(|byte| byte.is_ascii_digit()).count() < 13 {
        return;
    }
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) {
        let (mut end, mut digits, mut groups) = (start, Vec::new(), vec![0]);
        while let Some(&byte) = bytes.get(end) {
            let gap = matches!(byte, b' ' | b'-') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            match byte {
                b'0'..=b'9' => {
                    digits.push(byte - b'0');
                    *groups.last_mut().unwrap_or(&mut 0) += 1;
                }
                _ if gap => groups.push(0),
                _ => break,
            }
            end += 1;
        }
        at = end;
        let joined = |b: &u8| b.is_ascii_alphanumeric() || b"_-./+#".contains(b);
        let free = (start == 0 || !joined(&bytes[start - 1]))
            && bytes.get(end).is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'-' && *b != b'_');
        let grouped = matches!(groups.as_slice(), [_] | [4, 4, 4, 4] | [4, 6, 5]);
        if free && grouped && is_card(&digits) {
            hits.push(Hit { start, end, rule: "card-number", tagged: false });
        }
    }
}

fn is_card(digits: &[u8]) -> bool {
    let head = digits.iter().take(2).fold(0, |sum, digit| sum * 10 + u32::from(*digit));
    let plausible = match digits.len() {
        15 => matches!(head, 34 | 37),
        16 => matches!(head, 40..=49 | 51..=55 | 22..=27 | 60 | 65 | 35),
        _ => false,
    };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(*digit) * if at % 2 == 1 { 2 } else { 1 };
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    plausible && sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The end of a run of bytes.
fn right(text: &str, from: usize, fits: impl Fn(u8) -> bool) -> usize {
    let from = from.min(text.len());
    text.as_bytes()[from..].iter().position(|byte| !fits(*byte)).map_or(text.len(), |length| from + length)
}

/// The greatest character boundary at or before a byte.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
