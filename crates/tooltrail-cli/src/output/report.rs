//! Prints a failure for people on stderr: what went wrong and what to do.

use std::process::ExitCode;

use crate::failure::{Exit, Failure};
use crate::output::stream::{talk_error, talk_hint};

/// Prints a failure with its hint on stderr, and returns the exit code. A closed pipe is a success and prints nothing.
pub(crate) fn report(failure: Failure) -> ExitCode {
    match failure {
        Failure::ClosedPipe => Exit::Yes.into(),
        Failure::Told { what, hint, exit } => {
            talk_error(&what);
            if let Some(hint) = hint {
                talk_hint(&hint);
            }
            exit.into()
        }
    }
}
