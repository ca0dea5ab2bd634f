//! Finds out from the messages of both directions which calls begin, and how and when they end.

mod about;
mod open;
mod outcome;

pub(crate) use about::{About, is_stateless};
pub(crate) use open::{Calls, Change, Ended, Moment, ServerEnd};

#[cfg(test)]
mod tests;
