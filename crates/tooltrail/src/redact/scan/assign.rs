//! Finds the value that belongs to the name of a secret in free text: assigned, after a flag, in a tag, on the lines
//! below, in a sentence or in a column.

use crate::redact::rules::benign::{is_benign, is_composed, is_password, is_random};
use crate::redact::rules::names::{self, CARD, Name, ONE_TIME, SEED};
use crate::redact::rules::words::PROSE;
use crate::redact::scan::boundaries::{NAME_MAX, VALUE_MAX, floor, is_name, right};
use crate::redact::scan::declared;
use crate::redact::scan::hit::Hit;
use crate::redact::scan::nested;
use crate::redact::scan::spoken::{below, spoken};
use crate::redact::scan::table;

/// Maximum number of bytes between an attribute that contains a name and the attribute that contains its value.
const ATTRIBUTE_MAX: usize = 160;
/// Bytes of a quoted value in which its closing quote is searched.
pub(in crate::redact) const QUOTED_MAX: usize = 16_384;

/// Maximum bytes of a remark between a name and its sign.
const REMARK_MAX: usize = 40;

/// How a name and its value are joined.
#[derive(Clone, Copy, PartialEq)]
enum Link {
    /// By an equals sign, or something like one.
    Equals,
    /// By a colon.
    Colon,
    /// By a sign that also separates elements or cells. The value must look like a token.
    Comma,
    /// As the text of an element or the value of another attribute.
    Tag,
    /// By a space after a flag.
    Flag,
}

/// A name in a text, and its context.
pub(in crate::redact) struct Named<'a> {
    pub(in crate::redact) text: &'a str,
    pub(in crate::redact) start: usize,
    pub(in crate::redact) end: usize,
    pub(in crate::redact) name: Name,
    query: bool,
    flag: bool,
}

/// Looks for the value of the name that contains the trigger and pushes it as a hit. Returns the end of the hit.
pub(in crate::redact) fn name(text: &str, trigger: usize, end: usize, cut: bool, hits: &mut Vec<Hit>) -> Option<usize> {
    let named = named(text, trigger, end)?;
    let joined = joined(&named);
    if joined.is_none_or(|(_, link)| link == Link::Comma)
        && let Some(hit) = table::column(text, named.start, named.end, named.name, hits)
    {
        return Some(pushed(hits, hit));
    }
    let Some((mut open, link)) = joined else {
        return spoken(&named).or_else(|| below(&named)).map(|hit| pushed(hits, hit));
    };
    let mut at = right(text, open, |b| b == b' ' || b == b'\t' || b == b'*');
    if matches!(text.as_bytes().get(at), Some(b'[' | b'{'))
        && matches!(link, Link::Colon | Link::Equals)
        && let Some(end) = nested::values(text, at, named.name, hits)
    {
        return Some(end);
    }
    at += declared::wrapper(&text[at..]);
    let quote;
    (open, quote) = opening(text, at)?;
    let stop = match quote {
        Some(quote) => closing(text, open, quote),
        None => right(&text[..floor(text, open + VALUE_MAX)], open, |b| b != b'\n' && b != b'\r'),
    };
    let value = &text[open..stop];
    let hit = match (quote, named.name) {
        (None, _) if link == Link::Tag => tagged_value(value, named.name)?,
        (None, Name::Strong("cookie")) => {
            Hit::new(0, value.trim_end_matches(['"', '\'']).len(), "cookie").when(is_cookie(value))?
        }
        (None, Name::Strong(SEED)) => Hit::new(0, value.len(), SEED).when(fits(SEED, value))?,
        (None, _) => unquoted(&named, value, link)?,
        (Some(b'`'), _) if value.contains(' ') => return None,
        (Some(_), _) if link == Link::Comma => self::value(value, named.name)
            .filter(|hit| is_mixed(&value[hit.start..hit.end]) && (is_random(value) || is_password(value)))?,
        (Some(_), _) => self::value(value, named.name)?,
    };
    let (mut from, mut until) = (open + hit.start, open + hit.end);
    if quote.is_none() && value.len() + 4 > VALUE_MAX && hit.end + 4 > value.len() {
        until = right(text, until, |b| b.is_ascii_graphic() && !b"\"'`<>\\&;,".contains(&b));
    }
    if cut && until >= text.len() {
        until = text.len();
    }
    from = from.min(until);
    Some(pushed(hits, Hit::new(from, until, hit.rule)))
}

