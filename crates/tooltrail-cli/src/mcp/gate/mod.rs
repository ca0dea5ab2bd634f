//! The gate in front of a server: which messages are refused, the answers that tooltrail gives in the server's place,
//! and lists of tools without the hidden ones.

mod answers;
mod hide;
mod rules;

pub(crate) use answers::{error_line, refusal, unreadable};
pub(crate) use hide::without_hidden;
pub(crate) use rules::{Refusal, Rules, Verdict, hook_name, hook_name_parts, slug};
