//! A small file per proxy that says what it could not record, for the next proxy and for people who look for the reason.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::private_folder;

/// The longest status file that is read, in bytes. Ours have some hundred.
const STATUS_BYTES_MAX: u64 = 16 * 1024;

/// The most status files that one proxy looks at: more than proxies run at the same time.
const FILES_MAX: usize = 1_000;

/// What a proxy could not record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loss {
    /// When this was written: RFC 3339, UTC.
    pub(crate) at: String,
    pub(crate) pid: u32,
    pub(crate) home: PathBuf,
    pub(crate) user: String,
    pub(crate) server: Option<String>,
    /// Why nothing was recorded.
    pub(crate) why: String,
    /// The calls that were lost.
    pub(crate) lost: u64,
}

/// The folder of the status files, `tooltrail/mcp` in the user's folder for state.
#[derive(Clone, Debug)]
pub(crate) struct StatusFolder(Option<PathBuf>);

impl StatusFolder {
    /// Returns the folder. Without one, nothing is written.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self(folder)
    }

    /// Writes the file of this process. A failure is ignored: this file is the last place to tell a failure.
    pub(crate) fn write(&self, loss: &Loss) {
        let Some(folder) = &self.0 else { return };
        let Ok(text) = serde_json::to_string(loss) else { return };
        let (new, path) = (folder.join(format!("{}.new", loss.pid)), path(folder, loss.pid));
        let _ = private_folder::create(folder);
        if std::fs::write(&new, text + "\n").is_ok() {
            let _ = std::fs::rename(new, path);
        }
    }

    /// Removes the file of this process.
    pub(crate) fn remove(&self, pid: u32) {
        if let Some(folder) = &self.0 {
            let _ = std::fs::remove_file(path(folder, pid));
        }
    }

    /// Returns what proxies of this home could not record and no other one has told yet.
    pub(crate) fn losses(&self, home: &Path) -> Vec<Loss> {
        let Some(folder) = &self.0 else { return Vec::new() };
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().take(FILES_MAX);
        files.filter_map(|file| read(&file.path())).filter(|loss| loss.home == home).collect()
    }

    /// Takes the losses of proxies of this home that have ended, and removes their files. Returns the lost calls.
    pub(crate) fn take(&self, home: &Path) -> u64 {
        let Some(folder) = &self.0 else { return 0 };
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().take(FILES_MAX);
        let mut lost = 0;
        for file in files.map(|file| file.path()) {
            let Some(loss) = read(&file) else {
                remove_leftover(&file);
                continue;
            };
            if loss.home != home || is_alive(loss.pid) {
                continue;
            }
            // Only one proxy can give the file another name, so its losses are told once.
            let mine = folder.join(format!("{}.taken-by-{}", loss.pid, std::process::id()));
            if std::fs::rename(&file, &mine).is_ok() {
                lost += loss.lost;
                let _ = std::fs::remove_file(mine);
            }
        }
        lost
    }
}

/// Removes what a proxy left that ended while it wrote: a file under its first name, or one that cannot be read because
/// the disk was full.
fn remove_leftover(file: &Path) {
    let is_ours = file.extension().is_some_and(|extension| extension == "new" || extension == "json");
    let pid = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
    if is_ours && pid.is_some_and(|pid| !is_alive(pid)) {
        let _ = std::fs::remove_file(file);
    }
}

fn path(folder: &Path, pid: u32) -> PathBuf {
    folder.join(format!("{pid}.json"))
}

fn read(path: &Path) -> Option<Loss> {
    if path.extension()? != "json" || !std::fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(STATUS_BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Whether a process of this number exists.
fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_ended_proxies_are_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let status = StatusFolder::new(Some(folder.path().join("a/b")));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let loss = |pid, home: &str, lost| Loss {
            at: String::new(),
            pid,
            home: home.into(),
            user: "alice".to_owned(),
            server: None,
            why: "full".to_owned(),
            lost,
        };
        status.write(&loss(child.id(), "/h", 3));
        status.write(&loss(std::process::id(), "/h", 5));
        let write = |name: &str| std::fs::write(folder.path().join("a/b").join(name), "nonsense").unwrap();
        let unreadable = [format!("{}.new", child.id()), "4194304.json".to_owned(), "notes.json".to_owned()];
        unreadable.iter().for_each(|name| write(name));
        assert_eq!(status.losses(Path::new("/h")).iter().map(|loss| loss.lost).sum::<u64>(), 8);
        assert_eq!(status.take(Path::new("/other")), 0);
        assert_eq!(status.take(Path::new("/h")), 3);
        assert_eq!(status.take(Path::new("/h")), 0);
        // What no living process can be writing is removed; what is not ours stays.
        let left = unreadable.map(|name| folder.path().join("a/b").join(name).exists());
        assert_eq!(left, [false, false, true]);
        status.remove(std::process::id());
        assert!(!folder.path().join(format!("a/b/{}.json", std::process::id())).exists());
        StatusFolder::new(None).write(&loss(1, "/h", 1));
    }
}
