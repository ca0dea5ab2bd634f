//! The proxy in front of an MCP server: records each `tools/call` and lets everything else pass untouched.
//!
//! `read` takes messages from bytes, `calls` finds out which calls begin and end, and `gate` decides and answers for
//! the server. These three know no pipes, no files and no time of their own. `trail` records, and `stdio` connects the
//! pipes of a client and a server. `tools` compares what a server says of its tools with what it said before.

pub(crate) mod calls;
#[cfg(test)]
mod fuzzing;
pub(crate) mod gate;
pub(crate) mod read;
pub(crate) mod stdio;
pub(crate) mod tools;
pub(crate) mod trail;
