//! Reads the tokens of a JSON text one by one, without building values.

use super::classes::plain;
use super::write::is_escaped;

/// The reason why a text is not a JSON value that can be stored faithfully.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The text is not JSON at this byte offset.
    Syntax(usize),
    /// An object contains a key twice.
    DuplicateKey,
    /// A string contains a lone surrogate.
    LoneSurrogate,
    /// A number has more characters than other readers can be trusted to keep.
    LongNumber,
    /// The nesting is too deep to check for equal keys.
    TooDeep,
    /// An object has more members than an entry may have.
    TooManyMembers,
}

/// Maximum characters of a number, so that every reader can be trusted to read it: the largest `f64` has 309 digits.
const NUMBER_CHARS_MAX: usize = 300;

/// A string token of a JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal<'a> {
    /// The unchanged text between the quotes.
    pub(crate) inner: &'a str,
    /// Whether it contains a lone surrogate.
    pub(crate) lone: bool,
    /// Whether it contains escapes.
    pub(crate) escaped: bool,
    /// Whether our own writer would use the same escapes.
    pub(crate) ours: bool,
}

/// A read position in a JSON text.
#[derive(Debug)]
pub(crate) struct JsonReader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> JsonReader<'a> {
    /// Returns a reader at the beginning of the text.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the current byte offset.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Returns the next byte without moving the position.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn syntax(&self) -> Flaw {
        Flaw::Syntax(self.at)
    }

    /// Skips a byte if it comes next; returns whether it did.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    /// Skips a byte that must come next.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Flaw> {
        if self.take(byte) { Ok(()) } else { Err(self.syntax()) }
    }

    /// Skips white space.
    pub(crate) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Reads a string; returns the unchanged text between its quotes, and whether it contains a lone surrogate.
    pub(super) fn string(&mut self) -> Result<(&'a str, bool), Flaw> {
        self.literal().map(|literal| (literal.inner, literal.lone))
    }

    /// Reads a string.
    pub(crate) fn literal(&mut self) -> Result<Literal<'a>, Flaw> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let (mut lone, mut escaped, mut ours, mut odd) = (false, false, true, false);
        loop {
            // Control characters are not allowed, so the search also stops at them.
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
                // Only control characters remain, and they are not allowed.
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

    /// Reads a number, `null`, `true` or `false`.
    pub(crate) fn scalar(&mut self) -> Result<(), Flaw> {
        for word in ["null", "true", "false"] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(());
            }
        }
        self.number()
    }

    /// Reads a scalar like [`JsonReader::scalar`]; returns whether it has at most 300 characters, so that other readers
    /// keep it faithfully.
    pub(crate) fn faithful_scalar(&mut self) -> Result<bool, Flaw> {
        let start = self.at;
        self.scalar()?;
        Ok(self.at - start <= NUMBER_CHARS_MAX)
    }

    pub(super) fn number(&mut self) -> Result<(), Flaw> {
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

    /// Reads one value of a text that was not checked, and returns its unchanged text. Only its syntax is checked.
    pub(super) fn checked(&mut self) -> Result<&'a str, Flaw> {
        let start = self.at;
        // Whether each open container is an object.
        let mut open = Vec::new();
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    self.space();
                    if !self.take(b'}') {
                        open.push(true);
                        self.name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    self.space();
                    if !self.take(b']') {
                        open.push(false);
                        continue;
                    }
                }
                Some(b'"') => drop(self.literal()?),
                _ => self.scalar()?,
            }
            // A value has ended: reads the separator, or closes containers.
            while let Some(is_object) = open.last().copied() {
                self.space();
                if self.take(b',') {
                    self.space();
                    if is_object {
                        self.name()?;
                    }
                    break;
                }
                self.expect(if is_object { b'}' } else { b']' })?;
                open.pop();
            }
            if open.is_empty() {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    /// Skips a key, its colon and the white space before the value.
    fn name(&mut self) -> Result<(), Flaw> {
        self.literal()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(())
    }

    /// Skips one value of a checked text and returns its unchanged text.
    pub(super) fn skip(&mut self) -> &'a str {
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
                    let _ = self.string();
                }
                Some(b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                _ => {
                    let _ = self.scalar();
                }
            }
            if depth == 0 {
                return &self.text[start..self.at];
            }
        }
    }
}
