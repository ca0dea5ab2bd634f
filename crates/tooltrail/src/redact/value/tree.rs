//! A JSON value as redaction sees it: each string only so far as it can reach the line, with its full length.

use crate::json::Json;
use crate::limits::WINDOW_BEYOND;
use crate::redact::value::chars::{count_chars, end_of_chars};

/// A string: what redaction sees of it, later what redaction left of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WindowedText {
    /// The window of the text; after redaction, with marks in place of secrets.
    pub(crate) text: String,
    /// Characters received, before windowing and redaction.
    pub(crate) chars: u64,
    /// Whether more was received than the window holds.
    pub(crate) cut: bool,
}

impl WindowedText {
    /// Takes the window of a text that may reach `limit` characters of the line.
    pub(crate) fn window(mut text: String, limit: usize) -> Self {
        let (end, chars) = Self::lend(&text, limit);
        let cut = end < text.len();
        text.truncate(end);
        Self { text, chars, cut }
    }

    /// Copies the window of a text that may reach `limit` characters of the line.
    pub(crate) fn copy(text: &str, limit: usize) -> Self {
        let (end, chars) = Self::lend(text, limit);
        Self { text: text[..end].to_owned(), chars, cut: end < text.len() }
    }

    /// Takes a text that is a window already, of so many characters if it is one of more, into its own memory.
    pub(in crate::redact) fn refill(&mut self, text: &str, chars: Option<u64>) {
        self.text.clear();
        self.text.push_str(text);
        self.chars = chars.unwrap_or_else(|| count_chars(text) as u64);
        self.cut = chars.is_some();
    }

    /// Returns where the window ends and how many characters the whole text has.
    pub(crate) fn lend(text: &str, limit: usize) -> (usize, u64) {
        let window = limit + WINDOW_BEYOND;
        // A text of no more bytes than the window has no more characters either.
        if text.len() <= window {
            return (text.len(), count_chars(text) as u64);
        }
        let end = end_of_chars(text, window);
        let chars = if end < text.len() { window + count_chars(&text[end..]) } else { count_chars(text) };
        (end, chars as u64)
    }
}

/// A JSON value whose strings are windows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    /// The digits as received.
    Number(String),
    String(WindowedText),
    Array(Vec<Self>),
    Object(Vec<(WindowedText, Self)>),
    /// The compact text of a list or object below the deepest level that stays structured.
    Deep(WindowedText),
}

impl Tree {
    /// Windows every string of a value: keys to `keys`, all else to `strings` characters and the window beyond.
    pub(crate) fn of(value: Json, keys: usize, strings: usize) -> Self {
        match value {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(digits) => Self::Number(digits),
            Json::String(text) => Self::String(WindowedText::window(text, strings)),
            Json::Deep(text) => Self::Deep(WindowedText::window(text, strings)),
            Json::Array(elements) => Self::Array(elements.into_iter().map(|e| Self::of(e, keys, strings)).collect()),
            Json::Object(members) => Self::Object(
                members.into_iter().map(|(k, v)| (WindowedText::window(k, keys), Self::of(v, keys, strings))).collect(),
            ),
        }
    }
}
