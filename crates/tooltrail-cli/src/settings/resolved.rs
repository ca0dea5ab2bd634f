//! The settings of one run. Flags take precedence over the environment, and the environment over the configuration
//! file.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tooltrail::{Home, Options, Recorder, Redactor, Retention, Trail, Zone};

use crate::failure::Failure;
use crate::settings::file::{self, ConfigFile};
use crate::settings::flags::GlobalFlags;
use crate::settings::folders::{named, resolved, user_folder};
use crate::settings::retention::RetentionFlags;

/// The settings of one run. The configuration file is parsed once, when it is first needed, so that a command that does
/// not need it, such as `completions`, works with a broken file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The flags that every command takes, with their environment variables.
    pub(crate) flags: GlobalFlags,
    file: OnceLock<ConfigFile>,
}

impl Settings {
    /// Returns the settings for these flags.
    pub(crate) fn new(flags: GlobalFlags) -> Self {
        Self { flags, file: OnceLock::new() }
    }

    /// Returns the same settings without a configuration file, for one that cannot be read.
    pub(crate) fn without_file(&self) -> Self {
        Self { flags: self.flags.clone(), file: OnceLock::from(ConfigFile::default()) }
    }

    /// Returns the path of the home, which may not exist yet.
    pub(crate) fn home_path(&self) -> Result<PathBuf, Failure> {
        match named(self.flags.home.as_deref()) {
            Some(path) => Ok(path.to_owned()),
            None => Ok(user_folder("XDG_DATA_HOME", ".local/share", "--home")?.join("tooltrail")),
        }
    }

    /// Opens the home to read it; fails if it does not exist.
    pub(crate) fn open_home(&self) -> Result<Home, Failure> {
        Ok(Home::open(self.home_path()?)?)
    }

    /// Opens the home to write to it; creates it if it does not exist.
    pub(crate) fn create_home(&self) -> Result<Home, Failure> {
        let path = self.home_path()?;
        let create = if self.force_network_home()? { Home::create_even_on_network } else { Home::create };
        Ok(create(path, self.group()?)?)
    }

    /// Returns the folder of the home's keys and tokens, which may not exist yet.
    pub(crate) fn keys_path(&self, home: &Home) -> Result<PathBuf, Failure> {
        let keys = match named(self.flags.keys.as_deref()) {
            Some(path) => path.to_owned(),
            None => user_folder("XDG_STATE_HOME", ".local/state", "--keys")?.join("tooltrail").join(home.id()?),
        };
        // Agents may be able to read the home, and a process that can read the keys can act as any user.
        if resolved(&keys).starts_with(resolved(home.root())) {
            return Err(Failure::could_not(
                format!("the keys would lie below the home, in {}", keys.display()),
                "name another folder with --keys",
            ));
        }
        Ok(keys)
    }

    /// Returns the file with the seed of the log's signing key, if it is not in the folder of keys: named by
    /// `TOOLTRAIL_LOG_KEY`, or given by the service manager as the credential `tooltrail-log.key`.
    pub(crate) fn log_key(&self) -> Option<PathBuf> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let credential = variable("CREDENTIALS_DIRECTORY").map(|folder| folder.join("tooltrail-log.key"));
        variable("TOOLTRAIL_LOG_KEY").or(credential.filter(|file| file.exists()))
    }

    /// Returns the parsed configuration file.
    pub(crate) fn file(&self) -> Result<&ConfigFile, Failure> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = ConfigFile::load(named(self.flags.config.as_deref()))?;
        Ok(self.file.get_or_init(|| file))
    }

    /// Returns the path of the configuration file that is used; `None` if there is none.
    pub(crate) fn config_path(&self) -> Option<String> {
        let own = || file::default_path().filter(|path| path.exists());
        named(self.flags.config.as_deref()).map(Path::to_owned).or_else(own).map(|path| path.display().to_string())
    }

    /// Whether the group may read new files and folders: from the flag or the environment, else from the file.
    pub(crate) fn group(&self) -> Result<bool, Failure> {
        Ok(self.flags.group.or(self.file()?.group).unwrap_or_default())
    }

    /// Whether a home on a network file system may be written: from the flag or the environment, else from the file.
    pub(crate) fn force_network_home(&self) -> Result<bool, Failure> {
        Ok(self.flags.force_network_home.or(self.file()?.force_network_home).unwrap_or_default())
    }

    /// Returns the time zone for times without one: from the flag, the environment, the file or the system.
    pub(crate) fn zone(&self) -> Result<Zone, Failure> {
        match self.flags.zone.as_deref().filter(|zone| !zone.is_empty()).or(self.file()?.zone.as_deref()) {
            Some(name) => Ok(Zone::named(name)?),
            None => Ok(Zone::system()),
        }
    }

    /// Opens the trail of the home to read its entries.
    pub(crate) fn trail(&self) -> Result<Trail, Failure> {
        let zone = self.zone()?;
        Ok(Trail::new(self.open_home()?, crate::clock::clock(), zone))
    }

    /// Returns the failure with the path of the configuration file before its text.
    pub(crate) fn in_config(&self, failure: Failure) -> Failure {
        match (failure, self.config_path()) {
            (Failure::Told { what, hint, exit }, Some(path)) => {
                Failure::Told { what: format!("{path}: {what}"), hint, exit }
            }
            (failure, _) => failure,
        }
    }

    /// Returns a redactor with the rules of the configuration file. It has no key, so its marks have no tags.
    pub(crate) fn redactor(&self) -> Result<Redactor, Failure> {
        let rules = self.file()?.redact.rules().map_err(|failure| self.in_config(failure))?;
        Ok(Redactor::with(None, &rules))
    }

    /// Returns the retention limits of the configuration file.
    pub(crate) fn retention(&self) -> Result<Retention, Failure> {
        RetentionFlags::default().retention(&self.file()?.retention)
    }

    /// Opens the recorder of a home.
    pub(crate) fn recorder(&self, home: &Home) -> Result<Recorder, Failure> {
        Ok(self.options(home)?.open()?)
    }

    /// Returns the same settings for another home.
    pub(crate) fn with_home(&self, home: &Path) -> Self {
        Self { flags: GlobalFlags { home: Some(home.to_owned()), ..self.flags.clone() }, ..self.clone() }
    }

    /// Returns the options with which the home of a spool is opened. It has no keys: what leaves it is sealed by the
    /// service.
    pub(crate) fn spool_options(&self, home: &Home) -> Result<Options, Failure> {
        let mut options = Options::new(home.root());
        options.clock = crate::clock::clock();
        options.rules = self.file()?.redact.rules().map_err(|failure| self.in_config(failure))?;
        options.seals_when_idle = false;
        Ok(options)
    }

    /// Returns the options with which a home is opened for recording.
    pub(crate) fn options(&self, home: &Home) -> Result<Options, Failure> {
        let mut options = Options::new(home.root());
        options.keys = Some(self.keys_path(home)?);
        options.clock = crate::clock::clock();
        options.group = self.group()?;
        options.force_network_home = self.force_network_home()?;
        options.rules = self.file()?.redact.rules().map_err(|failure| self.in_config(failure))?;
        options.retention = self.retention()?;
        options.origin = self.file()?.log.origin.clone();
        options.log_key = self.log_key();
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::{GlobalFlags, Settings, resolved};
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
            let settings =
                Settings::new(GlobalFlags { keys: Some(folder.path().join(keys)), ..GlobalFlags::default() });
            assert_eq!(settings.keys_path(&home).is_ok(), allowed, "{keys}");
        }
        assert!(resolved(std::path::Path::new("/")).is_absolute());
    }
}
