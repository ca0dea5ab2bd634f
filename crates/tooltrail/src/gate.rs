//! The gate: decides whether a call may run. The rules are plain data, and the decision is a pure function.

use crate::glob::glob_matches;

/// The rules that allow or deny a call before it runs.
///
/// If any matching rule denies or hides, the call is refused, regardless of the order of the rules. Otherwise, if any
/// matching rule allows, the call may run. Without a matching rule, `default` applies. The empty gate allows everything.
///
/// ```
/// use tooltrail::{GateRequest, Effect, Gate, Rule};
///
/// let mut no_shell = Rule::deny("no-shell");
/// no_shell.tools = vec!["shell.*".to_owned()];
/// let gate = Gate { rules: vec![no_shell], default: Effect::Allow };
///
/// let verdict = gate.decide(GateRequest { user: "alice", tool: "shell.run", ..GateRequest::default() });
/// assert_eq!((verdict.effect, verdict.rule), (Effect::Deny, Some("no-shell")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "configuration builds it field by field")]
pub struct Gate {
    /// The rules. If several rules decide the same way, the first one is reported; the order has no other effect.
    pub rules: Vec<Rule>,
    /// The effect when no rule matches.
    pub default: Effect,
}

/// What a rule does with a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a call runs or it does not, and then its tool is listed or not")]
pub enum Effect {
    /// The call may run.
    #[default]
    Allow,
    /// The call is refused.
    Deny,
    /// The call is refused, and the tool is left out where tools are listed.
    Hide,
}

impl Effect {
    /// Whether a call with this effect is refused.
    #[must_use]
    pub const fn refuses(self) -> bool {
        matches!(self, Self::Deny | Self::Hide)
    }
}

/// One rule. It matches a call if each of its three lists is empty or contains a glob that matches.
///
/// In a glob, `*` matches any number of characters, including none; every other character matches itself. A glob must
/// match the whole name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "configuration builds it field by field")]
pub struct Rule {
    /// The name that is stored in the entry of each call that the rule decides; an empty string is not stored.
    pub name: String,
    /// What the rule does with a matching call.
    pub effect: Effect,
    /// Globs for the user; an empty list matches every user.
    pub users: Vec<String>,
    /// Globs for the role; an empty list matches every role. A caller without a role has the role "".
    pub roles: Vec<String>,
    /// Globs for the tool's name; an empty list matches every tool.
    pub tools: Vec<String>,
}

impl Rule {
    /// Returns a rule that allows everything; fill its lists to narrow it.
    #[must_use]
    pub fn allow(name: impl Into<String>) -> Self {
        Self { name: name.into(), effect: Effect::Allow, ..Self::default() }
    }

    /// Returns a rule that denies everything; fill its lists to narrow it.
    #[must_use]
    pub fn deny(name: impl Into<String>) -> Self {
        Self { name: name.into(), effect: Effect::Deny, ..Self::default() }
    }

    /// Returns whether the rule matches this call.
    #[must_use]
    pub fn matches(&self, asked: GateRequest<'_>) -> bool {
        any_glob_matches(&self.users, asked.user)
            && any_glob_matches(&self.roles, asked.role.unwrap_or_default())
            && (any_glob_matches(&self.tools, asked.tool)
                || asked.alias.is_some_and(|alias| any_glob_matches(&self.tools, alias)))
    }
}

/// The question to a gate: may this user call this tool?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the things a rule may name")]
pub struct GateRequest<'a> {
    /// The user whose agent makes the call.
    pub user: &'a str,
    /// The user's role.
    pub role: Option<&'a str>,
    /// The tool's name as the caller wrote it.
    pub tool: &'a str,
    /// Another name of the same tool, by which a rule may name it too. For a tool of an MCP server this is
    /// `mcp__SERVER__TOOL`, as the hooks of coding agents call it.
    pub alias: Option<&'a str>,
}

/// The answer of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an effect and whose it is")]
pub struct Verdict<'a> {
    /// Whether the call may run.
    pub effect: Effect,
    /// The name of the rule that decided; `None` if the default decided or the rule has no name.
    pub rule: Option<&'a str>,
}

impl Gate {
    /// Decides whether one call may run; the same request always gets the same verdict.
    #[must_use]
    pub fn decide(&self, asked: GateRequest<'_>) -> Verdict<'_> {
        let first = |effect| self.rules.iter().find(|rule| rule.effect == effect && rule.matches(asked));
        // A hidden tool stays out of the list even if another rule denies it too.
        match first(Effect::Hide).or_else(|| first(Effect::Deny)).or_else(|| first(Effect::Allow)) {
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