fn pushed(hits: &mut Vec<Hit>, hit: Hit) -> usize {
    let end = hit.end;
    hits.push(hit);
    end
}

fn named(text: &str, trigger: usize, end: usize) -> Option<Named<'_>> {
    let bytes = text.as_bytes();
    let mut start = trigger;
    while start > 0 && trigger - start < NAME_MAX && is_name(bytes[start - 1]) {
        start -= 1;
    }
    // The user of a URL. The password between user and host is found by `links::userinfo`.
    if text[end..].starts_with(':') && text[..start].ends_with("://") {
        return None;
    }
    let end = if text[end..].starts_with('ñ') { right(text, end + 2, is_name) } else { end };
    let word = text.get(start..end)?;
    let query = start > 0 && matches!(bytes[start - 1], b'?' | b'&' | b'#');
    let own = match names::judge(word) {
        None if word.eq_ignore_ascii_case("passe")
            && text[floor(text, start.saturating_sub(7))..start].eq_ignore_ascii_case("mot de ") =>
        {
            Some(Name::Strong("password"))
        }
        own => own,
    };
    // `API key`, `seed phrase`: the word before the name says which kind of key or phrase it is.
    let before = spaced_before(text, start).filter(|_| word.bytes().all(|b| b.is_ascii_alphabetic()));
    let judged = match (own, before) {
        (Some(Name::Strong("token")), Some(from)) if word.eq_ignore_ascii_case("token") => {
            names::judge(&text[from..end])
        }
        (Some(Name::Strong(_)), _) | (_, None) => own,
        (_, Some(from)) => match names::judge(&text[from..end]) {
            None if !word.eq_ignore_ascii_case("key") => own,
            joined => joined,
        },
    };
    let name = match judged? {
        Name::Weak(rule) if query || rule == "password" && text[..start].ends_with(';') => Name::Strong(rule),
        other => other,
    };
    Some(Named { text, start, end, name, query, flag: bytes[start] == b'-' })
}

fn spaced_before(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let space = start.checked_sub(1).filter(|at| bytes[*at] == b' ')?;
    let mut from = space;
    while from > 0 && space - from < 20 && (bytes[from - 1].is_ascii_alphabetic() || bytes[from - 1] == b'-') {
        from -= 1;
    }
    (from < space).then_some(from)
}

/// Returns the end of a number or a remark in brackets between a name and its colon, as in `Key [None]:`. Returns `at`
/// if there is none.
fn remark(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let close = match bytes.get(at) {
        Some(b'(') => b')',
        Some(b'[') => b']',
        Some(b'0'..=b'9') => {
            let end = right(text, at, |b| b.is_ascii_digit());
            return if end - at <= 2 && bytes.get(end) == Some(&b':') { end } else { at };
        }
        _ => return at,
    };
    let end = right(&text[..floor(text, at + REMARK_MAX)], at, |b| b != close && b != b'\n');
    if bytes.get(end) == Some(&close) && bytes.get(end + 1) == Some(&b':') { end + 1 } else { at }
}

