//! Durability: how safely an entry must be stored before its caller gets an answer, chosen per tool.

use std::fmt;

use crate::glob::glob_matches;

/// When the caller may get the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a further one is to be handled by every capture, and the compiler says so"
)]
pub enum Durability {
    /// Immediately; the entry is written soon afterwards.
    Buffered,
    /// For a call that runs in this process: immediately. The entry becomes durable with the next batch, and a call
    /// that is open for longer is noted in the meantime. For a received entry: when the entry is durable.
    #[default]
    Grouped,
    /// When the entry is durable. In addition, the start of the call is made durable before the tool runs: if the start
    /// cannot be noted, the tool does not run, and if the entry cannot be written, the answer is withheld.
    Strict,
}

impl Durability {
    /// All values, from the weakest to the strongest.
    pub const ALL: [Self; 3] = [Self::Buffered, Self::Grouped, Self::Strict];

    /// Returns the word that selects this value in a configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::Grouped => "grouped",
            Self::Strict => "strict",
        }
    }

    /// Returns the value for a word, or `None` if the word is unknown.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|durability| durability.as_str() == word)
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The durability of each tool: the first pattern that matches the tool's name decides; without a match the default
/// applies.
///
/// ```
/// use tooltrail::{DurabilityPolicy, Durability};
///
/// let mut policy = DurabilityPolicy::from(Durability::Grouped);
/// policy.tools.push(("fs.write*".to_owned(), Durability::Strict));
/// assert_eq!(policy.of("fs.write_file"), Durability::Strict);
/// assert_eq!(policy.of("fs.read"), Durability::Grouped);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DurabilityPolicy {
    /// The durability of tools that no pattern matches.
    pub default: Durability,
    /// Patterns for tool names, with the syntax of [`glob_matches`].
    pub tools: Vec<(String, Durability)>,
}

impl DurabilityPolicy {
    /// Returns the durability of the tool with this name.
    #[must_use]
    pub fn of(&self, tool: &str) -> Durability {
        let fits = |(pattern, durability): &(String, Durability)| glob_matches(pattern, tool).then_some(*durability);
        self.tools.iter().find_map(fits).unwrap_or(self.default)
    }
}

impl From<Durability> for DurabilityPolicy {
    /// Returns a policy with the same durability for every tool.
    fn from(default: Durability) -> Self {
        Self { default, tools: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_fits_decides() {
        use Durability::{Buffered, Grouped, Strict};
        let check = |tools: &[(&str, Durability)], tool: &str, expected: Durability| {
            let tools = tools.iter().map(|(pattern, durability)| ((*pattern).to_owned(), *durability)).collect();
            let durability = DurabilityPolicy { tools, ..DurabilityPolicy::default() };
            assert_eq!(durability.of(tool), expected, "{durability:?} {tool}");
        };
        check(&[], "fs.read", Grouped);
        check(&[("fs.*", Strict)], "fs.read", Strict);
        check(&[("fs.*", Strict)], "nfs.read", Grouped);
        check(&[("fs.read", Buffered), ("fs.*", Strict)], "fs.read", Buffered);
        check(&[("fs.*", Strict), ("fs.read", Buffered)], "fs.read", Strict);
        check(&[("fs.*", Strict), ("*", Buffered)], "", Buffered);
    }

    #[test]
    fn a_word_is_read_as_it_is_written() {
        for durability in Durability::ALL {
            assert_eq!(Durability::parse(&durability.to_string()), Some(durability));
        }
        for word in ["", "Strict", "strict ", "most"] {
            assert_eq!(Durability::parse(word), None, "{word}");
        }
    }
}
