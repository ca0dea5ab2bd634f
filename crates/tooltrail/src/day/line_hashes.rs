//! Hashes of parts of a file and of its last lines, to recognize its content later.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher as _};
use std::io;

use crate::disk::DiskFile;

/// The number of line ends remembered, 24 bytes each. A file that loses at most this many lines at its end is continued
/// exactly.
const ENDS_MAX: usize = 32;

/// The length and hash of some bytes, to recognize them later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LineHash {
    length: usize,
    hash: u64,
}

impl LineHash {
    /// Returns the hash of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        Self { length: bytes.len(), hash: hasher.finish() }
    }

    /// Returns a hash for `length` bytes that matches no content.
    pub(super) fn none(length: usize) -> Self {
        Self { length, hash: 0 }
    }

    /// Returns the number of bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Whether the file contains these bytes at an offset.
    pub(super) fn stands(&self, file: &dyn DiskFile, offset: u64) -> io::Result<bool> {
        let mut bytes = vec![0; self.length];
        Ok(file.read_at(&mut bytes, offset)? == self.length && self.fits(&bytes))
    }

    /// Whether these bytes have the hash.
    pub(super) fn fits(&self, bytes: &[u8]) -> bool {
        self.length == 0 || Self::of(bytes) == *self
    }
}

/// The end offset of a line that was returned, and the hash of the line.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    offset: u64,
    line: LineHash,
}

/// The ends of the last lines that were returned.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends(VecDeque<End>);

impl Ends {
    /// Removes all ends.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Remembers the ends of the last of these lines.
    pub(super) fn remember(&mut self, lines: &[u8], from: u64) {
        let mut found = [End::default(); ENDS_MAX];
        let (mut count, mut end) = (0, lines.len());
        while end > 0 && count < ENDS_MAX {
            let start = memchr::memrchr(b'\n', &lines[..end - 1]).map_or(0, |newline| newline + 1);
            found[count] = End { offset: from + end as u64, line: LineHash::of(&lines[start..end]) };
            (count, end) = (count + 1, start);
        }
        self.0.extend(found[..count].iter().rev());
        self.0.drain(..self.0.len().saturating_sub(ENDS_MAX));
    }

    /// Returns the end of the newest line that a file of this length still contains at the same offset; forgets newer
    /// ones.
    pub(super) fn newest_standing(&mut self, file: &dyn DiskFile, len: u64) -> io::Result<Option<u64>> {
        while let Some(end) = self.0.back().copied() {
            if end.offset <= len && end.line.stands(file, end.offset - end.line.length as u64)? {
                return Ok(Some(end.offset));
            }
            self.0.pop_back();
        }
        Ok(None)
    }
}
