//! The coding agents whose hooks are understood.

/// A coding agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Client {
    ClaudeCode,
    Codex,
    Gemini,
    Copilot,
    Cursor,
}

impl Client {
    /// All of them, in the order of the documentation.
    pub(crate) const ALL: [Self; 5] = [Self::ClaudeCode, Self::Codex, Self::Gemini, Self::Copilot, Self::Cursor];

    /// Returns the name in commands, and in the field `client` of entries.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Copilot => "copilot",
            Self::Cursor => "cursor",
        }
    }

    /// Returns the name under which people know it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
            Self::Copilot => "Copilot CLI",
            Self::Cursor => "Cursor",
        }
    }

    /// Returns the agent of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|client| client.name() == name)
    }
}
