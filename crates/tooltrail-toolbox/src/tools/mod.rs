//! The included tools, with which an agent can only read files and its own trail.

mod access;
mod audit;
mod blocking;
mod entry;
mod file_read;
mod own;
mod path;
mod quote;
mod root;
mod sessions;

pub use audit::{ANSWER_BYTES_MAX, USER_REFUSAL, audit_recent, audit_stats};
pub use entry::audit_get;
pub use file_read::{FileRead, PATH_REFUSAL, READ_BYTES_MAX};
pub use root::Root;
pub use sessions::audit_sessions;
