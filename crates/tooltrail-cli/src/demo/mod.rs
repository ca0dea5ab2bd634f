//! The demo's calls: recorded from real MCP servers, dispatched again through a toolbox.

mod replay;

pub(crate) use replay::replay;
