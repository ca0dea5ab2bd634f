//! The whole answer to a question, page by page, in either order and in bounded memory.

use super::page::Skipped;
use super::trail::Trail;
use crate::error::Error;
use crate::query::{Cursor, Question};

/// The entries of one page: as many as a page may have.
const PAGE_ENTRIES: usize = 1_000;

/// The order of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two directions")]
pub enum ExportOrder {
    /// The newest entry first, as [`Trail::recent`] gives them.
    Newest,
    /// The oldest entry first: exactly the reverse of it.
    Oldest,
}

/// A part of an export.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ExportPage {
    /// The stored lines in the order of the export; none where the begin of the export is still looked for.
    pub lines: Vec<String>,
    /// The cursor with which an export of the same question and order goes on after this page; `None` at the end, and as
    /// long as nothing was exported.
    pub next: Option<String>,
}

/// What an export has read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Exported {
    /// Counts of lines that are not entries.
    pub skipped: Skipped,
    /// The first ten files and folders that could not be read, by their paths below the home.
    pub unreadable_names: Vec<String>,
    /// Whether everything that was asked for was given to the caller.
    pub complete: bool,
}

impl Exported {
    fn add(&mut self, skipped: &Skipped, unreadable_names: Vec<String>) {
        self.skipped.torn += skipped.torn;
        self.skipped.nul += skipped.nul;
        self.skipped.invalid_json += skipped.invalid_json;
        self.skipped.too_long += skipped.too_long;
        // Each page counts what it cannot read anew.
        if skipped.unreadable >= self.skipped.unreadable {
            self.skipped.unreadable = skipped.unreadable;
            self.unreadable_names = unreadable_names;
        }
    }
}

/// The whole answer to a question, page by page. The question's limit is ignored. With its cursor, the export goes on
/// after an earlier page of the same order.
///
/// For the oldest first, the trail is read twice: first for the begins of the pages, whose cursors are held in memory
/// (about 200 bytes for 1,000 entries), then page by page from the last one on.
///
/// ```
/// use tooltrail::{Call, Export, ExportOrder, Question, Recorder, Trail};
///
/// # let folder = tempfile::tempdir()?;
/// # let home = folder.path();
/// let recorder = Recorder::open(home)?;
/// (0..3).for_each(|n| recorder.record(&Call::new("alice", format!("t{n}"), "{}").ok("")));
/// recorder.close()?;
///
/// let trail = Trail::open(home)?;
/// let mut export = Export::new(Question::new(), ExportOrder::Oldest);
/// let mut lines = Vec::new();
/// while let Some(page) = export.step(&trail)? {
///     lines.extend(page.lines);
/// }
/// assert!(lines[0].contains("t0") && lines.len() == 3 && export.done().complete);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Export {
    question: Question,
    state: State,
    done: Exported,
}

#[derive(Debug)]
enum State {
    Newest,
    /// The begins of the pages found so far; `None` is the begin of the newest page.
    Searching(Vec<Option<String>>),
    /// The begins of the pages that are still to come, and whether the search was complete.
    Replaying(Vec<Option<String>>, bool),
    Ended,
}

impl Export {
    /// Returns the export of a question.
    #[must_use]
    pub fn new(mut question: Question, order: ExportOrder) -> Self {
        question.limit = PAGE_ENTRIES;
        let state = match order {
            ExportOrder::Newest => State::Newest,
            ExportOrder::Oldest => {
                // What was exported before is at the cursor or below it.
                question.above = question.cursor.take();
                State::Searching(vec![None])
            }
        };
        Self { question, state, done: Exported::default() }
    }

    /// Returns what was read so far.
    #[must_use]
    pub fn done(&self) -> &Exported {
        &self.done
    }

    /// Returns the next page; `None` after the last one. It may be empty, because each step is bounded in bytes and time.
    ///
    /// # Errors
    /// As [`Trail::recent`].
    pub fn step(&mut self, trail: &Trail) -> Result<Option<ExportPage>, Error> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Newest => {
                let page = trail.recent(&self.question)?;
                self.done.add(&page.skipped, page.unreadable_names);
                match &page.next {
                    Some(next) => {
                        self.question.cursor = Some(Cursor::parse(next)?);
                        self.state = State::Newest;
                    }
                    None => self.done.complete = page.complete,
                }
                Ok(Some(ExportPage { lines: page.lines, next: page.next }))
            }
            State::Searching(mut begins) => {
                self.question.cursor = begins.last().and_then(Option::as_deref).map(Cursor::parse).transpose()?;
                let page = trail.recent(&self.question)?;
                self.done.add(&page.skipped, page.unreadable_names);
                self.state = match page.next {
                    Some(next) => {
                        begins.push(Some(next));
                        State::Searching(begins)
                    }
                    None => State::Replaying(begins, page.complete),
                };
                let next = self.question.above.as_ref().map(Cursor::to_string);
                Ok(Some(ExportPage { lines: Vec::new(), next }))
            }
            State::Replaying(mut begins, complete) => {
                let Some(next) = begins.pop() else {
                    self.done.complete = complete;
                    return Ok(None);
                };
                self.question.cursor = next.as_deref().map(Cursor::parse).transpose()?;
                let mut lines = lines_between(trail, &self.question)?;
                lines.reverse();
                self.question.above.clone_from(&self.question.cursor);
                self.state = State::Replaying(begins, complete);
                Ok(Some(ExportPage { lines, next }))
            }
            State::Ended => Ok(None),
        }
    }
}

/// Returns the lines between the question's cursors, newest first: those of one page, and with it those that came
/// meanwhile.
fn lines_between(trail: &Trail, question: &Question) -> Result<Vec<String>, Error> {
    let mut question = question.clone();
    let mut lines = Vec::new();
    loop {
        let page = trail.recent(&question)?;
        lines.extend(page.lines);
        match page.next {
            Some(next) if !trail.cancel.is_cancelled() => question.cursor = Some(Cursor::parse(&next)?),
            _ => return Ok(lines),
        }
    }
}
