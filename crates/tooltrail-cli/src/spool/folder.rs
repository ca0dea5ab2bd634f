//! The folder of a spool.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};
use tooltrail::hex;

use crate::private_folder;
use crate::regular_file::open_itself;
use crate::spool::day_file::DayFile;
use crate::spool::position::Position;

/// The most bytes of lines that wait for the service. Later calls are lost and counted; the service gets a gap. Some
/// hundred thousand calls fit, or a few days of a busy agent.
const SPOOL_BYTES_MAX: u64 = 128 << 20;

/// The characters of the hash that names a spool.
const NAME_CHARS: usize = 16;

/// The most bytes that are read of the reason of a failure.
const FAILURE_BYTES_MAX: u64 = 4 * 1024;

/// The folder of the trail below the folder of a user.
const TRAIL: &str = "tool_audit";

/// What waits for one service.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
}

impl Spool {
    /// Returns the spool for a service in a folder for state.
    pub(crate) fn new(state: &Path, service: &str) -> Self {
        let name = &hex(&Sha256::digest(service.as_bytes()))[..NAME_CHARS];
        Self { folder: state.join("spool").join(name) }
    }

    /// Returns the home into which is recorded.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of a day file.
    pub(super) fn path(&self, file: &DayFile) -> PathBuf {
        self.home().join(&file.folder).join(TRAIL).join(format!("{}.jsonl", file.date))
    }

    /// Returns the day files, the oldest first.
    pub(super) fn day_files(&self) -> Vec<DayFile> {
        let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().collect::<Vec<_>>();
        let mut files = Vec::new();
        for user in entries(&self.home()) {
            let Ok(folder) = user.file_name().into_string() else { continue };
            for file in entries(&user.path().join(TRAIL)) {
                let name = file.file_name().into_string().unwrap_or_default();
                let Some(date) = name.strip_suffix(".jsonl") else { continue };
                if let Ok(found) = file.metadata()
                    && found.is_file()
                {
                    files.push(DayFile { date: date.to_owned(), folder: folder.clone(), len: found.len() });
                }
            }
        }
        files.sort();
        files
    }

    /// Returns how many bytes of lines wait for the service.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        let position = Position::read(&self.folder);
        self.day_files().iter().map(|file| file.len.saturating_sub(position.sent(file))).sum()
    }

    /// Whether there is no room for further calls.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting_bytes() >= SPOOL_BYTES_MAX
    }

    /// Whether something is to be sent.
    pub(crate) fn has_work(&self) -> bool {
        self.waiting_bytes() > 0
    }

    /// Takes the lock of the deliverer, if no process has it.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn try_lock(&self) -> io::Result<Option<File>> {
        self.create()?;
        let mut options = OpenOptions::new();
        let file = open_itself(options.append(true).create(true).mode(0o600), &self.folder.join("lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes why the service does not take anything; `None` once it does. For people who look for the reason.
    pub(crate) fn note_failure(&self, why: Option<&str>) {
        let path = self.folder.join("failed");
        // If this fails, the reason is only not told.
        let _ = match why {
            Some(why) => self.create().and_then(|()| {
                let mut options = OpenOptions::new();
                let file = open_itself(options.write(true).create(true).mode(0o600), &path)?;
                file.set_len(0)?;
                (&file).write_all(why.as_bytes())
            }),
            None => std::fs::remove_file(path),
        };
    }

    /// Returns why the service did not take anything the last time.
    pub(crate) fn failure(&self) -> Option<String> {
        let mut why = String::new();
        let file = open_itself(OpenOptions::new().read(true), &self.folder.join("failed")).ok()?;
        file.take(FAILURE_BYTES_MAX).read_to_string(&mut why).ok()?;
        Some(why)
    }

    /// Counts calls that are lost: a byte each, in a file that a later process reads.
    pub(crate) fn add_lost(&self, lost: u64) {
        if lost == 0 || self.create().is_err() {
            return;
        }
        let file = open_itself(OpenOptions::new().append(true).create(true).mode(0o600), &self.folder.join("lost"));
        if let Ok(mut file) = file {
            let _ = file.write_all(&vec![b'.'; usize::try_from(lost).unwrap_or(0)]);
        }
    }

    /// Takes the lost calls and calls `tell` with their number. If it fails, they stay for another process.
    pub(crate) fn take_lost(&self, tell: impl FnOnce(u64) -> bool) {
        let (lost, mine) = (self.folder.join("lost"), self.folder.join("lost.taken"));
        // Most of the time there are none.
        if !lost.exists() && !mine.exists() {
            return;
        }
        let Ok(Some(_lock)) = self.lock_of_losses() else { return };
        // What a process has left that was killed while it told them comes first.
        if !mine.exists() && std::fs::rename(&lost, &mine).is_err() {
            return;
        }
        let Ok(found) = std::fs::symlink_metadata(&mine) else { return };
        if found.len() == 0 || tell(found.len()) {
            let _ = std::fs::remove_file(mine);
        }
    }

    /// Only one process may tell the losses.
    fn lock_of_losses(&self) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        let file = open_itself(options.append(true).create(true).mode(0o600), &self.folder.join("lost.lock"))?;
        Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(file))
    }

    fn create(&self) -> io::Result<()> {
        private_folder::create(&self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_once_and_stay_if_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(folder.path(), "unix:/s");
        let take = |is_told: bool| {
            let mut told = None;
            spool.take_lost(|lost| {
                told = Some(lost);
                is_told
            });
            told
        };
        assert_eq!(take(true), None);
        spool.add_lost(2);
        spool.add_lost(3);
        assert_eq!(take(false), Some(5));
        spool.add_lost(1);
        assert_eq!((take(true), take(true), take(true)), (Some(5), Some(1), None));
    }

    #[test]
    fn a_pipe_or_a_link_in_the_place_of_a_note_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(folder.path(), "unix:/s");
        spool.note_failure(Some("a long reason"));
        spool.note_failure(Some("why"));
        assert_eq!(spool.failure().as_deref(), Some("why"));
        spool.note_failure(None);
        assert_eq!(spool.failure(), None);
        let made = std::process::Command::new("mkfifo").arg(spool.folder.join("failed")).status().unwrap();
        assert!(made.success());
        spool.note_failure(Some("why"));
        assert_eq!(spool.failure(), None);
        std::fs::remove_file(spool.folder.join("failed")).unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, "other").unwrap();
        std::os::unix::fs::symlink(&other, spool.folder.join("failed")).unwrap();
        spool.note_failure(Some("why"));
        assert_eq!(std::fs::read(other).unwrap(), b"other");
    }

    #[test]
    fn one_process_delivers() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(folder.path(), "unix:/s");
        let lock = spool.try_lock().unwrap();
        assert!(lock.is_some() && spool.try_lock().unwrap().is_none());
        drop(lock);
        assert!(spool.try_lock().unwrap().is_some());
        assert_ne!(Spool::new(folder.path(), "unix:/t").home(), spool.home());
    }
}
