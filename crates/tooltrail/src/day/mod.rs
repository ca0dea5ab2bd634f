//! One day file: appending to it, its torn ends, how late its lines come, and its lines from the end backwards.

mod append;
mod blocks;
mod late;
mod redo;
mod tail;

pub(crate) use append::{End, keep_fragment};
pub(crate) use blocks::{Blocks, Found};
pub(crate) use late::{LATE_MS, Largest, Notes, Span};
pub(crate) use redo::{Cut, Redo, Redone, redo};
