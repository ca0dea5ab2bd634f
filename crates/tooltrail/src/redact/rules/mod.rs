//! Rules that decide what is secret: token shapes, names, word lists, values that are not secret, and additional rules
//! from the configuration.

pub(in crate::redact) mod benign;
pub(in crate::redact) mod names;
pub(in crate::redact) mod own;
pub(in crate::redact) mod shapes;
pub(in crate::redact) mod words;
