//! Connections, and the checks of every request before it is routed.

pub(crate) mod connection_limit;
pub(crate) mod failures;
pub(crate) mod framing;
pub(crate) mod host;
pub(crate) mod listen;
mod unix_socket;
