//! What the threads tell the main thread.

use crate::mcp::calls::ServerEnd;

/// Something that the main thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The client sends no more, or the server reads no more.
    InputEnded,
    /// The server sends no more, or the client reads no more.
    OutputEnded,
    /// The client reads no more.
    OutputGone,
    /// The server has ended.
    Exited(ServerEnd),
    /// Somebody asked this process to end.
    Terminated,
    /// There is something to do soon for open or cancelled calls.
    Tick,
}
