//! What is secret and what is not: shapes of tokens, names, words, values that are no secrets, and rules of whoever runs the recorder.

pub(in crate::redact) mod benign;
pub(in crate::redact) mod names;
pub(in crate::redact) mod own;
pub(in crate::redact) mod shapes;
pub(in crate::redact) mod words;
