//! JSON text to values: a check that never recurses, then a tree of bounded depth.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Json;
use super::classes::{before_backslash, plain};
use super::write::{compact, is_escaped};

/// Why a text is no JSON value that can be kept faithfully.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Not JSON, at this byte.
    Syntax(usize),
    /// An object has one key twice.
    DuplicateKey,
    /// A string holds half a surrogate pair.
    LoneSurrogate,
}

/// Keys of one object up to which comparing each with each is cheaper than hashing.
const KEYS_LINEAR_MAX: usize = 8;

/// Checks that a text is one JSON value (RFC 8259) without equal keys in an object or lone surrogates, at any depth.
///
/// Syntax is judged first: a text that is no JSON at all is that, whatever else is wrong with it.
pub(crate) fn check(text: &str) -> Result<(), Flaw> {
    let mut reader = Reader { text, at: 0 };
    let mut flaw = None;
    // One element an open container: the keys seen of an object, nothing for a list.
    let mut open: Vec<Option<Keys<'_>>> = Vec::new();
    loop {
        reader.space();
        match reader.peek() {
            Some(b'{') => {
                reader.at += 1;
                reader.space();
                if !reader.take(b'}') {
                    let mut keys = Keys::default();
                    reader.key(&mut keys, &mut flaw)?;
                    open.push(Some(keys));
                    continue;
                }
            }
            Some(b'[') => {
                reader.at += 1;
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
                None if reader.at == text.len() => return flaw.map_or(Ok(()), Err),
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
    let mut reader = Reader { text, at: 0 };
    reader.number().is_ok() && reader.at == text.len()
}

/// Returns the members of an object's text: each key decoded, each value as it stands.
///
/// Keys that occur twice are returned twice. Only the outermost level is looked at beyond syntax.
pub(crate) fn members(text: &str) -> Result<Vec<(Cow<'_, str>, &str)>, Flaw> {
    if let Err(Flaw::Syntax(at)) = check(text) {
        return Err(Flaw::Syntax(at));
    }
    let mut reader = Reader { text, at: 0 };
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
    let mut reader = Reader { text, at: 0 };
    let (inner, lone) = reader.string().ok()?;
    (!lone && reader.at == text.len()).then(|| unescape(inner))
}

/// Returns the tree of a text that passed [`check`].
pub(super) fn build(text: &str, levels: usize) -> Json {
    let mut reader = Reader { text, at: 0 };
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

/// A string of a JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal<'a> {
    /// Its inside as it stands.
    pub(crate) inner: &'a str,
    /// Whether it holds a lone surrogate.
    pub(crate) lone: bool,
    /// Whether it holds escapes.
    pub(crate) escaped: bool,
    /// Whether we would write it with the same escapes.
    pub(crate) ours: bool,
}

/// A position in a text.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Begins at the beginning.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the bytes before this position.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Returns the next byte.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn syntax(&self) -> Flaw {
        Flaw::Syntax(self.at)
    }

    /// Steps over a byte if it comes next; returns whether it did.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    /// Steps over a byte that must come next.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Flaw> {
        if self.take(byte) { Ok(()) } else { Err(self.syntax()) }
    }

    /// Steps over white space.
    pub(crate) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

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

    /// Reads a string; returns its inside as it stands, and whether it holds a lone surrogate.
    fn string(&mut self) -> Result<(&'a str, bool), Flaw> {
        self.literal().map(|literal| (literal.inner, literal.lone))
    }

    /// Reads a string.
    pub(crate) fn literal(&mut self) -> Result<Literal<'a>, Flaw> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let (mut lone, mut escaped, mut ours, mut odd) = (false, false, true, false);
        loop {
            // What lies before the next quote or backslash may hold no control character.
            let (before, strange) = plain(&bytes[self.at..]);
            odd |= strange;
            self.at += before;
            match self.peek().ok_or_else(|| self.syntax())? {
                b'"' => {
                    self.at += 1;
                    let inner = &self.text[start..self.at - 1];
                    ours &= !(odd && inner.chars().any(|c| c >= '\u{7f}' && is_escaped(c)));
                    return Ok(Literal { inner, lone, escaped, ours });
                }
                b'\\' => {
                    escaped = true;
                    match bytes.get(self.at + 1) {
                        Some(b'u') => {
                            let unit = self.hex(self.at + 2)?;
                            let digits = &bytes[self.at + 2..self.at + 6];
                            let short = matches!(unit, 0x08..=0x0A | 0x0C | 0x0D);
                            ours &= unit < 0x20 && !short && !digits.iter().any(u8::is_ascii_uppercase);
                            self.at += 6;
                            let low = || self.text[self.at..].starts_with("\\u").then(|| self.hex(self.at + 2));
                            match unit {
                                0xD800..=0xDBFF => match low() {
                                    Some(Ok(0xDC00..=0xDFFF)) => self.at += 6,
                                    _ => lone = true,
                                },
                                0xDC00..=0xDFFF => lone = true,
                                _ => {}
                            }
                        }
                        Some(b'"' | b'\\' | b'n' | b'r' | b't') => self.at += 2,
                        Some(b'/' | b'b' | b'f') => {
                            ours = false;
                            self.at += 2;
                        }
                        _ => return Err(self.syntax()),
                    }
                }
                // The search stops at nothing else.
                _ => return Err(self.syntax()),
            }
        }
    }

    fn hex(&self, at: usize) -> Result<u32, Flaw> {
        let digits = self.text.as_bytes().get(at..at + 4).ok_or(Flaw::Syntax(at))?;
        digits.iter().try_fold(0, |unit, byte| {
            char::from(*byte).to_digit(16).map(|digit| unit << 4 | digit).ok_or(Flaw::Syntax(at))
        })
    }

    /// Reads a number or one of the three words.
    pub(crate) fn scalar(&mut self) -> Result<(), Flaw> {
        for word in ["null", "true", "false"] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(());
            }
        }
        self.number()
    }

    fn number(&mut self) -> Result<(), Flaw> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Flaw> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.syntax()) }
    }

    /// Steps over one value of a checked text and returns it as it stands.
    fn skip(&mut self) -> &'a str {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b'"') => {
                    let _inner = self.string();
                }
                Some(b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                _ => {
                    let _checked = self.scalar();
                }
            }
            if depth == 0 {
                return &self.text[start..self.at];
            }
        }
    }

    /// Builds the value at this position of a checked text, with so many levels of containers below it.
    fn build(&mut self, levels: usize) -> Json {
        self.space();
        match self.peek() {
            Some(b'{' | b'[') if levels == 0 => Json::Deep(compact(self.skip())),
            Some(b'{') => {
                self.at += 1;
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
                self.at += 1;
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

/// Resolves the escapes of a checked string's inside; a lone surrogate becomes U+FFFD.
pub(crate) fn unescape(inner: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    push_unescaped(&mut out, inner);
    Cow::Owned(out)
}

/// Appends a checked string's inside with its escapes resolved; a lone surrogate becomes U+FFFD.
pub(crate) fn push_unescaped(out: &mut String, inner: &str) {
    // What is resolved is never longer than its escape.
    out.reserve(inner.len());
    let mut rest = inner;
    loop {
        let found = before_backslash(rest.as_bytes());
        out.push_str(&rest[..found]);
        if found == rest.len() {
            return;
        }
        let escape = rest.as_bytes().get(found + 1).copied().unwrap_or(b'\\');
        rest = rest.get(found + 2..).unwrap_or("");
        out.push(match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => unicode(&mut rest),
            other => char::from(other),
        });
    }
}

/// Takes the digits behind `\u`, and the escape of a second half where they are a first.
fn unicode(rest: &mut &str) -> char {
    let unit = |rest: &mut &str| {
        let unit = rest.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
        *rest = rest.get(4..).unwrap_or("");
        unit.unwrap_or(0xFFFD)
    };
    let first = unit(rest);
    if (0xD800..=0xDBFF).contains(&first)
        && let Some(mut after) = rest.strip_prefix("\\u")
    {
        let second = unit(&mut after);
        if (0xDC00..=0xDFFF).contains(&second) {
            *rest = after;
            let pair = char::decode_utf16([first, second]).next();
            return pair.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
    }
    char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER)
}
