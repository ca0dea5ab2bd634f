//! The failure of a command: what is wrong, what to do next, and the exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::query_help::place;

/// The three exit codes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success, also with an empty answer (0).
    Yes,
    /// The command did its work and the answer is no, for example because a line or a file was rejected (1).
    No,
    /// The command could not do its work (2).
    CouldNot,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Yes => 0,
            Exit::No => 1,
            Exit::CouldNot => 2,
        })
    }
}

/// The reason why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reader of stdout closed the pipe; this counts as success.
    ClosedPipe,
    /// A failure that is reported to the user.
    Told {
        /// What is wrong, without a period at the end.
        what: String,
        /// What to do next.
        hint: Option<String>,
        /// The exit code: [`Exit::No`] or [`Exit::CouldNot`].
        exit: Exit,
    },
}

impl Failure {
    /// Returns the failure of a command that could not do its work.
    pub(crate) fn could_not(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Told { what: what.into(), hint: Some(hint.into()), exit: Exit::CouldNot }
    }

    /// Returns the failure of a command that did its work with the answer no.
    pub(crate) fn no(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Told { what: what.into(), hint: Some(hint.into()), exit: Exit::No }
    }

    /// Returns the failure of an I/O operation, with a hint for the kind of the error.
    pub(crate) fn io(action: &str, on: impl fmt::Display, source: &io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::NotFound => "check the name",
            io::ErrorKind::PermissionDenied => "run it as somebody who may",
            io::ErrorKind::UnexpectedEof => "it is cut short: get the whole of it",
            io::ErrorKind::StorageFull => "free some space and run it again",
            io::ErrorKind::IsADirectory => "this is a folder: name a file",
            io::ErrorKind::NotADirectory => "a part of this path is a file: check the path",
            io::ErrorKind::InvalidData => "it is no text in UTF-8: check that it is the right file",
            _ => "run it again; if it stays, the disk or its file system has more to say",
        };
        Self::could_not(format!("could not {action} {on}: {source}"), hint)
    }
}

impl From<tooltrail::Error> for Failure {
    fn from(error: tooltrail::Error) -> Self {
        let hint = error.hint().unwrap_or("run it again; what was acknowledged is safe");
        // The library knows no flags.
        let hint = match &error {
            tooltrail::Error::Missing { .. } => "name the home with --home, or record something first".to_owned(),
            tooltrail::Error::Network { .. } => format!("{hint}; --force-network-home does it all the same"),
            tooltrail::Error::KeysBelowHome { .. } => format!("{hint}: --keys DIR"),
            _ => hint.to_owned(),
        };
        let what = match &error {
            tooltrail::Error::Query { text, at, .. } => {
                format!("{}\n{}", error.message(), place(text, *at))
            }
            _ => error.message(),
        };
        Self::Told { what, hint: Some(hint), exit: Exit::CouldNot }
    }
}

/// Only for errors while writing to stdout. For all other I/O errors, use [`Failure::io`], which names the file.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::io("write to", "stdout", &error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClosedPipe => f.write_str("the reader of our output stopped"),
            Self::Told { what, .. } => f.write_str(what),
        }
    }
}
