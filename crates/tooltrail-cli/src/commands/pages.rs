//! Reads all pages of an answer, one after another.

use std::ops::ControlFlow;

use tooltrail::{Cursor, Question, Skipped, StoredEntry, Trail};

use crate::failure::Failure;

/// The entries of one page: as many as a page may have.
const PAGE_ENTRIES: usize = 1_000;

/// What was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) skipped: Skipped,
    pub(super) unreadable_names: Vec<String>,
    /// Whether everything that was asked for was read.
    pub(super) complete: bool,
}

/// Calls `take` with each entry that a question asks for and its stored line, the newest first, until it breaks. Lines
/// that are no entries are left out.
///
/// # Errors
/// If the question is malformed or the home cannot be read.
pub(super) fn each_entry(
    trail: &Trail,
    mut question: Question,
    mut take: impl FnMut(&StoredEntry, &str) -> ControlFlow<()>,
) -> Result<Read, Failure> {
    question.limit = PAGE_ENTRIES;
    question.check()?;
    let mut read = Read { skipped: Skipped::default(), unreadable_names: Vec::new(), complete: true };
    loop {
        let page = trail.recent(&question)?;
        let skipped = &mut read.skipped;
        skipped.torn += page.skipped.torn;
        skipped.nul += page.skipped.nul;
        skipped.invalid_json += page.skipped.invalid_json;
        skipped.too_long += page.skipped.too_long;
        for (entry, line) in page.entries(trail.zone()).zip(&page.lines) {
            if let Ok(entry) = entry
                && take(&entry, line).is_break()
            {
                read.complete = false;
                return Ok(read);
            }
        }
        if page.skipped.unreadable >= read.skipped.unreadable {
            // Each page counts what it cannot read anew.
            read.skipped.unreadable = page.skipped.unreadable;
            read.unreadable_names = page.unreadable_names;
        }
        let Some(next) = page.next else {
            read.complete = page.complete;
            return Ok(read);
        };
        question.cursor = Some(Cursor::parse(&next)?);
    }
}

/// Returns a value for a query, in quotes, that matches exactly this text.
pub(super) fn exactly(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*"))
}
