//! Cuts large values so that they fit a line: strings, lists, nesting depth and, as the last step, the whole line.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::json::{is_escaped, push_string, unescape};
use crate::limits::{ARG_CHARS_MAX, FIELD_CHARS_MAX, Limits};
use crate::redact::{Plain, Redacted, To, Tree, WindowedText, mark_across};

/// The initial capacity for encoded args, in bytes. Most args fit, so the buffer does not grow and move.
const OBJECT_BYTES_USUAL: usize = 512;

/// The number of bytes that are counted in one step.
const LANE: usize = 16;

/// The number of an object's keys that are compared one by one; nearly every object has fewer.
const FEW_KEYS_MAX: usize = 16;

/// A redacted call in which every value is within its limit; `entry` encodes it.
#[derive(Debug)]
pub(crate) struct Clipped {
    redacted: Redacted,
    args: String,
    extra: Option<String>,
}

impl Clipped {
    /// Clips every value of a redacted call to its limit.
    pub(crate) fn of(redacted: Redacted) -> Self {
        let limits = redacted.fields().limits();
        let mut args = clipped_object(redacted.args(), limits, limits.args_bytes);
        if args.len() > limits.args_bytes {
            args = as_text(redacted.args(), redacted.fields().args.chars());
        }
        let mut extra = redacted.extra().map(|extra| clipped_object(extra, limits, limits.extra_bytes));
        if extra.as_ref().is_some_and(|extra| extra.len() > limits.extra_bytes) {
            extra = extra_as_text(&redacted);
        }
        Self { redacted, args, extra }
    }

    /// Returns the call.
    pub(crate) fn redacted(&self) -> &Redacted {
        &self.redacted
    }

    /// Returns the args as encoded JSON.
    pub(crate) fn args(&self) -> &str {
        &self.args
    }

    /// Returns `extra` as encoded JSON, if the call has any.
    pub(crate) fn extra(&self) -> Option<&str> {
        self.extra.as_deref()
    }

    /// Replaces `extra` with one short text, because the line is still too long.
    pub(crate) fn give_up_extra(&mut self) {
        self.extra = extra_as_text(&self.redacted);
    }

    /// Replaces the args with one short text, because the line is still too long.
    pub(crate) fn give_up_args(&mut self) {
        self.args = as_text(self.redacted.args(), self.redacted.fields().args.chars());
    }
}

/// Returns the text of a string field or a key of a new line, clipped to its limit.
pub(crate) fn field(seen: &WindowedText) -> Cow<'_, str> {
    field_within(seen, FIELD_CHARS_MAX)
}

/// Returns the text of a string field or a key, clipped to a number of characters.
pub(crate) fn field_within(seen: &WindowedText, chars: usize) -> Cow<'_, str> {
    string(seen, chars)
}

/// Returns the first characters of a result, without a marker for the cut.
pub(crate) fn snippet<'a>(seen: &'a WindowedText, limits: &Limits) -> &'a str {
    &seen.text[..cut_at(&seen.text, limits.snippet_chars).unwrap_or(seen.text.len())]
}

/// Appends an object that contains no secrets, with every string clipped.
pub(crate) fn push_plain(out: &mut String, plain: &Plain<'_>) {
    let mut at = 0;
    for change in &plain.changes {
        out.push_str(&plain.text[at..change.start]);
        at = change.end;
        if let To::String { chars, cut } = change.to {
            let text = unescape(&plain.text[change.start + 1..change.end - 1]);
            let seen = if cut { &text[..WindowedText::lend(&text, ARG_CHARS_MAX).0] } else { &text };
            push_string(out, &shortened(seen, chars, cut, ARG_CHARS_MAX));
        }
    }
    out.push_str(&plain.text[at..]);
}

fn string(seen: &WindowedText, limit: usize) -> Cow<'_, str> {
    shortened(&seen.text, seen.chars, seen.cut, limit)
}

