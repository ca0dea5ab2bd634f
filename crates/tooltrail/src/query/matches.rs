//! Decides whether a line matches a query: first by its bytes, then by its fields.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use memchr::memmem;

use super::Line;
use super::needle::Needle;
use super::spelling::{composed, fold_into};
use super::terms::{Quantity, Query, Term, unit_ms};
use crate::clip::field;
use crate::clock::Timestamp;
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
    terms: &'a [Term],
    /// For each term, the clipped form of a name that is too long for a line.
    clipped: Vec<Option<String>>,
    needles: Vec<Needle>,
    texts: Option<Texts>,
    now: Timestamp,
}

/// The free texts of a query, searched together in one pass over a line.
#[derive(Debug)]
struct Texts {
    finder: AhoCorasick,
    count: usize,
}

impl<'a> Filter<'a> {
    /// Returns the filter of a query that is asked at this time.
    pub(crate) fn new(query: &'a Query, now: Timestamp) -> Self {
        let needles = query.terms.iter().filter_map(|term| match term {
            Term::Text(text) => Needle::of(&composed(text), true),
            Term::Name { glob, negated: false, .. } => {
                let longest = glob.parts().iter().max_by_key(|part| part.len())?;
                // A line contains only the start of a name that is too long.
                let end = longest.char_indices().nth(NEEDLE_CHARS_MAX).map_or(longest.len(), |(at, _)| at);
                Needle::of(&longest[..end], false)
            }
            _ => None,
        });
        let mut needles = needles.collect::<Vec<_>>();
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        needles.truncate(NEEDLES_MAX);
        let clipped = query.terms.iter().map(clipped).collect();
        Self { terms: &query.terms, clipped, needles, texts: Texts::of(query), now }
    }

    /// Whether the line's bytes allow a match; `false` is certain.
    pub(crate) fn may_match(&self, line: &[u8]) -> bool {
        let mut is_odd = None;
        self.needles.iter().all(|needle| needle.may_stand_in(line, &mut is_odd))
    }

    /// Whether the entry matches.
    pub(crate) fn matches(&self, line: &Line<'_>) -> bool {
        let mut terms = self.terms.iter().zip(&self.clipped);
        // The free texts come last, because they cost the most.
        terms.all(|(term, clipped)| self.holds(term, clipped.as_deref(), line)) && self.holds_texts(line)
    }

    fn holds_texts(&self, line: &Line<'_>) -> bool {
        self.texts.as_ref().is_none_or(|texts| texts.stand_in(line))
    }

    /// Whether the entry matches, except for its time.
    pub(crate) fn matches_but_time(&self, line: &Line<'_>) -> bool {
        let is_time = |term: &Term| matches!(term, Term::Since(_) | Term::Until(_) | Term::Last { .. });
        let terms = self.terms.iter().zip(&self.clipped).filter(|(term, _)| !is_time(term));
        terms.into_iter().all(|(term, clipped)| self.holds(term, clipped.as_deref(), line)) && self.holds_texts(line)
    }

    fn holds(&self, term: &Term, clipped: Option<&str>, line: &Line<'_>) -> bool {
        match term {
            // All texts are checked together at the end.
            Term::Text(_) => true,
            Term::Name { field, glob, negated } => {
                let fits = |name: &str| glob.fits(&composed(name)) || clipped == Some(name);
                line.string(field).is_some_and(|name| fits(&name)) != *negated
            }
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
        }
    }
}

/// Returns the clipped form in which a line contains a name that is too long for it.
fn clipped(term: &Term) -> Option<String> {
    let Term::Name { glob, .. } = term else { return None };
    let text = glob.exact().filter(|name| name.len() > FIELD_CHARS_MAX)?;
    let chars = text.chars().count() as u64;
    Some(field(&WindowedText { text: text.to_owned(), chars, cut: false }).into_owned())
}

impl Texts {
    /// Returns the texts of a query, `None` if it has none.
    fn of(query: &Query) -> Option<Self> {
        let mut texts = Vec::<Vec<u8>>::new();
        for term in &query.terms {
            if let Term::Text(text) = term {
                let mut folded = Vec::new();
                fold_into(&mut folded, text);
                texts.push(folded);
            }
        }
        // If a text is found, its substrings are found too. Without them, no two texts end at the same position.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let mut kept = Vec::<Vec<u8>>::new();
        for text in texts {
            if !kept.iter().any(|longer| memmem::find(longer, &text).is_some()) {
                kept.push(text);
            }
        }
        let finder = AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(&kept).ok()?;
        (!kept.is_empty()).then_some(Self { finder, count: kept.len() })
    }

    /// Whether each text is in a string of the entry (also a key or value inside args and extra) or a number of args.
    ///
    /// `ts` and `salt` are excluded: they are not worth a search, and contain all digits.
    fn stand_in(&self, line: &Line<'_>) -> bool {
        let mut hay = Vec::new();
        for (_, value) in line.members().filter(|(name, _)| !matches!(*name, "ts" | "salt")) {
            fold_values(&mut hay, value);
        }
        let (mut found, mut missing) = (vec![false; self.count], self.count);
        for hit in self.finder.find_overlapping_iter(&hay) {
            if !std::mem::replace(&mut found[hit.pattern().as_usize()], true) {
                missing -= 1;
                if missing == 0 {
                    return true;
                }
            }
        }
        missing == 0
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
        ] {
            check(no, LINE, false);
        }
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
