//! The grammar of a query: reads text into terms.
//!
//! ```text
//! query   = [ branch *( "OR" branch ) ]
//! branch  = item *( [ "AND" ] item )
//! item    = "NOT" item | "(" query ")" | term
//! term    = place ( "=" / "!=" ) value *( "," value ) | number compared | time | text
//! place   = field | "args." path | "extra." path | "arg" | "host"
//! ```
//!
//! A number is compared as in `duration>500ms` or `chars<10k`, a time is `last=1h`, `since=…` or `until=…`, and a text is
//! a bare word or `"quoted text"`. In a value `*` means any text; inside quotes, `\*`, `\"` and `\\` mean the character
//! itself. The words AND, OR and NOT have capitals.

use super::first_uses::FirstKind;
use super::foreign;
use super::reader::{Parser, Value};
use super::spelling::composed;
use super::terms::{Comparison, NAMES, Place, Quantity, Query, Term};
use crate::call::{Identity, Reason, Status, Via};
use crate::clock::Zone;
use crate::error::Error;
use crate::glob::Glob;

/// The most bytes of a query: far more than a person types, and short enough for a URL.
const QUERY_BYTES_MAX: usize = 4_096;

/// The most terms and listed values of a query, because each one is checked against every entry.
const TERMS_MAX: usize = 64;

/// The most parentheses and NOTs around a term. They are read and checked recursively.
const DEPTH_MAX: usize = 16;

/// The most names of a path into the arguments. Each combination of names is looked for.
const PATH_NAMES_MAX: usize = 16;

impl Query {
    /// Parses the text of a query.
    ///
    /// # Errors
    /// [`Error::Query`] for an unknown field, a bad unit, time or status, an unclosed quote or parenthesis, an operator of
    /// another tool, or a query over 4,096 bytes, 64 terms or 16 parentheses. It names the place in the text.
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
        let mut parser = Parser { text, at: 0, zone, after_term: false, terms: 0 };
        parser.space();
        if parser.rest().is_empty() {
            return Ok(Self::default());
        }
        let terms = parser.branches(0)?;
        if !parser.rest().is_empty() {
            return Err(parser.refuse(parser.at, "no parenthesis is open here", "remove it, or quote the text"));
        }
        Ok(Self { terms })
    }
}

/// The words that join terms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joining {
    And,
    Or,
    Not,
}

impl<'a> Parser<'a> {
    /// Returns the joining word that comes next, and its length.
    fn joining(&self) -> Option<(Joining, usize)> {
        let words = [("AND", Joining::And), ("OR", Joining::Or), ("NOT", Joining::Not)];
        words.into_iter().find_map(|(word, joining)| {
            let after = self.rest().strip_prefix(word)?;
            let is_whole = after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
            is_whole.then_some((joining, word.len()))
        })
    }

