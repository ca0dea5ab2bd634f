//! Rules and values of whoever runs the recorder: what only they know to be secret.

use aho_corasick::{AhoCorasick, MatchKind};
use regex::{Regex, RegexBuilder};

use crate::error::Error;
use crate::redact::rules::benign::is_benign;
use crate::redact::scan::hit::Hit;

/// Rules of one recorder: every text is searched once for each.
pub const RULES_MAX: usize = 64;
/// Bytes of a pattern, and of the machine that it is built into.
const PATTERN_BYTES_MAX: usize = 1_000;
const MACHINE_BYTES_MAX: usize = 1 << 20;
/// Characters of a rule's name, as a mark holds it.
const NAME_CHARS_MAX: usize = 40;
/// Bytes of a value that is hidden wherever it appears: a shorter one may stand anywhere by chance.
pub const VALUE_BYTES_MIN: usize = 8;
/// Values of one recorder.
pub const VALUES_MAX: usize = 256;
/// Bytes of a value's beginning that are hidden where a text is cut in it.
const CUT_VALUE_BYTES_MIN: usize = 4;

/// What is hidden beside what every recorder hides.
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
    /// Of a rule for keys, the keys.
    keys: Option<Regex>,
    /// What is hidden in a text: the first group, or all where there is none.
    pattern: Regex,
}

impl RedactionRules {
    /// Hides what a pattern matches: of one with a group only the group. A pattern is a regular expression of the crate
    /// `regex`: it knows no look-around and no back-references. One search is linear in the text; one that looks far
    /// beyond what it matches does so anew after each match.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that a mark cannot hold (`[a-z0-9-]{1,40}`), more than [`RULES_MAX`] rules, and a
    /// pattern that is over 1,000 bytes, wrong, too large when built, or matches the empty text.
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

    /// Hides the values of keys that a pattern with `*` matches, in either case: as members of JSON, and in texts behind
    /// `:` and `=`.
    ///
    /// # Errors
    /// [`Error::Input`] as [`RedactionRules::pattern`], and for a key pattern without any letter or digit.
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

    /// Hides a value wherever it appears.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that a mark cannot hold, more than [`VALUES_MAX`] values, and a value of less than
    /// [`VALUE_BYTES_MIN`] bytes. The error does not hold the value.
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

    /// Whether nothing is hidden by them.
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

/// A name that marks can hold, for as long as the process lives: hits name their rules without copying them, and a
/// process reads few rules, once.
fn checked(name: &str) -> Result<&'static str, Error> {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(fits) {
        return Err(wrong(name, "a mark cannot hold this name", "use 1 to 40 of a-z, 0-9 and -"));
    }
    Ok(Box::leak(name.to_owned().into_boxed_str()))
}

/// The same, ready to search.
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

    /// Pushes all that they hide of a text.
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

    /// Whether a rule of that name is among them.
    pub(in crate::redact) fn names(&self, name: &str) -> bool {
        self.rules.iter().any(|rule| rule.name == name)
    }

    /// The rule of a member's key.
    pub(in crate::redact) fn key(&self, key: &str) -> Option<&'static str> {
        self.rules.iter().find(|rule| rule.keys.as_ref().is_some_and(|keys| keys.is_match(key))).map(|rule| rule.name)
    }
}

/// The ways in which a value is written in JSON, and in JSON within JSON, where they differ from the value. The ends of
/// lines and quotes of simple JSON are searched as they stand, so these forms are needed as well.
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

/// The beginning of a value at the end of a text that was cut.
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
