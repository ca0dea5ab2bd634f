//! Merges the newest matches of many files. It always continues with the file whose next line may be the newest.

use std::collections::{BTreeMap, BinaryHeap};

use super::locate::window;
use super::page::Nothing;
use super::scan::{Scan, ScanBound, ScanContext};
use super::trail::{PageRequest, Trail};
use super::{DayFile, Folder, Page};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::query::{Cursor, EntryPosition, Filter, FirstUses, Line, ScanMark};

/// The bytes that a mark must save to be included in a cursor: one block.
const SAVED_BYTES_MIN: u64 = 128 * 1024;

/// The newest matches so far, one more than a page holds. The extra one shows that there is a next page.
struct Best {
    lines: BTreeMap<EntryPosition, String>,
    room: usize,
    bytes: usize,
    bytes_max: usize,
}

impl Best {
    /// Whether a match at this position could be among the newest.
    fn wants(&self, position: &EntryPosition) -> bool {
        self.lines.len() < self.room || self.lines.first_key_value().is_some_and(|(last, _)| position > last)
    }

    fn put(&mut self, position: EntryPosition, line: String) {
        self.bytes += line.len();
        self.lines.insert(position, line);
        while self.lines.len() > self.room || (self.bytes > self.bytes_max && self.lines.len() > 2) {
            if self.lines.len() <= self.room {
                self.room = self.lines.len() - 1;
            }
            self.bytes -= self.lines.pop_first().map_or(0, |(_, line)| line.len());
        }
    }

    /// Whether no further match at or before this millisecond can be among the newest.
    fn settled(&self, upto: i64) -> bool {
        self.lines.len() >= self.room
            && self.lines.first_key_value().is_some_and(|(last, _)| last.ts.as_millis() > upto)
    }
}

/// The sources of the next line: files that are being read, and folders whose next older file is not open yet.
///
/// A file is opened only when it is needed, so that memory grows with what is read and not with what exists.
struct Sources<'a> {
    asked: &'a PageRequest<'a>,
    folders: Vec<Folder>,
    scans: Vec<Scan>,
    /// The sources, by the latest millisecond that a line from there can have.
    order: BinaryHeap<(i64, Source)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Scan(usize),
    /// The index of a folder and of one of its days, newest first.
    Folder(usize, usize),
}

impl<'a> Sources<'a> {
    fn new(asked: &'a PageRequest<'a>, folders: Vec<Folder>) -> Self {
        let mut sources = Self { asked, folders, scans: Vec::new(), order: BinaryHeap::new() };
        (0..sources.folders.len()).for_each(|folder| sources.push_folder(folder, 0));
        sources
    }

    /// Adds the first file of a folder, from this day index on, that may contain a match older than the cursor.
    fn push_folder(&mut self, folder: usize, from: usize) {
        let ceiling = self.asked.question.cursor.as_ref().map_or(i64::MAX, |cursor| cursor.position.ts.as_millis());
        for (n, day) in self.folders[folder].days.iter().enumerate().skip(from) {
            let (least, most) = window(*day, self.asked.zone);
            if self.asked.may_hold(*day) && least <= ceiling {
                self.order.push((most, Source::Folder(folder, n)));
                return;
            }
        }
    }

    /// Returns the index of a source's scan. If it opens a file, it adds the next file of the same folder as a source.
    fn scan(&mut self, source: Source) -> usize {
        let (folder, n) = match source {
            Source::Scan(scan) => return scan,
            Source::Folder(folder, n) => (folder, n),
        };
        let file = DayFile::new(&self.folders[folder].name, self.folders[folder].days[n], self.asked.zone);
        self.push_folder(folder, n + 1);
        let marks = self.asked.question.cursor.as_ref().map_or(&[][..], |cursor| &cursor.marks);
        let mark = marks.iter().find(|mark| mark.day == file.day && mark.folder == file.folder);
        self.scans.push(Scan::new(file).from(mark.cloned()));
        self.scans.len() - 1
    }
}

