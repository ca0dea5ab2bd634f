//! The reasons why the service refuses a request; `http/status.rs` turns them into HTTP answers.

use tooltrail::Error;

/// The reason why the service refuses a request.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The service cannot do it now; the caller may retry.
    Busy(&'static str),
    /// The token that was presented is not valid.
    UnknownToken,
    /// The home could not be read, or the query is not valid.
    Reading(Error),
    /// An internal error of the service.
    Broken,
}
