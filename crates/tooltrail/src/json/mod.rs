//! JSON as it was received: order, digits and all, and a clear word where JSON cannot carry a value faithfully.
//!
//! A general JSON library turns numbers into machine numbers, lets the last of two equal keys win and stops at a
//! nesting of some hundred levels. An audit trail may do none of that, so the reader is our own.

mod classes;
mod read;
mod reader;
mod unescape;
mod write;

pub(crate) use read::{OBJECT_MEMBERS_MAX, check, is_number, members, string};
pub(crate) use reader::{Flaw, JsonReader};
pub(crate) use unescape::{push_unescaped, unescape};
pub(crate) use write::{compact, is_escaped, push_string};

/// Levels of nesting that stay structured; a list or object deeper than this becomes its compact text.
///
/// It also bounds recursion wherever a tree is walked.
pub(crate) const DEPTH_MAX: usize = 64;

/// A JSON value with members in the order received and numbers with their digits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// The digits as received.
    Number(String),
    String(String),
    Array(Vec<Self>),
    /// Keys are unique when read from text.
    Object(Vec<(String, Self)>),
    /// The compact text of a list or object below [`DEPTH_MAX`] levels.
    Deep(String),
}

impl Json {
    /// Reads one value and nothing after it but white space; lists and objects stay structured down to `levels`.
    pub(crate) fn read(text: &str, levels: usize) -> Result<Self, Flaw> {
        check(text)?;
        Ok(read::build(text, levels.min(DEPTH_MAX)))
    }
}
