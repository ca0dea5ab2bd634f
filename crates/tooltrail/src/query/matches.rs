//! Decides whether a line matches a query: first by its bytes, then by its fields.

use std::cell::OnceCell;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::needle::{Needle, OddSpellings};
use super::spelling::{composed, fold_into};
use super::terms::{Place, Quantity, Query, Term, unit_ms};
use super::values::{any_host, any_string, at_path};
use super::{FirstUses, Line};
use crate::clip::field;
use crate::clock::Timestamp;
use crate::glob::Glob;
use crate::json;
use crate::limits::FIELD_CHARS_MAX;
use crate::redact::WindowedText;

/// The most characters of a name that are searched in a line's bytes: fewer than any clipping leaves, even without the
/// mark.
const NEEDLE_CHARS_MAX: usize = 100;

/// The most needles that are searched: the longest ones, because the others exclude few more lines.
const NEEDLES_MAX: usize = 4;

/// A query prepared for one question: needles are built, and time spans are turned into times.
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    checks: Vec<Check<'a>>,
    /// Of each group, at least one needle stands in every line that matches.
    needles: Vec<Vec<Needle>>,
    texts: Option<Texts>,
    now: Timestamp,
    /// The first uses of tools, if the query asks for them.
    firsts: Option<&'a FirstUses>,
}

/// A term prepared for many lines.
#[derive(Debug)]
enum Check<'a> {
    /// A value, with the clipped forms of the names that are too long for a line.
    Value {
        place: &'a Place,
        globs: &'a [Glob],
        negated: bool,
        clipped: Vec<String>,
    },
    /// A comparison of a number or a time.
    Other(&'a Term),
    Any(Vec<Vec<Self>>),
    Not(Vec<Self>),
    /// The number of a free text.
    Text(usize),
}

/// The free texts of a query, searched together in one pass over a line.
#[derive(Debug)]
struct Texts {
    finder: AhoCorasick,
    count: usize,
}

/// A line, and what was found in it.
struct Found<'a> {
    line: &'a Line<'a>,
    /// Which texts it contains; searched only when a text is asked for, because that costs the most.
    texts: OnceCell<Vec<bool>>,
}

impl<'a> Filter<'a> {
    /// Returns the filter of a query that is asked at this time.
    pub(crate) fn new(query: &'a Query, now: Timestamp) -> Self {
        let mut texts = Vec::new();
        let checks = prepared(&query.terms, &mut texts);
        let mut needles = query.terms.iter().filter_map(needles_of).collect::<Vec<_>>();
        needles.sort_by_key(|group| std::cmp::Reverse(shortest(group)));
        needles.truncate(NEEDLES_MAX);
        Self { checks, needles, texts: Texts::of(&texts), now, firsts: None }
    }

    /// Returns the filter for a query that asks for the first uses of tools. Without them, no entry is a first use.
    pub(crate) fn with_firsts(self, firsts: &'a FirstUses) -> Self {
        Self { firsts: Some(firsts), ..self }
    }

    /// Whether there are bytes that every line that matches contains.
    pub(crate) fn has_needles(&self) -> bool {
        !self.needles.is_empty()
    }

    /// Whether the line's bytes allow a match; `false` is certain.
    pub(crate) fn may_match(&self, line: &[u8]) -> bool {
        let mut odd = OddSpellings::default();
        self.needles.iter().all(|group| group.iter().any(|needle| needle.may_stand_in(line, &mut odd)))
    }

    /// Whether the entry matches.
    pub(crate) fn matches(&self, line: &Line<'_>) -> bool {
        let found = Found { line, texts: OnceCell::new() };
        self.checks.iter().all(|check| self.holds(check, &found))
    }

    /// Whether the entry matches, except for the times that every entry must have.
    pub(crate) fn matches_but_time(&self, line: &Line<'_>) -> bool {
        let found = Found { line, texts: OnceCell::new() };
        let is_time =
            |check: &Check<'_>| matches!(check, Check::Other(Term::Since(_) | Term::Until(_) | Term::Last { .. }));
        self.checks.iter().filter(|check| !is_time(check)).all(|check| self.holds(check, &found))
    }

