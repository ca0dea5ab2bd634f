//! The modules of the command line that read and pair the messages of MCP. They are in a binary, so that they are
//! compiled here once more.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "the proxy uses more of them than the fuzzer")]

#[path = "../../../crates/tooltrail-cli/src/mcp/calls/mod.rs"]
pub(crate) mod calls;
#[path = "../../../crates/tooltrail-cli/src/mcp/fuzzing.rs"]
pub(crate) mod fuzzing;
#[path = "../../../crates/tooltrail-cli/src/mcp/gate/mod.rs"]
pub(crate) mod gate;
#[path = "../../../crates/tooltrail-cli/src/mcp/read/mod.rs"]
pub(crate) mod read;
