//! Reads whole lines of a day file forwards, block by block, so that the reader can stop in between.

use std::io;

use super::blocks::LINE_BYTES_MAX;
use crate::disk::DiskFile;

/// The bytes of one read.
const BLOCK: usize = 256 * 1024;

/// A part of a file, up to the length that it had when reading began.
#[derive(Debug)]
pub(crate) struct Forward<'a> {
    file: &'a dyn DiskFile,
    /// The offset of the first byte of the buffer.
    base: u64,
    to: u64,
    buffer: Vec<u8>,
    /// The bytes of the current line that were dropped from the buffer, because the line is too long.
    dropped: u64,
}

impl<'a> Forward<'a> {
    /// Reads from the begin of a line up to an offset.
    pub(crate) fn new(file: &'a dyn DiskFile, from: u64, to: u64) -> Self {
        Self { file, base: from, to, buffer: Vec::new(), dropped: 0 }
    }

    /// Returns the offset of the first line that was not returned yet.
    pub(crate) fn position(&self) -> u64 {
        self.base - self.dropped
    }

    /// Reads one block and calls `found` with the offset and the bytes of each line that ends in it, without its
    /// newline; `None` for a line of more than 64 MiB. Returns how many bytes were read: 0 at the end.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn step(&mut self, mut found: impl FnMut(u64, Option<&[u8]>)) -> io::Result<u64> {
        let kept = self.buffer.len();
        let at = self.base + kept as u64;
        let part = usize::try_from(self.to.saturating_sub(at)).unwrap_or(BLOCK).min(BLOCK);
        self.buffer.resize(kept + part, 0);
        let read = self.file.read_at(&mut self.buffer[kept..], at)?;
        self.buffer.truncate(kept + read);
        let mut done = 0;
        for newline in memchr::memchr_iter(b'\n', &self.buffer[kept..]) {
            let end = kept + newline;
            let line = &self.buffer[done..end];
            let is_whole = self.dropped == 0 && line.len() <= LINE_BYTES_MAX;
            found(self.base + done as u64 - self.dropped, is_whole.then_some(line));
            self.dropped = 0;
            done = end + 1;
        }
        self.buffer.drain(..done);
        self.base += done as u64;
        if self.dropped > 0 || self.buffer.len() > LINE_BYTES_MAX {
            self.dropped += self.buffer.len() as u64;
            self.base += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(read as u64)
    }
}