    fn holds(&self, check: &Check<'_>, found: &Found<'_>) -> bool {
        match check {
            Check::Value { place, globs, negated, clipped } => {
                let mut fits = |text: &str| {
                    let name = composed(text);
                    globs.iter().any(|glob| glob.fits(&name)) || clipped.iter().any(|clipped| clipped == text)
                };
                value_fits(found.line, place, &mut fits) != *negated
            }
            Check::Other(term) => self.compares(term, found.line),
            Check::Any(branches) => branches.iter().any(|branch| branch.iter().all(|check| self.holds(check, found))),
            Check::Not(checks) => !checks.iter().all(|check| self.holds(check, found)),
            Check::Text(number) => {
                let search = || self.texts.as_ref().map_or_else(Vec::new, |texts| texts.found_in(found.line));
                found.texts.get_or_init(search).get(*number).is_some_and(|is_there| *is_there)
            }
        }
    }

    fn compares(&self, term: &Term, line: &Line<'_>) -> bool {
        match term {
            Term::Number { field, comparison, value } => {
                let name = match field {
                    Quantity::Duration => "duration_ms",
                    Quantity::Chars => "result_chars",
                };
                line.number(name).is_some_and(|number| comparison.holds(number, *value))
            }
            Term::Since(ts) => line.ts >= *ts,
            Term::Until(ts) => line.ts < *ts,
            Term::Last { count, unit } => {
                let span = unit_ms(*unit).unwrap_or(0).saturating_mul(i64::from(*count));
                line.ts.as_millis() >= self.now.as_millis().saturating_sub(span)
            }
            Term::First(kind) => self.firsts.is_some_and(|firsts| firsts.has(line, *kind)),
            // All others are prepared as checks of their own.
            Term::Text(_) | Term::Value { .. } | Term::Any(_) | Term::Not(_) => true,
        }
    }
}

/// Whether a value of the line at this place fits.
fn value_fits(line: &Line<'_>, place: &Place, fits: &mut dyn FnMut(&str) -> bool) -> bool {
    match place {
        Place::Field(name) => line.string(name).is_some_and(|text| fits(&text)),
        Place::Member(root, path) => line.value(root).is_some_and(|value| at_path(value, path, fits)),
        Place::AnyArg => line.value("args").is_some_and(|args| any_string(args, fits)),
        Place::Host => line.value("args").is_some_and(|args| any_string(args, |text| any_host(text, &mut *fits))),
    }
}

/// Prepares terms, those that cost little first. The folded form of each free text is added to `texts` once.
fn prepared<'a>(terms: &'a [Term], texts: &mut Vec<Vec<u8>>) -> Vec<Check<'a>> {
    let check = |term: &'a Term, texts: &mut Vec<Vec<u8>>| match term {
        Term::Value { place, globs, negated } => {
            Check::Value { place, globs, negated: *negated, clipped: globs.iter().filter_map(clipped).collect() }
        }
        Term::Any(branches) => Check::Any(branches.iter().map(|branch| prepared(branch, texts)).collect()),
        Term::Not(terms) => Check::Not(prepared(terms, texts)),
        Term::Text(text) => {
            let mut folded = Vec::new();
            fold_into(&mut folded, text);
            let known = texts.iter().position(|known| *known == folded);
            Check::Text(known.unwrap_or_else(|| {
                texts.push(folded);
                texts.len() - 1
            }))
        }
        Term::Number { .. } | Term::Since(_) | Term::Until(_) | Term::Last { .. } | Term::First(_) => {
            Check::Other(term)
        }
    };
    let mut checks = terms.iter().map(|term| check(term, texts)).collect::<Vec<_>>();
    checks.sort_by_key(|check| match check {
        Check::Other(_) | Check::Value { place: Place::Field(_), .. } => 0,
        Check::Value { .. } => 1,
        Check::Any(_) | Check::Not(_) => 2,
        Check::Text(_) => 3,
    });
    checks
}

