//! JSON text to values: a check that never recurses, then a tree of bounded depth.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Json;
use super::reader::{Flaw, Reader};
use super::unescape::unescape;
use super::write::compact;

/// Keys of one object up to which comparing each with each is cheaper than hashing.
const KEYS_LINEAR_MAX: usize = 8;

/// Checks that a text is one JSON value (RFC 8259) without equal keys in an object or lone surrogates, at any depth.
///
/// Syntax is judged first: a text that is no JSON at all is that, whatever else is wrong with it.
pub(crate) fn check(text: &str) -> Result<(), Flaw> {
    let mut reader = Reader::new(text);
    let mut flaw = None;
    // One element an open container: the keys seen of an object, nothing for a list.
    let mut open: Vec<Option<Keys<'_>>> = Vec::new();
    loop {
        reader.space();
        match reader.peek() {
            Some(b'{') => {
                reader.take(b'{');
                reader.space();
                if !reader.take(b'}') {
                    let mut keys = Keys::default();
                    reader.key(&mut keys, &mut flaw)?;
                    open.push(Some(keys));
                    continue;
                }
            }
            Some(b'[') => {
                reader.take(b'[');
                reader.space();
                if !reader.take(b']') {
                    open.push(None);
                    continue;
                }
            }
            Some(b'"') => {
                let (_, lone) = reader.string()?;
                if lone {
                    flaw = flaw.or(Some(Flaw::LoneSurrogate));
                }
            }
            _ => reader.scalar()?,
        }
        // A value has ended: what follows it?
        loop {
            reader.space();
            match open.last_mut() {
                None if reader.at() == text.len() => return flaw.map_or(Ok(()), Err),
                None => return Err(reader.syntax()),
                Some(Some(keys)) => {
                    if reader.take(b',') {
                        reader.space();
                        reader.key(keys, &mut flaw)?;
                        break;
                    }
                    reader.expect(b'}')?;
                    open.pop();
                }
                Some(None) => {
                    if reader.take(b',') {
                        break;
                    }
                    reader.expect(b']')?;
                    open.pop();
                }
            }
        }
    }
}

/// Whether a text is exactly one JSON number.
pub(crate) fn is_number(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.number().is_ok() && reader.at() == text.len()
}

/// Returns the members of an object's text: each key decoded, each value as it stands.
///
/// Keys that occur twice are returned twice. Only the outermost level is looked at beyond syntax.
pub(crate) fn members(text: &str) -> Result<Vec<(Cow<'_, str>, &str)>, Flaw> {
    if let Err(Flaw::Syntax(at)) = check(text) {
        return Err(Flaw::Syntax(at));
    }
    let mut reader = Reader::new(text);
    reader.space();
    reader.expect(b'{')?;
    let mut found = Vec::new();
    reader.space();
    if reader.take(b'}') {
        return Ok(found);
    }
    loop {
        reader.space();
        let (key, lone) = reader.string()?;
        reader.space();
        reader.expect(b':')?;
        reader.space();
        let value = reader.skip();
        // Half a surrogate pair stays written as its escape.
        found.push((if lone { Cow::Borrowed(key) } else { unescape(key) }, value));
        reader.space();
        if !reader.take(b',') {
            return Ok(found);
        }
    }
}

/// Returns the string that a JSON string's text stands for, `None` if the text is no faithful string.
pub(crate) fn string(text: &str) -> Option<Cow<'_, str>> {
    let mut reader = Reader::new(text);
    let (inner, lone) = reader.string().ok()?;
    (!lone && reader.at() == text.len()).then(|| unescape(inner))
}

/// Returns the tree of a text that passed [`check`].
pub(super) fn build(text: &str, levels: usize) -> Json {
    let mut reader = Reader::new(text);
    reader.build(levels)
}

/// The keys of one object, to find a second one.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    /// Adds a key; returns whether it was there.
    fn seen(&mut self, key: Cow<'a, str>) -> bool {
        if self.few.len() < KEYS_LINEAR_MAX && self.many.is_empty() {
            if self.few.contains(&key) {
                return true;
            }
            self.few.push(key);
            return false;
        }
        self.many.extend(self.few.drain(..));
        !self.many.insert(key)
    }
}

impl<'a> Reader<'a> {
    /// Reads a key and its colon, and notes whether it stood before.
    fn key(&mut self, keys: &mut Keys<'a>, flaw: &mut Option<Flaw>) -> Result<(), Flaw> {
        let (key, lone) = self.string()?;
        if lone {
            *flaw = flaw.or(Some(Flaw::LoneSurrogate));
        } else if keys.seen(unescape(key)) {
            *flaw = flaw.or(Some(Flaw::DuplicateKey));
        }
        self.space();
        self.expect(b':')
    }

    /// Builds the value at this position of a checked text, with so many levels of containers below it.
    fn build(&mut self, levels: usize) -> Json {
        self.space();
        match self.peek() {
            Some(b'{' | b'[') if levels == 0 => Json::Deep(compact(self.skip())),
            Some(b'{') => {
                self.take(b'{');
                let mut members = Vec::new();
                self.space();
                while !self.take(b'}') {
                    self.space();
                    let key = self.checked_string();
                    self.space();
                    self.take(b':');
                    members.push((key, self.build(levels - 1)));
                    self.space();
                    self.take(b',');
                }
                Json::Object(members)
            }
            Some(b'[') => {
                self.take(b'[');
                let mut elements = Vec::new();
                self.space();
                while !self.take(b']') {
                    elements.push(self.build(levels - 1));
                    self.space();
                    self.take(b',');
                    self.space();
                }
                Json::Array(elements)
            }
            Some(b'"') => Json::String(self.checked_string()),
            _ => match self.skip() {
                "null" => Json::Null,
                "true" => Json::Bool(true),
                "false" => Json::Bool(false),
                number => Json::Number(number.to_owned()),
            },
        }
    }

    fn checked_string(&mut self) -> String {
        self.string().map(|(inner, _)| unescape(inner).into_owned()).unwrap_or_default()
    }
}
