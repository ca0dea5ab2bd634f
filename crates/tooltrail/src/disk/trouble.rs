//! Tells two kinds of errors apart: there is no usable file of that name, or the system could not access it.

use std::io;

use rustix::io::Errno;

/// Whether an error is a real problem, and not just a sign that no regular file or folder has that name.
///
/// A missing name, a link, a FIFO, a socket, a device or a folder instead of a file cannot be a trail. Every other
/// error, also an unknown one, must not be treated as an empty trail: missing permissions, no free file descriptor, a
/// broken disk.
#[must_use]
pub fn is_trouble(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, IsADirectory, NotADirectory, NotFound};
    if matches!(error.kind(), NotFound | NotADirectory | IsADirectory | InvalidInput) {
        return false;
    }
    // A link with NOFOLLOW (three error codes), a FIFO without a reader, a device that cannot be opened, a name that is
    // too long.
    let nothing = [Errno::LOOP, Errno::MLINK, Errno::NXIO, Errno::NODEV, Errno::OPNOTSUPP, Errno::NAMETOOLONG];
    !Errno::from_io_error(error).is_some_and(|errno| nothing.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(errno: Errno, trouble: bool) {
        assert_eq!(is_trouble(&errno.into()), trouble, "{errno:?}");
    }

    #[test]
    fn only_what_could_not_be_looked_at_is_trouble() {
        for quiet in [Errno::NOENT, Errno::NOTDIR, Errno::ISDIR, Errno::LOOP, Errno::NXIO, Errno::NAMETOOLONG] {
            check(quiet, false);
        }
        for trouble in [Errno::ACCESS, Errno::PERM, Errno::MFILE, Errno::NFILE, Errno::IO, Errno::NOMEM, Errno::STALE] {
            check(trouble, true);
        }
        assert!(!is_trouble(&io::ErrorKind::InvalidInput.into()) && is_trouble(&io::Error::other("?")));
    }
}
