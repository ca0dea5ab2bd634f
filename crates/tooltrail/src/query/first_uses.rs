//! The first use of each tool by each user, which a query can ask for.

use std::collections::HashMap;

use super::Line;

/// When each user first used each tool.
#[derive(Clone, Debug, Default)]
pub(crate) struct FirstUses(HashMap<(Box<str>, Box<str>), FirstUse>);

/// The first entry of a user and a tool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FirstUse {
    pub(crate) ts_ms: i64,
    /// Its id, if it has one: several entries may have the same time.
    pub(crate) id: Option<String>,
}

impl FirstUses {
    /// Adds an entry of a user and a tool, if no earlier one is known.
    pub(crate) fn add(&mut self, user: &str, tool: &str, ts_ms: i64, id: impl FnOnce() -> Option<String>) {
        let key = (user.into(), tool.into());
        if self.0.get(&key).is_none_or(|known| ts_ms < known.ts_ms) {
            self.0.insert(key, FirstUse { ts_ms, id: id() });
        }
    }

    /// Whether an entry is the first one of its user and tool.
    pub(super) fn has(&self, line: &Line<'_>) -> bool {
        let text = |name| line.string(name).unwrap_or_default().into();
        self.0.get(&(text("user"), text("tool"))).is_some_and(|first| {
            let id = line.string("id");
            first.ts_ms == line.ts.as_millis() && (first.id.is_none() || first.id.as_deref() == id.as_deref())
        })
    }
}
