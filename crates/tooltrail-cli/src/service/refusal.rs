//! Why the service does not do what it was asked; `http/status.rs` turns it into an answer.

use tooltrail::Error;

/// Why the service does not do what it was asked.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Not now; the caller may try again.
    Busy(&'static str),
    /// The token that was presented is not valid.
    UnknownToken,
    /// The home could not be read, or the question is not valid.
    Reading(Error),
    /// The service itself failed.
    Broken,
}
