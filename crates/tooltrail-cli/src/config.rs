//! The configuration file, of which unknown keys are errors.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::common::user_folder;
use crate::failure::Failure;

/// Longest configuration file: nobody writes a longer one, and a wrong path must not fill the memory.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// What `tooltrail.toml` can say.
#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The zone of times that name none.
    pub(crate) zone: Option<String>,
}

impl Config {
    /// Reads the named file, which must exist, or the user's own, which need not.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, Failure> {
        match path {
            Some(path) => {
                let text = read(path).map_err(|error| Failure::io("read", path.display(), &error))?;
                Self::parse(&text, path)
            }
            None => {
                let Some(path) = default_path() else { return Ok(Self::default()) };
                match read(&path) {
                    Ok(text) => Self::parse(&text, &path),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
                    Err(error) => Err(Failure::io("read", path.display(), &error)),
                }
            }
        }
    }

    /// Reads the text of a file.
    fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| {
            let what = format!("{}: {}", path.display(), error.to_string().trim_end());
            Failure::could_not(what, "the only key is zone, as in zone = \"Europe/Berlin\"")
        })
    }
}

/// Returns where the user's own file is; without a home folder there is none.
fn default_path() -> Option<PathBuf> {
    Some(user_folder("XDG_CONFIG_HOME", ".config", "--config").ok()?.join("tooltrail").join("tooltrail.toml"))
}

/// Reads a whole small text file.
fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > CONFIG_BYTES_MAX {
        return Err(std::io::Error::other("longer than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::Config;
    use std::path::Path;

    #[test]
    fn known_keys_are_read_and_unknown_ones_refused() {
        let check = |text: &str, expected: Option<&str>| {
            let read = Config::parse(text, Path::new("tooltrail.toml"));
            assert_eq!(read.ok().map(|config| config.zone.unwrap_or_default()), expected.map(str::to_owned), "{text}");
        };
        check("", Some(""));
        check("zone = \"Europe/Berlin\"", Some("Europe/Berlin"));
        check("zone = 3", None);
        check("zones = \"UTC\"", None);
        check("zone", None);
    }
}
