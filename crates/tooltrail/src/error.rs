//! The error type of the library.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Any error of this library: what failed, where, and what to do next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system returned an error.
    Io {
        /// The failed action, for example "append to".
        action: &'static str,
        /// The file or folder of the action.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The home does not exist.
    Missing {
        /// The folder that was given as the home.
        path: PathBuf,
    },
    /// The content of a file does not have the format that its name promises.
    Format {
        /// The file.
        path: PathBuf,
        /// The byte offset in the file.
        offset: u64,
        /// What is wrong at this offset.
        what: String,
    },
    /// The caller gave invalid input.
    Input {
        /// What is wrong with the input.
        what: String,
        /// What to write instead.
        hint: &'static str,
    },
    /// The recorder's queue is full; it accepted no call of this request.
    Busy,
    /// The recorder was closed.
    Closed,
    /// Entries could not be made durable in time or at all.
    Unwritten {
        /// The number of entries.
        entries: u64,
        /// The reason.
        why: String,
        /// The indexes of the affected calls in the request, from 0; empty if they are not known.
        which: Vec<usize>,
    },
}

impl Error {
    /// Returns an error about invalid input of the caller.
    pub fn input(what: impl Into<String>, hint: &'static str) -> Self {
        Self::Input { what: what.into(), hint }
    }

    /// Returns a function that adds the action and the path to an I/O error.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Returns a hint about what to do next, if there is one for this error.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Some("run it as the owner of the home"),
                io::ErrorKind::StorageFull => Some("free some space; recording goes on by itself"),
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    Some("a file stands where a folder is needed: name another path")
                }
                io::ErrorKind::NotFound => Some("check the path: a folder above it is missing or cannot be made"),
                _ => None,
            },
            Self::Missing { .. } => Some("name the home with --home, or record something first"),
            Self::Input { hint, .. } => Some(hint),
            Self::Busy => Some("try again in a second"),
            Self::Format { .. } | Self::Closed | Self::Unwritten { .. } => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, source } => write!(f, "could not {action} {}: {source}", path.display()),
            Self::Missing { path } => write!(f, "no home at {}", path.display()),
            Self::Format { path, offset, what } => write!(f, "{} at byte {offset}: {what}", path.display()),
            Self::Input { what, .. } => f.write_str(what),
            Self::Busy => f.write_str("the recorder's queue is full"),
            Self::Closed => f.write_str("the recorder is closed"),
            Self::Unwritten { entries, why, .. } => write!(f, "{entries} entries could not be written: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
