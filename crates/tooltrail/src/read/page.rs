//! What an answer holds: lines, what was skipped, what was looked at.

use std::collections::BTreeSet;
use std::io;

use crate::clock::{Date, Zone};
use crate::entry::StoredEntry;
use crate::error::Error;

/// Files and folders that an answer names one by one; the others are only counted.
const UNREADABLE_NAMES_MAX: usize = 10;

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
    /// The first ten files and folders that could not be read, by their paths below the home.
    pub unreadable_names: Vec<String>,
    /// False if a bound was hit, and `next` goes on from there; also if something could not be read.
    pub complete: bool,
    /// Of an answer without entries: the days that were looked at, and where else entries are.
    pub nothing: Option<Nothing>,
}

impl Page {
    /// Returns the entries of [`Page::lines`] as typed fields, in the same order; a time without an offset is taken in
    /// `zone`.
    pub fn entries(&self, zone: &Zone) -> impl Iterator<Item = Result<StoredEntry, Error>> {
        self.lines.iter().map(|line| StoredEntry::parse(line, zone))
    }
}

/// Where an answer without entries looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nothing {
    /// The first UTC date that was looked at.
    pub from: Date,
    /// The last one.
    pub to: Date,
    /// The newest date of which there is a day file at all, of the user where one was asked for.
    pub newest: Option<Date>,
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
    /// Files and folders that could not be read: no right to, or a broken disk.
    pub unreadable: u64,
}

/// What could not be read, while an answer is made.
#[derive(Debug, Default)]
pub(crate) struct Unreadable {
    paths: BTreeSet<String>,
    /// Paths beyond those that are remembered.
    more: u64,
}

/// Paths that are remembered, so that each counts once: as many as a home has users, as a rule.
const UNREADABLE_PATHS_MAX: usize = 20_000;

impl Unreadable {
    /// Notes a file or folder by its path below the home.
    pub(crate) fn note(&mut self, path: &[&str]) {
        if self.paths.len() < UNREADABLE_PATHS_MAX {
            self.paths.insert(path.join("/"));
        } else {
            self.more += 1
        }
    }

    /// Turns "there is no plain file or folder of that name" and "it could not be read" into `None`, and notes the
    /// latter.
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

    /// Returns how many there are.
    pub(crate) fn count(&self) -> u64 {
        self.paths.len() as u64 + self.more
    }

    /// Returns the first of them by name.
    pub(crate) fn names(&self) -> Vec<String> {
        self.paths.iter().take(UNREADABLE_NAMES_MAX).cloned().collect()
    }
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
