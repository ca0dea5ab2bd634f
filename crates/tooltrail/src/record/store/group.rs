//! The lines of a batch for one day file, and what waits for each line.

use std::collections::BTreeMap;

use crate::clock::Date;
use crate::day::Span;
use crate::entry::head;
use crate::record::loss::LossReason;
use crate::record::open_call_id::OpenCallId;
use crate::record::queue::promise::Promise;

/// The key of a day file: the user's folder and the date.
pub(crate) type Day = (String, Date);

/// The lines for one day file, in order.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) text: Vec<u8>,
    pub(crate) span: Span,
    pub(crate) lines: Vec<Row>,
}

/// One line of a group.
#[derive(Debug)]
pub(crate) struct Row {
    /// The offset of its end in the text of the group.
    pub(crate) end: usize,
    /// The open call that the line ends.
    pub(crate) ends: Option<OpenCallId>,
    pub(crate) waiting: Waiting,
    /// Whether the line is in the journal.
    pub(crate) journaled: bool,
}

/// What waits for a line.
#[derive(Debug)]
pub(crate) enum Waiting {
    Nobody,
    Promise(Promise),
    /// The line is a gap. If it cannot be written, these counts must be reported by a later gap.
    Gap(BTreeMap<LossReason, u64>),
}

/// A call that begins. Its line is recorded if the call never ends.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) id: OpenCallId,
    pub(crate) day: Day,
    pub(crate) line: Vec<u8>,
    pub(crate) promise: Option<Promise>,
}

impl Group {
    /// Adds a finished line.
    pub(crate) fn add(&mut self, line: &[u8], waiting: Waiting, ends: Option<OpenCallId>) {
        self.text.extend_from_slice(line);
        if let Some(ts) = head(line) {
            self.span.push(ts.as_millis());
        }
        self.lines.push(Row { end: self.text.len(), ends, waiting, journaled: false });
    }

    /// Returns the text of each line with its row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u8], &Row)> {
        let starts = std::iter::once(0).chain(self.lines.iter().map(|row| row.end));
        starts.zip(&self.lines).map(|(start, row)| (&self.text[start..row.end], row))
    }
}

impl Waiting {
    /// Whether the line was already acknowledged.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self, Self::Promise(promise) if promise.is_kept())
    }

    /// Acknowledges the line if a caller waits for it.
    pub(crate) fn keep(self) {
        if let Self::Promise(promise) = self {
            promise.keep();
        }
    }
}
