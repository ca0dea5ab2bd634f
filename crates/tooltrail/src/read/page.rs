//! What an answer holds: lines, what was skipped, what was looked at.

/// A page of entries.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Page {
    /// Stored lines as they stand, without newline, newest first. Each is a whole JSON object.
    pub lines: Vec<String>,
    /// The cursor of the next page, where there may be one.
    pub next: Option<String>,
    /// Lines met that are no entries.
    pub skipped: Skipped,
    /// What was looked at.
    pub scanned: Scanned,
    /// False if a bound was hit: `next` goes on from there.
    pub complete: bool,
}

/// Counts of lines that are no entries. A line that was not looked into, as its bytes rule it out, is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Bytes after a file's last newline.
    pub torn: u64,
    /// Lines that hold NUL bytes, as a crash of some file systems leaves them.
    pub nul: u64,
    /// Lines that are no JSON object with the fields of an entry; two objects on one line are one of them.
    pub invalid_json: u64,
    /// Lines over 64 MiB.
    pub too_long: u64,
}

impl Skipped {
    /// Counts a line that is no entry.
    pub(crate) fn line(&mut self, line: &[u8]) {
        if memchr::memchr(0, line).is_some() {
            self.nul += 1;
        } else {
            self.invalid_json += 1;
        }
    }
}

/// What an answer looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scanned {
    /// Day files opened.
    pub files: u64,
    /// Bytes read from them.
    pub bytes: u64,
}
