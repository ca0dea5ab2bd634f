//! Whether a call may run: rules as plain data, and a pure function over them.

use crate::glob::glob_matches;

/// The rules that allow or deny a call before it runs.
///
/// Of the rules that match, any that denies wins, wherever it stands; then any that allows; then `default`. The empty
/// gate allows everything.
///
/// ```
/// use tooltrail::{GateRequest, Effect, Gate, Rule};
///
/// let mut no_shell = Rule::deny("no-shell");
/// no_shell.tools = vec!["shell.*".to_owned()];
/// let gate = Gate { rules: vec![no_shell], default: Effect::Allow };
///
/// let verdict = gate.decide(GateRequest { user: "alice", role: None, tool: "shell.run" });
/// assert_eq!((verdict.effect, verdict.rule), (Effect::Deny, Some("no-shell")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "configuration builds it field by field")]
pub struct Gate {
    /// The rules; their order decides only which of several names is reported.
    pub rules: Vec<Rule>,
    /// What holds where no rule matches.
    pub default: Effect,
}

/// Allow or deny.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a call runs or it does not")]
pub enum Effect {
    /// The call may run.
    #[default]
    Allow,
    /// The call is refused.
    Deny,
}

/// One rule: it matches when each of its three lists is empty or has a glob that matches.
///
/// In a glob `*` stands for any characters, none too; every other character for itself. The whole name must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "configuration builds it field by field")]
pub struct Rule {
    /// The name that goes into the entry of each call it decides; empty is no name.
    pub name: String,
    /// What follows from it.
    pub effect: Effect,
    /// Globs over the user; empty: everybody.
    pub users: Vec<String>,
    /// Globs over the role, no role being the empty one; empty: every role.
    pub roles: Vec<String>,
    /// Globs over the tool's name; empty: every tool.
    pub tools: Vec<String>,
}

impl Rule {
    /// Returns a rule that allows everything; narrow it by its lists.
    #[must_use]
    pub fn allow(name: impl Into<String>) -> Self {
        Self { name: name.into(), effect: Effect::Allow, ..Self::default() }
    }

    /// Returns a rule that denies everything; narrow it by its lists.
    #[must_use]
    pub fn deny(name: impl Into<String>) -> Self {
        Self { name: name.into(), effect: Effect::Deny, ..Self::default() }
    }

    /// Returns whether the rule speaks about this call.
    #[must_use]
    pub fn matches(&self, asked: GateRequest<'_>) -> bool {
        any_glob_matches(&self.users, asked.user)
            && any_glob_matches(&self.roles, asked.role.unwrap_or_default())
            && any_glob_matches(&self.tools, asked.tool)
    }
}

/// What a gate is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the three things a rule may name")]
pub struct GateRequest<'a> {
    /// Whose agent calls.
    pub user: &'a str,
    /// The user's role.
    pub role: Option<&'a str>,
    /// The tool's name as called.
    pub tool: &'a str,
}

/// What a gate answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an effect and whose it is")]
pub struct Verdict<'a> {
    /// May it run?
    pub effect: Effect,
    /// The name of the rule that decided; `None` where the default did or the rule has no name.
    pub rule: Option<&'a str>,
}

impl Gate {
    /// Decides about one call; the same question always has the same answer.
    #[must_use]
    pub fn decide(&self, asked: GateRequest<'_>) -> Verdict<'_> {
        let first = |effect| self.rules.iter().find(|rule| rule.effect == effect && rule.matches(asked));
        match first(Effect::Deny).or_else(|| first(Effect::Allow)) {
            Some(rule) => {
                let name = rule.name.as_str();
                Verdict { effect: rule.effect, rule: (!name.is_empty()).then_some(name) }
            }
            None => Verdict { effect: self.default, rule: None },
        }
    }
}

/// Returns whether the list is empty or one of its globs matches the whole name.
#[must_use]
pub fn any_glob_matches(globs: &[String], name: &str) -> bool {
    globs.is_empty() || globs.iter().any(|glob| glob_matches(glob, name))
}