/// Returns where the value may begin, and how it is joined to the name.
fn joined(named: &Named<'_>) -> Option<(usize, Link)> {
    let (text, bytes, end) = (named.text, named.text.as_bytes(), named.end);
    let quotes = right(text, end, |b| b"'\"`\\]*".contains(&b));
    let spaced = remark(text, right(text, quotes, |b| b == b' ' || b == b'\t'));
    let after = right(text, spaced, |b| b"=:>|?,".contains(&b));
    if let Some(wide) = ["：", "＝"].iter().find(|sign| text[spaced..].starts_with(**sign)) {
        return Some((spaced + wide.len(), Link::Colon));
    }
    let opened = named.start > 0 && matches!(bytes[named.start - 1], b'<' | b':' | b'.');
    if after - spaced > 4 {
        return None;
    }
    match &text[spaced..after] {
        "" if (named.flag || is_set(named)) && spaced > end && quotes == end => Some((spaced, Link::Flag)),
        // An element with attributes: `<Password Type="Text">…`. The value is its text, or its `value` attribute.
        "" if opened && bytes.get(end) == Some(&b' ') && bytes[named.start - 1] != b'.' => {
            let near = &text[end..floor(text, end + ATTRIBUTE_MAX)];
            let close = near.find(['>', '<', '\n']).filter(|at| near[*at..].starts_with('>'))?;
            let value = near[..close].to_ascii_lowercase().find(" value=").map(|at| (end + at + 7, Link::Colon));
            Some(value.unwrap_or((end + close + 1, Link::Tag)))
        }
        "" => match declared::sign(text, end).filter(|_| bytes.get(end) == Some(&b' ')) {
            Some(open) => Some((open, Link::Equals)),
            None => attribute(named, quotes),
        },
        "," if quotes > end => attribute(named, quotes).or(Some((after, Link::Comma))),
        "," => None,
        ">" if quotes == end && opened => Some((after, Link::Tag)),
        ">" if quotes > end && text[..named.start].ends_with(['"', '\'', '.']) => Some((after, Link::Tag)),
        ">" => Some((after, Link::Comma)),
        "|" => Some((after, Link::Comma)),
        // One part of an identifier whose parts are separated by colons: `arn:…:secret:…`.
        ":" if text[..named.start].ends_with(':') => None,
        ":" => match declared::sign(text, after) {
            Some(open) => Some((open, Link::Equals)),
            None => (!next_line(text, after)).then_some((after, Link::Colon)),
        },
        "=>" | "||" | "?=" | "??=" => Some((after, Link::Equals)),
        // A path in code: `Token::Eof`.
        "::" => None,
        op if op.bytes().all(|b| b == b':' || b == b'=') => Some((after, Link::Equals)),
        _ => None,
    }
}

/// Returns whether a name is a configuration directive that its value follows after a space: `requirepass …`,
/// `ENV DB_PASSWORD …`.
fn is_set(named: &Named<'_>) -> bool {
    let word = &named.text[named.start..named.end];
    let known = ["requirepass", "masterauth", "bindpw"].iter().any(|known| word.eq_ignore_ascii_case(known));
    known || named.text[..named.start].ends_with("ENV ")
}

pub(in crate::redact) fn next_line(text: &str, at: usize) -> bool {
    let rest = text[at..].trim_start_matches([' ', '\t']);
    rest.trim_start_matches(['|', '>', '-', '+']).starts_with(['\n', '\r'])
}

/// Finds the value where the name is itself a value: `name="api_key" value="…"`, and the same in JSON or YAML.
fn attribute(named: &Named<'_>, from: usize) -> Option<(usize, Link)> {
    let (text, bytes) = (named.text, named.text.as_bytes());
    let before = named.start.checked_sub(1).map(|at| bytes[at])?;
    if !matches!(before, b'"' | b'\'' | b' ' | b'.') {
        return None;
    }
    let near = &text[from..floor(text, from + ATTRIBUTE_MAX)];
    let near = &near[..near.find(['>', '}', '{', ';']).unwrap_or(near.len())];
    let at = near.find("value").or_else(|| near.find("Value"))?;
    let between = &near[..at];
    let plain = between.matches('\n').count() <= 1 && between.matches(':').count() == 0;
    let after = right(text, from + at + 5, |b| b"'\"\\ \t".contains(&b));
    let link = match bytes.get(after)? {
        b':' => Link::Colon,
        b'=' => Link::Equals,
        _ => return None,
    };
    let alone = bytes.get(from + at + 5).is_some_and(|b| !b.is_ascii_alphanumeric());
    let whole = alone && !between.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    (plain && whole).then_some((after + 1, link))
}

