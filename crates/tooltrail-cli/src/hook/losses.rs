//! What hooks could not record: one line each in a file, until a later hook tells it in the trail.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::private_folder;
use crate::regular_file::open_itself;

/// The longest file, in bytes: some thousand losses. Later ones are not counted.
const BYTES_MAX: u64 = 1 << 20;

/// The longest reason, in characters.
const WHY_CHARS_MAX: usize = 300;

/// The file of the losses.
#[derive(Clone, Debug)]
pub(crate) struct LossFile(PathBuf);

/// An event that was not recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost {
    /// When: RFC 3339, UTC.
    pub(crate) at: String,
    pub(crate) home: PathBuf,
    pub(crate) client: String,
    pub(crate) why: String,
}

impl LossFile {
    /// Returns the file in a folder for state.
    pub(crate) fn new(state: &Path) -> Self {
        Self(state.join("hooks.lost"))
    }

    /// Adds a loss. A failure is ignored: this file is the last place to tell one.
    pub(super) fn add(&self, mut lost: Lost) {
        if let Some((at, _)) = lost.why.char_indices().nth(WHY_CHARS_MAX) {
            lost.why.truncate(at);
        }
        let Ok(line) = serde_json::to_string(&lost) else { return };
        let _ = private_folder::create(self.0.parent().unwrap_or(Path::new("/")));
        // A hook must not write into another file, nor wait at a FIFO.
        let file = open_itself(OpenOptions::new().append(true).create(true).mode(0o600), &self.0);
        let Ok(mut file) = file else { return };
        if file.metadata().is_ok_and(|file| file.len() < BYTES_MAX) {
            // One write, so that hooks that run at the same time do not tear each other's lines.
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Returns the losses that are not told yet.
    pub(crate) fn read(&self) -> Vec<Lost> {
        read(&self.0)
    }

    /// Takes the losses of this home, and calls `tell` with their number. If it fails, they stay for another hook.
    pub(super) fn take(&self, home: &Path, tell: impl FnOnce(u64) -> bool) {
        let mine = self.0.with_extension(format!("lost.{}", std::process::id()));
        // Only one process can give the file another name.
        let is_file = self.0.symlink_metadata().is_ok_and(|file| file.is_file());
        if !is_file || std::fs::rename(&self.0, &mine).is_err() {
            return;
        }
        let (ours, others): (Vec<_>, Vec<_>) = read(&mine).into_iter().partition(|lost| lost.home == home);
        let is_told = ours.is_empty() || tell(ours.len() as u64);
        others.into_iter().for_each(|lost| self.add(lost));
        if !is_told {
            ours.into_iter().for_each(|lost| self.add(lost));
        }
        let _ = std::fs::remove_file(mine);
    }
}

fn read(path: &Path) -> Vec<Lost> {
    let mut text = String::new();
    let Ok(file) = open_itself(OpenOptions::new().read(true), path) else { return Vec::new() };
    if file.take(2 * BYTES_MAX).read_to_string(&mut text).is_err() {
        return Vec::new();
    }
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_once_and_stay_if_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let losses = LossFile::new(&folder.path().join("a/b"));
        let lost = |home: &str| Lost {
            at: String::new(),
            home: home.into(),
            client: "codex".to_owned(),
            why: "full".repeat(200),
        };
        let take = |home: &str, is_told: bool| {
            let mut told = None;
            losses.take(Path::new(home), |lost| {
                told = Some(lost);
                is_told
            });
            told
        };
        assert_eq!(take("/h", true), None);
        ["/h", "/other", "/h"].into_iter().for_each(|home| losses.add(lost(home)));
        assert_eq!(take("/h", false), Some(2));
        assert_eq!(take("/h", true), Some(2));
        assert_eq!(take("/h", true), None);
        assert_eq!(losses.read().len(), 1);
        assert_eq!(take("/other", true), Some(1));
        assert_eq!(std::fs::read_dir(folder.path().join("a/b")).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_file_is_not_waited_for_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let lost = || Lost { at: String::new(), home: "/h".into(), client: "codex".to_owned(), why: String::new() };
        let places: [&dyn Fn(&Path); 3] = [
            &|path| std::os::unix::fs::symlink(&target, path).unwrap(),
            &|path| std::fs::create_dir(path).unwrap(),
            &|path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()),
        ];
        for (number, make) in places.iter().enumerate() {
            let state = folder.path().join(number.to_string());
            std::fs::create_dir(&state).unwrap();
            make(&state.join("hooks.lost"));
            let losses = LossFile::new(&state);
            losses.add(lost());
            losses.take(Path::new("/h"), |_| panic!("nothing was stored"));
            assert_eq!(losses.read(), []);
        }
        assert!(!target.exists());
    }
}
