//! The grammar of a query: reads text into terms, and writes terms as text.
//!
//! `field=value`, `field!=value`, `duration>500ms`, `chars<10`, `last=1h`, `since=…`, `until=…`, bare words and
//! `"quoted text"`, joined by AND. In a field's value `*` means any text; inside quotes, `\*`, `\"` and `\\` mean the
//! character itself.

use std::fmt;

use super::foreign;
use super::spelling::composed;
use super::terms::{Comparison, NAMES, Quantity, Query, Term, unit_ms};
use crate::call::{Identity, Reason, Status, Via};
use crate::clock::{Date, Timestamp, Zone};
use crate::error::Error;
use crate::glob::Glob;

/// The most bytes of a query: far more than a person types, and short enough for a URL.
const QUERY_BYTES_MAX: usize = 4_096;

/// The most terms of a query, because each one is checked against every entry.
const TERMS_MAX: usize = 64;

impl Query {
    /// Parses the text of a query.
    ///
    /// # Errors
    /// [`Error::Input`] for an unknown field, a bad unit, time or status, an unclosed quote, an operator of another
    /// tool, or a query over 4,096 bytes or 64 terms. The message gives the position in the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_in(text, &Zone::UTC)
    }

    /// Parses the text of a query; times and dates of `since` and `until` without a zone are read in this zone.
    ///
    /// # Errors
    /// As [`Query::parse`].
    pub fn parse_in(text: &str, zone: &Zone) -> Result<Self, Error> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(Error::input(format!("query of {} bytes: too long", text.len()), "use at most 4096 bytes"));
        }
        let mut reader = Parser { text, at: 0, zone, after_term: false };
        let mut terms = Vec::new();
        loop {
            reader.space();
            if reader.rest().is_empty() {
                return Ok(Self { terms });
            }
            if terms.len() == TERMS_MAX {
                return Err(reader.refuse(reader.at, "too many terms", "use at most 64 terms"));
            }
            let term = reader.term()?;
            reader.after_term = !matches!(term, Term::Text(_));
            terms.push(term);
        }
    }
}

/// A reader with its position in the text of a query.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// The zone for times without a zone.
    zone: &'a Zone,
    /// Whether the previous term names a field.
    after_term: bool,
}

/// A value after an operator, or a free text: the literal parts between stars.
struct Value {
    parts: Vec<String>,
    at: usize,
}

impl Value {
    /// Returns the value for places where a star has no meaning.
    fn plain(self) -> String {
        self.parts.join("*")
    }
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn refuse(&self, at: usize, what: &str, hint: &'static str) -> Error {
        let position = self.text[..at].chars().count() + 1;
        Error::input(format!("query, character {position}: {what}"), hint)
    }

