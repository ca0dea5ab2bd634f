//! One day file: appending to it, its torn ends, how late its lines come, and its lines from the end backwards.

mod append;
mod blocks;
mod late;
mod tail;

pub(crate) use append::End;
pub(crate) use blocks::{Blocks, Found};
pub(crate) use late::{LATE_MS, Largest, Notes, Span};
