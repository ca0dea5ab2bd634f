//! The fast path for calls without secrets, which are most calls. One pass over the texts decides, without building a
//! tree.

use std::cell::RefCell;
use std::ops::Range;

use crate::call::Via;
use crate::home::outside_folder;
use crate::json::{DEPTH_MAX, JsonReader, push_unescaped};
use crate::limits::{ARG_CHARS_MAX, FIELD_CHARS_MAX, MEMBERS_MAX};
use crate::redact::engine::Redactor;
use crate::redact::rules::names;
use crate::redact::scan::commands;
use crate::redact::scan::labels;
use crate::redact::scan::prefilter::Candidate;
use crate::redact::value::tree::WindowedText;
use crate::redact::value::window::{BoundedCall, Structure};

/// Maximum keys of one object that are compared with each other. A call with a larger object takes the slow path.
const KEYS_MAX: usize = 32;

/// Bytes of the unescaping buffer that a thread keeps between calls.
const TEXT_BYTES_KEPT: usize = 64 * 1024;

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// Buffers that a thread reuses for each call.
#[derive(Default)]
struct Room {
    candidates: Vec<Candidate>,
    /// The keys of all open objects, as ranges of the text.
    keys: Vec<Range<usize>>,
    /// The current string, with its escapes decoded.
    text: String,
}

/// A call whose texts contain no secrets and may be stored unredacted. Only [`Redactor::clean`] creates one.
#[derive(Debug)]
pub(crate) struct Clean<'a> {
    fields: &'a BoundedCall,
    folder: String,
    args: Plain<'a>,
    extra: Option<Plain<'a>>,
}

/// The JSON text of an object without secrets, and the pieces of it that are written differently.
#[derive(Debug)]
pub(crate) struct Plain<'a> {
    pub(crate) text: &'a str,
    pub(crate) changes: Vec<Change>,
}

/// A piece of a text that is written differently.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) to: To,
}

/// How a piece is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    /// White space between JSON tokens is omitted.
    Nothing,
    /// A string is written with our own escapes, and clipped if it is too long. `chars` is its number of characters, or
    /// 0 if it has no more bytes than the limit; `cut` says whether it is longer than its window.
    String { chars: u64, cut: bool },
}

impl<'a> Clean<'a> {
    /// Returns the fields other than args and extra.
    pub(crate) fn fields(&self) -> &'a BoundedCall {
        self.fields
    }

    /// Returns the folder of the user.
    pub(crate) fn into_folder(self) -> String {
        self.folder
    }

    /// Returns the args, always an object.
    pub(crate) fn args(&self) -> &Plain<'a> {
        &self.args
    }

    /// Returns the other received members.
    pub(crate) fn extra(&self) -> Option<&Plain<'a>> {
        self.extra.as_ref()
    }
}

impl Redactor {
    /// Returns the call if it may be stored unredacted. Returns `None` if something is or may be secret, or the call is
    /// unusual; then [`Redactor::redact`] must be used, which gives the same result for the calls accepted here.
    pub(crate) fn clean<'a>(&self, call: &'a BoundedCall) -> Option<Clean<'a>> {
        // In the calls that Tooltrail itself records, member names have no meaning for redaction. Such calls are few.
        if call.via == Via::Tooltrail || call.user.long.is_some() {
            return None;
        }
        ROOM.with_borrow_mut(|room| {
            room.keys.clear();
            let (args, extra) = self.clean_in(call, room)?;
            room.text.shrink_to(TEXT_BYTES_KEPT);
            Some(Clean { fields: call, folder: outside_folder(&call.user.seen.text), args, extra })
        })
    }

    fn clean_in<'a>(&self, call: &'a BoundedCall, room: &mut Room) -> Option<(Plain<'a>, Option<Plain<'a>>)> {
        let often =
            [Some(&call.tool), call.agent.as_ref(), call.model.as_ref(), call.client.as_ref(), call.server.as_ref()];
        if !often.into_iter().flatten().all(|name| self.is_clean_name(name, &mut room.candidates)) {
            return None;
        }
        let user = Some(&call.user.seen);
        let own = [&call.session, &call.call_id, &call.parent, &call.claimed_user, &call.rule].map(Option::as_ref);
        let mut texts = [user, Some(&call.result)].into_iter().chain(own).flatten();
        if !texts.all(|seen| self.is_clean(&seen.text, seen.cut, &mut room.candidates)) {
            return None;
        }
        let args = self.plain(&call.args, room)?;
        match &call.extra {
            Some(extra) => Some((args, Some(self.plain(extra, room)?))),
            None => Some((args, None)),
        }
    }

    fn plain<'a>(&self, structure: &'a Structure, room: &mut Room) -> Option<Plain<'a>> {
        if structure.cut {
            return None;
        }
        let text = structure.text.as_str();
        if text.is_empty() {
            return Some(Plain { text: "{}", changes: Vec::new() });
        }
        let mut walk = Walk { redactor: self, all: text, reader: JsonReader::new(text), changes: Vec::new(), room };
        walk.space();
        if walk.reader.peek() != Some(b'{') {
            return None;
        }
        walk.value(0)?;
        walk.space();
        (walk.reader.at() == text.len()).then_some(Plain { text, changes: walk.changes })
    }
}

/// The walk through a JSON text. Its functions return `None` as soon as something is not plain.
struct Walk<'r, 'a> {
    redactor: &'r Redactor,
    all: &'a str,
    reader: JsonReader<'a>,
    changes: Vec<Change>,
    room: &'r mut Room,
}