/// Returns the page of a question.
pub(super) fn newest(trail: &Trail, asked: &PageRequest<'_>) -> Result<Page, Error> {
    let question = asked.question;
    let first = asked.first.start().as_millis();
    let start = asked.clock.monotonic();
    let mut page = Page { complete: true, ..Page::default() };
    let bound = asked.bounds.page;
    let mut context = ScanContext::new(asked.home, asked.zone);
    let (firsts, knows_firsts) = match question.query.asks_for_firsts() {
        true => trail.first_uses(asked.owned().as_ref(), &mut context)?,
        false => (FirstUses::default(), true),
    };
    let filter = Filter::new(&question.query, asked.clock.now()).with_firsts(&firsts);
    let bytes_max = asked.bounds.page_lines_bytes_max;
    let mut best = Best { lines: BTreeMap::new(), room: question.limit + 1, bytes: 0, bytes_max };
    let (cursor, above) = (question.cursor.as_ref(), question.above.as_ref());
    let folders = trail.folders(asked.owned().as_ref(), &mut context.unreadable)?;
    let newest_day = folders.iter().filter_map(|folder| folder.days.first().copied()).max();
    let mut sources = Sources::new(asked, folders);
    while let Some((upto, source)) = sources.order.pop() {
        let is_over = above.is_some_and(|above| upto < above.position.ts.as_millis());
        if upto < first || is_over || best.settled(upto) {
            break;
        }
        let spent = context.scanned.bytes >= bound.bytes_max
            || asked.clock.monotonic() - start >= bound.time_max
            || asked.cancel.is_cancelled();
        // A page must advance; otherwise its cursor would repeat the same page forever.
        let from = EntryPosition::below(Timestamp::from_millis(upto.saturating_add(1)));
        let further = cursor.is_none_or(|cursor| from < cursor.position);
        if spent && further && context.scanned.files > 0 {
            best.lines = best.lines.split_off(&from);
            page.complete = false;
            page.next = Some(Cursor::new(from.clone(), marks_at(&sources.scans, &from)).to_string());
            break;
        }
        let n = sources.scan(source);
        let bound = sources.scans[n].step(&mut context, |place, ts, line, skipped| {
            if ts.as_millis() < first || !filter.may_match(line) {
                return;
            }
            let position = place.position();
            let shown = cursor.is_some_and(|cursor| position >= cursor.position)
                || above.is_some_and(|above| position < above.position);
            if shown || !best.wants(&position) {
                return;
            }
            let text = std::str::from_utf8(line).ok();
            match text.and_then(|text| Some((text, Line::parse(text, asked.zone)?))) {
                Some((text, entry)) => {
                    if filter.matches(&entry) {
                        best.put(position, text.to_owned());
                    }
                }
                None => skipped.line(line),
            }
        });
        if let ScanBound::UpTo(upto) = bound {
            sources.order.push((upto, Source::Scan(n)));
        }
    }
    (page.skipped, page.unreadable_names) = context.left_out();
    page.scanned = context.scanned;
    let more = best.lines.len() >= best.room;
    let shown = if more { best.room - 1 } else { best.lines.len() };
    let mut last = None;
    for (position, line) in best.lines.into_iter().rev().take(shown) {
        page.lines.push(line);
        last = Some(position);
    }
    if more {
        page.next = last.map(|position| Cursor::new(position.clone(), marks_at(&sources.scans, &position)).to_string());
        page.complete = true;
    }
    page.complete &= knows_firsts && page.skipped.unreadable == 0 && !trail.lacks(asked.owned().as_ref());
    if page.lines.is_empty() && cursor.is_none() {
        let today = asked.clock.now().date();
        let to = asked.last.map_or(today, |last| last.min(today));
        page.nothing = Some(Nothing { from: asked.first, to, newest: newest_day });
    }
    Ok(page)
}

/// Returns the marks that save the most reading for the next page, the best first.
fn marks_at(scans: &[Scan], position: &EntryPosition) -> Vec<ScanMark> {
    let marks = scans.iter().filter_map(|scan| scan.mark(position.ts.as_millis()));
    let mut marks = marks.filter(|(saved, _)| *saved >= SAVED_BYTES_MIN).collect::<Vec<_>>();
    marks.sort_by_key(|(saved, _)| std::cmp::Reverse(*saved));
    marks.into_iter().map(|(_, mark)| mark).collect()
}
