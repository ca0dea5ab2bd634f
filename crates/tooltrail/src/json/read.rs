//! Reads JSON text: a check without recursion, then a tree of limited depth.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Json;
use super::reader::{Flaw, JsonReader};
use super::unescape::unescape;
use super::write::compact;

/// Up to this number of keys in one object, comparing all pairs is cheaper than hashing.
const KEYS_LINEAR_MAX: usize = 8;

/// Maximum levels in which keys are compared; a value with more levels is kept as text. Each level needs some bytes of
/// memory, and a request can consist of up to 16 MiB of brackets.
const LEVELS_COMPARED_MAX: usize = 10_000;

/// The members of most entries.
const MEMBERS_USUAL: usize = 20;

/// Maximum members of an object that is split into its members.
pub(crate) const OBJECT_MEMBERS_MAX: usize = 10_000;

/// Checks that a text is one JSON value (RFC 8259), and that at any depth it has no equal keys in an object, no lone
/// surrogates and no numbers of more than 300 characters.
///
/// A syntax error is reported before any other flaw.
pub(crate) fn check(text: &str) -> Result<(), Flaw> {
    let mut reader = JsonReader::new(text);
    let mut flaw = None;
    // `open` has one byte for each open container; `objects` has the keys of the open objects in the first levels.
    let (mut open, mut objects): (Vec<Open>, Vec<Keys<'_>>) = (Vec::new(), Vec::new());
    loop {
        reader.space();
        match reader.peek() {
            Some(b'{') => {
                reader.take(b'{');
                reader.space();
                if !reader.take(b'}') {
                    let is_compared = open.len() < LEVELS_COMPARED_MAX;
                    open.push(if is_compared { Open::Object } else { Open::DeepObject });
                    if is_compared {
                        objects.push(Keys::default());
                    } else {
                        flaw = flaw.or(Some(Flaw::TooDeep));
                    }
                    reader.key(objects.last_mut().filter(|_| is_compared), &mut flaw)?;
                    continue;
                }
            }
            Some(b'[') => {
                reader.take(b'[');
                reader.space();
                if !reader.take(b']') {
                    open.push(Open::List);
                    continue;
                }
            }
            Some(b'"') => {
                let (_, lone) = reader.string()?;
                if lone {
                    flaw = flaw.or(Some(Flaw::LoneSurrogate));
                }
            }
            _ => {
                if !reader.faithful_scalar()? {
                    flaw = flaw.or(Some(Flaw::LongNumber));
                }
            }
        }
        // A value has ended: reads the separator, or closes containers.
        loop {
            reader.space();
            match open.last() {
                None if reader.at() == text.len() => return flaw.map_or(Ok(()), Err),
                None => return Err(reader.syntax()),
                Some(kind @ (Open::Object | Open::DeepObject)) => {
                    let is_compared = *kind == Open::Object;
                    if reader.take(b',') {
                        reader.space();
                        reader.key(objects.last_mut().filter(|_| is_compared), &mut flaw)?;
                        break;
                    }
                    reader.expect(b'}')?;
                    open.pop();
                    if is_compared {
                        objects.pop();
                    }
                }
                Some(Open::List) => {
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

/// An open container.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Open {
    List,
    Object,
    /// An object that is nested so deeply that its keys are not compared.
    DeepObject,
}

/// Returns whether a text is exactly one JSON number.
pub(crate) fn is_number(text: &str) -> bool {
    let mut reader = JsonReader::new(text);
    reader.number().is_ok() && reader.at() == text.len()
}

/// Returns the members of an object's text: each key is decoded, each value is the unchanged text.
///
/// A key that occurs twice is returned twice. Below the outermost level only the syntax is checked. An object with more
/// than 10,000 members is refused.
pub(crate) fn members(text: &str) -> Result<Vec<(Cow<'_, str>, &str)>, Flaw> {
    let mut reader = JsonReader::new(text);
    let (mut found, mut is_full) = (Vec::with_capacity(MEMBERS_USUAL), false);
    reader.space();
    reader.expect(b'{')?;
    reader.space();
    if !reader.take(b'}') {
        loop {
            reader.space();
            let key = reader.literal()?;
            reader.space();
            reader.expect(b':')?;
            reader.space();
            let value = reader.checked()?;
            is_full |= found.len() >= OBJECT_MEMBERS_MAX;
            if !is_full {
                // A key with a lone surrogate keeps its escapes.
                let is_plain = key.lone || !key.escaped;
                found.push((if is_plain { Cow::Borrowed(key.inner) } else { unescape(key.inner) }, value));
            }
            reader.space();
            if !reader.take(b',') {
                reader.expect(b'}')?;
                break;
            }
        }
    }
    reader.space();
    match reader.at() == text.len() {
        false => Err(reader.syntax()),
        true if is_full => Err(Flaw::TooManyMembers),
        true => Ok(found),
    }
}

/// Returns the decoded string for a JSON string's text. Returns `None` if the text is not a JSON string or contains a
/// lone surrogate.
pub(crate) fn string(text: &str) -> Option<Cow<'_, str>> {
    let mut reader = JsonReader::new(text);
    let (inner, lone) = reader.string().ok()?;
    (!lone && reader.at() == text.len()).then(|| unescape(inner))
}

/// Returns the tree of a text that passed [`check`].
pub(super) fn build(text: &str, levels: usize) -> Json {
    let mut reader = JsonReader::new(text);
    reader.build(levels)
}

/// The keys of one object, used to find duplicates.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    /// `None` while the object has few keys, as nearly all objects have.
    many: Option<HashSet<Cow<'a, str>>>,
}

impl<'a> Keys<'a> {
    /// Adds a key; returns whether the object already had it.
    fn seen(&mut self, key: Cow<'a, str>) -> bool {
        if self.few.len() < KEYS_LINEAR_MAX && self.many.is_none() {
            if self.few.contains(&key) {
                return true;
            }
            self.few.push(key);
            return false;
        }
        let many = self.many.get_or_insert_default();
        many.extend(self.few.drain(..));
        !many.insert(key)
    }
}

impl<'a> JsonReader<'a> {
    /// Reads a key and its colon, and notes a flaw if the key is a duplicate or has a lone surrogate.
    fn key(&mut self, keys: Option<&mut Keys<'a>>, flaw: &mut Option<Flaw>) -> Result<(), Flaw> {
        let (key, lone) = self.string()?;
        if lone {
            *flaw = flaw.or(Some(Flaw::LoneSurrogate));
        } else if keys.is_some_and(|keys| keys.seen(unescape(key))) {
            *flaw = flaw.or(Some(Flaw::DuplicateKey));
        }
        self.space();
        self.expect(b':')
    }

    /// Builds the value at this position of a checked text, with at most `levels` structured levels.
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
