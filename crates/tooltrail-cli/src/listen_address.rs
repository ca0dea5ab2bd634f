//! Where the service listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The beginning of the address of a Unix socket.
const UNIX: &str = "unix:";

/// An address on which the service listens: a TCP port, or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether other machines can reach it.
    pub(crate) const fn is_reached_from_outside(&self) -> bool {
        match self {
            Self::Tcp(address) => !address.ip().is_loopback(),
            Self::Unix(_) => false,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(UNIX).map(PathBuf::from) {
            // A relative path would depend on the folder in which the service was started.
            Some(path) if path.is_absolute() => Ok(Self::Unix(path)),
            Some(_) => Err("the path of a socket begins with /, as in unix:/run/tooltrail/socket".to_owned()),
            None => text.parse().map(Self::Tcp).map_err(|error| error.to_string()),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads one address or a list of them from the configuration file.
///
/// # Errors
/// One of them is no address.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<ListenAddress>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    let texts = match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(text) => vec![text],
        OneOrMore::More(texts) => texts,
    };
    let parsed = texts.iter().map(|text| text.parse()).collect::<Result<Vec<_>, String>>();
    parsed.map(Some).map_err(serde::de::Error::custom)
}
