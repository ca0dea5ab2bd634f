//! The real disk. It follows no links in any part of a path, and opens only regular files.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};

use super::beneath::open_beneath;
use super::{Disk, DiskFile, Landed, Listed, Lock, Space, Stat};

/// The first and the longest pause between two attempts to take a lock: short, because locks are usually held for a
/// short time, but long enough not to spin.
const LOCK_PAUSES: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(2));

/// The fewest and the most files that one component keeps open. Between them it is a quarter of the process's limit;
/// the rest is for others.
const HANDLES: (usize, usize) = (32, 4_096);

/// The file with the boot id on Linux; other systems do not have it.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The number of files that this process has created with [`Disk::create`], for their first names.
static CREATED: AtomicU64 = AtomicU64::new(0);

/// Files and folders below a root on the machine's file system.
#[derive(Debug)]
pub struct RealDisk {
    root: OwnedFd,
    /// The absolute path by which the root was opened.
    name: PathBuf,
    file_mode: Mode,
    folder_mode: Mode,
    /// The owner that new files and folders get; set if root works in a folder of another user.
    owner: Option<(Uid, Gid)>,
}

impl RealDisk {
    /// Opens an existing root folder. New files have mode 0600 and folders 0700; with `group`, 0640 and 0750.
    ///
    /// The root itself may be a link, because the caller means the folder that it points to.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn open(root: &Path, group: bool) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        // An absolute path stays valid if the process changes its working directory.
        let name = std::path::absolute(root)?;
        let root = rustix::fs::open(root, flags, Mode::empty())?;
        let (file_mode, folder_mode) = if group { (0o640, 0o750) } else { (0o600, 0o700) };
        let stat = rustix::fs::fstat(&root)?;
        let given_away = rustix::process::geteuid().is_root() && stat.st_uid != 0;
        Ok(Self {
            root,
            name,
            file_mode: Mode::from_raw_mode(file_mode),
            folder_mode: Mode::from_raw_mode(folder_mode),
            owner: given_away.then(|| (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))),
        })
    }

    /// Sets the mode of a new file or folder, because the umask may have removed bits, and its owner.
    fn set_up(&self, new: impl AsFd, mode: Mode) -> io::Result<()> {
        if let Some((user, group)) = self.owner {
            rustix::fs::fchown(&new, Some(user), Some(group))?;
        }
        Ok(rustix::fs::fchmod(&new, mode)?)
    }

    /// Opens the folder of a path below the root. With `make`, creates missing folders and syncs their parents.
    fn folder(&self, names: &[&str], make: bool) -> io::Result<OwnedFd> {
        let (folder, parents) = self.unsynced_folder(names, make)?;
        sync_all(&parents)?;
        Ok(folder)
    }

    /// Opens the folder of a path, or creates it. Returns it and the folders that got a new name and must be synced.
    fn unsynced_folder(&self, names: &[&str], make: bool) -> io::Result<(OwnedFd, Vec<OwnedFd>)> {
        let (mut here, mut parents) = (self.root.try_clone()?, Vec::new());
        for name in names {
            match self.below(&here, name, make) {
                Ok((next, new)) => {
                    let parent = std::mem::replace(&mut here, next);
                    if new {
                        parents.push(parent);
                    }
                }
                Err(error) => {
                    // A retry finds the folders that were created and assumes that their names are durable.
                    sync_all(&parents)?;
                    return Err(error);
                }
            }
        }
        Ok((here, parents))
    }

    /// Opens one folder inside another, or creates it. Also returns whether it is new.
    fn below(&self, here: &OwnedFd, name: &str, make: bool) -> io::Result<(OwnedFd, bool)> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = plain(name)?;
        let open = || rustix::fs::openat(here, name, flags, Mode::empty());
        match open() {
            Err(rustix::io::Errno::NOENT) if make => match rustix::fs::mkdirat(here, name, self.folder_mode) {
                Ok(()) => {
                    let made = open()?;
                    self.set_up(&made, self.folder_mode)?;
                    Ok((made, true))
                }
                Err(rustix::io::Errno::EXIST) => Ok((open()?, false)),
                Err(error) => Err(error.into()),
            },
            other => Ok((other?, false)),
        }
    }

    /// Opens a regular file; `None` if it or its folder is missing.
    fn file(&self, path: &[&str], flags: OFlags) -> io::Result<Option<File>> {
        let (name, folder) = path.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let make = flags.contains(OFlags::CREATE);
        // NONBLOCK: if the name refers to a FIFO, opening it must not hang.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        for name in path {
            plain(name)?;
        }
        // Nearly every file that is opened exists. Any other result is left to the slow way, which also knows what to do
        // about it.
        if let Some(Ok(opened)) = open_beneath(&self.root, &path.join("/"), flags - OFlags::CREATE) {
            return regular(File::from(opened)).map(Some);
        }
        let (folder, mut new) = match self.unsynced_folder(folder, make) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let open = || rustix::fs::openat(&folder, *name, flags - OFlags::CREATE, Mode::empty());
        // Try to open it first, because it nearly always exists.
        let opened = match open() {
            Err(rustix::io::Errno::NOENT) if make => {
                match rustix::fs::openat(&folder, *name, flags | OFlags::EXCL, self.file_mode) {
                    Ok(made) => {
                        self.set_up(&made, self.file_mode)?;
                        new.push(folder);
                        Ok(made)
                    }
                    Err(rustix::io::Errno::EXIST) => open(),
                    Err(error) => Err(error),
                }
            }
            other => other,
        };
        // The names must be durable before the first line is written, so that a power cut cannot remove the file. All
        // syncs come at the end, because the first one then does most of the work of the others.
        sync_all(&new)?;
        let file = match opened {
            Err(rustix::io::Errno::NOENT) if !make => return Ok(None),
            other => File::from(other?),
        };
        regular(file).map(Some)
    }

    /// Opens a file for writing, and refuses a file that has a second name (hard link).
    fn ours_alone(&self, file: &[&str], flags: OFlags) -> io::Result<Box<dyn DiskFile>> {
        let opened = self.file(file, flags)?.ok_or(io::ErrorKind::NotFound)?;
        if opened.metadata()?.nlink() > 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file has a second name (a hard link)"));
        }
        Ok(Box::new(opened))
    }
}

