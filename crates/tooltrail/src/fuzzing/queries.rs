//! Queries: read, written, and held against lines both ways.

use super::draw::Draw;
use super::lines::written;
use crate::call::Call;
use crate::json::push_string;
use crate::query::{Query, check_filter, glob_matches};

/// Longest query drawn; one byte more than is taken.
const QUERY_BYTES_MAX: usize = 4_097;

/// Longest texts for the slow matcher.
const GLOB_BYTES_MAX: usize = 128;

/// Places at which a query is taken apart: each costs as much as the whole.
const SPLITS_MAX: usize = 4;

/// A query and, after a newline, a line that it is asked about: a stored one, or a text for a line of ours.
pub(super) fn query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (asked, line) = text.split_once('\n').unwrap_or((&text, ""));
    let asked = &asked[..asked.floor_char_boundary(QUERY_BYTES_MAX)];
    fits_like_the_slow_matcher(asked, line);
    let Ok(query) = Query::parse(asked) else { return };
    let shown = query.to_string();
    // A query at the limit may need more room for quotes than there is.
    let Ok(again) = Query::parse(&shown) else {
        return assert!(shown.len() > asked.len(), "{asked:?} is written as {shown:?}, which cannot be read");
    };
    assert_eq!(again, query, "{shown}");
    assert_eq!(again.to_string(), shown);
    for line in lines(line, asked) {
        let (may, does) = check_filter(&line, &query);
        assert!(may || !does, "the bytes deny what the fields say: {shown} {line}");
        assert_eq!(check_filter(&line, &again), (may, does));
        joins_by_and(asked, &line, does);
    }
}

/// Returns lines about which to ask: the drawn one, one made of its text, and one made of the query's own words.
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
    let own = [call.ok(rest), same].map(|call| written(&call).text);
    std::iter::once(line.to_owned()).chain(own.map(|line| line.trim_end().to_owned())).collect()
}

/// Two queries one after the other are answered by what answers each.
fn joins_by_and(asked: &str, line: &str, does: bool) {
    for (at, _) in asked.match_indices(' ').take(SPLITS_MAX) {
        let (Ok(left), Ok(right)) = (Query::parse(&asked[..at]), Query::parse(&asked[at..])) else { continue };
        let both = check_filter(line, &left).1 && check_filter(line, &right).1;
        assert_eq!(does, both, "{left} and {right}: {line}");
    }
}

/// The linear matcher of patterns agrees with the plain quadratic one.
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
