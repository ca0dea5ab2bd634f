//! Fuzzing of queries: a query is parsed, written and compared with lines, through the prefilter and through the
//! fields.

use std::fmt::Write;

use super::draw::Draw;
use super::lines::written;
use crate::call::Call;
use crate::clock::Zone;
use crate::glob::glob_matches;
use crate::json;
use crate::json::push_string;
use crate::query::{Line, Query, check_filter};

/// Maximum bytes of a generated query: one byte more than the parser accepts.
const QUERY_BYTES_MAX: usize = 4_097;

/// Maximum bytes of the texts for the slow matcher.
const GLOB_BYTES_MAX: usize = 128;

/// The maximum number of places at which a query is split; each split takes as long as the whole test.
const SPLITS_MAX: usize = 4;

/// Tests a query and, after a newline, a line to match: a stored line, or a text from which a line is made.
pub(super) fn query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (asked, line) = text.split_once('\n').unwrap_or((&text, ""));
    let asked = &asked[..asked.floor_char_boundary(QUERY_BYTES_MAX)];
    fits_like_the_slow_matcher(asked, line);
    // With only three letters, patterns and names match often.
    let few = |text: &str, letters: [char; 3]| {
        text.bytes().take(24).map(|byte| letters[usize::from(byte % 3)]).collect::<String>()
    };
    fits_like_the_slow_matcher(&few(asked, ['a', 'b', '*']), &few(line, ['a', 'b', 'a']));
    let Ok(query) = Query::parse(asked) else { return };
    let shown = query.to_string();
    // A query near the length limit may become too long when it is written with quotes.
    let Ok(again) = Query::parse(&shown) else {
        return assert!(shown.len() > asked.len(), "{asked:?} is written as {shown:?}, which cannot be read");
    };
    assert_eq!(again, query, "{shown}");
    assert_eq!(again.to_string(), shown);
    let lines = lines(line, asked);
    if let Some(entry) = lines.iter().find(|line| Line::parse(line, &Zone::UTC).is_some()) {
        is_found_by_what_it_holds(entry);
    }
    for line in lines {
        let (may, does) = check_filter(&line, &query);
        assert!(may || !does, "the bytes deny what the fields say: {shown} {line}");
        assert_eq!(check_filter(&line, &again), (may, does));
        joins(asked, &line);
        let other = respelt(&line);
        let (may, still) = check_filter(&other, &query);
        assert_eq!(still, does, "one line, two answers: {shown} {line} {other}");
        assert!(may || !still, "the bytes deny what the fields say: {shown} {other}");
    }
}

/// Returns the lines to match: the input line, a line made from its text, and a line made from the words of the query.
fn lines(line: &str, asked: &str) -> Vec<String> {
    let mut draw = Draw::new(line.as_bytes());
    let mut call = Call::new(draw.text(64), draw.text(64), "{}");
    (call.session, call.agent) = (Some(draw.text(300)), Some(asked.to_owned()));
    call.args = String::from("{\"text\":");
    push_string(&mut call.args, asked);
    call.args.push('}');
    let rest = String::from_utf8_lossy(draw.rest()).into_owned();
    let mut same = Call::new("alice", asked, "{}").ok(asked);
    same.call_id = asked.split_once('=').map(|(_, value)| value.trim_matches('"').to_owned());
    let own = [call.ok(rest), same].map(|call| written(&call).0);
    std::iter::once(line.to_owned()).chain(own.map(|line| line.trim_end().to_owned())).collect()
}

/// Checks that queries for the values of a line match the line, also if it uses other escapes.
fn is_found_by_what_it_holds(line: &str) {
    let Some(stored) = Line::parse(line, &Zone::UTC) else { return };
    let other = respelt(line);
    for field in ["tool", "user", "session", "agent"] {
        let Some(value) = stored.string(field) else { continue };
        let start = value.char_indices().nth(1).map_or(0, |(at, _)| at);
        let quoted = value[start..].replace('\\', r"\\").replace('"', "\\\"").replace('*', r"\*");
        for asked in [format!("{field}=\"*{quoted}\""), format!("\"{quoted}\"")] {
            // A query with a long value may be too long.
            let Ok(query) = Query::parse(&asked) else { continue };
            assert_eq!(check_filter(line, &query), (true, true), "{asked} {line}");
            assert_eq!(check_filter(&other, &query), (true, true), "{asked} {other}");
        }
    }
}

/// Returns the same line with some characters of its strings written as escapes.
fn respelt(line: &str) -> String {
    if json::check(line).is_err() {
        return line.to_owned();
    }
    let (mut out, mut inside, mut escape) = (String::new(), false, 0_u8);
    for (n, c) in line.chars().enumerate() {
        match c {
            '"' if escape == 0 => inside = !inside,
            '\\' if escape == 0 => escape = 2,
            // The digits of an escape are not changed.
            'u' if escape == 1 => escape = 5,
            _ => {}
        }
        if inside && escape == 0 && c != '"' && n % 3 == 0 {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").unwrap();
            }
        } else {
            out.push(c);
        }
        escape = escape.saturating_sub(1);
    }
    out
}

/// Checks that a line matches two queries joined by AND exactly if it matches both, by OR if it matches one of them, and
/// after NOT if it does not match.
fn joins(asked: &str, line: &str) {
    // What is no entry matches nothing, also after NOT.
    if Line::parse(line, &Zone::UTC).is_none() {
        return;
    }
    for (at, _) in asked.match_indices(' ').take(SPLITS_MAX) {
        let (Ok(left), Ok(right)) = (Query::parse(&asked[..at]), Query::parse(&asked[at..])) else { continue };
        if left.is_empty() || right.is_empty() {
            continue;
        }
        let (fits_left, fits_right) = (check_filter(line, &left).1, check_filter(line, &right).1);
        let check = |joined: String, expected: bool| {
            // A joined query may be too long, or have too many terms.
            let Ok(query) = Query::parse(&joined) else { return };
            let (may, does) = check_filter(line, &query);
            assert_eq!(does, expected, "{joined}: {line}");
            assert!(may || !does, "the bytes deny what the fields say: {joined} {line}");
        };
        check(format!("({left}) ({right})"), fits_left && fits_right);
        check(format!("({left}) OR ({right})"), fits_left || fits_right);
        check(format!("NOT ({left})"), !fits_left);
        assert_eq!(check_filter(line, &left.and(right)).1, fits_left && fits_right);
    }
}

/// Checks that the linear pattern matcher agrees with a simple quadratic one.
fn fits_like_the_slow_matcher(pattern: &str, name: &str) {
    let pattern = &pattern[..pattern.floor_char_boundary(GLOB_BYTES_MAX)];
    let name = &name[..name.floor_char_boundary(GLOB_BYTES_MAX)];
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    for byte in pattern.bytes() {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = if byte == b'*' {
                fits[at] || (at > 0 && next[at - 1])
            } else {
                at > 0 && fits[at - 1] && name.as_bytes()[at - 1] == byte
            };
        }
        fits = next;
    }
    assert_eq!(glob_matches(pattern, name), fits[name.len()], "{pattern:?} {name:?}");
}
