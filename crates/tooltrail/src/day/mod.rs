//! One day file: appending to it, its torn ends, and its lines from the end backwards.

mod append;
mod tail;

pub(crate) use append::append;
