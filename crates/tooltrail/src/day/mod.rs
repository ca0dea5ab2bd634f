//! One day file: appending to it, its torn ends, and its lines from the end backwards.

mod append;
mod tail;

pub(crate) use append::{Appended, append};
pub(crate) use tail::Torn;