impl RealDisk {
    /// Replaces a lock file that we have no permission to open with our own, in a folder that we own.
    ///
    /// Such a file was left by a command that ran as root, before commands gave new files to the home's owner. It is
    /// empty. A process that still holds the old lock continues. This is safe, because an append that collides with
    /// another one is noticed by its place in the file.
    fn replace_lock_file(&self, path: &[&str], denied: io::Error) -> io::Result<Option<File>> {
        let user = rustix::process::geteuid().as_raw();
        let (name, folder) = path.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = self.folder(folder, false)?;
        let found = rustix::fs::statat(&folder, plain(name)?, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_ours = rustix::fs::fstat(&folder)?.st_uid == user;
        if !is_ours || found.st_uid == user || found.st_size != 0 {
            return Err(denied);
        }
        rustix::fs::unlinkat(&folder, *name, AtFlags::empty())?;
        self.file(path, OFlags::RDWR | OFlags::CREATE)
    }
}

impl Disk for RealDisk {
    fn list(&self, folder: &[&str]) -> io::Result<Vec<Listed>> {
        let folder = match self.folder(folder, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for entry in rustix::fs::Dir::read_from(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let folder = match entry.file_type() {
                rustix::fs::FileType::Unknown => {
                    let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir()
                }
                kind => kind.is_dir(),
            };
            found.push(Listed { name: name.to_owned(), folder });
        }
        Ok(found)
    }

    fn open(&self, file: &[&str]) -> io::Result<Option<Box<dyn DiskFile>>> {
        Ok(self.file(file, OFlags::RDONLY)?.map(|file| Box::new(file) as Box<dyn DiskFile>))
    }

    fn stat(&self, file: &[&str]) -> io::Result<Option<Stat>> {
        for name in file {
            plain(name)?;
        }
        match rustix::fs::statat(&self.root, file.join("/"), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                let len = u64::try_from(stat.st_size).unwrap_or(0);
                Ok(Some(Stat {
                    len,
                    device: stat.st_dev,
                    inode: stat.st_ino,
                    links: links(stat.st_nlink),
                    modified_s: stat.st_mtime,
                    modified_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
                    changed_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
                }))
            }
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn append(&self, file: &[&str]) -> io::Result<Box<dyn DiskFile>> {
        self.ours_alone(file, OFlags::RDWR | OFlags::APPEND | OFlags::CREATE)
    }

    fn write(&self, file: &[&str]) -> io::Result<Box<dyn DiskFile>> {
        self.ours_alone(file, OFlags::RDWR | OFlags::CREATE)
    }

    fn replace(&self, file: &[&str], bytes: &[u8]) -> io::Result<()> {
        let (name, folder) = file.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = self.folder(folder, true)?;
        // Two threads of a process may replace one file at the same time.
        let count = CREATED.fetch_add(1, Ordering::Relaxed);
        let (name, temporary) = (plain(name)?, format!(".{}.{}.{count}.new", name, std::process::id()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let new = File::from(rustix::fs::openat(&folder, &*temporary, flags, self.file_mode)?);
        self.set_up(&new, self.file_mode)?;
        io::Write::write_all(&mut &new, bytes)?;
        rustix::fs::fsync(&new)?;
        rustix::fs::renameat(&folder, &*temporary, &folder, name)?;
        Ok(rustix::fs::fsync(&folder)?)
    }

    fn create(&self, file: &[&str], bytes: &[u8], sync: bool) -> io::Result<bool> {
        let (name, folder) = file.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let (folder, parents) = self.unsynced_folder(folder, true)?;
        // The content is written under another name first, which no other thread or process uses.
        let count = CREATED.fetch_add(1, Ordering::Relaxed);
        let (name, temporary) = (plain(name)?, format!(".{}.{}.{count}.new", name, std::process::id()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let new = File::from(rustix::fs::openat(&folder, &*temporary, flags, self.file_mode)?);
        let written = self
            .set_up(&new, self.file_mode)
            .and_then(|()| io::Write::write_all(&mut &new, bytes))
            .and_then(|()| if sync { new.sync_data() } else { Ok(()) })
            .and_then(|()| link_or_rename(&folder, &temporary, name));
        let _ = rustix::fs::unlinkat(&folder, &*temporary, AtFlags::empty());
        let is_created = written?;
        if sync && is_created {
            rustix::fs::fsync(&folder)?;
            sync_all(&parents)?;
        }
        Ok(is_created)
    }

    fn rename(&self, file: &[&str], to: &[&str]) -> io::Result<bool> {
        let (name, folder) = file.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let (to_name, to_folder) = to.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = match self.folder(folder, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let (to_folder, _) = self.unsynced_folder(to_folder, true)?;
        match rustix::fs::renameat(&folder, plain(name)?, &to_folder, plain(to_name)?) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn remove_folder(&self, folder: &[&str]) -> io::Result<()> {
        let (name, parent) = folder.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let removed = self
            .folder(parent, false)
            .and_then(|parent| Ok(rustix::fs::unlinkat(&parent, plain(name)?, AtFlags::REMOVEDIR)?));
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn remove(&self, file: &[&str]) -> io::Result<()> {
        let (name, folder) = file.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let removed = self
            .folder(folder, false)
            .and_then(|folder| Ok(rustix::fs::unlinkat(&folder, plain(name)?, AtFlags::empty())?));
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn sync_folder(&self, folder: &[&str]) -> io::Result<()> {
        match self.folder(folder, false) {
            Ok(folder) => Ok(rustix::fs::fsync(&folder)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn lock(&self, file: &[&str], wait: Duration) -> io::Result<Box<dyn Lock>> {
        let opened = match self.file(file, OFlags::RDWR | OFlags::CREATE) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.replace_lock_file(file, error)?,
            other => other?,
        };
        let opened = opened.ok_or(io::ErrorKind::NotFound)?;
        let start = Instant::now();
        let mut pause = LOCK_PAUSES.0;
        loop {
            match opened.try_lock() {
                Ok(()) => return Ok(Box::new(opened)),
                Err(std::fs::TryLockError::WouldBlock) if start.elapsed() < wait => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LOCK_PAUSES.1);
                }
                Err(std::fs::TryLockError::WouldBlock) => return Err(io::ErrorKind::TimedOut.into()),
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    fn stands(&self) -> io::Result<bool> {
        let (held, named) = (
            rustix::fs::fstat(&self.root)?,
            match rustix::fs::stat(&self.name) {
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(false),
                named => named?,
            },
        );
        Ok((held.st_dev, held.st_ino) == (named.st_dev, named.st_ino))
    }

    fn space(&self) -> io::Result<Option<Space>> {
        let found = rustix::fs::fstatvfs(&self.root)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Some(Space { total: bytes(found.f_blocks), free: bytes(found.f_bavail) }))
    }

    fn handles_max(&self) -> usize {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let quarter = limit.map_or(HANDLES.1, |limit| usize::try_from(limit / 4).unwrap_or(HANDLES.1));
        quarter.clamp(HANDLES.0, HANDLES.1)
    }

    fn boot(&self) -> Option<String> {
        let id = std::fs::read_to_string(BOOT_ID).ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl Lock for File {}

impl DiskFile for File {
    fn stat(&self) -> io::Result<Stat> {
        let meta = self.metadata()?;
        Ok(Stat {
            len: meta.len(),
            device: meta.dev(),
            inode: meta.ino(),
            links: meta.nlink(),
            modified_s: meta.mtime(),
            modified_ns: nanoseconds(meta.mtime(), meta.mtime_nsec()),
            changed_ns: nanoseconds(meta.ctime(), meta.ctime_nsec()),
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<Landed> {
        loop {
            match io::Write::write(&mut &*self, bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // After a write, the position of a file opened for appending is the end of the written bytes, even if
                // others append too.
                written => {
                    let taken = written?;
                    return Ok(Landed { taken, end: rustix::fs::tell(self)? });
                }
            }
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::write_at(self, bytes, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Refuses a file that is not a regular one.
fn regular(file: File) -> io::Result<File> {
    let kind = file.metadata()?.file_type();
    if !kind.is_file() {
        let what = if kind.is_fifo() { "a FIFO" } else { "no regular file" };
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(file)
}

/// Gives a file a second name that must not exist yet. Returns false if it exists. On a file system without second names
/// the file is renamed, which cannot be done there without the risk that two processes both believe to have been first.
fn link_or_rename(folder: &OwnedFd, from: &str, to: &str) -> io::Result<bool> {
    use rustix::io::Errno;
    match rustix::fs::linkat(folder, from, folder, to, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
            match rustix::fs::statat(folder, to, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Ok(false),
                Err(Errno::NOENT) => Ok(rustix::fs::renameat(folder, from, folder, to).map(|()| true)?),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns a time as one number; the types of its parts differ between systems.
fn nanoseconds(seconds: i64, nanoseconds: impl TryInto<i64>) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds.try_into().unwrap_or(0))
}

/// Returns a link count as `u64`; its type differs between systems.
fn links(count: impl Into<u64>) -> u64 {
    count.into()
}

/// Makes the names in these folders durable, the last folder first.
fn sync_all(folders: &[OwnedFd]) -> io::Result<()> {
    Ok(folders.iter().rev().try_for_each(rustix::fs::fsync)?)
}

/// Returns the name if it is one plain path component.
fn plain(name: &str) -> io::Result<&str> {
    let climbs = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
    if climbs { Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file name")) } else { Ok(name) }
}
