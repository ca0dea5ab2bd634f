//! The arguments of an installed hook.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::hook::client::Client;

/// The arguments of an installed hook. They are read without the parser of the other commands, which takes longer than
/// the rest of a hook; and no environment variable of ours counts, because the settings of a project can set them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HookArgs {
    /// The client; `None` if the name is unknown.
    pub(crate) client: Option<Client>,
    /// The event, for a client that does not tell it with the event.
    pub(crate) event: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) keys: Option<PathBuf>,
    pub(crate) config: Option<PathBuf>,
    /// The folder in which losses and the switch are.
    pub(crate) state: Option<PathBuf>,
    /// The service to which the entries are delivered; `None` if they are recorded in the home.
    pub(crate) to: Option<String>,
    /// The file with the token for it.
    pub(crate) token_file: Option<PathBuf>,
}

impl HookArgs {
    /// Reads the arguments after `hook`. Unknown ones are ignored, so that a hook that a newer version installed does not
    /// fail.
    pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Self {
        let mut parsed = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let text = arg.to_string_lossy();
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(OsString::from(value))),
                None => (&*text, None),
            };
            let mut value = || value.clone().or_else(|| args.next()).filter(|value| !value.is_empty());
            match name {
                "--event" => parsed.event = value().map(|event| event.to_string_lossy().into_owned()),
                "--user" => parsed.user = value().map(|user| user.to_string_lossy().into_owned()),
                "--home" => parsed.home = value().map(PathBuf::from),
                "--keys" => parsed.keys = value().map(PathBuf::from),
                "--config" => parsed.config = value().map(PathBuf::from),
                "--state" => parsed.state = value().map(PathBuf::from),
                "--to" => parsed.to = value().map(|to| to.to_string_lossy().into_owned()),
                "--token-file" => parsed.token_file = value().map(PathBuf::from),
                name if !name.starts_with('-') && parsed.client.is_none() => parsed.client = Client::parse(name),
                _ => {}
            }
        }
        parsed
    }

    /// Returns the arguments for [`HookArgs::parse`].
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let mut args = self.client.map(|client| OsString::from(client.name())).into_iter().collect::<Vec<_>>();
        let texts = [("--event", &self.event), ("--user", &self.user), ("--to", &self.to)];
        let paths = [
            ("--home", &self.home),
            ("--keys", &self.keys),
            ("--config", &self.config),
            ("--state", &self.state),
            ("--token-file", &self.token_file),
        ];
        for (name, value) in texts {
            args.extend(value.iter().flat_map(|value| [OsString::from(name), OsString::from(value)]));
        }
        for (name, value) in paths {
            args.extend(value.iter().flat_map(|value| [OsString::from(name), value.clone().into_os_string()]));
        }
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_read_as_they_are_installed() {
        let args = HookArgs {
            client: Some(Client::Copilot),
            event: Some("preToolUse".to_owned()),
            user: Some("alice".to_owned()),
            home: Some("/h o/me".into()),
            keys: Some("/k".into()),
            config: Some("/c.toml".into()),
            state: Some("/s".into()),
            to: Some("unix:/run/s".to_owned()),
            token_file: Some("/t".into()),
        };
        assert_eq!(HookArgs::parse(args.to_args()), args);
        let given = ["codex", "--home=/h", "--later", "--user", "", "extra"].map(OsString::from);
        let expected = HookArgs { client: Some(Client::Codex), home: Some("/h".into()), ..HookArgs::default() };
        assert_eq!(HookArgs::parse(given), expected);
        assert_eq!(HookArgs::parse(["vim"].map(OsString::from)).client, None);
    }
}