/// Returns needles of which at least one stands in each line for which the term holds; `None` if no bytes are certain.
fn needles_of(term: &Term) -> Option<Vec<Needle>> {
    match term {
        Term::Text(text) => Needle::of(&composed(text), true).map(|needle| vec![needle]),
        Term::Value { place, globs, negated: false } => {
            let any_case = *place == Place::Host;
            globs
                .iter()
                .map(|glob| {
                    let longest = glob.parts().iter().max_by_key(|part| part.len())?;
                    // A line contains only the start of a name that is too long.
                    let end = longest.char_indices().nth(NEEDLE_CHARS_MAX).map_or(longest.len(), |(at, _)| at);
                    Needle::of(&longest[..end], any_case)
                })
                .collect()
        }
        Term::Any(branches) => {
            let best = |branch: &Vec<Term>| branch.iter().filter_map(needles_of).max_by_key(|group| shortest(group));
            branches.iter().map(best).collect::<Option<Vec<_>>>().map(|groups| groups.into_iter().flatten().collect())
        }
        _ => None,
    }
}

fn shortest(group: &[Needle]) -> usize {
    group.iter().map(Needle::len).min().unwrap_or(0)
}

/// Returns the clipped form in which a line contains a name that is too long for it.
fn clipped(glob: &Glob) -> Option<String> {
    let text = glob.exact().filter(|name| name.len() > FIELD_CHARS_MAX)?;
    let chars = text.chars().count() as u64;
    Some(field(&WindowedText { text: text.to_owned(), chars, cut: false }).into_owned())
}

impl Texts {
    /// Returns the finder of these folded texts, `None` if there are none.
    fn of(texts: &[Vec<u8>]) -> Option<Self> {
        let finder = AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(texts).ok()?;
        (!texts.is_empty()).then_some(Self { finder, count: texts.len() })
    }

    /// Returns for each text whether it is in a string of the entry (also a key or value inside args and extra) or a
    /// number of args.
    ///
    /// `ts` and `salt` are excluded: they are not worth a search, and contain all digits.
    fn found_in(&self, line: &Line<'_>) -> Vec<bool> {
        let mut hay = Vec::new();
        for (_, value) in line.members().filter(|(name, _)| !matches!(*name, "ts" | "salt")) {
            fold_values(&mut hay, value);
        }
        let (mut found, mut missing) = (vec![false; self.count], self.count);
        for hit in self.finder.find_overlapping_iter(&hay) {
            if !std::mem::replace(&mut found[hit.pattern().as_usize()], true) {
                missing -= 1;
                if missing == 0 {
                    break;
                }
            }
        }
        found
    }
}

/// A byte that no text contains; it separates two strings.
const BETWEEN: u8 = 0xFF;

