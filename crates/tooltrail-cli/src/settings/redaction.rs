//! Redaction settings: which secrets are redacted in addition to the built-in rules. These are the rules of the
//! configuration file and the values of the environment variables that it names.

use std::fmt;

use serde::Deserialize;
use tooltrail::{RedactionRules, Redactor, VALUE_BYTES_MIN};

use crate::failure::Failure;

/// Most characters of a rule name in a redaction mark.
const NAME_CHARS_MAX: usize = 40;

/// The redaction settings in the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redact {
    /// Environment variables of the recording process whose values are redacted wherever they appear.
    #[serde(default)]
    pub(crate) env: Vec<String>,
    /// The user's own rules.
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
}

/// One redaction rule, with either a key or a pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// The name of the rule, as it appears in redaction marks.
    pub(crate) name: String,
    /// Pattern (with `*`) of the keys whose values are redacted.
    pub(crate) key: Option<String>,
    /// Regular expression for the text to redact. If it has a group, only the group is redacted.
    pub(crate) pattern: Option<String>,
    /// Test texts in which the rule must redact something.
    #[serde(default)]
    pub(crate) hides: Vec<String>,
    /// Test texts that the rule must not change.
    #[serde(default)]
    pub(crate) keeps: Vec<String>,
}

/// Whether the value of a named environment variable is redacted. The value itself is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Hidden,
    Unset,
    Short,
    /// The value is not UTF-8, or there are too many variables.
    Unusable,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "hidden wherever it appears",
            Self::Unset => "not set here: nothing is hidden for it",
            Self::Short => "shorter than 8 bytes: not hidden, as it may stand anywhere by chance",
            Self::Unusable => "not hidden: no UTF-8, or more variables than 256",
        })
    }
}

impl Redact {
    /// Returns the rules, including the current values of the environment variables.
    pub(crate) fn rules(&self) -> Result<RedactionRules, Failure> {
        let mut rules = self.own()?;
        for name in &self.env {
            let _ = add(&mut rules, name);
        }
        Ok(rules)
    }

    /// Returns for each environment variable whether its value is redacted.
    pub(crate) fn values(&self) -> Vec<(&str, Value)> {
        let mut rules = RedactionRules::default();
        self.env.iter().map(|name| (name.as_str(), add(&mut rules, name))).collect()
    }

    /// Runs the tests of the rules and returns one sentence for each failed test.
    pub(crate) fn broken_tests(&self) -> Result<Vec<String>, Failure> {
        let mut broken = Vec::new();
        for rule in &self.rules {
            let mut rules = RedactionRules::default();
            rule.add(&mut rules)?;
            let redactor = Redactor::with(None, &rules);
            let mark = format!("[redacted:{}]", rule.name);
            let mut report = |what: &str, text: &str| broken.push(format!("rule {:?} {what} {text:?}", rule.name));
            rule.hides
                .iter()
                .filter(|text| !redactor.text(text).contains(&mark))
                .for_each(|text| report("does not hide anything in", text));
            rule.keeps
                .iter()
                .filter(|text| redactor.text(text).contains(&mark))
                .for_each(|text| report("does not keep", text));
        }
        Ok(broken)
    }

    fn own(&self) -> Result<RedactionRules, Failure> {
        let mut rules = RedactionRules::default();
        self.rules.iter().try_for_each(|rule| rule.add(&mut rules))?;
        Ok(rules)
    }
}

impl Rule {
    fn add(&self, rules: &mut RedactionRules) -> Result<(), Failure> {
        match (&self.key, &self.pattern) {
            (Some(key), None) => Ok(rules.key(&self.name, key)?),
            (None, Some(pattern)) => Ok(rules.pattern(&self.name, pattern)?),
            _ => Err(Failure::could_not(
                format!("redact rule {:?} has not exactly one of key and pattern", self.name),
                "write key = \"x-acme-*\" or pattern = 'BADGE-(\\d{6})'",
            )),
        }
    }
}

/// Adds the value of an environment variable of this process to the rules.
fn add(rules: &mut RedactionRules, name: &str) -> Value {
    match std::env::var_os(name).map(std::ffi::OsString::into_string) {
        None => Value::Unset,
        Some(Err(_)) => Value::Unusable,
        Some(Ok(value)) if value.trim().len() < VALUE_BYTES_MIN => Value::Short,
        Some(Ok(value)) => rules.value(&rule_of(name), value.trim()).map_or(Value::Unusable, |()| Value::Hidden),
    }
}

/// Returns the rule name for an environment variable, such as `env-github-token`.
fn rule_of(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let plain = lower.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' });
    "env-".chars().chain(plain).take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Redact {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn rules_are_held_against_their_tests() {
        let redact = read(
            r#"
            [[rules]]
            name = "badge"
            pattern = 'BADGE-(\d{6})'
            hides = ["BADGE-123456", "BADGE-12"]
            keeps = ["BADGE-", "see BADGE-999999"]
            [[rules]]
            name = "ticket"
            key = "x-acme-*"
            hides = ["X-Acme-Id: 77", '{"x-acme-id": "a b"}']
            keeps = ["X-Other: 77"]
            "#,
        );
        assert_eq!(
            redact.broken_tests().unwrap(),
            [
                "rule \"badge\" does not hide anything in \"BADGE-12\"",
                "rule \"badge\" does not keep \"see BADGE-999999\""
            ]
        );
        assert!(read("[[rules]]\nname = \"x\"").rules().is_err());
        assert!(read("[[rules]]\nname = \"x\"\npattern = \"(\"").rules().is_err());
    }

    #[test]
    fn a_variable_gives_its_value_and_its_rule() {
        assert_eq!(rule_of("GITHUB_TOKEN"), "env-github-token");
        assert_eq!(rule_of(&"A".repeat(60)).len(), NAME_CHARS_MAX);
        // PATH is always set when tests run.
        let redact =
            Redact { env: vec!["PATH".to_owned(), "TOOLTRAIL_NO_SUCH_VARIABLE".to_owned()], rules: Vec::new() };
        assert_eq!(redact.values(), [("PATH", Value::Hidden), ("TOOLTRAIL_NO_SUCH_VARIABLE", Value::Unset)]);
        let path = std::env::var("PATH").unwrap();
        let text = format!("PATH is {}", path.trim());
        assert_eq!(Redactor::with(None, &redact.rules().unwrap()).text(&text), "PATH is [redacted:env-path]");
    }
}
