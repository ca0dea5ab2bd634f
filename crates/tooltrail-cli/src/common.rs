//! The flags that every command takes: where the home and the keys are, and how to print.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tooltrail::{Home, Options, Recorder, Redactor, Trail, Zone};

use crate::config::{self, Config};
use crate::failure::Failure;
use crate::retention::Flags;

/// Heading of these flags in the help of each command.
const HEADING: &str = "Everywhere";

/// Flags that may stand after any command.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Common {
    /// The root folder of all trails [default: $XDG_DATA_HOME/tooltrail or ~/.local/share/tooltrail]
    #[arg(long, global = true, value_name = "DIR", env = "TOOLTRAIL_HOME", hide_env_values = true, help_heading = HEADING)]
    pub(crate) home: Option<PathBuf>,

    /// The home's keys and tokens, never below the home [default: a folder of the home's id below $XDG_STATE_HOME/tooltrail
    /// or ~/.local/state/tooltrail]
    #[arg(long, global = true, value_name = "DIR", env = "TOOLTRAIL_KEYS", hide_env_values = true, hide_short_help = true, help_heading = HEADING)]
    pub(crate) keys: Option<PathBuf>,

    /// The configuration file [default: tooltrail/tooltrail.toml in $XDG_CONFIG_HOME or ~/.config]
    #[arg(long, global = true, value_name = "FILE", env = "TOOLTRAIL_CONFIG", hide_env_values = true, hide_short_help = true, help_heading = HEADING)]
    pub(crate) config: Option<PathBuf>,

    /// The zone of times that name none, such as Europe/Berlin [default: the system's]
    #[arg(long, global = true, value_name = "ZONE", env = "TOOLTRAIL_ZONE", hide_env_values = true, hide_short_help = true, help_heading = HEADING)]
    pub(crate) zone: Option<String>,

    /// New files and folders may be read by their group (0640 and 0750)
    #[arg(long, global = true, env = "TOOLTRAIL_GROUP", hide_env_values = true, hide_short_help = true, help_heading = HEADING,
        value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) group: Option<bool>,

    /// Write to a home on a network file system too, where entries can be lost and cut in two
    #[arg(long, global = true, env = "TOOLTRAIL_FORCE_NETWORK_HOME", hide_env_values = true, hide_short_help = true, help_heading = HEADING,
        value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) force_network_home: Option<bool>,

    /// Print JSON for programs instead of text for people
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) json: bool,

    /// When to colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Colour::Auto, hide_short_help = true, help_heading = HEADING)]
    pub(crate) color: Colour,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Common {
    /// Returns the home's path, which need not exist.
    pub(crate) fn home_path(&self) -> Result<PathBuf, Failure> {
        match named(self.home.as_deref()) {
            Some(path) => Ok(path.to_owned()),
            None => Ok(user_folder("XDG_DATA_HOME", ".local/share", "--home")?.join("tooltrail")),
        }
    }

    /// Opens the home to read it; a missing one is a failure.
    pub(crate) fn open_home(&self) -> Result<Home, Failure> {
        Ok(Home::open(self.home_path()?)?)
    }

    /// Opens the home to write to it, and makes a missing one.
    pub(crate) fn create_home(&self) -> Result<Home, Failure> {
        let (path, config) = (self.home_path()?, self.config()?);
        let create = if self.force_network_home(&config) { Home::create_even_on_network } else { Home::create };
        Ok(create(path, self.group(&config))?)
    }

    /// Returns the folder of the home's keys and tokens, which need not exist.
    pub(crate) fn keys_path(&self, home: &Home) -> Result<PathBuf, Failure> {
        let keys = match named(self.keys.as_deref()) {
            Some(path) => path.to_owned(),
            None => user_folder("XDG_STATE_HOME", ".local/state", "--keys")?.join("tooltrail").join(home.id()?),
        };
        // Agents may read the home; whoever can read the keys can sign in as anybody.
        if resolved(&keys).starts_with(resolved(home.root())) {
            return Err(Failure::could_not(
                format!("the keys would lie below the home, in {}", keys.display()),
                "name another folder with --keys",
            ));
        }
        Ok(keys)
    }

    /// Returns what the configuration file says.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        Config::load(named(self.config.as_deref()))
    }

    /// Returns the configuration file that is read, `None` where there is none.
    pub(crate) fn config_path(&self) -> Option<String> {
        let own = || config::default_path().filter(|path| path.exists());
        named(self.config.as_deref()).map(Path::to_owned).or_else(own).map(|path| path.display().to_string())
    }

    /// Whether the group may read what is new: the flag's or the environment's word, else the file's.
    pub(crate) fn group(&self, config: &Config) -> bool {
        self.group.or(config.group).unwrap_or_default()
    }

    /// Whether a home on a network file system may be written, likewise.
    pub(crate) fn force_network_home(&self, config: &Config) -> bool {
        self.force_network_home.or(config.force_network_home).unwrap_or_default()
    }

    /// Returns the zone of naive times: the flag's, the environment's, the file's or the system's.
    pub(crate) fn zone(&self) -> Result<Zone, Failure> {
        let config = self.config()?;
        match self.zone.as_deref().filter(|zone| !zone.is_empty()).or(config.zone.as_deref()) {
            Some(name) => Ok(Zone::named(name)?),
            None => Ok(Zone::system()),
        }
    }

    /// Opens the home's entries to read them.
    pub(crate) fn trail(&self) -> Result<Trail, Failure> {
        let zone = self.zone()?;
        Ok(Trail::new(self.open_home()?, crate::clock::clock(), zone))
    }

    /// Puts the path of the configuration file before what is wrong in it.
    pub(crate) fn in_config(&self, failure: Failure) -> Failure {
        match (failure, self.config_path()) {
            (Failure::Told { what, hint, exit }, Some(path)) => {
                Failure::Told { what: format!("{path}: {what}"), hint, exit }
            }
            (failure, _) => failure,
        }
    }

    /// Returns what finds secrets, with the rules of the configuration file; its marks carry no tags.
    pub(crate) fn redactor(&self) -> Result<Redactor, Failure> {
        let rules = self.config()?.redact.rules().map_err(|failure| self.in_config(failure))?;
        Ok(Redactor::with(None, &rules))
    }

    /// Opens the recorder of a home.
    pub(crate) fn recorder(&self, home: &Home) -> Result<Recorder, Failure> {
        let mut options = Options::new(home.root());
        options.keys = Some(self.keys_path(home)?);
        let config = self.config()?;
        options.clock = crate::clock::clock();
        options.group = self.group(&config);
        options.force_network_home = self.force_network_home(&config);
        options.rules = config.redact.rules().map_err(|failure| self.in_config(failure))?;
        options.retention = Flags::default().retention(&config.retention)?;
        Ok(options.open()?)
    }
}

