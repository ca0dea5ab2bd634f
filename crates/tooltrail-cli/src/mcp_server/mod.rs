//! The trail as an MCP server: tools with which an agent reads its user's own calls.

mod definitions;
mod http;
mod server;

pub(crate) use http::answer;
pub(crate) use server::{AuditServer, toolbox};
