//! One day file: appending to it, its torn ends, its lines from the end backwards, and forwards as it grows.

mod append;
mod blocks;
mod forwards;
mod tail;

pub(crate) use append::append;
pub(crate) use blocks::{Blocks, Found};
pub(crate) use forwards::{Ahead, Broken, Forwards};
