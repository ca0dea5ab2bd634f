//! What is secret, and the step that takes it out of a call.

mod engine;
mod marks;
mod step;
mod tree;
mod window;

pub use engine::{RedactionKey, Redactor};
pub(crate) use marks::{count_marks, mark_across, mark_len};
pub(crate) use step::Redacted;
pub(crate) use tree::{Seen, Tree};
pub(crate) use window::Windowed;
