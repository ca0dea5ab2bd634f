//! Additional rules and values from the operator of the recorder, for secrets that only the operator knows.

use aho_corasick::{AhoCorasick, MatchKind};
use regex::{Regex, RegexBuilder};

use crate::error::Error;
use crate::redact::rules::benign::is_benign;
use crate::redact::scan::hit::Hit;

/// Maximum rules of one recorder. Each text is searched once for each rule.
pub const RULES_MAX: usize = 64;
/// Maximum bytes of a pattern, and of the automaton that it is compiled to.
const PATTERN_BYTES_MAX: usize = 1_000;
const MACHINE_BYTES_MAX: usize = 1 << 20;
/// Maximum characters of the name of a rule, because a mark must be able to contain it.
const NAME_CHARS_MAX: usize = 40;
/// Minimum bytes of a value that is hidden wherever it occurs. A shorter one may occur by chance.
pub const VALUE_BYTES_MIN: usize = 8;
/// Maximum values of one recorder.
pub const VALUES_MAX: usize = 256;
/// Minimum bytes of the beginning of a value that are hidden at the end of a text that was cut.
const CUT_VALUE_BYTES_MIN: usize = 4;

/// Additional rules: what a recorder hides in addition to the built-in rules.
///
/// ```
/// use tooltrail::{RedactionRules, Redactor};
///
/// let mut rules = RedactionRules::default();
/// rules.pattern("badge", r"\bBADGE-(\d{6})\b")?;
/// rules.key("ticket", "x-acme-*")?;
/// rules.value("env-deploy-phrase", "open sesame")?;
/// let redactor = Redactor::with(None, &rules);
/// assert_eq!(redactor.text("BADGE-123456"), "BADGE-[redacted:badge]");
/// assert_eq!(redactor.text("X-Acme-Pass: q1"), "X-Acme-Pass: [redacted:ticket]");
/// assert_eq!(redactor.text("say open sesame"), "say [redacted:env-deploy-phrase]");
/// # Ok::<(), tooltrail::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RedactionRules {
    rules: Vec<Rule>,
    values: Vec<(&'static str, String)>,
}

#[derive(Clone, Debug)]
struct Rule {
    name: &'static str,
    /// The keys, if this is a rule for keys.
    keys: Option<Regex>,
    /// The pattern for texts. The first group that matches is hidden, or the whole match if there is none.
    pattern: Regex,
}

impl RedactionRules {
    /// Hides what a pattern matches. If the pattern has a group, only the group is hidden. The syntax is that of the
    /// crate `regex`, without look-around and back-references. One search takes time linear in the text, but a pattern
    /// that reads far beyond its match reads the same text again after each match.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that a mark cannot contain (it must match `[a-z0-9-]{1,40}`), for more than
    /// [`RULES_MAX`] rules, and for a pattern that is over 1,000 bytes, invalid, too large when compiled, or matches
    /// the empty text.
    pub fn pattern(&mut self, name: &str, pattern: &str) -> Result<(), Error> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(wrong(name, "its pattern is over 1,000 bytes", "write several rules"));
        }
        let built = build(pattern).map_err(|error| {
            let lines = error.to_string();
            let reason = lines.lines().last().unwrap_or_default().trim_start_matches("error: ");
            wrong(name, &format!("its pattern cannot be read: {reason}"), "the syntax is that of the crate regex")
        })?;
        if built.is_match("") {
            return Err(wrong(
                name,
                "its pattern matches the empty text",
                "use + instead of *, or name what surrounds it",
            ));
        }
        self.add(name, None, built)
    }

    /// Hides the values of all keys that match a pattern with `*`. Upper and lower case are the same. The values are
    /// hidden in members of JSON, and in texts after `:` and `=`.
    ///
    /// # Errors
    /// [`Error::Input`] as in [`RedactionRules::pattern`], for a key pattern without a letter or digit, and for one
    /// over 500 bytes.
    pub fn key(&mut self, name: &str, keys: &str) -> Result<(), Error> {
        if !keys.chars().any(char::is_alphanumeric) {
            return Err(wrong(name, "its key matches every key", "name a part of the key, as in \"x-acme-*\""));
        }
        if keys.len() > PATTERN_BYTES_MAX / 2 {
            return Err(wrong(name, "its key is over 500 bytes", "write several rules"));
        }
        let glob = keys.split('*').map(regex::escape).collect::<Vec<_>>().join(r"[\w.-]*");
        let value = r#"(?:[\\"'`]*"([^"\\\n]+)|[\\"'`]*'([^'\\\n]+)|([^\s"'`<>&,;\\\])}]+))"#;
        let pattern = format!(r#"(?i)(?:^|[^\w.-])(?:{glob})[\\"'`\]]*[ \t]*(?:=>|:=|[:=])[ \t]*{value}"#);
        let built =
            build(&pattern).map_err(|_| wrong(name, "its key is too long to be searched for", "name less of it"))?;
        let whole = build(&format!("(?i)^(?:{})$", keys.split('*').map(regex::escape).collect::<Vec<_>>().join(".*")));
        self.add(name, whole.ok(), built)
    }

    /// Hides a value wherever it occurs.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that a mark cannot contain, for more than [`VALUES_MAX`] values, and for a value of
    /// less than [`VALUE_BYTES_MIN`] bytes. The error does not contain the value.
    pub fn value(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let name = checked(name)?;
        if value.len() < VALUE_BYTES_MIN {
            return Err(wrong(name, "its value has less than 8 bytes", "such a value may stand anywhere by chance"));
        }
        if self.values.len() >= VALUES_MAX {
            return Err(wrong(name, "there are 256 values already", "name fewer"));
        }
        self.values.push((name, value.to_owned()));
        Ok(())
    }

    /// Returns whether there are no rules and no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.values.is_empty()
    }

    fn add(&mut self, name: &str, keys: Option<Regex>, pattern: Regex) -> Result<(), Error> {
        let name = checked(name)?;
        if self.rules.len() >= RULES_MAX {
            return Err(wrong(name, "there are 64 rules already", "put several patterns into one, with |"));
        }
        self.rules.push(Rule { name, keys, pattern });
        Ok(())
    }
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(MACHINE_BYTES_MAX).dfa_size_limit(MACHINE_BYTES_MAX).build()
}