/// Returns a user's folder: the variable's where it is an absolute path, else one below `$HOME`.
pub(crate) fn user_folder(variable: &str, below_home: &str, flag: &str) -> Result<PathBuf, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home))).ok_or_else(|| {
        Failure::could_not(format!("neither {variable} nor HOME names a folder"), format!("name one with {flag}"))
    })
}

/// Returns the word by which a value is chosen.
pub(crate) fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Returns a path that is not empty: an empty variable counts as unset.
fn named(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !path.as_os_str().is_empty())
}

/// Returns a path without links and `..`, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for there in path.ancestors() {
        if let Ok(real) = there.canonicalize() {
            let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
            return rest.components().fold(real, |so_far, part| match part {
                std::path::Component::ParentDir => so_far.parent().map(Path::to_owned).unwrap_or(so_far),
                part => so_far.join(part),
            });
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::{Common, resolved};
    use tooltrail::Home;

    #[test]
    fn keys_below_the_home_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(folder.path().join("home"), false).unwrap();
        std::os::unix::fs::symlink(folder.path().join("home"), folder.path().join("link")).unwrap();
        std::fs::create_dir(folder.path().join("beside")).unwrap();
        for (keys, allowed) in [
            ("home", false),
            ("home/keys", false),
            ("home/a/b/c", false),
            ("link/keys", false),
            ("missing/../home/keys", false),
            ("beside/../home/keys", false),
            ("beside", true),
            ("home-of-keys", true),
            ("missing/deep", true),
            ("home/../keys", true),
        ] {
            let common = Common { keys: Some(folder.path().join(keys)), ..Common::default() };
            assert_eq!(common.keys_path(&home).is_ok(), allowed, "{keys}");
        }
        assert!(resolved(std::path::Path::new("/")).is_absolute());
    }
}
