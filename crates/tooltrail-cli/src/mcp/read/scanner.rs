//! Reads messages as their bytes come: a line is a message or a list of messages.
//!
//! The scanner checks the grammar of JSON, so that a line which no server accepts is not taken for a call. It is more
//! lenient in three points, because common servers are: it accepts `NaN` and `Infinity`, invalid UTF-8, and any number
//! of spaces. Its memory is bounded: it keeps the parts of [`super::members`] and one byte for each open list or object.

use memchr::{memchr, memchr3};

use crate::mcp::read::members::{Draft, Part, Place, Slot, slot};
use crate::mcp::read::message::Message;

/// The most levels of lists and objects. A line with more is taken for invalid, as servers do.
const LEVELS_MAX: usize = 10_000;

/// The longest name of a member that is compared, in bytes; the known ones are shorter.
const KEY_BYTES_MAX: usize = 32;

/// The longest number or literal that is checked, in bytes.
const SCALAR_BYTES_MAX: usize = 512;

/// The messages of one batch that are held until the line's end; more are handed out before.
const HELD_MAX: usize = 1_000;

/// The bytes of arguments of these messages; more are handed out before the line's end.
const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Reads the messages of one direction.
#[derive(Debug)]
pub(crate) struct Scanner {
    expect: Expect,
    /// The open lists and objects: `[` or `{`.
    levels: Vec<u8>,
    /// Those whose members are read; always the outermost ones.
    places: Vec<Place>,
    string: Option<Text>,
    key: Vec<u8>,
    scalar: Vec<u8>,
    slot: Slot,
    capture: Option<Capture>,
    draft: Draft,
    held: Vec<Message>,
    held_bytes: usize,
    line: LineEnd,
}

/// A line that was read to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineEnd {
    /// Whether the line is one JSON value; a blank line is not.
    pub(crate) is_valid: bool,
    /// Whether the value is an object or a list, as messages are.
    pub(crate) is_structure: bool,
    /// Whether it is a list of messages.
    pub(crate) is_batch: bool,
    /// Whether it holds spaces only.
    pub(crate) is_blank: bool,
}

/// What the grammar expects next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    /// A value or the end of the list.
    FirstItem,
    /// A name or the end of the object.
    FirstKey,
    Key,
    Colon,
    CommaOrEnd,
    Scalar,
    /// The end of the line: the value is complete.
    LineEnd,
    /// The end of the line: it is not JSON.
    Invalid,
}

/// A string while it is read.
#[derive(Clone, Copy, Debug)]
struct Text {
    is_key: bool,
    escape: Escape,
    /// The first half of a surrogate pair.
    high: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Backslash,
    Hex { digits: u8, value: u32 },
}

/// A value that is kept while it is read.
#[derive(Clone, Copy, Debug)]
struct Capture {
    part: Part,
    is_text: bool,
    /// The number of open levels around the value.
    level: usize,
    /// Where its next bytes begin in the bytes that are being read.
    from: usize,
}

impl Scanner {
    /// Returns a scanner at the beginning of a line.
    pub(crate) fn new() -> Self {
        Self {
            expect: Expect::Value,
            levels: Vec::new(),
            places: Vec::new(),
            string: None,
            key: Vec::new(),
            scalar: Vec::new(),
            slot: Slot::Skip,
            capture: None,
            draft: Draft::default(),
            held: Vec::new(),
            held_bytes: 0,
            line: LineEnd { is_blank: true, ..LineEnd::default() },
        }
    }

