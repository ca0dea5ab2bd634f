//! A call as one line of the trail: written, and read from what others send.

mod digits;
mod encode;
mod head;
mod receive;
#[doc(hidden)]
pub mod steps;
mod stored;

pub(crate) use encode::write;
pub(crate) use head::{foreign_head, head};
pub use receive::receive;
pub use stored::StoredEntry;

#[cfg(test)]
mod tests;