    fn count(&mut self, at: usize) -> Result<(), Error> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(self.refuse(at, "too many terms", "use at most 64 terms and listed values"));
        }
        Ok(())
    }

    /// Reads branches with OR between them, up to the end or a closing parenthesis. Returns the terms that say the same.
    fn branches(&mut self, depth: usize) -> Result<Vec<Term>, Error> {
        let mut branches = vec![self.branch(depth)?];
        while let Some((Joining::Or, len)) = self.joining() {
            self.at += len;
            branches.push(self.branch(depth)?);
        }
        match branches.len() {
            1 => Ok(branches.swap_remove(0)),
            _ => Ok(vec![Term::Any(branches)]),
        }
    }

    /// Reads terms that must all hold; at least one.
    fn branch(&mut self, depth: usize) -> Result<Vec<Term>, Error> {
        let (mut terms, mut is_joined) = (Vec::new(), false);
        loop {
            self.space();
            let start = self.at;
            let joining = self.joining();
            let is_over =
                self.rest().is_empty() || self.rest().starts_with(')') || matches!(joining, Some((Joining::Or, _)));
            let lacks = "write a term on both sides of AND and OR, or quote the word to look for it";
            if is_over && !terms.is_empty() && !is_joined {
                return Ok(terms);
            }
            if is_over {
                let in_group = "write a term between the parentheses, or quote the text";
                let hint = if self.rest().starts_with(')') { in_group } else { lacks };
                return Err(self.refuse(start, "a term is missing here", hint));
            }
            if let Some((Joining::And, len)) = joining {
                if terms.is_empty() || is_joined {
                    return Err(self.refuse(start, "a term is missing before AND", lacks));
                }
                self.at += len;
                is_joined = true;
                continue;
            }
            is_joined = false;
            terms.extend(self.item(depth)?);
        }
    }

    /// Reads one term, a group in parentheses, or either after NOT.
    fn item(&mut self, depth: usize) -> Result<Vec<Term>, Error> {
        let start = self.at;
        if depth > DEPTH_MAX {
            return Err(self.refuse(start, "too deep", "use at most 16 parentheses and NOTs around a term"));
        }
        if let Some((Joining::Not, len)) = self.joining() {
            self.at += len;
            self.space();
            if self.rest().is_empty()
                || self.rest().starts_with(')')
                || matches!(self.joining(), Some((Joining::And | Joining::Or, _)))
            {
                return Err(self.refuse(
                    self.at,
                    "a term is missing after NOT",
                    "write NOT tool=fs.*, or quote the word to look for it",
                ));
            }
            return Ok(vec![Term::Not(self.item(depth + 1)?)]);
        }
        if self.rest().starts_with('(') {
            self.at += 1;
            let terms = self.branches(depth + 1)?;
            if !self.rest().starts_with(')') {
                return Err(self.refuse(
                    start,
                    "the parenthesis is not closed",
                    "add the closing parenthesis, or quote the text",
                ));
            }
            self.at += 1;
            self.after_term = true;
            return Ok(terms);
        }
        self.count(start)?;
        let term = self.term()?;
        self.after_term = !matches!(term, Term::Text(_));
        Ok(vec![term])
    }

    /// Reads one term. The current character must exist and not be white space.
    fn term(&mut self) -> Result<Term, Error> {
        let start = self.at;
        let rest = self.rest();
        if let Some(term) = self.member()? {
            return Ok(term);
        }
        let name = &rest[..rest.bytes().take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'_').count()];
        let after = &rest[name.len()..];
        let operator = ["!="].into_iter().chain(Comparison::ALL.map(|(_, sign)| sign)).find(|o| after.starts_with(o));
        let (false, Some(operator)) = (name.is_empty(), operator) else {
            if !rest.starts_with('"') {
                let word = self.word();
                if let Some((what, hint)) = foreign::text(word, &rest[word.len()..], self.after_term) {
                    return Err(self.refuse(start, what, hint));
                }
            }
            let value = self.value(&[])?;
            return Ok(Term::Text(value.plain()));
        };
        self.at += name.len() + operator.len();
        let comparison = Comparison::ALL.into_iter().find_map(|(found, sign)| (sign == operator).then_some(found));
        match (name, comparison) {
            ("duration" | "duration_ms", Some(comparison)) => {
                let value = self.duration(name == "duration_ms")?;
                Ok(Term::Number { field: Quantity::Duration, comparison, value })
            }
            ("chars" | "result_chars", Some(comparison)) => {
                let value = self.characters()?;
                Ok(Term::Number { field: Quantity::Chars, comparison, value })
            }
            ("last", Some(Comparison::Equal)) => self.last(),
            ("first", Some(Comparison::Equal)) => {
                let value = self.value(&[])?;
                let at = value.at;
                let kind = FirstKind::parse(&value.plain());
                kind.map(Term::First).ok_or_else(|| {
                    self.refuse(at, "unknown kind of first use", "write first=tool, first=server or first=client")
                })
            }
            ("since", Some(Comparison::Equal)) => Ok(Term::Since(self.instant(0)?)),
            ("until", Some(Comparison::Equal)) => Ok(Term::Until(self.instant(1)?)),
            ("duration" | "duration_ms" | "chars" | "result_chars" | "last" | "since" | "until" | "first", _) => {
                let hint = "use duration>1s, last=1h, since=…, first=tool";
                Err(self.refuse(start, &format!("{name} does not know {operator}"), hint))
            }
            ("arg", None | Some(Comparison::Equal)) => self.values(Place::AnyArg, operator == "!="),
            ("host", None | Some(Comparison::Equal)) => self.values(Place::Host, operator == "!="),
            (_, None | Some(Comparison::Equal)) => match NAMES.into_iter().find(|known| *known == name) {
                Some(field) => self.values(Place::Field(field), operator == "!="),
                None => Err(self.unknown(start, name)),
            },
            _ if !NAMES.contains(&name) && !matches!(name, "arg" | "host") => Err(self.unknown(start, name)),
            _ => Err(self.refuse(start, &format!("{name} does not know {operator}"), "compare names with = or !=")),
        }
    }

    /// Reads a value inside of the arguments or of `extra`, if one is named here.
    fn member(&mut self) -> Result<Option<Term>, Error> {
        let start = self.at;
        let root = ["args", "extra"].into_iter().find(|root| {
            let after = self.rest().strip_prefix(root).and_then(|rest| rest.strip_prefix('.'));
            // A word without a comparison is a text.
            after.is_some_and(|after| {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                after[..end].contains(['=', '<', '>']) || after.contains('"') && after.contains('=')
            })
        });
        let Some(root) = root else { return Ok(None) };
        let hint = r#"write args.path=…, args.list.0=… or args."a name"=…, or quote the text"#;
        self.at += root.len();
        let mut path = Vec::new();
        while self.rest().starts_with('.') {
            self.at += 1;
            if path.len() == PATH_NAMES_MAX {
                return Err(self.refuse(
                    self.at,
                    "the path is too long",
                    "use at most 16 names, or arg=… for any depth",
                ));
            }
            if self.rest().starts_with('"') {
                let value = self.quoted(&['.', '=', '!'])?;
                path.push(value.plain());
                continue;
            }
            let rest = self.rest();
            let is_end = |c: char| {
                c.is_whitespace() || matches!(c, '.' | '=' | '!' | '<' | '>' | '~' | ':' | '(' | ')' | '"' | '*' | '[')
            };
            let name = &rest[..rest.find(is_end).unwrap_or(rest.len())];
            if name.is_empty() {
                return Err(self.refuse(self.at, "a name is missing", hint));
            }
            path.push(name.to_owned());
            self.at += name.len();
        }
        let operator = ["!=", "="].into_iter().find(|operator| self.rest().starts_with(operator));
        let Some(operator) = operator else {
            return Err(self.refuse(self.at, "compare a member with = or !=", hint));
        };
        if self.rest()[operator.len()..].starts_with(['=', '~']) {
            return Err(self.refuse(start, "compare a member with = or !=", hint));
        }
        self.at += operator.len();
        self.values(Place::Member(root, path), operator == "!=").map(Some)
    }

    fn unknown(&self, start: usize, name: &str) -> Error {
        let hint = "write args.NAME=… for an argument; known are tool, status, user, session, agent, model, client, server, via, reason, call_id, \
                    parent, id, rule, trace_id, identity, extra.NAME, arg, host, duration, chars, last, \
                    since, until, first; quote plain text";
        self.refuse(start, &format!("unknown field {name:?}"), hint)
    }

    /// Reads the values of a place: one, or several with commas between them.
    fn values(&mut self, place: Place, negated: bool) -> Result<Term, Error> {
        let mut globs = Vec::new();
        loop {
            if !self.rest().starts_with('"') {
                let word = self.word();
                let word = &word[..word.find(',').unwrap_or(word.len())];
                if let Some((what, hint)) = foreign::value(word) {
                    return Err(self.refuse(self.at, what, hint));
                }
            }
            let value = self.value(&[','])?;
            globs.push(self.glob(&place, value)?);
            if !self.rest().starts_with(',') {
                return Ok(Term::Value { place, globs, negated });
            }
            self.at += 1;
            self.count(self.at)?;
        }
    }

    /// Returns the pattern of a value, and refuses words that a field never has.
    fn glob(&self, place: &Place, value: Value) -> Result<Glob, Error> {
        let at = value.at;
        // Names are compared with composed letters, hosts in lower case.
        let part = |part: &String| match place {
            Place::Host => composed(part).to_lowercase(),
            _ => composed(part).into_owned(),
        };
        let glob = Glob::new(value.parts.iter().map(part).collect());
        let (Place::Field(field), Some(word)) = (place, glob.exact()) else { return Ok(glob) };
        let unknown = match *field {
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
        match unknown {
            Some(hint) => Err(self.refuse(at, &format!("unknown {field}"), hint)),
            None => Ok(glob),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
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
        check("tool=a,b status!=ok,denied", "tool=a,b status!=ok,denied");
        check(r#"tool="a,b",c*"#, r#"tool="a,b",c*"#);
        check("a OR b", "a OR b");
        check("(a OR b)", "a OR b");
        check("a b OR NOT c", "a b OR NOT c");
        check("a AND (b OR c)", "a (b OR c)");
        check("a AND b AND (c d)", "a b c d");
        check("NOT(a OR b)", "NOT (a OR b)");
        check("NOT (a b) NOT NOT c", "NOT (a b) NOT NOT c");
        check("(a OR (b OR c)) OR d", "(a OR (b OR c)) OR d");
        check("f(x) OR (tool=fs.read g(y))", r#""f(x)" OR tool=fs.read "g(y)""#);
        check("(status=error)OR(status=denied)", "status=error OR status=denied");
        check(r#""OR" "AND" NOTHING"#, r#""OR" "AND" NOTHING"#);
        check(r#"args.path="/etc/*" args.a.0.b!=x,5"#, r#"args.path=/etc/* args.a.0.b!=x,5"#);
        check(r#"args."a b"."".c=x extra.NAME=true"#, r#"args."a b"."".c=x extra.NAME=true"#);
        check("arg=/etc/* host=*.Example.COM,10.0.0.1", "arg=/etc/* host=*.example.com,10.0.0.1");
        check("result_chars>10k chars<1.5M duration_ms>=20", "chars>10000 chars<1500000 duration>=20ms");
    }

    #[test]
    fn what_cannot_be_understood_is_refused_with_its_place() {
        let refused = |text: &str, what: &str| match Query::parse(text) {
            Err(error @ (Error::Input { .. } | Error::Query { .. })) => {
                let said = error.message();
                assert!(said.contains(what), "{text}: {said}");
            }
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
            "not status=ok",
            "OR a",
            "a OR",
            "a AND",
            "AND a",
            "a AND OR b",
            "NOT",
            "NOT OR",
            "()",
            "(a",
            "a)",
            "(a OR b",
            "NOT (a",
            "tool=a,",
            "tool=,a",
            "args.path>5",
            "args.=x",
            "args..a=x",
            "args.a==x",
            "arg>x",
            "host<x",
            "chars>1.5",
            "chars>k",
            "last=1h,2h",
            "status=ok or status=error",
            "status=ok and tool=x",
            "tool:fs.*",
            "status:error",
            "tool~=fs",
            "tool=~fs",
            "tool==fs",
            "tool=/fs.*/",
            "tool^=fs",
            "args.path:x",
            "args.path~=x",
            "input.path=x",
            "extra[0]=x",
            "user.name=alice",
            "duration > 500ms",
            "duration >500ms",
            "status = ok",
            "status is not error",
            "status IS error",
            "tool=“fs.read”",
            "“not found”",
            "duration≥5s",
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
            "tool=(a,b)",
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
        refused("tool=x a or tool=b", "character 10");
        refused(&format!("{}a{}", "(".repeat(18), ")".repeat(18)), "too deep");
        refused(&"NOT ".repeat(40), "too deep");
        refused(&format!("tool={}", vec!["a"; 65].join(",")), "too many");
        refused(&format!("args{}=x", ".a".repeat(17)), "too long");
        refused(&"x".repeat(5_000), "too long");
        refused(&"x ".repeat(65), "too many");
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z0-9.*\\\\\" é設]{0,8}", "\\PC{0,8}"]
    }

    fn place() -> impl Strategy<Value = Place> {
        let path = proptest::collection::vec(value(), 1..4);
        prop_oneof![
            (1..NAMES.len()).prop_map(|n| {
                let is_closed = matches!(NAMES[n], "status" | "reason" | "via" | "identity");
                Place::Field(if is_closed { "tool" } else { NAMES[n] })
            }),
            (any::<bool>(), path).prop_map(|(extra, path)| Place::Member(if extra { "extra" } else { "args" }, path)),
            Just(Place::AnyArg),
            Just(Place::Host),
        ]
    }

    fn leaf() -> impl Strategy<Value = Term> {
        let instant = (0_i64..253_402_300_799_999).prop_map(Timestamp::from_millis);
        let globs = proptest::collection::vec(proptest::collection::vec(value(), 1..4), 1..3);
        prop_oneof![
            value().prop_map(Term::Text),
            (place(), globs, any::<bool>()).prop_map(|(place, globs, negated)| {
                let part = |part: &String| match place {
                    Place::Host => composed(part).to_lowercase(),
                    _ => composed(part).into_owned(),
                };
                let globs = globs.iter().map(|parts| Glob::new(parts.iter().map(part).collect())).collect();
                Term::Value { place, globs, negated }
            }),
            (0.0..1e12_f64, 0..5_usize).prop_map(|(value, n)| {
                Term::Number { field: Quantity::Duration, comparison: Comparison::ALL[n].0, value }
            }),
            instant.clone().prop_map(Term::Since),
            instant.prop_map(Term::Until),
            (any::<u32>(), "[smhdw]")
                .prop_map(|(count, unit)| Term::Last { count, unit: unit.chars().next().unwrap() }),
            (0..FirstKind::ALL.len()).prop_map(|n| Term::First(FirstKind::ALL[n])),
        ]
    }

    fn term() -> impl Strategy<Value = Term> {
        leaf().prop_recursive(3, 12, 3, |inner| {
            let branch = proptest::collection::vec(inner.clone(), 1..3);
            prop_oneof![
                proptest::collection::vec(branch.clone(), 2..4).prop_map(Term::Any),
                branch.prop_map(Term::Not),
            ]
        })
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
