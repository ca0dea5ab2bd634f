//! The calls of the demo: recorded from real MCP servers, and replayed through a toolbox.

mod replay;

pub(crate) use replay::replay;
