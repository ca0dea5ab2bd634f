//! The witnesses that the configuration file names.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};
use tooltrail::seal::{KeyKind, VerifierKey};

/// How often witnesses are asked, unless the file says otherwise.
const INTERVAL_S: u64 = 60;

/// The witnesses, and how often they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WitnessSettings {
    /// The pause between two requests.
    pub(crate) interval: Duration,
    /// The witnesses.
    pub(crate) at: Vec<WitnessAt>,
}

/// One witness.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WitnessAt {
    /// The address below which it serves `add-checkpoint`.
    #[serde(deserialize_with = "url")]
    pub(crate) url: String,
    /// Its verifier key.
    #[serde(deserialize_with = "key")]
    pub(crate) key: VerifierKey,
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WitnessFile {
    /// The seconds between two requests.
    pub(crate) interval_s: Option<u64>,
    /// The witnesses.
    #[serde(default)]
    pub(crate) at: Vec<WitnessAt>,
}

impl WitnessFile {
    /// Returns the settings, with the default interval where the file has none.
    pub(crate) fn settings(&self) -> WitnessSettings {
        let interval = Duration::from_secs(self.interval_s.unwrap_or(INTERVAL_S).max(1));
        WitnessSettings { interval, at: self.at.clone() }
    }
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let url = String::deserialize(deserializer)?;
    if url.starts_with("http://") {
        return Ok(url);
    }
    Err(D::Error::custom("a witness is asked over http://; for https, put a proxy on this machine in front of it"))
}

fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VerifierKey, D::Error> {
    let key = VerifierKey::parse(&String::deserialize(deserializer)?);
    key.filter(|key| key.kind() == KeyKind::Witness)
        .ok_or_else(|| D::Error::custom("not the verifier key of a witness: `tooltrail witness` prints it"))
}
