//! What files were before we changed them, so that they can be given back byte for byte.
//!
//! The copies lie in the folder for state and not beside the files: they hold secrets, and beside a file in a project they
//! would end in its repository.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tooltrail::hex;

use crate::agents::change::Change;

/// The most copies that are kept. Only the newest of each file is needed to give it back.
const COPIES_MAX: usize = 100;

/// The copies of changed files, and which file each belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Undo {
    folder: PathBuf,
}

/// What we know about a file that we changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Changed {
    path: PathBuf,
    /// The hash of the file as we left it.
    after_sha256: String,
    /// The name of the copy of the file as it was before; `None` if there was no file.
    copy: Option<String>,
}

impl Undo {
    /// Returns the copies in a folder for state.
    pub(crate) fn new(state: &Path) -> Self {
        Self { folder: state.join("agents") }
    }

    /// Keeps a copy of the file before a change, unless the file is still as an earlier change of ours left it: then the
    /// copy of before that change is the one to give back.
    ///
    /// # Errors
    /// Why the copy cannot be kept. The file must not be changed then.
    pub(crate) fn remember(&self, change: &Change) -> Result<(), String> {
        self.try_remember(change)
            .map_err(|error| format!("no copy of it can be kept in {}: {error}", self.folder.display()))
    }

    fn try_remember(&self, change: &Change) -> io::Result<()> {
        let mut all = self.read();
        let known = all.iter().position(|changed| changed.path == change.path);
        let is_ours = |changed: &Changed| change.before.as_deref().map(sha256).as_ref() == Some(&changed.after_sha256);
        let copy = match known.map(|known| &all[known]).filter(|changed| is_ours(changed)) {
            Some(changed) => changed.copy.clone(),
            None => change.before.as_deref().map(|text| self.copy(&change.path, text)).transpose()?,
        };
        let after_sha256 = change.after.as_deref().map(sha256).unwrap_or_default();
        let changed = Changed { path: change.path.clone(), after_sha256, copy };
        match known {
            Some(known) => all[known] = changed,
            None => all.push(changed),
        }
        self.write(&all)
    }

    /// Returns the file as it was before our change if nobody else has changed it since; the inner `None` means that there
    /// was no file.
    pub(crate) fn original(&self, path: &Path, now: Option<&str>) -> Option<Option<String>> {
        let changed = self.read().into_iter().find(|changed| changed.path == path)?;
        if Some(changed.after_sha256) != now.map(sha256) {
            return None;
        }
        match changed.copy {
            None => Some(None),
            Some(copy) => fs::read_to_string(self.folder.join(copy)).ok().map(Some),
        }
    }

    /// Returns the file as it was before our first change, whatever happened to it since; `None` if there was none, or if
    /// nothing is known.
    pub(crate) fn before(&self, path: &Path) -> Option<String> {
        let changed = self.read().into_iter().find(|changed| changed.path == path)?;
        fs::read_to_string(self.folder.join(changed.copy?)).ok()
    }

    /// Forgets a file that was given back.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn forget(&self, path: &Path) -> io::Result<()> {
        let mut all = self.read();
        all.retain(|changed| changed.path != path);
        self.write(&all)
    }

    fn read(&self) -> Vec<Changed> {
        let text = fs::read_to_string(self.list()).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn write(&self, all: &[Changed]) -> io::Result<()> {
        self.create()?;
        let new = self.folder.join(format!("changed.json.{}", std::process::id()));
        let _ = fs::remove_file(&new);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        serde_json::to_writer_pretty(&mut file, all)?;
        file.sync_all()?;
        fs::rename(new, self.list())
    }

    /// Writes a copy and returns its name.
    fn copy(&self, path: &Path, text: &str) -> io::Result<String> {
        self.create()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for number in 0.. {
            let copy = format!("{}-{number}-{name}", crate::clock::now().as_millis());
            match File::options().write(true).create_new(true).mode(0o600).open(self.folder.join(&copy)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => {
                    let mut file = file?;
                    file.write_all(text.as_bytes())?;
                    file.sync_all()?;
                    self.remove_old()?;
                    return Ok(copy);
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Removes the oldest copies that no file needs.
    fn remove_old(&self) -> io::Result<()> {
        let needed = self.read().into_iter().filter_map(|changed| changed.copy).collect::<Vec<_>>();
        let names = fs::read_dir(&self.folder)?.flatten().filter_map(|file| file.file_name().into_string().ok());
        let mut copies = names.filter(|name| name.starts_with(|c: char| c.is_ascii_digit())).collect::<Vec<_>>();
        copies.sort();
        let spare = copies.len().saturating_sub(COPIES_MAX);
        copies[..spare]
            .iter()
            .filter(|copy| !needed.contains(copy))
            .try_for_each(|copy| fs::remove_file(self.folder.join(copy)))
    }

    fn create(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)
    }

    fn list(&self) -> PathBuf {
        self.folder.join("changed.json")
    }
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_given_back_only_if_nobody_else_has_changed_it() {
        let folder = tempfile::tempdir().unwrap();
        let undo = Undo::new(folder.path());
        let change = |before: Option<&str>, after: &str| Change {
            path: "/x/settings.json".into(),
            before: before.map(str::to_owned),
            after: Some(after.to_owned()),
        };
        let path = Path::new("/x/settings.json");
        assert_eq!(undo.original(path, Some("b")), None);
        undo.remember(&change(Some("a"), "b")).unwrap();
        undo.remember(&change(Some("b"), "c")).unwrap();
        assert_eq!(undo.original(path, Some("c")), Some(Some("a".to_owned())));
        assert_eq!(undo.original(path, Some("other")), None);
        undo.remember(&change(Some("other"), "d")).unwrap();
        assert_eq!(undo.original(path, Some("d")), Some(Some("other".to_owned())));
        undo.forget(path).unwrap();
        assert_eq!(undo.original(path, Some("d")), None);
        undo.remember(&change(None, "e")).unwrap();
        assert_eq!(undo.original(path, Some("e")), Some(None));
    }
}
