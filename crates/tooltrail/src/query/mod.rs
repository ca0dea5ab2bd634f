//! A question, its grammar, and whether a line answers it.

mod check;
mod cursor;
mod glob;
mod grammar;
mod line;
mod matches;
mod needle;
mod question;
mod terms;

pub use check::check_filter;
pub use cursor::Cursor;
pub(crate) use cursor::{Mark, Place};
pub use glob::glob_matches;
pub(crate) use line::{Line, instant};
pub(crate) use matches::Filter;
pub use question::Question;
pub use terms::Query;
