//! What can go wrong, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Anything that can go wrong in this library: what, where, and what next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    Io {
        /// What was tried, as in "append to".
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// There is no such home.
    Missing {
        /// The folder that was named.
        path: PathBuf,
    },
    /// A file is not what its name says.
    Format {
        /// Which file.
        path: PathBuf,
        /// Byte offset in it.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// What the caller gave cannot be understood.
    Input {
        /// What is wrong with it.
        what: String,
        /// What to write instead.
        hint: &'static str,
    },
    /// The recorder's queue is full; nothing of this request was taken.
    Busy,
    /// The recorder was closed.
    Closed,
    /// Entries could not be made durable in time or at all.
    Unwritten {
        /// How many.
        entries: u64,
        /// Why.
        why: String,
        /// Which of the request's calls, from 0; empty where that is not known.
        which: Vec<usize>,
    },
}

impl Error {
    /// Returns an error about something the caller gave.
    pub fn input(what: impl Into<String>, hint: &'static str) -> Self {
        Self::Input { what: what.into(), hint }
    }

    /// Returns a function that puts the path to an I/O error.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Returns what to do next, where we know it.
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
