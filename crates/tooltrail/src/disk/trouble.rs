//! What an error says: that nothing of ours stands there, or that the system could not look.

use std::io;

use rustix::io::Errno;

/// Whether an error means trouble, rather than that no plain file or folder stands under the name.
///
/// A missing name, a link, a FIFO, a socket, a device or a folder where a file should be is nobody's trail. Everything
/// else, also what no one thought of, must not pass for an empty one: missing rights, no descriptor left, a broken
/// disk.
#[must_use]
pub fn is_trouble(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, IsADirectory, NotADirectory, NotFound};
    if matches!(error.kind(), NotFound | NotADirectory | IsADirectory | InvalidInput) {
        return false;
    }
    // A link under NOFOLLOW (three spellings), what has no reader, what cannot be opened, a name longer than any.
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
