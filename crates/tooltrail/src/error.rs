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
    /// The home is on a network file system.
    Network {
        /// The home.
        path: PathBuf,
        /// The name of the file system.
        name: String,
    },
    /// The keys would be below the home, which agents may read.
    KeysBelowHome {
        /// The folder of the keys.
        keys: PathBuf,
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
    /// The text of a query cannot be read.
    Query {
        /// The text.
        text: String,
        /// The place of the mistake: the number of characters before it.
        at: usize,
        /// What is wrong there.
        what: String,
        /// What to write instead.
        hint: &'static str,
    },
    /// The recorder's queue is full; it accepted no call of this request.
    Busy,
    /// The home cannot be written at the moment.
    Unhealthy {
        /// Why.
        why: String,
    },
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

    /// Returns what went wrong and where, without the hint.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Io { action, path, source } => format!("could not {action} {}: {source}", path.display()),
            Self::Missing { path } => format!("no home at {}", path.display()),
            Self::Format { path, offset, what } => format!("{} at byte {offset}: {what}", path.display()),
            Self::Input { what, .. } => what.clone(),
            Self::Query { at, what, .. } => format!("query, character {}: {what}", at + 1),
            Self::Busy => "the recorder's queue is full".to_owned(),
            Self::Unhealthy { why } => why.clone(),
            Self::Closed => "the recorder is closed".to_owned(),
            Self::Unwritten { entries, why, .. } => format!("{entries} entries could not be written: {why}"),
            Self::Network { path, name } => format!("{} lies on a network file system ({name})", path.display()),
            Self::KeysBelowHome { keys } => format!("the keys {} lie below the home", keys.display()),
        }
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
            Self::Missing { .. } => Some("name another home, or record something first"),
            Self::Input { hint, .. } | Self::Query { hint, .. } => Some(hint),
            Self::Network { .. } => {
                Some("keep the home on a local disk: over a network, locks and syncs promise too little")
            }
            Self::KeysBelowHome { .. } => Some("keep keys where agents cannot read"),
            Self::Busy => Some("try again in a second"),
            Self::Format { .. } | Self::Unhealthy { .. } | Self::Closed | Self::Unwritten { .. } => None,
        }
    }
}

impl fmt::Display for Error {
    /// Writes the message, and the hint in parentheses where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        match self.hint() {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
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