fn wrong(name: &str, what: &str, hint: &'static str) -> Error {
    Error::input(format!("redact rule {name:?}: {what}"), hint)
}

/// Checks that a mark can contain a name, and leaks the name. Hits can then refer to it without a copy. The leak is
/// small, because a process reads few rules, and only once.
fn checked(name: &str) -> Result<&'static str, Error> {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(fits) {
        return Err(wrong(name, "a mark cannot hold this name", "use 1 to 40 of a-z, 0-9 and -"));
    }
    Ok(Box::leak(name.to_owned().into_boxed_str()))
}

/// [`RedactionRules`], compiled for the search.
#[derive(Debug, Default)]
pub(in crate::redact) struct Own {
    rules: Vec<Rule>,
    values: Option<AhoCorasick>,
    texts: Vec<(&'static str, String)>,
}

impl Own {
    pub(in crate::redact) fn new(rules: &RedactionRules) -> Self {
        let mut texts = rules.values.clone();
        texts.retain(|(_, value)| value.len() >= VALUE_BYTES_MIN);
        let written = texts.iter().flat_map(|(name, value)| escaped(value).into_iter().map(|text| (*name, text)));
        let written: Vec<_> = written.collect();
        texts.extend(written);
        let build = || {
            let values = texts.iter().map(|(_, value)| value);
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(values).ok()
        };
        let values = if texts.is_empty() { None } else { build() };
        Self { rules: rules.rules.clone(), values, texts }
    }

    /// Pushes all matches of the rules and values in a text.
    pub(in crate::redact) fn hits(&self, text: &str, cut: bool, hits: &mut Vec<Hit>) {
        for rule in &self.rules {
            for found in rule.pattern.captures_iter(text) {
                let group = found.iter().skip(1).flatten().next().or_else(|| found.get(0));
                hits.extend(group.map(|part| Hit::new(part.start(), part.end(), rule.name)));
            }
        }
        let Some(values) = &self.values else { return };
        for found in values.find_iter(text) {
            let (name, _) = self.texts[found.pattern().as_usize()];
            hits.push(Hit::new(found.start(), found.end(), name));
        }
        if cut {
            hits.extend(self.texts.iter().filter_map(|(name, value)| cut_value(text, name, value)));
        }
    }

    /// Returns whether there is a rule of this name.
    pub(in crate::redact) fn names(&self, name: &str) -> bool {
        self.rules.iter().any(|rule| rule.name == name)
    }

    /// Returns the name of the rule that matches the key of a member.
    pub(in crate::redact) fn key(&self, key: &str) -> Option<&'static str> {
        self.rules.iter().find(|rule| rule.keys.as_ref().is_some_and(|keys| keys.is_match(key))).map(|rule| rule.name)
    }
}

/// Returns the ways in which a value is written in JSON, and in JSON in JSON, if they differ from the value. They are
/// needed because the escaped line ends and quotes of simple JSON are not decoded before the search.
fn escaped(value: &str) -> Vec<String> {
    let json = |text: &str| {
        let mut quoted = String::new();
        crate::json::push_string(&mut quoted, text);
        quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
    };
    let once = json(value);
    let mut texts = vec![json(&once), once.replace('/', "\\/"), once];
    texts.sort_unstable();
    texts.dedup();
    texts.retain(|text| text != value);
    texts
}

