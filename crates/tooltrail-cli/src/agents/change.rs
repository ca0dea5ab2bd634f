//! A change of one file: what it was, and what it becomes.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use similar::{ChangeTag, TextDiff};

use crate::regular_file::open;

/// The longest settings file, in bytes. Real ones are shorter; Claude Code's state has some megabytes.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The lines around a change that are shown with it.
const CONTEXT_LINES: usize = 2;

/// The mode of a new file: settings may hold secrets.
const NEW_MODE: u32 = 0o600;

/// A change of one file. `None` means that the file is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The file itself, not a link to it.
    pub(crate) path: PathBuf,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

impl Change {
    /// Reads a file and returns a change that changes nothing yet. A link is followed, so that it stays a link.
    ///
    /// # Errors
    /// Why the file cannot be read or is no text.
    pub(crate) fn of(path: &Path) -> Result<Self, String> {
        let path = resolved(path);
        let before = read(&path).map_err(|error| format!("it cannot be read: {error}"))?;
        Ok(Self { path, after: before.clone(), before })
    }

    /// Whether the file stays as it is.
    pub(crate) fn is_none(&self) -> bool {
        self.before == self.after
    }

    /// Writes the file, unless it is no longer as it was read.
    ///
    /// # Errors
    /// Why it was not written.
    pub(crate) fn write(&self) -> Result<(), String> {
        if self.is_none() {
            return Ok(());
        }
        let now = read(&self.path).map_err(|error| format!("it cannot be read: {error}"))?;
        if now != self.before {
            return Err("another program changed it in this moment: run the same command again".to_owned());
        }
        let written = match &self.after {
            None => fs::remove_file(&self.path),
            Some(text) => replace(&self.path, text),
        };
        written.map_err(|error| format!("it cannot be written: {error}"))
    }

    /// Whether the file is still as it was written.
    pub(crate) fn stands(&self) -> bool {
        read(&self.path).is_ok_and(|now| now == self.after)
    }

    /// Returns the lines that change, each with `-` or `+`, and some lines around them.
    pub(crate) fn diff(&self) -> Vec<(char, String)> {
        line_diff(self.before.as_deref().unwrap_or(""), self.after.as_deref().unwrap_or(""))
    }
}

/// Returns the lines in which two texts differ, each with its sign, and some lines around them.
pub(crate) fn line_diff(before: &str, after: &str) -> Vec<(char, String)> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for (number, group) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if number > 0 {
            lines.push((' ', "…".to_owned()));
        }
        for line in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match line.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push((sign, line.value().trim_end_matches(['\n', '\r']).to_owned()));
        }
    }
    lines
}

/// Returns the file that a path refers to, which may be missing.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    // A link to a file that is missing.
    match fs::read_link(path) {
        Ok(target) => path.parent().unwrap_or(Path::new("/")).join(target),
        Err(_) => path.to_owned(),
    }
}

/// Reads a settings file; `None` if there is none.
///
/// # Errors
/// Any I/O error of the operating system, and if it is no regular file, no text, or too long.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        file => file?,
    };
    let mut text = String::new();
    let read = file.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > BYTES_MAX {
        return Err(io::Error::other("it is longer than 64 MiB"));
    }
    Ok(Some(text))
}

/// Replaces a file atomically, and keeps its mode and its owner.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let old = path.metadata().ok();
    if old.as_ref().is_some_and(|old| old.permissions().mode() & 0o200 == 0) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    let prefix = format!(".{name}.tooltrail-");
    remove_abandoned(folder, &prefix);
    let new = folder.join(format!("{prefix}{}", std::process::id()));
    let written = write_new(&new, text, old.as_ref()).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written?;
    File::open(folder)?.sync_all()
}

/// Removes what killed installers left: such a file holds the settings with their secrets.
fn remove_abandoned(folder: &Path, prefix: &str) {
    let is_alive = |pid: &str| {
        let pid = pid.parse().ok().and_then(rustix::process::Pid::from_raw);
        // A process of another account cannot be asked, so it counts as alive.
        pid.is_none_or(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
    };
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = file.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(prefix));
        if pid.is_some_and(|pid| !is_alive(pid)) {
            let _ = fs::remove_file(file.path());
        }
    }
}

fn write_new(path: &Path, text: &str, old: Option<&fs::Metadata>) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = File::options().write(true).create_new(true).mode(NEW_MODE).open(path)?;
    file.write_all(text.as_bytes())?;
    if let Some(old) = old {
        file.set_permissions(old.permissions())?;
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_at_the_target_of_its_link_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        fs::write(&real, "a\nb\nc\nd\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.json", &link).unwrap();
        let mut change = Change::of(&link).unwrap();
        assert!(change.is_none());
        change.after = Some("a\nb\nC\nd\n".to_owned());
        let diff = change.diff().into_iter().map(|(sign, line)| format!("{sign}{line}")).collect::<Vec<_>>();
        assert_eq!(diff, [" a", " b", "-c", "+C", " d"]);
        // An installer that was killed left its copy.
        fs::write(folder.path().join(".real.json.tooltrail-4194304"), "secret").unwrap();
        change.write().unwrap();
        assert!(change.stands() && fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        // Another program was faster.
        fs::write(&real, "other").unwrap();
        assert!(change.write().unwrap_err().contains("another program") && !change.stands());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        let new = Change { before: None, after: Some("x".to_owned()), path: folder.path().join("a/b/new.json") };
        new.write().unwrap();
        assert_eq!(fs::metadata(&new.path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&real, fs::Permissions::from_mode(0o400)).unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert!(Change::of(&fifo).unwrap_err().contains("no regular file"));
        let read_only = Change { before: Some("other".to_owned()), ..change };
        assert!(read_only.write().unwrap_err().contains("read-only"));
    }
}