/// Returns where a value begins after its quotes, and the last quote. Returns `None` for an empty quoted value.
fn opening(text: &str, at: usize) -> Option<(usize, Option<u8>)> {
    let (bytes, mut open, mut quote) = (text.as_bytes(), at, None);
    while let Some(&byte) = bytes.get(open) {
        match byte {
            b'"' | b'\'' | b'`' if quote == Some(byte) => {
                // Three quotes open a long text. In a shell, a word directly after two quotes is part of the value.
                return match bytes.get(open + 1) {
                    Some(next) if *next == byte => Some((open + 2, quote)),
                    Some(next) if next.is_ascii_alphanumeric() => Some((open + 1, quote)),
                    _ => None,
                };
            }
            b'"' | b'\'' | b'`' => quote = Some(byte),
            b'\\' if matches!(bytes.get(open + 1), Some(b'"' | b'\'' | b'\\')) => {}
            // `u'…'`, `b"…"`, `N'…'`, `@"…"`: a prefix that gives the type of the string literal.
            b'u' | b'b' | b'f' | b'r' | b'N' | b'@' | b'$'
                if quote.is_none() && matches!(bytes.get(open + 1), Some(b'"' | b'\'')) => {}
            _ => break,
        }
        open += 1;
    }
    Some((open, quote))
}

/// Returns where a quoted value ends. A value whose quote is not closed on its line ends like an unquoted value.
fn closing(text: &str, open: usize, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let escaped = open >= 2 && bytes[open - 2] == b'\\';
    let mut at = open;
    let most = bytes.len().min(open + QUOTED_MAX);
    while let Some(found) = memchr::memchr2(quote, b'\n', &bytes[at..most]).map(|length| at + length) {
        let backslash = found > open && bytes[found - 1] == b'\\';
        match bytes[found] {
            b'\n' => break,
            _ if backslash && !escaped => at = found + 1,
            _ => return open + text[open..found].trim_end_matches('\\').len(),
        }
    }
    right(text, open, |b| !b.is_ascii_whitespace() && !b"'\"`".contains(&b))
}

/// Returns the secret part of a value that belongs to the name of a secret: all of it, or the part after a scheme such
/// as `Bearer`.
pub(in crate::redact) fn value(value: &str, name: Name) -> Option<Hit> {
    let word = value.split([' ', '\t']).next().unwrap_or("");
    let scheme = ["bearer", "basic", "token", "digest", "apikey", "api-token", "negotiate"]
        .iter()
        .any(|scheme| word.len() < value.len() && word.eq_ignore_ascii_case(scheme));
    let start = if scheme { value.len() - value[word.len()..].trim_start().len() } else { 0 };
    let secret = &value[start..];
    let (rule, believed) = match name {
        Name::Strong(rule) => (rule, fits(rule, secret)),
        Name::Weak(rule) => (rule, is_weak(rule, secret)),
    };
    // URLs are handled by `links`.
    let address = (secret.starts_with("http://") || secret.starts_with("https://")) && !secret.contains(' ');
    (believed && !address && !is_benign(secret)).then_some(Hit::new(start, value.len(), rule))
}

/// Returns whether a value under a weak name looks like a secret.
fn is_weak(rule: &str, value: &str) -> bool {
    is_random(value) && !is_composed(value) || rule == "password" && is_password(value)
}

/// Returns whether a value can be a secret of the kind that the rule names.
pub(in crate::redact) fn fits(rule: &str, value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let mut words = value.split_ascii_whitespace();
    match rule {
        ONE_TIME => {
            digits >= 3 && value.len() <= 16 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"- ".contains(&b))
        }
        CARD => digits >= 12 && value.bytes().all(|b| b.is_ascii_digit() || b"- ".contains(&b)),
        "cookie" => is_cookie(value) || is_random(value),
        SEED => {
            let count = value.split_ascii_whitespace().count();
            count >= 3 && words.all(|word| word.bytes().all(|b| b.is_ascii_alphanumeric() || b".,".contains(&b)))
                || is_random(value)
        }
        _ => true,
    }
}

/// `name=value; …`.
fn is_cookie(value: &str) -> bool {
    let name = value.split_once('=').map_or("", |(name, _)| name.trim());
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"\"'`()+".contains(&b))
}

