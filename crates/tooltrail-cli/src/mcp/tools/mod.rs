//! What a server says of its tools: what changed since it was seen first, and what somebody has approved.
//!
//! `definitions` reads an answer to `tools/list`, `compare` finds what changed, `signs` names texts in it that speak to the
//! model about something else, and `store` keeps what was seen and
//! approved, `remote` asks a service that keeps it, and `pins` decides.

mod compare;
mod definitions;
mod pins;
mod remote;
mod signs;
mod store;

pub(crate) use compare::ToolChanges;
pub(crate) use definitions::{Definition, ListLines, ListedTools};
pub(crate) use pins::PinnedTools;
pub(crate) use remote::ServicePins;
pub(crate) use store::{FilePins, Listing, SeenTool, ToolStore};