/// Returns the beginning of a value at the end of a text that was cut.
fn cut_value(text: &str, name: &'static str, value: &str) -> Option<Hit> {
    let lengths = (CUT_VALUE_BYTES_MIN..value.len()).rev().filter(|length| value.is_char_boundary(*length));
    let length = lengths.take(text.len()).find(|length| text.ends_with(&value[..*length]))?;
    Some(Hit::new(text.len() - length, text.len(), name)).filter(|hit| !is_benign(&text[hit.start..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::value::found::FoundSecrets;
    use crate::redact::{RedactionKey, Redactor, WindowedText};

    #[test]
    fn a_value_is_hidden_however_json_writes_it() {
        let mut rules = RedactionRules::default();
        rules.value("env-pass", "corr\"ect/horse\nstaple").unwrap();
        let redactor = Redactor::with(None, &rules);
        for text in [
            "corr\"ect/horse\nstaple",
            r#"{"a":"corr\"ect/horse\nstaple"}"#,
            r#"{"a":"corr\"ect\/horse\nstaple"}"#,
            r#"{"a":"{\"b\":\"corr\\\"ect/horse\\nstaple\"}"}"#,
        ] {
            let hidden = redactor.text(text);
            assert!(hidden.contains("[redacted:env-pass]") && !hidden.contains("horse"), "{text}: {hidden}");
        }
    }

    #[test]
    fn a_tag_is_that_of_the_secret_without_colours_and_escapes() {
        let key = RedactionKey { number: 1, bytes: [7; 32] };
        let redactor = Redactor::new(Some(key.clone()));
        let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
        let tag = key.tag(token);
        for text in [
            token.to_owned(),
            token.replace("ghp_", "\x1b[01;31m\x1b[Kghp_\x1b[m\x1b[K"),
            token.replace("ghp_", "ghp%5F"),
            token.replace('g', "\\u0067"),
        ] {
            let hidden = redactor.text(&text);
            assert!(hidden.contains(&tag), "{text:?}: {hidden:?} {tag}");
        }
    }

    fn rules() -> RedactionRules {
        let mut rules = RedactionRules::default();
        rules.pattern("badge", r"\bB-(\d{6})\b").unwrap();
        rules.pattern("ward", r"ward [A-Z]{3}").unwrap();
        rules.key("ticket", "x-acme-*").unwrap();
        rules.value("env-phrase", "open \"sesame\" now").unwrap();
        rules
    }

    #[test]
    fn own_rules_hide_in_texts_and_behind_escapes() {
        let redactor = Redactor::with(None, &rules());
        for (text, expected) in [
            ("B-123456 B-12345", "B-[redacted:badge] B-12345"),
            ("in ward ABC.", "in [redacted:ward]."),
            ("X-Acme-Id: a1 b", "X-Acme-Id: [redacted:ticket] b"),
            ("{\"x-acme-id\":\"a b\",\"y\":1}", "{\"x-acme-id\":\"[redacted:ticket]\",\"y\":1}"),
            ("x-acme-id='a b'&z=1", "x-acme-id='[redacted:ticket]'&z=1"),
            ("say open \"sesame\" now", "say [redacted:env-phrase]"),
            ("say open \\u0022sesame\\u0022 now", "say [redacted:env-phrase]"),
            ("open%20%22sesame%22%20now", "[redacted:env-phrase]"),
            ("b3BlbiAic2VzYW1lIiBub3cgYW5kIHRoZW4=", "[redacted:env-phrase]"),
            ("x-other: a1", "x-other: a1"),
        ] {
            assert_eq!(redactor.text(text), expected);
            assert_eq!(redactor.text(expected), expected, "twice");
        }
    }

    #[test]
    fn a_value_that_a_text_is_cut_in_is_hidden_to_the_end() {
        let mut seen = WindowedText { text: "say open \"ses".to_owned(), chars: 9_999, cut: true };
        Redactor::with(None, &rules()).seen(&mut seen, &mut FoundSecrets::default());
        assert_eq!(seen.text, "say [redacted:env-phrase]");
    }

    #[test]
    fn what_cannot_be_a_rule_is_refused() {
        let check = |made: Result<(), Error>, word: &str| {
            let error = made.unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        let new = RedactionRules::default;
        check(new().pattern("A b", "a"), "a mark cannot hold");
        check(new().pattern(&"a".repeat(41), "a"), "a mark cannot hold");
        check(new().pattern("a", "("), "cannot be read");
        check(new().pattern("a", "(?=a)"), "cannot be read");
        check(new().pattern("a", "a*"), "empty text");
        check(new().pattern("a", r"(\w{200}){200}"), "cannot be read");
        check(new().pattern("a", &"a".repeat(1_001)), "over 1,000");
        check(new().key("a", "*"), "every key");
        check(new().value("a", "short"), "less than 8");
        let mut many = new();
        (0..RULES_MAX).for_each(|n| many.pattern(&format!("r{n}"), "a+b").unwrap());
        check(many.pattern("more", "a"), "64 rules");
    }
}