fn tagged_value(value: &str, name: Name) -> Option<Hit> {
    const DATA: &str = "<![CDATA[";
    if let Some(data) = value.strip_prefix(DATA) {
        let hit = self::value(&data[..data.find("]]>")?], name)?;
        return Some(Hit::new(DATA.len() + hit.start, DATA.len() + hit.end, hit.rule));
    }
    let end = value.find('<').filter(|at| value[*at..].starts_with("</"))?;
    self::value(value[..end].trim_end(), name)
}

fn unquoted(named: &Named<'_>, line: &str, link: Link) -> Option<Hit> {
    let scheme = value(line, Name::Strong("")).map_or(0, |hit| hit.start);
    let bytes = line.as_bytes();
    let stops: &[u8] = if named.query { b"&#'\"`<>\\;,)" } else { b"'\"`<>\\" };
    let end = right(line, scheme, |b| !b.is_ascii_whitespace() && !stops.contains(&b));
    let tail = if line[end..].starts_with([' ', '\t']) { line[end..].trim() } else { "" };
    let mut word = line[scheme..end].trim_end_matches([',', ';', ')', ']', '}', '.', ':']);
    // In a connection string the next parameter follows after a semicolon; in code the next argument after a comma.
    if let Some(at) = word.find(';').filter(|at| word[*at..].contains('=')) {
        word = &word[..at];
    }
    let head = &word[..word.find([',', ';', ')', '}']).unwrap_or(word.len())];
    let shortened = line[scheme..end].ends_with("...") || line[scheme..end].ends_with('…');
    let code = shortened
        || is_code(head)
        || word.starts_with('&') && letters_only(&word[1..])
        || link == Link::Equals && compared(named) && letters_only(word)
        || link == Link::Equals && letters_only(word) && is_attribute(named, word)
        || bytes.get(end) == Some(&b'<') && bytes.get(end + 1) != Some(&b'/')
        || bytes.get(end) == Some(&b'"') && word.contains('(')
        || bytes.get(scheme) == Some(&b'{')
        || word.starts_with('!') && !tail.is_empty()
        || is_count(rule_of(named.name), word)
        || link == Link::Equals && letters_only(word) && is_variable(named, word)
        || link == Link::Flag && letters_only(word) && is_told_of(word, tail)
        || word.len() < 3;
    let letters = letters_only(word);
    let constant = letters && word.contains('_') && word.bytes().all(|b| !b.is_ascii_lowercase());
    let metavar = named.flag && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let loose = link == Link::Colon || !named.text[named.end..].starts_with(['=', ':', '"', '\'']);
    let plain = letters && !named.flag && !named.query;
    let spaced = named.text[named.end..].starts_with(": ");
    let word_alone = named.text[named.start..named.end].bytes().all(|b| b.is_ascii_alphabetic());
    let aside = link == Link::Colon && spaced && word_alone && !is_anchored(named.text, named.start);
    let prose = plain && (loose && !tail.is_empty() || word.len() < end - scheme || aside);
    if let Some(hit) = passphrase(named, line, link).filter(|_| plain && !tail.is_empty()) {
        return Some(hit);
    }
    let (rule, believed) = match named.name {
        Name::Strong(rule) if link == Link::Comma => (rule, is_random(word)),
        Name::Strong(rule) => (rule, !prose && (fits(rule, word))),
        Name::Weak(rule) => (rule, is_weak(rule, word)),
    };
    (believed && !code && !constant && !metavar && !is_benign(word) && !is_benign(head)).then_some(Hit::new(
        scheme,
        scheme + word.len(),
        rule,
    ))
}

/// Returns whether a value has enough digits, capitals or signs that it is not just a name in a list of names.
fn is_mixed(value: &str) -> bool {
    let count = |fits: fn(&u8) -> bool| value.bytes().filter(fits).count();
    let (digits, upper, lower) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    digits >= 3 || digits >= 1 && upper >= 1 && lower >= 1 || value.bytes().any(|b| b"!@#$%^&*+?~".contains(&b))
}

fn letters_only(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
}

fn compared(named: &Named<'_>) -> bool {
    named.text[named.end..].trim_start().starts_with("==")
}