/// What the surrounding list or object needs to know about a value.
#[derive(Clone, Copy)]
enum Value<'a> {
    /// A string without escapes.
    Plain(&'a str),
    /// A string with escapes, and whether it begins with a dash, as a flag does.
    Escaped {
        dash: bool,
    },
    Other,
}

/// Returns whether the value of a key may be a command whose arguments or standard input are in another member.
pub(in crate::redact) fn is_command(key: &str) -> bool {
    matches!(key, "command" | "cmd" | "program" | "executable")
}

/// Returns whether a value is a flag, so that the string after it may be secret.
fn is_flag(value: Value<'_>) -> bool {
    match value {
        Value::Plain(name) => name.starts_with('-') && names::judge(name).is_some(),
        Value::Escaped { dash } => dash,
        Value::Other => false,
    }
}

impl<'a> Walk<'_, 'a> {
    fn space(&mut self) {
        if !matches!(self.reader.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            return;
        }
        let start = self.reader.at();
        self.reader.space();
        self.changes.push(Change { start, end: self.reader.at(), to: To::Nothing });
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        match self.reader.peek()? {
            b'{' | b'[' if depth >= DEPTH_MAX => None,
            b'{' => self.object(depth + 1).map(|()| Value::Other),
            b'[' => self.list(depth + 1).map(|()| Value::Other),
            b'"' => self.string(),
            _ => self.reader.faithful_scalar().ok().filter(|faithful| *faithful).map(|_| Value::Other),
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.reader.take(b'{');
        self.space();
        if self.reader.take(b'}') {
            return Some(());
        }
        let first = self.room.keys.len();
        loop {
            self.space();
            let start = self.reader.at() + 1;
            let key = self.reader.literal().ok()?;
            let earlier = &self.room.keys[first..];
            let again =
                earlier.len() >= KEYS_MAX || earlier.iter().any(|earlier| self.all[earlier.clone()] == *key.inner);
            if key.escaped || !key.ours || again || !self.is_plain(key.inner) {
                return None;
            }
            self.room.keys.push(start..start + key.inner.len());
            self.space();
            self.reader.expect(b':').ok()?;
            self.space();
            let value = self.value(depth)?;
            // A label or a command that reads a password from standard input says something about another member.
            let named = !self.redactor.is_off() && self.redactor.matcher.is_named(&self.room.candidates);
            match value {
                Value::Other => {}
                _ if self.redactor.matcher.asks(&self.room.candidates) || key.inner == "by" => return None,
                // The arguments or the standard input of a command may be in another member.
                Value::Plain(command) if is_command(key.inner) && (named || commands::begins(command, "")) => {
                    return None;
                }
                Value::Plain(label) if named && labels::is_label(key.inner) && labels::judge(label).is_some() => {
                    return None;
                }
                Value::Escaped { .. } if named && labels::is_label(key.inner) => return None,
                Value::Plain(_) | Value::Escaped { .. } => {}
            }
            self.space();
            if !self.reader.take(b',') {
                self.reader.expect(b'}').ok()?;
                self.room.keys.truncate(first);
                return Some(());
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        self.reader.take(b'[');
        self.space();
        if self.reader.take(b']') {
            return Some(());
        }
        let (mut count, mut last, mut head) = (0, Value::Other, [Value::Other; 2]);
        loop {
            let value = self.value(depth)?;
            let off = self.redactor.is_off();
            if count >= MEMBERS_MAX || is_flag(last) && !matches!(value, Value::Other) && !off {
                return None;
            }
            if let Some(position) = head.get_mut(count) {
                *position = value;
            }
            (count, last) = (count + 1, value);
            self.space();
            if !self.reader.take(b',') {
                self.reader.expect(b']').ok()?;
                break;
            }
            self.space();
        }
        match head {
            _ if self.redactor.is_off() => Some(()),
            // A name before its value, or a command before its arguments.
            [Value::Plain(first), Value::Plain(second)] => {
                let named = count == 2 && names::judge(first).is_some();
                (!named && !commands::begins(first, second)).then_some(())
            }
            [Value::Other, _] | [_, Value::Other] => Some(()),
            _ => None,
        }
    }

    fn string(&mut self) -> Option<Value<'a>> {
        let start = self.reader.at();
        let literal = self.reader.literal().ok().filter(|literal| !literal.lone)?;
        let text = if literal.escaped {
            self.room.text.clear();
            push_unescaped(&mut self.room.text, literal.inner);
            self.room.text.as_str()
        } else {
            literal.inner
        };
        // A text with no more bytes than the limit has no more characters either.
        let short = text.len() <= ARG_CHARS_MAX;
        let (window, chars) = if short { (text.len(), 0) } else { WindowedText::lend(text, ARG_CHARS_MAX) };
        let cut = window < text.len();
        if !self.redactor.is_clean(&text[..window], cut, &mut self.room.candidates) {
            return None;
        }
        if !literal.ours || chars > ARG_CHARS_MAX as u64 {
            self.changes.push(Change { start, end: self.reader.at(), to: To::String { chars, cut } });
        }
        let dash = text.starts_with('-');
        Some(if literal.escaped { Value::Escaped { dash } } else { Value::Plain(literal.inner) })
    }

    /// Returns whether a key does not suggest that its value is secret.
    fn is_plain(&mut self, key: &str) -> bool {
        key.len() <= FIELD_CHARS_MAX && self.redactor.is_plain_key(key, &mut self.room.candidates)
    }
}
