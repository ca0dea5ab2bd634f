//! An export in its format, part by part, for the command line and for HTTP.

use tooltrail::seal::Bundle;
use tooltrail::{Error, Export, ExportOrder, Exported, Question, Trail, Zone};

use super::Format;

/// The output of an export.
#[derive(Debug)]
pub(crate) struct Output {
    source: Source,
    format: Format,
    zone: Zone,
    has_begun: bool,
    /// The entries so far, but for those of a bundle.
    entries: u64,
}

#[derive(Debug)]
enum Source {
    Entries(Box<Export>),
    Bundle(Box<Bundle>),
}

/// A part of an output.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) bytes: Vec<u8>,
    /// The cursor with which the export goes on after this part.
    pub(crate) next: Option<String>,
}

impl Output {
    /// Returns the output of an export. Times without a zone are in `zone`. A bundle has no order and no cursor.
    pub(crate) fn new(question: Question, order: ExportOrder, format: Format, zone: Zone) -> Self {
        // A table that goes on has its column names already.
        let has_begun = question.cursor.is_some();
        let source = match format {
            Format::Bundle => Source::Bundle(Box::new(Bundle::new(question))),
            Format::Jsonl | Format::Csv | Format::Ocsf => Source::Entries(Box::new(Export::new(question, order))),
        };
        Self { source, format, zone, has_begun, entries: 0 }
    }

    /// Returns the next part; `None` at the end. It may be empty.
    pub(crate) fn step(&mut self, trail: &Trail) -> Result<Option<Part>, Error> {
        if !std::mem::replace(&mut self.has_begun, true) {
            let bytes = self.format.head();
            return Ok(Some(Part { bytes, next: None }));
        }
        Ok(match &mut self.source {
            Source::Entries(export) => export.step(trail)?.map(|page| {
                let bytes = self.format.entries(&page.lines, &self.zone);
                self.entries += page.lines.len() as u64;
                Part { bytes, next: page.next }
            }),
            Source::Bundle(bundle) => bundle.step(trail)?.map(|text| Part { bytes: text.into_bytes(), next: None }),
        })
    }

    /// Whether the answer has no entry. Of a bundle, its verifier says so.
    pub(crate) const fn is_empty(&self) -> bool {
        self.entries == 0 && matches!(self.source, Source::Entries(_))
    }

    /// Returns what was skipped, and the number of entries that are not in a bundle: those that are not sealed yet, and
    /// those that are not what was sealed.
    pub(crate) fn done(&self) -> (Exported, [u64; 2]) {
        match &self.source {
            Source::Entries(export) => (export.done().clone(), [0, 0]),
            Source::Bundle(bundle) => {
                let counts = bundle.counts();
                let mut done = Exported::default();
                done.skipped.unreadable = counts.unreadable;
                done.complete = counts.unreadable == 0;
                (done, [counts.unsealed, counts.changed])
            }
        }
    }
}
