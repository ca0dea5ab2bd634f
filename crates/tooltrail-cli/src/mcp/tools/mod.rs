//! What a server says of its tools: what changed since it was seen first, and what somebody has approved.
//!
//! `lines` finds lists of tools in a line, `definitions` reads what they say, `compare` finds what changed, `signs` names
//! texts in it that speak to the model about something else, `store` keeps what was seen and approved, `remote` asks a
//! service that keeps it, and `pins` decides.

mod compare;
mod definitions;
mod lines;
mod pins;
mod remote;
mod signs;
mod store;

pub(crate) use compare::ToolChanges;
pub(crate) use definitions::{Definition, LIST_BYTES_MAX, ListLines, ListedTools, NAME_BYTES_MAX};
pub(crate) use lines::{ToolLists, in_lines, may_list, tool_name};
pub(crate) use pins::PinnedTools;
pub(crate) use remote::ServicePins;
pub(crate) use store::{FilePins, Listing, SeenTool, ToolStore};
