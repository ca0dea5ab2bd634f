//! The formats in which entries leave the trail, for other programs.

mod csv;
mod fields;
mod format;
mod ocsf;
mod output;

pub(crate) use format::Format;
pub(crate) use output::{Output, Part};
