//! The formats in which entries leave the trail, for other programs.

mod csv;
mod fields;
mod format;
mod ocsf;

pub(crate) use format::Format;
