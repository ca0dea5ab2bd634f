//! The newest answers of many files: always the file read on whose next line may be newest.

use std::collections::{BTreeMap, BinaryHeap};

use super::scan::{Looking, Outlook, Scan};
use super::trail::Asked;
use super::{DayFile, Page};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::query::{Cursor, Filter, Line, Mark, Place};

/// Bytes that a mark must save to stand in a cursor: as much as one block.
const SAVED_BYTES_MIN: u64 = 128 * 1024;

/// The best answers so far, one more than a page holds: the one more tells that there is a next page.
struct Best {
    lines: BTreeMap<Place, String>,
    room: usize,
    bytes: usize,
    bytes_max: usize,
}

impl Best {
    /// Whether an answer at this place could be among the best.
    fn wants(&self, place: &Place) -> bool {
        self.lines.len() < self.room || self.lines.first_key_value().is_some_and(|(last, _)| place > last)
    }

    fn put(&mut self, place: Place, line: String) {
        self.bytes += line.len();
        self.lines.insert(place, line);
        while self.lines.len() > self.room || (self.bytes > self.bytes_max && self.lines.len() > 2) {
            if self.lines.len() <= self.room {
                self.room = self.lines.len() - 1;
            }
            self.bytes -= self.lines.pop_first().map_or(0, |(_, line)| line.len());
        }
    }

    /// Whether nothing ordered at or below this millisecond is among the best.
    fn settled(&self, upto: i64) -> bool {
        self.lines.len() >= self.room
            && self.lines.first_key_value().is_some_and(|(last, _)| last.ts.as_millis() > upto)
    }
}

/// Returns the page of a question over these files.
pub(super) fn newest(asked: &Asked<'_>, files: Vec<DayFile>) -> Result<Page, Error> {
    let question = asked.question;
    let filter = Filter::new(&question.query, asked.clock.now());
    let first = asked.first.start().as_millis();
    let start = asked.clock.monotonic();
    let mut page = Page { complete: true, ..Page::default() };
    let bound = asked.bounds.page;
    let mut looking = Looking::new(asked.home, asked.zone);
    let bytes_max = asked.bounds.page_lines_bytes_max;
    let mut best = Best { lines: BTreeMap::new(), room: question.limit + 1, bytes: 0, bytes_max };
    let cursor = question.cursor.as_ref();
    let ceiling = cursor.map_or(i64::MAX, |cursor| cursor.place.ts.as_millis());
    let files = files.into_iter().filter(|file| file.window.0 <= ceiling);
    let scan = |file: DayFile| {
        let marks = cursor.map_or(&[][..], |cursor| &cursor.marks);
        let mark = marks.iter().find(|mark| mark.day == file.day && mark.folder == file.folder);
        Scan::new(file).from(mark.cloned())
    };
    let mut scans = files.map(scan).collect::<Vec<_>>();
    let mut order = scans.iter().enumerate().map(|(n, scan)| (scan.file.window.1, n)).collect::<BinaryHeap<_>>();
    while let Some((upto, n)) = order.pop() {
        if upto < first || best.settled(upto) {
            break;
        }
        let spent = looking.scanned.bytes >= bound.bytes_max || asked.clock.monotonic() - start >= bound.time_max;
        // A page that stops where it began would be asked for again for ever.
        let from = Place::below(Timestamp::from_millis(upto.saturating_add(1)));
        let further = cursor.is_none_or(|cursor| from < cursor.place);
        if spent && further && looking.scanned.files > 0 {
            best.lines = best.lines.split_off(&from);
            page.complete = false;
            page.next = Some(Cursor::new(from.clone(), marks_at(&scans, &from)).to_string());
            break;
        }
        let outlook = scans[n].step(&mut looking, |place, ts, line, skipped| {
            let shown = cursor.is_some_and(|cursor| place >= cursor.place);
            if ts.as_millis() < first || shown || !best.wants(&place) || !filter.may_match(line) {
                return;
            }
            let text = std::str::from_utf8(line).ok();
            match text.and_then(|text| Some((text, Line::parse(text, asked.zone)?))) {
                Some((text, entry)) => {
                    if filter.matches(&entry) {
                        best.put(place, text.to_owned());
                    }
                }
                None => skipped.line(line),
            }
        })?;
        if let Outlook::UpTo(upto) = outlook {
            order.push((upto, n));
        }
    }
    (page.skipped, page.scanned) = (looking.skipped, looking.scanned);
    let more = best.lines.len() >= best.room;
    let shown = if more { best.room - 1 } else { best.lines.len() };
    let mut last = None;
    for (place, line) in best.lines.into_iter().rev().take(shown) {
        page.lines.push(line);
        last = Some(place);
    }
    if more {
        page.next = last.map(|place| Cursor::new(place.clone(), marks_at(&scans, &place)).to_string());
        page.complete = true;
    }
    Ok(page)
}

/// Returns the marks that save the next page most, the best first.
fn marks_at(scans: &[Scan], place: &Place) -> Vec<Mark> {
    let marks = scans.iter().filter_map(|scan| scan.mark(place.ts.as_millis()));
    let mut marks = marks.filter(|(saved, _)| *saved >= SAVED_BYTES_MIN).collect::<Vec<_>>();
    marks.sort_by_key(|(saved, _)| std::cmp::Reverse(*saved));
    marks.into_iter().map(|(_, mark)| mark).collect()
}
