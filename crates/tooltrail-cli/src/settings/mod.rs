//! The settings of one run, from flags, environment and configuration file; all are read once and resolved here.

pub(crate) mod durability;
pub(crate) mod file;
pub(crate) mod flags;
pub(crate) mod folders;
pub(crate) mod redaction;
mod resolved;
pub(crate) mod retention;
pub(crate) mod size;

pub(crate) use resolved::Settings;
pub(crate) mod witness;
