//! Finds secrets in a text. The prefilter finds candidates, `text` evaluates them, and most other files handle one kind
//! of context.

pub(in crate::redact) mod assign;
pub(in crate::redact) mod boundaries;
pub(in crate::redact) mod byte_classes;
pub(in crate::redact) mod cards;
pub(in crate::redact) mod codes;
pub(in crate::redact) mod commands;
pub(in crate::redact) mod declared;
pub(in crate::redact) mod encoded;
pub(in crate::redact) mod escapes;
pub(in crate::redact) mod forms;
pub(in crate::redact) mod hit;
pub(in crate::redact) mod labels;
pub(in crate::redact) mod leads;
pub(in crate::redact) mod links;
pub(in crate::redact) mod matcher;
pub(in crate::redact) mod nested;
pub(in crate::redact) mod prefilter;
pub(in crate::redact) mod rare;
pub(in crate::redact) mod spoken;
pub(in crate::redact) mod table;
pub(in crate::redact) mod text;
pub(in crate::redact) mod typed;
pub(in crate::redact) mod word_index;
pub(in crate::redact) mod world;