/// Returns at most `limit` characters of a text. If the complete text is longer, a marker with its total length
/// follows.
fn shortened(text: &str, chars: u64, beyond: bool, limit: usize) -> Cow<'_, str> {
    match cut_at(text, limit) {
        None if !beyond => Cow::Borrowed(text),
        cut => Cow::Owned(format!("{} …[{chars} chars total]", &text[..cut.unwrap_or(text.len())])),
    }
}

/// Returns the offset at which a text longer than `limit` characters is cut: at the limit, or before a redaction mark
/// that the cut would split.
fn cut_at(text: &str, limit: usize) -> Option<usize> {
    if text.len() <= limit {
        return None;
    }
    let at = nth(text, limit)?;
    Some(mark_across(text, at).unwrap_or(at))
}

/// Returns the byte offset of the character with this index, or `None` if the text is shorter.
fn nth(text: &str, mut chars: usize) -> Option<usize> {
    let (lanes, _) = text.as_bytes().as_chunks::<LANE>();
    let mut at = 0;
    for lane in lanes {
        // Counts the bytes that begin a character; the sum of a lane fits in a `u8`.
        let begun: u8 = lane.iter().map(|byte| u8::from(byte & 0xC0 != 0x80)).sum();
        if usize::from(begun) > chars {
            break;
        }
        chars -= usize::from(begun);
        at += LANE;
    }
    let begins = |byte: &u8| byte & 0xC0 != 0x80;
    let rest = text.as_bytes()[at..].iter().enumerate().filter(|(_, byte)| begins(byte));
    rest.map(|(n, _)| at + n).nth(chars)
}

/// Returns the encoded JSON of a value in which every part is clipped. Stops early when the result is longer than
/// `bytes_max`, because the caller does not use it then.
fn clipped_object(tree: &Tree, limits: &Limits, bytes_max: usize) -> String {
    let mut out = String::with_capacity(OBJECT_BYTES_USUAL);
    push_clipped(&mut out, tree, limits, bytes_max);
    out
}

fn push_clipped(out: &mut String, tree: &Tree, limits: &Limits, bytes_max: usize) {
    if out.len() > bytes_max {
        return;
    }
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Tree::Number(digits) => out.push_str(digits),
        Tree::String(seen) | Tree::Deep(seen) => push_string(out, &string(seen, limits.arg_chars)),
        Tree::Array(elements) => {
            out.push('[');
            for (n, element) in elements.iter().take(limits.members).enumerate() {
                if n > 0 {
                    out.push(',');
                }
                push_clipped(out, element, limits, bytes_max);
            }
            if elements.len() > limits.members {
                out.push(',');
                push_string(out, &members_total(elements.len()));
            }
            out.push(']');
        }
        Tree::Object(members) => {
            out.push('{');
            let mut keys = Keys::default();
            for (n, (key, value)) in members.iter().take(limits.members).enumerate() {
                if n > 0 {
                    out.push(',');
                }
                if out.len() > bytes_max {
                    return;
                }
                let key = keys.unlike(field_within(key, limits.field_chars));
                push_string(out, &key);
                keys.add(key);
                out.push(':');
                push_clipped(out, value, limits, bytes_max);
            }
            if members.len() > limits.members {
                out.push(',');
                push_string(out, &keys.unlike(members_total(members.len()).into()));
                out.push_str(":true");
            }
            out.push('}');
        }
    }
}

fn members_total(members: usize) -> String {
    format!(" …[{members} members total]")
}

/// The keys of an object so far: a list for the first keys, because searching a short list is the cheapest, and a set
/// for the rest.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
    /// For each repeated key, the next number to try as its suffix.
    next: HashMap<String, usize>,
}

