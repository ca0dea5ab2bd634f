//! A JSON value for redaction: of each string the window that can reach the line, and the full number of characters.

use crate::json::Json;
use crate::limits::WINDOW_BEYOND;
use crate::redact::value::chars::{count_chars, end_of_chars};

/// The window of a string; after redaction, the redacted window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WindowedText {
    /// The window of the text; after redaction, with marks instead of secrets.
    pub(crate) text: String,
    /// Characters received, before windowing and redaction.
    pub(crate) chars: u64,
    /// Whether the received text is longer than the window.
    pub(crate) cut: bool,
}

impl WindowedText {
    /// Truncates a text to the window for `limit` characters in the line.
    pub(crate) fn window(mut text: String, limit: usize) -> Self {
        let (end, chars) = Self::lend(&text, limit);
        let cut = end < text.len();
        text.truncate(end);
        Self { text, chars, cut }
    }

    /// Copies the window of a text for `limit` characters in the line.
    pub(crate) fn copy(text: &str, limit: usize) -> Self {
        let (end, chars) = Self::lend(text, limit);
        Self { text: text[..end].to_owned(), chars, cut: end < text.len() }
    }

    /// Copies a text that is already a window into the existing buffer. `chars` is the number of characters of the
    /// whole text if it is longer than the window.
    pub(in crate::redact) fn refill(&mut self, text: &str, chars: Option<u64>) {
        self.text.clear();
        self.text.push_str(text);
        self.chars = chars.unwrap_or_else(|| count_chars(text) as u64);
        self.cut = chars.is_some();
    }

    /// Returns the end of the window in bytes, and the number of characters of the whole text.
    pub(crate) fn lend(text: &str, limit: usize) -> (usize, u64) {
        let window = limit + WINDOW_BEYOND;
        // A text with no more bytes than the window has no more characters either.
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
    /// A number, as the text received.
    Number(String),
    String(WindowedText),
    Array(Vec<Self>),
    Object(Vec<(WindowedText, Self)>),
    /// The compact JSON text of a list or object that is nested too deeply to be kept as a tree.
    Deep(WindowedText),
}

impl Tree {
    /// Builds a tree from a value, and truncates every string to its window: `keys` characters for keys, `strings` for
    /// all others, plus `WINDOW_BEYOND`.
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
