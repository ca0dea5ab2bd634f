//! JSON that keeps the order of members and the digits of numbers as received, and reports values that JSON cannot
//! represent faithfully.
//!
//! A general JSON library converts numbers to machine numbers, keeps only the last of two equal keys and stops at some
//! hundred levels of nesting. An audit trail must do none of this, so this crate has its own reader.

mod classes;
mod read;
mod reader;
mod unescape;
mod write;

pub(crate) use read::{OBJECT_MEMBERS_MAX, check, is_number, members, string};
pub(crate) use reader::{Flaw, JsonReader};
pub(crate) use unescape::{push_unescaped, unescape};
pub(crate) use write::{compact, is_escaped, push_string};

/// Maximum levels of nesting that stay structured; a list or object at a deeper level is kept as its compact text.
///
/// This also limits the recursion of all functions that walk a tree.
pub(crate) const DEPTH_MAX: usize = 64;

/// A JSON value. Members keep the order received and numbers keep their digits.
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
    /// The compact text of a list or object that is nested deeper than [`DEPTH_MAX`] levels.
    Deep(String),
}

impl Json {
    /// Reads a text that is one JSON value, with only white space around it. Lists and objects stay structured down to
    /// `levels` levels, at most [`DEPTH_MAX`].
    pub(crate) fn read(text: &str, levels: usize) -> Result<Self, Flaw> {
        check(text)?;
        Ok(read::build(text, levels.min(DEPTH_MAX)))
    }
}
