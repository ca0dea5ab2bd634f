//! The values of a call, bounded to what can reach its line in a day file, and the ways to redact them.

pub(in crate::redact) mod chars;
pub(in crate::redact) mod clean_cache;
pub(in crate::redact) mod fast_path;
pub(in crate::redact) mod found;
pub(in crate::redact) mod packed;
pub(in crate::redact) mod step;
pub(in crate::redact) mod tree;
pub(in crate::redact) mod walk;
pub(in crate::redact) mod window;
