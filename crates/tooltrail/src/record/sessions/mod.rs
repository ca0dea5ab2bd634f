//! Calls that belong to a session: they begin in one process and end in another, as in the hooks of coding agents.
//!
//! A call that has begun is a file in `open/`, which holds the line that is recorded if nobody ever tells how it ended.
//! Whoever ends the call creates a claim in `claims/` with the finished line. A name can be created only once, so of
//! several processes that end the same call exactly one records it. It appends the line to the day file and moves the
//! claim to `ended/`, where it stays for a day as the sign that this call is recorded. If the process is killed before
//! that, the next one appends the line of the claim, unless it is in the day file already.

mod append;
mod forget;
mod note;
mod recorder;
mod requested;
mod settle;
mod touched;

pub(crate) use forget::forget_sessions;
pub use recorder::{CallKey, CallState, Ended, OpenCalls, SessionCall, SessionRecorder};
pub(crate) use settle::settle;