    /// Reads one term. The current character must exist and not be white space.
    fn term(&mut self) -> Result<Term, Error> {
        let start = self.at;
        let rest = self.rest();
        let name = &rest[..rest.bytes().take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'_').count()];
        let after = &rest[name.len()..];
        let operator = ["!="].into_iter().chain(Comparison::ALL.map(|(_, sign)| sign)).find(|o| after.starts_with(o));
        let (false, Some(operator)) = (name.is_empty(), operator) else {
            if !rest.starts_with('"') {
                let word = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
                if let Some((what, hint)) = foreign::text(word, &rest[word.len()..], self.after_term) {
                    return Err(self.refuse(start, what, hint));
                }
            }
            return Ok(Term::Text(self.value()?.plain()));
        };
        self.at += name.len() + operator.len();
        let comparison = Comparison::ALL.into_iter().find_map(|(found, sign)| (sign == operator).then_some(found));
        match (name, comparison) {
            ("duration", Some(comparison)) => {
                let value = self.duration()?;
                Ok(Term::Number { field: Quantity::Duration, comparison, value })
            }
            ("chars", Some(comparison)) => {
                let value = self.count()?;
                Ok(Term::Number { field: Quantity::Chars, comparison, value })
            }
            ("last", Some(Comparison::Equal)) => self.last(),
            ("since", Some(Comparison::Equal)) => Ok(Term::Since(self.instant(0)?)),
            ("until", Some(Comparison::Equal)) => Ok(Term::Until(self.instant(1)?)),
            ("duration" | "chars" | "last" | "since" | "until", _) => Err(self.refuse(
                start,
                &format!("{name} does not know {operator}"),
                "use duration>1s, last=1h, since=…",
            )),
            (_, None | Some(Comparison::Equal)) => self.name(name, start, operator == "!="),
            _ if !NAMES.contains(&name) => Err(self.unknown(start, name)),
            _ => Err(self.refuse(start, &format!("{name} does not know {operator}"), "compare names with = or !=")),
        }
    }

    fn unknown(&self, start: usize, name: &str) -> Error {
        let hint = "known are tool, status, user, session, agent, model, client, server, via, reason, call_id, \
                    parent, id, rule, trace_id, identity, duration, chars, last, since, until; quote plain text";
        self.refuse(start, &format!("unknown field {name:?}"), hint)
    }

    fn name(&mut self, name: &str, start: usize, negated: bool) -> Result<Term, Error> {
        let Some(field) = NAMES.into_iter().find(|known| *known == name) else {
            return Err(self.unknown(start, name));
        };
        if !self.rest().starts_with('"') {
            let word = &self.rest()[..self.rest().find(char::is_whitespace).unwrap_or(self.rest().len())];
            if let Some((what, hint)) = foreign::value(word) {
                return Err(self.refuse(self.at, what, hint));
            }
        }
        let value = self.value()?;
        let at = value.at;
        // Names are compared with composed letters.
        let glob = Glob::new(value.parts.iter().map(|part| composed(part).into_owned()).collect());
        let word = glob.exact().unwrap_or_default();
        let unknown = match field {
            _ if glob.exact().is_none() => None,
            "status" => Status::parse(word).is_none().then_some("use ok, error or denied"),
            "reason" => Reason::parse(word).is_none().then_some(
                "use tool_error, protocol_error, invalid_args, unknown_tool, timeout, cancelled, panicked, interrupted, \
                 policy, user_refused, hook or rate_limited",
            ),
            "via" => Via::parse(word)
                .is_none()
                .then_some("use toolbox, proxy, hook, http, otlp, import, library or tooltrail"),
            "identity" => Identity::parse(word).is_none().then_some("use verified or claimed"),
            _ => None,
        };
        if let Some(hint) = unknown {
            return Err(self.refuse(at, &format!("unknown {field}"), hint));
        }
        Ok(Term::Name { field, glob, negated })
    }

    fn duration(&mut self) -> Result<f64, Error> {
        let value = self.value()?;
        let (at, text) = (value.at, value.plain());
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let unit_ms = match unit {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return Err(self.refuse(at, "no such unit of time", "write 500ms, 1.5s, 2m or 1h")),
        };
        let number = text[..text.len() - unit.len()].parse::<f64>();
        number.map(|n| n * unit_ms).map_err(|_| self.refuse(at, "not a number", "write 500ms, 1.5s, 2m or 1h"))
    }

    fn count(&mut self) -> Result<f64, Error> {
        let value = self.value()?;
        let (at, text) = (value.at, value.plain());
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<f64>().ok().filter(|_| digits);
        number.ok_or_else(|| self.refuse(at, "not a count", "write whole digits, as in chars>1000"))
    }

    fn last(&mut self) -> Result<Term, Error> {
        let value = self.value()?;
        let (at, text) = (value.at, value.plain());
        let read = || {
            let unit = text.chars().next_back()?;
            unit_ms(unit)?;
            let digits = &text[..text.len() - unit.len_utf8()];
            let count = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
            Some(Term::Last { count, unit })
        };
        read().ok_or_else(|| self.refuse(at, "no such span", "write last=30s, 15m, 1h, 7d or 2w"))
    }

    /// Reads a time, or a date to which it adds `whole_days` days.
    fn instant(&mut self, whole_days: i64) -> Result<Timestamp, Error> {
        let value = self.value()?;
        let (at, text) = (value.at, value.plain());
        if let Some(date) = Date::parse(&text) {
            let date = date.plus_days(whole_days);
            return Ok(Timestamp::parse(&format!("{date}T00:00:00"), self.zone).unwrap_or(date.start()));
        }
        let hint = "write 2026-11-23 or 2026-11-23T08:15:00Z";
        Timestamp::parse(&text, self.zone).map_err(|_| self.refuse(at, "no such time", hint))
    }

    /// Reads a bare or quoted value and splits it at its stars.
    fn value(&mut self) -> Result<Value, Error> {
        let start = self.at;
        let Some(quoted) = self.rest().strip_prefix('"') else {
            let rest = self.rest();
            let bare = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
            if bare.is_empty() {
                return Err(self.refuse(start, "a value is missing", "write field=value, or \"\" for an empty one"));
            }
            self.at += bare.len();
            return Ok(Value { parts: bare.split('*').map(str::to_owned).collect(), at: start });
        };
        let mut parts = vec![String::new()];
        let mut chars = quoted.char_indices();
        while let Some((n, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + 1 + n + 1;
                    if !self.rest().is_empty() && !self.rest().starts_with(char::is_whitespace) {
                        return Err(self.refuse(
                            self.at,
                            "text follows a quote",
                            "put a blank after the closing quote",
                        ));
                    }
                    return Ok(Value { parts, at: start });
                }
                '*' => parts.push(String::new()),
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\\' | '*'))) => push(&mut parts, c),
                    _ => {
                        return Err(self.refuse(
                            start + 1 + n,
                            "unknown escape",
                            r#"inside quotes write \", \\ or \*"#,
                        ));
                    }
                },
                c => push(&mut parts, c),
            }
        }
        Err(self.refuse(start, "the quote is not closed", "add the closing quote"))
    }
}