impl<'a> Keys<'a> {
    fn add(&mut self, key: Cow<'a, str>) {
        if self.few.len() < FEW_KEYS_MAX {
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
    }

    fn hold(&self, key: &str) -> bool {
        self.few.iter().any(|known| known == key) || (!self.many.is_empty() && self.many.contains(key))
    }

    /// Returns a key that no earlier key equals: the key itself, or the key with `#2`, `#3`, … appended.
    fn unlike(&mut self, key: Cow<'a, str>) -> Cow<'a, str> {
        if !self.hold(&key) {
            return key;
        }
        // Continues with the number after the last one, so that a thousand equal keys need a thousand attempts in
        // total.
        let mut n = self.next.get(&*key).copied().unwrap_or(2);
        let found = loop {
            let numbered = format!("{key}#{n}");
            n += 1;
            if !self.hold(&numbered) {
                break numbered;
            }
        };
        self.next.insert(key.into_owned(), n);
        Cow::Owned(found)
    }
}

/// Returns `{"clipped": T}`, where T is the beginning of the value's compact text.
fn as_text(tree: &Tree, chars: u64) -> String {
    // The prefix must be longer than the limit, which shows that there is more text. It must also contain the whole of
    // a redaction mark that crosses the limit; marks are far shorter than `WINDOW_BEYOND`.
    let mut text = Prefix { text: String::new(), left: ARG_CHARS_MAX + crate::limits::WINDOW_BEYOND };
    text.tree(tree);
    let seen = WindowedText { text: text.text, chars, cut: true };
    let mut out = "{\"clipped\":".to_owned();
    push_string(&mut out, &string(&seen, ARG_CHARS_MAX));
    out.push('}');
    out
}

fn extra_as_text(redacted: &Redacted) -> Option<String> {
    let received = redacted.fields().extra.as_ref()?;
    Some(as_text(redacted.extra()?, received.chars()))
}

/// Builds only the beginning of a value's compact text, so that a large value costs no more than the part that is kept.
struct Prefix {
    text: String,
    left: usize,
}

impl Prefix {
    fn push(&mut self, text: &str) {
        let end = text.char_indices().nth(self.left).map_or(text.len(), |(at, _)| at);
        self.left -= text[..end].chars().count();
        self.text.push_str(&text[..end]);
    }

    fn string(&mut self, text: &str) {
        // Escaping never makes a text shorter, so text that is beyond the limit before escaping is also beyond it
        // afterwards.
        let end = text.char_indices().nth(self.left).map_or(text.len(), |(at, _)| at);
        if text[..end].chars().any(is_escaped) {
            let mut escaped = String::new();
            push_string(&mut escaped, &text[..end]);
            self.push(&escaped);
        } else {
            self.push("\"");
            self.push(&text[..end]);
            self.push("\"");
        }
    }

    fn tree(&mut self, tree: &Tree) {
        if self.left == 0 {
            return;
        }
        match tree {
            Tree::Null => self.push("null"),
            Tree::Bool(value) => self.push(if *value { "true" } else { "false" }),
            Tree::Number(digits) => self.push(digits),
            Tree::String(seen) => self.string(&seen.text),
            // Below the maximum depth, the value is stored as its text.
            Tree::Deep(seen) => self.push(&seen.text),
            Tree::Array(elements) => {
                self.push("[");
                for (n, element) in elements.iter().enumerate() {
                    if self.left == 0 {
                        return;
                    }
                    if n > 0 {
                        self.push(",");
                    }
                    self.tree(element);
                }
                self.push("]");
            }
            Tree::Object(members) => {
                self.push("{");
                for (n, (key, value)) in members.iter().enumerate() {
                    if self.left == 0 {
                        return;
                    }
                    if n > 0 {
                        self.push(",");
                    }
                    self.string(&key.text);
                    self.push(":");
                    self.tree(value);
                }
                self.push("}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_found_at_any_place() {
        for unit in ["a", "é", "日本", "a😀b—", "\u{7f}é"] {
            let text = unit.repeat(60);
            for chars in 0..text.chars().count() + 3 {
                assert_eq!(nth(&text, chars), text.char_indices().nth(chars).map(|(at, _)| at), "{unit} {chars}");
            }
        }
    }
}
