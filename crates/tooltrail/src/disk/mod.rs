//! The only access to the operating system's files.
//!
//! A path is a few plain names below a root; no name can climb or follow a link. Two implementers exist: the real
//! disk here, and a test's that tears, fills and forgets.

mod network;
mod real;
mod trouble;

use std::fmt;
use std::io;
use std::time::Duration;

pub use network::network_file_system;
pub use real::RealDisk;
pub use trouble::is_trouble;

/// Files and folders below one root, reached by plain names.
///
/// Each name of a path is one component: never empty, `.`, `..` or with a `/`. Links are never followed, and only
/// regular files are opened.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Lists a folder's entries, in no order; the empty path is the root. A missing folder has none.
    ///
    /// # Errors
    /// Any I/O error of the operating system; a link in the path is an error.
    fn list(&self, folder: &[&str]) -> io::Result<Vec<Listed>>;

    /// Opens a file for reading, `None` if it is missing.
    ///
    /// # Errors
    /// Any I/O error of the operating system; a link, a FIFO, a device or a folder is an error, at once.
    fn open(&self, file: &[&str]) -> io::Result<Option<Box<dyn DiskFile>>>;

    /// Returns what stands under a name without opening it, `None` if nothing does.
    ///
    /// For whoever has the file open and asks whether it still is that file: a folder of the path may be a link.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn stat(&self, file: &[&str]) -> io::Result<Option<Stat>>;

    /// Opens a file for appending, and makes it and its folders where they are missing, durably.
    ///
    /// # Errors
    /// As [`Disk::open`]; also a file with more than one link.
    fn append(&self, file: &[&str]) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and for writing at offsets, and makes it and its folders where they are missing, durably.
    ///
    /// # Errors
    /// As [`Disk::append`].
    fn write(&self, file: &[&str]) -> io::Result<Box<dyn DiskFile>>;

    /// Puts a whole small file in place of another at once: after a crash either stands there, never a part.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn replace(&self, file: &[&str], bytes: &[u8]) -> io::Result<()>;

    /// Removes a file; a missing one is no error. A power cut may bring it back until [`Disk::sync_folder`].
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn remove(&self, file: &[&str]) -> io::Result<()>;

    /// Makes durable which names a folder has; a missing one has none.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn sync_folder(&self, folder: &[&str]) -> io::Result<()>;

    /// Takes the lock of a lock file, which is made if missing, and waits for it at most so long.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if another holds it all the while.
    fn lock(&self, file: &[&str], wait: Duration) -> io::Result<Box<dyn Lock>>;

    /// Whether the root still stands under the name by which it was opened.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn stands(&self) -> io::Result<bool>;

    /// Returns the size of the file system and the bytes of it that are free for us, `None` where that is not known.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn space(&self) -> io::Result<Option<Space>>;

    /// Returns how many files one holder may keep open at once.
    fn handles_max(&self) -> usize;

    /// Returns what names this run of the operating system, `None` where it has no such name.
    ///
    /// What was not synced before survived a process, but perhaps not the run.
    fn boot(&self) -> Option<String>;

    /// Lets others go on with what they write, for so long.
    fn pause(&self, time: Duration);
}

/// How large a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "two sizes")]
pub struct Space {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that may still be written.
    pub free: u64,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a name and what it is")]
pub struct Listed {
    /// Its name; names that are not UTF-8 are left out of a listing, as we write none.
    pub name: String,
    /// Whether it is a folder; links are neither.
    pub folder: bool,
}

/// A held lock; dropping it releases it, as does the end of the process.
pub trait Lock: Send + Sync + fmt::Debug {}

/// An open regular file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Returns what the file is now.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn stat(&self) -> io::Result<Stat>;

    /// Reads at most the buffer's length from an offset; fewer bytes only at the end of the file.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Appends with one system call; the answer says how many bytes it took, which may be fewer, and where they landed.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn append(&self, bytes: &[u8]) -> io::Result<Landed>;

    /// Writes at an offset with one system call and returns how many bytes it took, which may be fewer.
    ///
    /// Only of a file opened by [`Disk::write`]: one opened for appending appends whatever the offset.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Cuts the file to a length.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn cut(&self, len: u64) -> io::Result<()>;

    /// Makes the contents durable (`fdatasync`).
    ///
    /// # Errors
    /// Any I/O error of the operating system; after an error nobody knows what is durable.
    fn sync(&self) -> io::Result<()>;
}

/// Where appended bytes landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a count and an offset")]
pub struct Landed {
    /// Bytes that were taken.
    pub taken: usize,
    /// The offset in the file after the last of them.
    pub end: u64,
}

impl Landed {
    /// Returns the offset of the first byte.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.end - self.taken as u64
    }
}

/// Which file it is, whatever its name: a file that replaces another has another id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "device and inode, as in stat(2)")]
pub struct FileId {
    /// The file system that holds it.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

impl Stat {
    /// Returns which file it is.
    #[must_use]
    pub const fn file_id(&self) -> FileId {
        FileId { device: self.device, inode: self.inode }
    }
}

/// What an open file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the identity and size of a file")]
pub struct Stat {
    /// Bytes.
    pub len: u64,
    /// Which file system it is on.
    pub device: u64,
    /// Which file it is there.
    pub inode: u64,
    /// Names it has; 0 when it was removed while open.
    pub links: u64,
    /// When it was last written to, in seconds since 1970.
    pub modified_s: i64,
}