/// Returns whether code assigns a variable to an attribute, as in `self.token=next_token`: the name follows `self.`,
/// `this.` or similar, or it follows a dot, ` = ` comes next and the value has a capital.
fn is_attribute(named: &Named<'_>, word: &str) -> bool {
    let own =
        ["self.", "this.", "this.#", "cls.", "super.", "@", "->", "that.", "me.", "exports.", "module.", "props."];
    let head = &named.text[..named.start];
    let attribute = own.iter().any(|own| head.ends_with(own));
    let member = head.ends_with('.') && named.text[named.end..].starts_with(" = ");
    attribute || member && word.bytes().any(|b| b.is_ascii_uppercase())
}

fn rule_of(name: Name) -> &'static str {
    match name {
        Name::Strong(rule) | Name::Weak(rule) => rule,
    }
}

/// Returns whether a number is too short to be the secret that its name suggests, so that it is a constant:
/// `MAX_TOKEN = 258`.
fn is_count(rule: &str, word: &str) -> bool {
    let digits = word.trim_end_matches(['u', 'L', 'U', 'l']);
    let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let hex =
        word.strip_prefix("0x").is_some_and(|rest| rest.len() <= 8 && rest.bytes().all(|b| b.is_ascii_hexdigit()));
    let least = if matches!(rule, "password" | "secret") { 4 } else { 6 };
    rule != ONE_TIME && (number && digits.len() < least || hex)
}

/// Returns whether code assigns one variable to another: after `let` or similar, in a list, or with the same last word.
fn is_variable(named: &Named<'_>, word: &str) -> bool {
    let head = &named.text[floor(named.text, named.start.saturating_sub(16))..named.start];
    let declared =
        ["let ", "const ", "var ", "val ", "auto ", "mut ", ", "].iter().any(|before| head.ends_with(before));
    let spaced = named.text[named.end..].starts_with(" = ");
    let last = |text: &str| text.rsplit('_').next().unwrap_or("").to_ascii_lowercase();
    let name = &named.text[named.start..named.end];
    spaced && declared || word.contains('_') && last(word) == last(name) || word.eq_ignore_ascii_case(name)
}

/// Returns whether a sentence only mentions a flag: `the --token flag is required`.
fn is_told_of(word: &str, tail: &str) -> bool {
    let next = tail.split(' ').next().unwrap_or("");
    PROSE.contains(word) && !tail.is_empty()
        || matches!(word, "flag" | "option" | "options" | "argument" | "parameter" | "and" | "or")
        || PROSE.contains(next) && next.len() < 4
}

/// Returns whether a value is code: a call, an indexed element or a dotted path of names.
fn is_code(head: &str) -> bool {
    let head = head.trim_end_matches('!').trim_start_matches('&');
    let parts =
        || head.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_'));
    head.contains(['(', '[']) || head.contains("?.") || head.contains('.') && parts()
}

/// Returns whether only spaces, quotes, dashes and similar signs stand before a name on its line.
fn is_anchored(text: &str, start: usize) -> bool {
    let near = floor(text, start.saturating_sub(NAME_MAX));
    let line = match text[near..start].rfind('\n') {
        Some(at) => near + at + 1,
        None if near == 0 => 0,
        None => return false,
    };
    text[line..start].bytes().all(|b| b" \t\"'`-{,<#*>|".contains(&b))
}

/// Finds a passphrase of two to eight words that are no sentence, on a line of its own:
/// `password: correct horse battery`.
fn passphrase(named: &Named<'_>, line: &str, link: Link) -> Option<Hit> {
    let line = line.split(" #").next().unwrap_or(line).trim_end();
    let words = || line.split(' ');
    let plain =
        words().all(|word| word.len() >= 3 && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    let apt = link == Link::Colon && named.name == Name::Strong("password") && is_anchored(named.text, named.start);
    let sentence = words().any(|word| PROSE.contains(word));
    // Application passwords are shown as four groups of four characters.
    let grouped = link == Link::Colon && words().count() == 4 && words().all(|word| word.len() == 4);
    ((apt || grouped) && plain && !sentence && (2..=8).contains(&words().count())).then_some(Hit::new(
        0,
        line.len(),
        "password",
    ))
}
