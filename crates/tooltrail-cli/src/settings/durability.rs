//! The durability of each tool's entries: from the flag or the environment for all tools, else from the configuration
//! file.

use std::fmt;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::{Deserialize, Deserializer, de};
use tooltrail::{Durability, DurabilityPolicy};

/// The flag of every command that writes entries.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct DurabilityArgs {
    /// How durable an entry must be before it is acknowledged, whatever its tool [default: grouped]
    #[arg(long, value_name = "MODE", env = "TOOLTRAIL_DURABILITY", hide_env_values = true,
        value_parser = PossibleValuesParser::new(Durability::ALL.map(Durability::as_str))
            .map(|word| Durability::parse(&word).unwrap_or_default()))]
    durability: Option<Durability>,
}

impl DurabilityArgs {
    /// Returns the durability of each tool: the flag's for all tools, else the policy of the file.
    pub(crate) fn over(&self, file: Option<&DurabilityPolicy>) -> DurabilityPolicy {
        self.durability.map(DurabilityPolicy::from).or_else(|| file.cloned()).unwrap_or_default()
    }
}

/// Deserializes one word for all tools, or a table with a default and tool patterns.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DurabilityPolicy>, D::Error> {
    deserializer.deserialize_any(Written).map(Some)
}

struct Written;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Buffered,
    Grouped,
    Strict,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    default: Option<Word>,
    #[serde(default)]
    tools: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    tool: String,
    durability: Word,
}

impl From<Word> for Durability {
    fn from(word: Word) -> Self {
        match word {
            Word::Buffered => Self::Buffered,
            Word::Grouped => Self::Grouped,
            Word::Strict => Self::Strict,
        }
    }
}

impl<'de> de::Visitor<'de> for Written {
    type Value = DurabilityPolicy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("buffered, grouped or strict, or a table of a default and tools")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<DurabilityPolicy, E> {
        Word::deserialize(StrDeserializer::new(word)).map(|word| Durability::from(word).into())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<DurabilityPolicy, A::Error> {
        let Table { default, tools } = Table::deserialize(MapAccessDeserializer::new(map))?;
        let mut durability = DurabilityPolicy::from(default.map_or_else(Durability::default, Durability::from));
        durability.tools.extend(tools.into_iter().map(|row| (row.tool, row.durability.into())));
        Ok(durability)
    }
}
