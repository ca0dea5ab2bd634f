//! The only access to the files of the operating system.
//!
//! A path is a list of plain names below a root; no name can leave the root or follow a link. There are two
//! implementations: the real disk here, and one for tests that simulates torn writes, full disks and power cuts.

mod beneath;
mod network;
mod real;
mod trouble;

use std::fmt;
use std::io;
use std::time::Duration;

pub use network::network_file_system;
pub use real::RealDisk;
pub use trouble::is_trouble;

/// Files and folders below one root, addressed by plain names.
///
/// Each name of a path is one component: it is not empty, `.` or `..`, and contains no `/`. Links are never followed,
/// and only regular files are opened.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Lists the entries of a folder, in no particular order; the empty path is the root. A missing folder has no
    /// entries.
    ///
    /// # Errors
    /// Any I/O error of the operating system; a link in the path is an error.
    fn list(&self, folder: &[&str]) -> io::Result<Vec<Listed>>;

    /// Opens a file for reading, `None` if it is missing.
    ///
    /// # Errors
    /// Any I/O error of the operating system; a link, a FIFO, a device or a folder is an error, at once.
    fn open(&self, file: &[&str]) -> io::Result<Option<Box<dyn DiskFile>>>;

    /// Returns the state of a file by its name without opening it, `None` if it does not exist.
    ///
    /// It is for callers that have the file open and check whether the name still refers to it. Unlike in other
    /// methods, a folder of the path may be a link.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn stat(&self, file: &[&str]) -> io::Result<Option<Stat>>;

    /// Opens a file for appending. Creates it and its folders if they are missing, and syncs the new names.
    ///
    /// # Errors
    /// As [`Disk::open`]; also if the file has more than one hard link.
    fn append(&self, file: &[&str]) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and for writing at offsets. Creates it and its folders if they are missing, and syncs
    /// the new names.
    ///
    /// # Errors
    /// As [`Disk::append`].
    fn write(&self, file: &[&str]) -> io::Result<Box<dyn DiskFile>>;

    /// Replaces a small file atomically: after a crash either the old or the new content is there, never a part of it.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn replace(&self, file: &[&str], bytes: &[u8]) -> io::Result<()>;

    /// Creates a small file with this content, atomically: if several processes try it, exactly one succeeds, and a
    /// reader finds the whole content or no file. Returns false if the name exists already. With `sync`, the file and
    /// its name are durable afterwards.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn create(&self, file: &[&str], bytes: &[u8], sync: bool) -> io::Result<bool>;

    /// Gives a file another name, and replaces a file that has this name. Returns false if there is no such file. The
    /// names are not synced.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn rename(&self, file: &[&str], to: &[&str]) -> io::Result<bool>;

    /// Removes a file; a missing file is not an error. A power cut may restore it until [`Disk::sync_folder`] is
    /// called.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn remove(&self, file: &[&str]) -> io::Result<()>;

    /// Removes a folder if it is empty; a missing folder is not an error.
    ///
    /// # Errors
    /// Any I/O error of the operating system; also if the folder is not empty.
    fn remove_folder(&self, folder: &[&str]) -> io::Result<()>;

    /// Makes the list of names in a folder durable; does nothing for a missing folder.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn sync_folder(&self, folder: &[&str]) -> io::Result<()>;

    /// Takes the lock of a lock file, and waits for it at most `wait`. Creates the file if it is missing.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if another process holds it for the whole time.
    fn lock(&self, file: &[&str], wait: Duration) -> io::Result<Box<dyn Lock>>;

    /// Whether the name by which the root was opened still refers to the same folder.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn stands(&self) -> io::Result<bool>;

    /// Returns the size of the file system and its free bytes, `None` if they are not known.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn space(&self) -> io::Result<Option<Space>>;

    /// Returns how many files one component may keep open at the same time.
    fn handles_max(&self) -> usize;

    /// Returns the boot id of the operating system, which changes with each boot; `None` if the system has none.
    ///
    /// Data that was not synced survives the end of a process, but may be lost when the system restarts.
    fn boot(&self) -> Option<String>;

    /// Pauses for this time, so that other writers can continue.
    fn pause(&self, time: Duration);
}

/// The size of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "two sizes")]
pub struct Space {
    /// The total bytes.
    pub total: u64,
    /// The bytes that can still be written.
    pub free: u64,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a name and what it is")]
pub struct Listed {
    /// The name. Names that are not UTF-8 are not listed, because we create none.
    pub name: String,
    /// Whether it is a folder; false for a link.
    pub folder: bool,
}

/// A lock that is held. It is released when it is dropped, or when the process ends.
pub trait Lock: Send + Sync + fmt::Debug {}

/// An open regular file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Returns the current state of the file.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn stat(&self) -> io::Result<Stat>;

    /// Reads at most the buffer's length from an offset. Returns fewer bytes only at the end of the file.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Appends with one system call. Returns how many bytes were written, which may be fewer, and their place in the
    /// file.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn append(&self, bytes: &[u8]) -> io::Result<Landed>;

    /// Writes at an offset with one system call and returns how many bytes were written, which may be fewer.
    ///
    /// Use it only for a file opened by [`Disk::write`]: a file opened for appending ignores the offset.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Truncates the file to a length.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    fn cut(&self, len: u64) -> io::Result<()>;

    /// Makes the content durable (`fdatasync`).
    ///
    /// # Errors
    /// Any I/O error of the operating system; after an error it is unknown which bytes are durable.
    fn sync(&self) -> io::Result<()>;
}

/// The place of appended bytes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a count and an offset")]
pub struct Landed {
    /// The number of bytes written.
    pub taken: usize,
    /// The file offset after the last of them.
    pub end: u64,
}

impl Landed {
    /// Returns the offset of the first byte.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.end - self.taken as u64
    }
}

/// The identity of a file, independent of its name. A file that replaces another has a different id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "device and inode, as in stat(2)")]
pub struct FileId {
    /// The device number of its file system.
    pub device: u64,
    /// The inode number on that file system.
    pub inode: u64,
}

impl Stat {
    /// Returns the identity of the file.
    #[must_use]
    pub const fn file_id(&self) -> FileId {
        FileId { device: self.device, inode: self.inode }
    }
}

/// The state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the identity and size of a file")]
pub struct Stat {
    /// The length in bytes.
    pub len: u64,
    /// The device number of its file system.
    pub device: u64,
    /// The inode number on that file system.
    pub inode: u64,
    /// The number of its names (hard links); 0 if it was removed while open.
    pub links: u64,
    /// When its content was last changed, in seconds since 1970.
    pub modified_s: i64,
    /// The same in nanoseconds.
    pub modified_ns: i128,
    /// When its content or anything else about it was last changed, in nanoseconds since 1970. No program can set it.
    pub changed_ns: i128,
}
