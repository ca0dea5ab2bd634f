//! The parts of an answer: lines, what was skipped, and what was read.

use std::collections::BTreeSet;
use std::io;

use crate::clock::{Date, Zone};
use crate::entry::StoredEntry;
use crate::error::Error;
use crate::rollup::Broken;

/// The most files and folders that an answer names; further ones are only counted.
const UNREADABLE_NAMES_MAX: usize = 10;

/// A page of entries.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Page {
    /// The stored lines, unchanged and without newline, newest first. Each is a complete JSON object.
    pub lines: Vec<String>,
    /// The cursor of the next page, if there may be one.
    pub next: Option<String>,
    /// Counts of lines that are not entries.
    pub skipped: Skipped,
    /// How much was read.
    pub scanned: Scanned,
    /// The first ten files and folders that could not be read, by their paths below the home.
    pub unreadable_names: Vec<String>,
    /// False if a limit was reached; then `next` continues from there. Also false if something could not be read.
    pub complete: bool,
    /// For an answer without entries: the days that were searched, and the newest day that has a day file.
    pub nothing: Option<Nothing>,
}

impl Page {
    /// Returns the entries of [`Page::lines`] as typed fields, in the same order; a time without an offset is taken in
    /// `zone`.
    pub fn entries(&self, zone: &Zone) -> impl Iterator<Item = Result<StoredEntry, Error>> {
        self.lines.iter().map(|line| StoredEntry::parse(line, zone))
    }
}

/// Where an answer without entries was searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nothing {
    /// The first UTC date that was searched.
    pub from: Date,
    /// The last UTC date that was searched.
    pub to: Date,
    /// The newest date that has a day file at all, for the user if the question names one.
    pub newest: Option<Date>,
}

impl Nothing {
    /// Returns that these dates were searched.
    #[must_use]
    pub const fn new(from: Date, to: Date, newest: Option<Date>) -> Self {
        Self { from, to, newest }
    }
}

/// Counts of lines that are not entries. A line that was not parsed, because its bytes show that it cannot match, is
/// not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Incomplete lines: bytes after a file's last newline.
    pub torn: u64,
    /// Lines with NUL bytes, as some file systems leave them after a crash.
    pub nul: u64,
    /// Lines that are not a JSON object with the fields of an entry. A line with two objects counts as one.
    pub invalid_json: u64,
    /// Lines over 64 MiB.
    pub too_long: u64,
    /// Files and folders that could not be read, because of missing permissions or a broken disk.
    pub unreadable: u64,
}

/// The files and folders that could not be read for an answer.
#[derive(Debug, Default)]
pub(crate) struct Unreadable {
    paths: BTreeSet<String>,
    /// The number of failures after the list of paths was full.
    more: u64,
}

/// The most paths that are remembered, so that each counts once: usually as many as a home has users.
const UNREADABLE_PATHS_MAX: usize = 20_000;

impl Unreadable {
    /// Adds a file or folder by its path below the home.
    pub(crate) fn note(&mut self, path: &[&str]) {
        if self.paths.len() < UNREADABLE_PATHS_MAX {
            self.paths.insert(path.join("/"));
        } else {
            self.more += 1
        }
    }

    /// Returns the result, or `None` for an error. Remembers the path, unless the error only means that there is no
    /// regular file or folder of that name.
    pub(crate) fn or_none<T>(&mut self, path: &[&str], result: io::Result<T>) -> Option<T> {
        match result {
            Ok(found) => Some(found),
            Err(error) => {
                if crate::disk::is_trouble(&error) {
                    self.note(path);
                }
                None
            }
        }
    }

    /// Returns the number of files and folders.
    pub(crate) fn count(&self) -> u64 {
        self.paths.len() as u64 + self.more
    }

    /// Returns the first ten paths by name.
    pub(crate) fn names(&self) -> Vec<String> {
        self.paths.iter().take(UNREADABLE_NAMES_MAX).cloned().collect()
    }
}

impl Skipped {
    /// Counts a line that is not an entry.
    pub(crate) fn line(&mut self, line: &[u8]) {
        let mut broken = Broken::default();
        broken.line(line);
        self.add(&broken);
    }

    /// Adds counts.
    pub(crate) fn add(&mut self, broken: &Broken) {
        self.nul += broken.nul;
        self.invalid_json += broken.invalid_json;
        self.too_long += broken.too_long;
    }
}

/// How much an answer read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scanned {
    /// Day files opened.
    pub files: u64,
    /// Bytes read from them.
    pub bytes: u64,
}
