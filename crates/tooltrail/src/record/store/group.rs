//! Lines for one day file, and who waits for each.

use std::collections::BTreeMap;

use crate::clock::Date;
use crate::day::Span;
use crate::entry::head;
use crate::record::loss::LossReason;
use crate::record::open_call_id::OpenCallId;
use crate::record::queue::promise::Promise;

/// A day file: the user's folder and the date.
pub(crate) type Day = (String, Date);

/// Lines for one day file, in their order.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) text: Vec<u8>,
    pub(crate) span: Span,
    pub(crate) lines: Vec<Row>,
}

/// One line of a group.
#[derive(Debug)]
pub(crate) struct Row {
    /// Where it ends in the group's text.
    pub(crate) end: usize,
    /// The open call that it ends; 0 for none.
    pub(crate) ends: Option<OpenCallId>,
    pub(crate) waiting: Waiting,
    /// Whether it stands in the journal.
    pub(crate) journaled: bool,
}

/// Who waits for a line.
#[derive(Debug)]
pub(crate) enum Waiting {
    Nobody,
    Promise(Promise),
    /// The line is a gap: if it cannot be written, these are still to be told.
    Gap(BTreeMap<LossReason, u64>),
}

/// A call that begins: its line if it never ends.
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

    /// Returns each line's text with what is known of it.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u8], &Row)> {
        let starts = std::iter::once(0).chain(self.lines.iter().map(|row| row.end));
        starts.zip(&self.lines).map(|(start, row)| (&self.text[start..row.end], row))
    }
}

impl Waiting {
    /// Whether somebody was told already that the line is durable.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self, Self::Promise(promise) if promise.is_kept())
    }

    /// Tells whoever waits that the line is durable.
    pub(crate) fn keep(self) {
        if let Self::Promise(promise) = self {
            promise.keep();
        }
    }
}