    /// Reads bytes up to the end of the line or of the bytes, and adds the messages that are complete. Returns how many
    /// bytes were read and, if the line has ended, what it was.
    pub(crate) fn feed(&mut self, bytes: &[u8], messages: &mut Vec<Message>) -> (usize, Option<LineEnd>) {
        if let Some(capture) = &mut self.capture {
            capture.from = 0;
        }
        let mut at = 0;
        while at < bytes.len() {
            if self.expect == Expect::Invalid {
                at = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |newline| at + newline);
            } else if self.string.is_some() {
                at = self.text(bytes, at);
            }
            match bytes.get(at) {
                Some(b'\n') => {
                    let end = self.end_line(messages);
                    return (at + 1, Some(end));
                }
                Some(byte) if self.expect != Expect::Invalid && self.string.is_none() => {
                    self.token(*byte, bytes, at);
                    at += 1;
                    if self.held.len() >= HELD_MAX || self.held_bytes >= HELD_BYTES_MAX {
                        messages.append(&mut self.held);
                        self.held_bytes = 0;
                    }
                }
                _ => {}
            }
        }
        self.keep(bytes, bytes.len());
        (at, None)
    }

    /// Reads bytes of any number of lines, and adds the messages that are complete.
    pub(crate) fn feed_all(&mut self, mut bytes: &[u8], messages: &mut Vec<Message>) {
        while !bytes.is_empty() {
            let (taken, _) = self.feed(bytes, messages);
            bytes = &bytes[taken..];
        }
    }

    /// Ends the last line, which has no newline.
    pub(crate) fn finish(&mut self, messages: &mut Vec<Message>) -> LineEnd {
        self.end_line(messages)
    }

    /// Returns the message that is being read, as far as it was read.
    pub(crate) fn seen(&self) -> &Message {
        self.draft.seen()
    }

    fn end_line(&mut self, messages: &mut Vec<Message>) -> LineEnd {
        self.end_scalar();
        self.line.is_valid = self.expect == Expect::LineEnd && self.string.is_none();
        if self.line.is_valid {
            messages.append(&mut self.held);
        }
        let line = self.line;
        let (levels, held) = (std::mem::take(&mut self.levels), std::mem::take(&mut self.held));
        *self = Self::new();
        (self.levels, self.held) = (levels, held);
        self.levels.clear();
        self.held.clear();
        line
    }

    /// Reads one byte outside of strings.
    fn token(&mut self, byte: u8, bytes: &[u8], at: usize) {
        if matches!(byte, b' ' | b'\t' | b'\r') {
            self.end_scalar();
            if self.capture.is_some_and(|capture| capture.part == Part::Structured) {
                // The characters of compact JSON are counted.
                self.keep(bytes, at);
                self.capture = self.capture.map(|capture| Capture { from: at + 1, ..capture });
            }
            return;
        }
        self.line.is_blank = false;
        if self.expect == Expect::Scalar {
            if !matches!(byte, b',' | b']' | b'}' | b':' | b'"' | b'[' | b'{') {
                if self.scalar.len() < SCALAR_BYTES_MAX {
                    self.scalar.push(byte);
                }
                return;
            }
            // The value has ended before this byte.
            self.end_scalar_at(bytes, at);
        }
        match (self.expect, byte) {
            (Expect::FirstItem, b']') | (Expect::FirstKey, b'}') => self.close(bytes, at),
            (Expect::CommaOrEnd, b']' | b'}') if self.levels.last() == Some(&opening(byte)) => self.close(bytes, at),
            (Expect::CommaOrEnd, b',') => {
                self.expect = if self.levels.last() == Some(&b'{') { Expect::Key } else { Expect::Value };
            }
            (Expect::FirstKey | Expect::Key, b'"') => {
                self.key.clear();
                self.string = Some(Text { is_key: true, escape: Escape::None, high: None });
            }
            (Expect::Colon, b':') => self.expect = Expect::Value,
            (Expect::Value | Expect::FirstItem, b'{' | b'[' | b'"') => self.begin_value(byte, at),
            (Expect::Value | Expect::FirstItem, b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'N' | b'I') => {
                self.begin_value(byte, at);
                self.expect = Expect::Scalar;
                self.scalar.clear();
                self.scalar.push(byte);
            }
            _ => self.expect = Expect::Invalid,
        }
    }

    /// Begins a value with its first byte.
    fn begin_value(&mut self, byte: u8, at: usize) {
        let slot = self.slot_of(byte);
        if self.capture.is_none() {
            match slot {
                Slot::Json(part) => self.begin_part(part, false, at),
                Slot::Text(part) if byte == b'"' => self.begin_part(part, true, at),
                _ => {}
            }
        }
        match byte {
            b'{' | b'[' if self.levels.len() >= LEVELS_MAX => self.expect = Expect::Invalid,
            b'{' | b'[' => {
                self.levels.push(byte);
                self.expect = if byte == b'{' { Expect::FirstKey } else { Expect::FirstItem };
                self.line.is_structure |= self.levels.len() == 1;
                if let Slot::Enter(place) = slot
                    && self.capture.is_none()
                    && place.is_list() == (byte == b'[')
                    && self.places.len() + 1 == self.levels.len()
                {
                    self.line.is_batch |= place == Place::Batch;
                    self.places.push(place);
                    self.draft.enter(place);
                }
            }
            b'"' => self.string = Some(Text { is_key: false, escape: Escape::None, high: None }),
            _ => {}
        }
    }

    /// Returns what is done with the value that begins.
    fn slot_of(&self, byte: u8) -> Slot {
        if self.levels.len() != self.places.len() {
            return Slot::Skip;
        }
        match self.places.last() {
            None if byte == b'[' => Slot::Enter(Place::Batch),
            None | Some(Place::Batch) => Slot::Enter(Place::Message),
            Some(Place::Content) => Slot::Enter(Place::Block),
            Some(_) => self.slot,
        }
    }

    fn begin_part(&mut self, part: Part, is_text: bool, at: usize) {
        self.draft.begin(part);
        self.capture = Some(Capture { part, is_text, level: self.levels.len(), from: at });
    }

    /// Closes the innermost list or object with the byte at `at`.
    fn close(&mut self, bytes: &[u8], at: usize) {
        self.levels.pop();
        if self.places.len() > self.levels.len()
            && let Some(place) = self.places.pop()
        {
            self.draft.leave(place);
            if place == Place::Message {
                let message = self.draft.take();
                self.held_bytes += message.params.arguments.as_ref().map_or(0, |arguments| arguments.len());
                self.held.push(message);
            }
        }
        self.end_value(bytes, at + 1);
    }

    /// Ends a value before the byte at `end`.
    fn end_value(&mut self, bytes: &[u8], end: usize) {
        if let Some(capture) = self.capture.filter(|capture| capture.level == self.levels.len()) {
            self.keep(bytes, end);
            self.capture = None;
            if let Some(place) = self.places.last() {
                self.draft.end(capture.part, *place);
            }
        }
        self.expect = if self.levels.is_empty() { Expect::LineEnd } else { Expect::CommaOrEnd };
    }

    /// Ends a number or literal before a space or the end of the line. Its bytes were kept by then, or are kept when
    /// the bytes that are being read end.
    fn end_scalar(&mut self) {
        if self.expect == Expect::Scalar {
            self.end_scalar_at(&[], 0);
        }
    }

    fn end_scalar_at(&mut self, bytes: &[u8], end: usize) {
        if !is_scalar(&self.scalar) {
            self.expect = Expect::Invalid;
            return;
        }
        if let Some(capture) = &mut self.capture
            && capture.level == self.levels.len()
        {
            // The value is the scalar itself, which was kept apart.
            let part = capture.part;
            let scalar = std::mem::take(&mut self.scalar);
            self.draft.push(part, &scalar);
            self.scalar = scalar;
            capture.from = usize::MAX;
        }
        self.end_value(bytes, end);
    }

    /// Adds the bytes up to `end` to the JSON text that is kept.
    fn keep(&mut self, bytes: &[u8], end: usize) {
        let is_scalar = self.expect == Expect::Scalar;
        if let Some(capture) = &mut self.capture
            && !capture.is_text
            && !(is_scalar && capture.level == self.levels.len())
            && capture.from < end
        {
            self.draft.push(capture.part, &bytes[capture.from..end]);
            capture.from = end;
        }
    }

    /// Reads bytes of a string up to its end; returns where it stopped.
    fn text(&mut self, bytes: &[u8], mut at: usize) -> usize {
        while let Some(mut text) = self.string.filter(|_| at < bytes.len()) {
            match text.escape {
                Escape::None => {
                    let end = memchr3(b'"', b'\\', b'\n', &bytes[at..]).map_or(bytes.len(), |found| at + found);
                    if bytes[at..end].iter().any(|byte| *byte < b' ') {
                        // JSON allows no control character in a string.
                        (self.expect, self.string) = (Expect::Invalid, None);
                        return end;
                    }
                    self.plain(&mut text, &bytes[at..end]);
                    at = end;
                    match bytes.get(at) {
                        Some(b'"') => {
                            self.flush_high(&mut text);
                            self.string = None;
                            at += 1;
                            self.end_string(text.is_key, bytes, at);
                            return at;
                        }
                        Some(b'\\') => {
                            text.escape = Escape::Backslash;
                            at += 1;
                        }
                        // A newline ends the line, also within a string.
                        _ => {
                            self.string = Some(text);
                            return at;
                        }
                    }
                }
                Escape::Backslash => {
                    let plain = match bytes[at] {
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'r' => b'\r',
                        b'b' => 8,
                        b'f' => 12,
                        byte @ (b'"' | b'\\' | b'/') => byte,
                        b'u' => 0,
                        b'\n' => return at,
                        _ => {
                            self.expect = Expect::Invalid;
                            self.string = None;
                            return at;
                        }
                    };
                    text.escape = if plain == 0 { Escape::Hex { digits: 0, value: 0 } } else { Escape::None };
                    if plain != 0 {
                        self.plain(&mut text, &[plain]);
                    }
                    at += 1;
                }
                Escape::Hex { digits, value } => {
                    let Some(digit) = char::from(bytes[at]).to_digit(16) else {
                        if bytes[at] != b'\n' {
                            self.expect = Expect::Invalid;
                            self.string = None;
                        }
                        return at;
                    };
                    let value = value << 4 | digit;
                    at += 1;
                    text.escape = Escape::Hex { digits: digits + 1, value };
                    if digits == 3 {
                        text.escape = Escape::None;
                        self.unit(&mut text, value);
                    }
                }
            }
            self.string = Some(text);
        }
        at
    }

    /// Adds one UTF-16 unit of an escape.
    fn unit(&mut self, text: &mut Text, unit: u32) {
        match (text.high.take(), unit) {
            (None, 0xD800..=0xDBFF) => text.high = Some(unit),
            (Some(high), 0xDC00..=0xDFFF) => {
                self.character(text.is_key, 0x1_0000 + ((high - 0xD800) << 10) + (unit - 0xDC00));
            }
            (Some(_), _) => {
                self.character(text.is_key, 0xFFFD);
                self.unit(text, unit);
            }
            (None, unit) => self.character(text.is_key, unit),
        }
    }

    fn character(&mut self, is_key: bool, code: u32) {
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.decoded(is_key, character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn flush_high(&mut self, text: &mut Text) {
        if text.high.take().is_some() {
            self.character(text.is_key, 0xFFFD);
        }
    }

    fn plain(&mut self, text: &mut Text, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.flush_high(text);
            self.decoded(text.is_key, bytes);
        }
    }

    fn decoded(&mut self, is_key: bool, bytes: &[u8]) {
        if is_key {
            let room = (KEY_BYTES_MAX + 1).saturating_sub(self.key.len());
            self.key.extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else if let Some(capture) = self.capture.filter(|capture| capture.is_text) {
            self.draft.push(capture.part, bytes);
        }
    }

    fn end_string(&mut self, is_key: bool, bytes: &[u8], end: usize) {
        if !is_key {
            return self.end_value(bytes, end);
        }
        self.expect = Expect::Colon;
        if self.levels.len() == self.places.len()
            && let Some(place) = self.places.last()
        {
            self.slot = slot(*place, &self.key);
            self.draft.key(*place, &self.key);
        }
    }
}

/// Returns the byte that opens what this byte closes.
fn opening(close: u8) -> u8 {
    if close == b'}' { b'{' } else { b'[' }
}

/// Whether a text is a number or a literal. A number of more than [`SCALAR_BYTES_MAX`] bytes is judged by its beginning.
fn is_scalar(text: &[u8]) -> bool {
    match text {
        b"true" | b"false" | b"null" | b"NaN" | b"Infinity" | b"-Infinity" => true,
        _ => {
            is_number(text)
                || text.len() == SCALAR_BYTES_MAX && text.iter().all(|byte| b"+-.eE0123456789".contains(byte))
        }
    }
}

fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || whole > 1 && text[0] == b'0' {
        return false;
    }
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}
