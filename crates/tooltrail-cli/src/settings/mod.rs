//! What holds in a run: flags, environment and file, read once and resolved in one place.

pub(crate) mod durability;
pub(crate) mod file;
pub(crate) mod flags;
pub(crate) mod folders;
pub(crate) mod redaction;
mod resolved;
pub(crate) mod retention;
pub(crate) mod size;

pub(crate) use resolved::Settings;
