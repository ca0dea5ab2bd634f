//! One day file: appending to it, its torn ends, and its lines from the end backwards.

mod append;
mod blocks;
mod tail;

pub(crate) use append::append;
pub(crate) use blocks::{Blocks, Found};
