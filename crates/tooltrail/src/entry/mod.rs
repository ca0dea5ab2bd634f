//! The line format of the trail: writes a call as a line, and reads lines that other programs send.

mod digits;
mod encode;
mod head;
mod receive;
#[doc(hidden)]
pub mod steps;
mod stored;

pub(crate) use encode::write;
pub(crate) use head::{foreign_head, head};
pub use receive::{receive, receive_finished};
pub use stored::StoredEntry;

#[cfg(test)]
mod tests;
