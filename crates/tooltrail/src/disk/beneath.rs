//! Opens a file below a folder by its whole path in one system call, where the system has one that follows no links.

use std::os::fd::OwnedFd;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens an existing file. The path has plain names with slashes between them. `None` means that the system has no such
/// call or did not allow it, so that the caller must open one name after the other.
#[cfg(target_os = "linux")]
pub(super) fn open_beneath(root: &OwnedFd, path: &str, flags: OFlags) -> Option<Result<OwnedFd, Errno>> {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{Mode, ResolveFlags};

    /// Whether the call was refused once: Linux before 5.6 does not have it, and some containers forbid it.
    static REFUSED: AtomicBool = AtomicBool::new(false);

    if REFUSED.load(Ordering::Relaxed) {
        return None;
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
            REFUSED.store(true, Ordering::Relaxed);
            None
        }
        // A folder was renamed or made while the path was followed.
        Err(Errno::AGAIN) => None,
        opened => Some(opened),
    }
}

/// Other systems have no such call.
#[cfg(not(target_os = "linux"))]
pub(super) fn open_beneath(_root: &OwnedFd, _path: &str, _flags: OFlags) -> Option<Result<OwnedFd, Errno>> {
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::Mode;

    use super::*;

    fn check(path: &str, expected: Result<(), Errno>) {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("a/b")).unwrap();
        std::fs::write(home.path().join("a/b/file"), "x").unwrap();
        symlink("file", home.path().join("a/b/link")).unwrap();
        symlink("b", home.path().join("a/linked")).unwrap();
        let root = rustix::fs::open(home.path(), OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap();
        let opened = open_beneath(&root, path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC);
        // A system without the call opens nothing here.
        if let Some(opened) = opened {
            assert_eq!(opened.map(drop), expected, "{path}");
        }
    }

    #[test]
    fn no_link_is_followed_anywhere_in_a_path() {
        check("a/b/file", Ok(()));
        check("a/b/missing", Err(Errno::NOENT));
        check("a/missing/file", Err(Errno::NOENT));
        check("a/b/file/below", Err(Errno::NOTDIR));
        check("a/b/link", Err(Errno::LOOP));
        check("a/linked/file", Err(Errno::LOOP));
        check("a/../../file", Err(Errno::XDEV));
    }
}
