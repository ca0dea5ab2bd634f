//! The durability: how durable an entry must be before its caller is answered, by tool.

use std::fmt;

use crate::glob::glob_matches;

/// When an answer may be handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a further one is to be handled by every capture, and the compiler says so"
)]
pub enum Durability {
    /// At once; the entry is written soon.
    Buffered,
    /// Of a call that runs here, at once: the entry is durable with the next batch, and a call that is open for longer
    /// is noted meanwhile. Of an entry received, when it is durable.
    #[default]
    Grouped,
    /// When the entry is durable, as was that the call begins before the tool ran: a tool whose call cannot be noted
    /// does not run, and an answer whose entry cannot be written is withheld.
    Strict,
}

impl Durability {
    /// Every value, the weakest first.
    pub const ALL: [Self; 3] = [Self::Buffered, Self::Grouped, Self::Strict];

    /// Returns the word by which it is chosen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::Grouped => "grouped",
            Self::Strict => "strict",
        }
    }

    /// Returns the value of a word, `None` for any other.
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

/// Which durability each tool has: of the patterns that fit its name the first decides, else the default holds.
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
    /// Of tools that no pattern fits.
    pub default: Durability,
    /// Patterns over tools' names, as [`glob_matches`] reads them.
    pub tools: Vec<(String, Durability)>,
}

impl DurabilityPolicy {
    /// Returns the durability of a tool.
    #[must_use]
    pub fn of(&self, tool: &str) -> Durability {
        let fits = |(pattern, durability): &(String, Durability)| glob_matches(pattern, tool).then_some(*durability);
        self.tools.iter().find_map(fits).unwrap_or(self.default)
    }
}

impl From<Durability> for DurabilityPolicy {
    /// One for every tool.
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