/// Appends a character to the last part.
fn push(parts: &mut [String], c: char) {
    if let Some(part) = parts.last_mut() {
        part.push(c);
    }
}

impl fmt::Display for Query {
    /// Writes a text that [`Query::parse`] reads as the same query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, term) in self.terms.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            match term {
                Term::Text(text) => write_value(f, std::slice::from_ref(text), foreign::is_plain)?,
                Term::Name { field, glob, negated } => {
                    write!(f, "{field}{}", if *negated { "!=" } else { "=" })?;
                    write_value(f, glob.parts(), |value| foreign::value(value).is_none())?;
                }
                Term::Number { field, comparison, value } => {
                    let sign =
                        Comparison::ALL.into_iter().find(|(known, _)| known == comparison).map_or("", |(_, s)| s);
                    match field {
                        Quantity::Duration => write!(f, "duration{sign}{value}ms")?,
                        Quantity::Chars => write!(f, "chars{sign}{value}")?,
                    }
                }
                Term::Since(ts) => write!(f, "since={ts}")?,
                Term::Until(ts) => write!(f, "until={ts}")?,
                Term::Last { count, unit } => write!(f, "last={count}{unit}")?,
            }
        }
        Ok(())
    }
}

/// Writes a value without quotes if it is read back as the same value, otherwise in quotes.
fn write_value(f: &mut fmt::Formatter<'_>, parts: &[String], is_plain: impl Fn(&str) -> bool) -> fmt::Result {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '@');
    let bare = parts.join("*");
    if parts.iter().all(|part| part.chars().all(plain)) && parts.iter().any(|part| !part.is_empty()) && is_plain(&bare)
    {
        return f.write_str(&bare);
    }
    let escape = |part: &String| part.replace('\\', r"\\").replace('"', r#"\""#).replace('*', r"\*");
    write!(f, "\"{}\"", parts.iter().map(escape).collect::<Vec<_>>().join("*"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, shown: &str) {
        let query = Query::parse(text).unwrap();
        assert_eq!(query.to_string(), shown, "{text}");
        assert_eq!(Query::parse(shown).unwrap(), query, "{text}");
    }

    #[test]
    fn queries_are_read_and_written() {
        check("", "");
        check("  tool=fs.*   status=error ", "tool=fs.* status=error");
        check(r#"tool="a b" "free text" word"#, r#"tool="a b" "free text" word"#);
        check(r#"tool="a\*b*" session!=s-1"#, r#"tool="a\*b*" session!=s-1"#);
        check("duration>500ms duration<=1.5s duration=2m", "duration>500ms duration<=1500ms duration=120000ms");
        check("chars>=10 last=90m", "chars>=10 last=90m");
        check("since=2026-11-23 until=2026-11-23", "since=2026-11-23T00:00:00.000Z until=2026-11-24T00:00:00.000Z");
        check("since=2026-11-23T01:00:00+01:00", "since=2026-11-23T00:00:00.000Z");
        check("http://x?a=b", r#""http://x?a=b""#);
        check(r#""a*b""#, r#""a\*b""#);
        check("10:30 http://x -rf fields.x not found or else", r#"10:30 http://x -rf fields.x "not" found "or" else"#);
        check("user not found", r#""user" "not" found"#);
        check("tool is missing --force /tmp/a/", r#""tool" is missing --force /tmp/a/"#);
        check("session in use", r#""session" in use"#);
        check(r#"user="""#, r#"user="""#);
        check("user=*", r#"user="*""#);
    }

    #[test]
    fn what_cannot_be_understood_is_refused_with_its_place() {
        let refused = |text: &str, what: &str| match Query::parse(text) {
            Err(Error::Input { what: said, .. }) => assert!(said.contains(what), "{text}: {said}"),
            other => panic!("{text}: {other:?}"),
        };
        refused("ok colour=red", "character 4: unknown field");
        refused("é \"open", "character 3: the quote");
        refused("duration>5", "unit");
        refused("duration>5parsecs", "unit");
        refused("duration>.s", "number");
        refused("duration!=5s", "does not know");
        refused("chars>1e3", "count");
        refused("last=1y", "span");
        refused("last=99999999999999s", "span");
        refused("last=", "missing");
        refused("since=yesterday", "time");
        refused("status=broken", "status");
        refused("tool>x", "does not know");
        refused("took>50ms", "unknown field");
        refused(r#"tool="a"b"#, "follows");
        refused(r#""a\n""#, "escape");
        for other in [
            "NOT status=ok",
            "not status=ok",
            "a OR b",
            "status=ok or status=error",
            "status=ok and tool=x",
            "tool:fs.*",
            "status:error",
            "tool~=fs",
            "tool=~fs",
            "tool==fs",
            "tool=/fs.*/",
            "tool^=fs",
            "args.path=x",
            "args.path:x",
            "extra[0]=x",
            "user.name=alice",
            "duration > 500ms",
            "duration >500ms",
            "status = ok",
            "status is not error",
            "status IS error",
            "tool in (a)",
            "tool IN (a)",
            "tool starts with fs",
            "-hello",
            "+hello",
            "hello -boom",
            "tool~fs",
            "tool!~fs",
            "hello~2",
            "hello^2",
            "/hel+o/",
            "hello|boom",
            "hel?o",
            "has:error",
            "is:error",
            "_exists_:tool",
            "order by ts",
            "limit 5",
            "tool=!fs.read",
            "tool=fs%",
            "tool=fs.[rw]*",
            "tool=a\"b",
            "reason=foo",
            "via=toolbx",
            "identity=foo",
            "tool like fs",
            "-status:ok",
            "-tool=x",
            "!status=ok",
            "!error",
            "(status=error",
            "status!=error)",
            "tool=a,b",
            "tool=a|b",
            "tool=fs.rea?",
            "tool='fs.read'",
            "'two words'",
            "a && b",
            "status=error | head",
            "fs.*",
        ] {
            refused(other, "character");
        }
        refused("tool=x a OR b", "character 10");
        refused(&"x".repeat(5_000), "too long");
        refused(&"x ".repeat(65), "too many");
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z0-9.*\\\\\" é設]{0,8}", "\\PC{0,8}"]
    }

    fn term() -> impl Strategy<Value = Term> {
        let instant = (0_i64..253_402_300_799_999).prop_map(Timestamp::from_millis);
        prop_oneof![
            value().prop_map(Term::Text),
            (1..NAMES.len(), proptest::collection::vec(value(), 1..4), any::<bool>()).prop_map(
                |(n, parts, negated)| {
                    let parts = parts.iter().map(|part| composed(part).into_owned()).collect();
                    let is_closed = matches!(NAMES[n], "status" | "reason" | "via" | "identity");
                    let field = if is_closed { "tool" } else { NAMES[n] };
                    Term::Name { field, glob: Glob::new(parts), negated }
                }
            ),
            (0.0..1e12_f64, 0..5_usize).prop_map(|(value, n)| {
                Term::Number { field: Quantity::Duration, comparison: Comparison::ALL[n].0, value }
            }),
            instant.clone().prop_map(Term::Since),
            instant.prop_map(Term::Until),
            (any::<u32>(), "[smhdw]")
                .prop_map(|(count, unit)| Term::Last { count, unit: unit.chars().next().unwrap() }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(terms in proptest::collection::vec(term(), 0..6)) {
            let query = Query { terms };
            prop_assert_eq!(Query::parse(&query.to_string()).unwrap(), query);
        }

        #[test]
        fn no_text_panics(text in "(?s).{0,80}") {
            if let Ok(query) = Query::parse(&text) {
                prop_assert_eq!(Query::parse(&query.to_string()).unwrap(), query);
            }
        }
    }
}