/// Appends the strings and numbers of a checked JSON value to a text, at any depth, without recursion.
fn fold_values(out: &mut Vec<u8>, value: &str) {
    let bytes = value.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let start = at + 1;
                at = start;
                while bytes.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                fold_into(out, &json::unescape(&value[start..at.min(bytes.len())]));
                out.push(BETWEEN);
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let start = at;
                while bytes.get(at).is_some_and(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
                    at += 1;
                }
                fold_into(out, &value[start..at]);
                out.push(BETWEEN);
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Zone;
    use proptest::prelude::*;

    fn check(query: &str, line: &str, expected: bool) {
        let query = Query::parse(query).unwrap();
        let now = Timestamp::parse("2026-11-23T09:00:00Z", &Zone::UTC).unwrap();
        let filter = Filter::new(&query, now);
        let parsed = Line::parse(line, &Zone::UTC).unwrap();
        assert_eq!(filter.matches(&parsed), expected, "{query} {line}");
        assert!(!expected || filter.may_match(line.as_bytes()), "the bytes deny what the fields say: {query} {line}");
    }

    const LINE: &str = r#"{"ts":"2026-11-23T08:15:00.123Z","user":"alice","tool":"fs.read","args":{"Path":["a\/b","\u00e9\ud83d\ude00",8080]},"status":"error","result_chars":5,"result_snippet":"Not \u0066ound \"x\"","duration_ms":500.5,"session":"s-1"}"#;

    #[test]
    fn terms_answer() {
        for yes in [
            "",
            "tool=fs.*",
            "status=error",
            "user!=bob",
            "reason!=timeout",
            "session=s-1",
            "duration>500ms",
            "chars=5",
            "last=1h",
            "since=2026-11-23",
            "until=2026-11-23",
            "path",
            "a/b",
            "é",
            "😀",
            "é😀",
            "É",
            "e\u{301}",
            "8080",
            "\"not found\"",
            r#""\"x\"""#,
            "tool=*read status=err*",
            "tool=x,fs.*",
            "tool!=x,y",
            "status=ok OR tool=fs.read",
            "(status=ok OR found) duration>500ms",
            "NOT status=ok",
            "NOT (status=error tool=x)",
            "NOT nothing OR nothing",
            "reason=timeout OR (user=alice é)",
            "args.Path.0=a/*",
            "args.Path.2=8080",
            "args.path!=x",
            "args.Path.0!=x",
            "arg=é*",
            "arg=x,*/b",
            "arg!=alice",
            "host!=*",
            "extra.NAME=*error* OR args.Path.1=*",
        ] {
            check(yes, LINE, true);
        }
        for no in [
            "tool=FS.*",
            "status=ok",
            "user=bob",
            "session!=s-1",
            "duration>501ms",
            "chars>5",
            "last=10m",
            "since=2026-11-24",
            "until=2026-11-22",
            "result_snippet",
            "found8080",
            "reason=timeout",
            "tool!=x,fs.*",
            "status=ok OR tool=x",
            "(status=ok OR nothing) duration>500ms",
            "NOT status=error",
            "NOT (found OR status=ok)",
            "args.Path=*",
            "args.path.0=*",
            "args.Path.3=*",
            "arg=8080",
            "arg=Path",
            "host=*",
            "extra.a=*",
        ] {
            check(no, LINE, false);
        }
    }

    #[test]
    fn hosts_are_compared_in_lower_case() {
        let line = r#"{"ts":"2026-11-23T08:15:00Z","user":"u","tool":"t","args":{"a":["x",{"cmd":"curl HTTPS:\/\/Api.Example.com\/v1"}]},"status":"ok"}"#;
        check("host=api.example.COM", line, true);
        check("host=*.example.com,x", line, true);
        check("host=example.com", line, false);
        check("host!=*.example.com", line, false);
    }

    proptest! {
        #[test]
        fn bytes_never_deny_what_fields_say(
            text in "[aAbé設😀/\"\\\\ ]{1,4}", before in "[aAbé/ ]{0,3}", spelling in proptest::collection::vec(0..4_u8, 12),
        ) {
            let mut inside = String::new();
            for (n, c) in format!("{before}{text}").chars().enumerate() {
                let mut units = [0; 2];
                let escape = |units: &[u16]| units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
                match (spelling[n % 12], c) {
                    (0, _) => inside.push_str(&escape(c.encode_utf16(&mut units))),
                    (1, _) => inside.push_str(&escape(c.encode_utf16(&mut units)).to_uppercase().replace("\\U", "\\u")),
                    (2, '/') => inside.push_str("\\/"),
                    (_, '"' | '\\') => { inside.push('\\'); inside.push(c); }
                    _ => inside.push(c),
                }
            }
            let line = format!(r#"{{"ts":"2026-11-23T08:15:00Z","user":"u","tool":"{inside}","status":"ok"}}"#);
            let quoted = text.replace('\\', r"\\").replace('"', "\\\"");
            check(&format!("\"{quoted}\""), &line, true);
            check(&format!("tool=*\"{quoted}\"").replace("=*\"", "=\"*"), &line, true);
        }
    }
}
