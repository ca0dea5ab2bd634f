//! `tooltrail mcp` between a client and a server of our own that misbehave. Real servers and clients are in
//! `tests/mcp/`.

mod ends;
mod gate;
mod kills;
mod many;
mod pass;
pub(crate) mod support;
mod tools;
mod troubles;
