//! Reads the lines of a session file, plain or compressed.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

use serde_json::{Deserializer, Value};

use crate::import::decompressed;

/// Longest line that is read, in bytes. Lines with pictures have some megabytes.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What some editors write at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads the JSON objects of a file, one after another.
pub(super) struct Reader {
    input: BufReader<Box<dyn Read>>,
    pub(super) line: u64,
    /// Whether the file is one document that may stand on many lines.
    is_document: bool,
}

/// The objects of one line, or why it has none.
pub(super) type Line = Result<Vec<Value>, String>;

impl Reader {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let is_document = path.extension().is_some_and(|extension| extension == "json");
        Ok(Self { input: BufReader::new(decompressed(Box::new(file))?), line: 0, is_document })
    }

    /// Returns the objects of the next line that is not blank. Two programs that wrote at once may have left several in
    /// one line.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        loop {
            text.clear();
            self.line += 1;
            let mut input = self.input.by_ref().take(LINE_BYTES_MAX);
            let read = match self.is_document {
                true => input.read_to_end(&mut text)?,
                false => input.read_until(b'\n', &mut text)?,
            };
            if read == 0 {
                return Ok(None);
            }
            if read as u64 == LINE_BYTES_MAX && !text.ends_with(b"\n") {
                self.skip_line()?;
                return Ok(Some(Err(format!("longer than {} MiB", LINE_BYTES_MAX >> 20))));
            }
            let text = text.strip_prefix(BYTE_ORDER_MARK).filter(|_| self.line == 1).unwrap_or(&text);
            if !text.trim_ascii().is_empty() {
                let objects = Deserializer::from_slice(text).into_iter::<Value>().collect::<Result<Vec<_>, _>>();
                return Ok(Some(objects.map_err(|error| format!("not JSON: {error}"))));
            }
        }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let newline = memchr::memchr(b'\n', buffer);
            let length = newline.map_or(buffer.len(), |at| at + 1);
            if length == 0 {
                return Ok(());
            }
            self.input.consume(length);
            if newline.is_some() {
                return Ok(());
            }
        }
    }
}
