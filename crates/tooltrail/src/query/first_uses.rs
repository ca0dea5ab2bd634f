//! The first use of each tool, server and client by each user, which a query can ask for.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Line;

/// What can be used for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FirstKind {
    /// A tool.
    Tool,
    /// The server that offers a tool.
    Server,
    /// The program in which the agent runs, whatever its version is.
    Client,
}

impl FirstKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Tool, Self::Server, Self::Client];

    /// Returns the word for it in queries and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    /// Returns the kind for a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Returns what an entry uses; `None` if it does not say.
    pub(crate) fn of<'a>(self, line: &Line<'a>) -> Option<Cow<'a, str>> {
        let name = line.string(self.as_str());
        if self == Self::Tool {
            return Some(name.unwrap_or_default());
        }
        let name = name.filter(|name| !name.is_empty())?;
        if self == Self::Server {
            return Some(name);
        }
        // A new version is no new client.
        let end = name.find('/').unwrap_or(name.len());
        Some(match name {
            Cow::Borrowed(name) => Cow::Borrowed(&name[..end]),
            Cow::Owned(name) => Cow::Owned(name[..end].to_owned()),
        })
    }
}

/// When each user first used each tool, server and client.
#[derive(Clone, Debug, Default)]
pub(crate) struct FirstUses(HashMap<(Box<str>, FirstKind, Box<str>), FirstUse>);

/// The first entry of a user and a tool, server or client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FirstUse {
    pub(crate) ts_ms: i64,
    /// Its id, if it has one: several entries may have the same time.
    pub(crate) id: Option<String>,
}

impl FirstUses {
    /// Adds a use by a user, if no earlier one is known.
    pub(crate) fn add(
        &mut self,
        user: &str,
        (kind, name): (FirstKind, &str),
        ts_ms: i64,
        id: impl FnOnce() -> Option<String>,
    ) {
        let key = (user.into(), kind, name.into());
        if self.0.get(&key).is_none_or(|known| ts_ms < known.ts_ms) {
            self.0.insert(key, FirstUse { ts_ms, id: id() });
        }
    }

    /// Whether an entry is the first one of its user with this tool, server or client.
    pub(crate) fn has(&self, line: &Line<'_>, kind: FirstKind) -> bool {
        let Some(name) = kind.of(line) else { return false };
        let user = line.string("user").unwrap_or_default();
        self.0.get(&(user.into(), kind, name.into())).is_some_and(|first| {
            let id = line.string("id");
            first.ts_ms == line.ts.as_millis() && (first.id.is_none() || first.id.as_deref() == id.as_deref())
        })
    }
}
