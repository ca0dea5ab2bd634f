//! Stores the calls of session files, each once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use tooltrail::{Call, Date, EntryId, Error, Home, Recorder};

use crate::failure::Failure;
use crate::import::count_stored;
use crate::transcripts::formats::Format;
use crate::transcripts::pair::Pairs;
use crate::transcripts::reader::Reader;

/// The lines of a file that are looked at to recognise it.
const LINES_TO_RECOGNISE: usize = 20;

/// The most calls that are sorted and stored at once.
const CALLS_MAX: usize = 1_000;

/// The most bytes of their texts.
const CALLS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a file must rest until a call without a result counts as interrupted. Before that, its agent may still run.
const REST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to wait until calls are durable, and for room in the queue.
const DURABLE_WAIT_MAX: Duration = Duration::from_secs(30);
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// What was done with one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The calls that were stored now.
    pub(crate) stored: u64,
    /// The calls that were in the trail already.
    pub(crate) before: u64,
    /// Calls without a result, which a later import may complete.
    pub(crate) open: u64,
    /// Calls of days that are too old to be kept.
    pub(crate) late: u64,
    /// The lines that say nothing about calls, by kind.
    pub(crate) other_lines: BTreeMap<String, u64>,
    /// The malformed lines.
    pub(crate) malformed: u64,
    /// The numbers of the first of them, and what is wrong.
    pub(crate) malformed_named: Vec<(u64, String)>,
    /// Why the file, or the rest of it, could not be read.
    pub(crate) unread: Option<String>,
}

/// The most malformed lines that are named, and the most kinds of other lines that are counted by name.
const NAMED_MAX: usize = 100;

/// The longest reason why a line is malformed, in characters.
const WHY_CHARS_MAX: usize = 200;

/// Imports session files into a home.
pub(crate) struct Run<'a> {
    home: &'a Home,
    recorder: &'a Recorder,
    user: &'a str,
    /// The entries that this run has stored.
    stored: HashSet<EntryId>,
}

/// Returns whose session file this is; `None` if it is no session file.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn recognise(path: &Path) -> io::Result<Option<Format>> {
    let mut reader = Reader::open(path)?;
    for _ in 0..LINES_TO_RECOGNISE {
        let Some(line) = reader.next()? else { return Ok(None) };
        let Ok(objects) = line else { continue };
        for object in &objects {
            if let Some(format) = Format::ALL.into_iter().find(|format| format.is_sure_of(object)) {
                return Ok(Some(format));
            }
        }
    }
    Ok(None)
}

/// Counts the calls of a session file, and returns their first and last day.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn look(path: &Path, format: Format) -> io::Result<(u64, Option<(Date, Date)>)> {
    let (mut reader, mut pairs) = (Reader::open(path)?, Pairs::new(format, ""));
    let (mut count, mut days) = (0, None::<(Date, Date)>);
    let mut add = |call: &Call| {
        count += 1;
        if let Some(day) = call.ts.map(|ts| ts.date()) {
            let (first, last) = days.unwrap_or((day, day));
            days = Some((first.min(day), last.max(day)));
        }
    };
    while let Some(line) = reader.next()? {
        for object in line.into_iter().flatten() {
            let said = format.read(&object, &mut pairs.session);
            said.into_iter().flatten().filter_map(|said| pairs.take(said)).for_each(|call| add(&call));
        }
    }
    pairs.unanswered().iter().for_each(add);
    Ok((count, days))
}

impl<'a> Run<'a> {
    pub(crate) fn new(home: &'a Home, recorder: &'a Recorder, user: &'a str) -> Self {
        Self { home, recorder, user, stored: HashSet::new() }
    }

    /// Imports a session file. Of a file that cannot be read to its end, what comes before is stored.
    ///
    /// # Errors
    /// If calls cannot be stored.
    pub(crate) fn import(&mut self, path: &Path, format: Format) -> Result<Report, Failure> {
        let mut report = Report::default();
        let mut reader = match Reader::open(path) {
            Ok(reader) => reader,
            Err(error) => return Ok(Report { unread: Some(error.to_string()), ..report }),
        };
        let mut pairs = Pairs::new(format, self.user);
        let (mut calls, mut bytes) = (Vec::new(), 0);
        loop {
            let line = match reader.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    report.unread = Some(error.to_string());
                    break;
                }
            };
            let objects = match line {
                Ok(objects) => objects,
                Err(why) => {
                    report.malformed += 1;
                    if report.malformed_named.len() < NAMED_MAX {
                        let why = self.recorder.excerpt(&why, &[], WHY_CHARS_MAX);
                        report.malformed_named.push((reader.line, why));
                    }
                    continue;
                }
            };
            for object in objects {
                let said = format.read(&object, &mut pairs.session);
                if said.as_ref().is_none_or(Vec::is_empty) {
                    let kind = object["type"].as_str().unwrap_or("without a type");
                    if report.other_lines.len() < NAMED_MAX || report.other_lines.contains_key(kind) {
                        *report.other_lines.entry(kind.to_owned()).or_default() += 1;
                    }
                }
                for call in said.into_iter().flatten().filter_map(|said| pairs.take(said)) {
                    bytes += size(&call);
                    calls.push(call);
                }
            }
            if calls.len() >= CALLS_MAX || bytes >= CALLS_BYTES_MAX {
                self.store(path, std::mem::take(&mut calls), &mut report)?;
                bytes = 0;
            }
        }
        let unanswered = pairs.unanswered();
        // A call whose result stands in the part that was not read is not interrupted.
        if report.unread.is_none() && rests(path) {
            calls.extend(unanswered);
        } else {
            report.open = unanswered.len() as u64;
        }
        self.store(path, calls, &mut report)?;
        Ok(report)
    }

    /// Stores calls that are not in the trail, in the order of time.
    fn store(&mut self, path: &Path, mut calls: Vec<Call>, report: &mut Report) -> Result<(), Failure> {
        calls.sort_by_key(|call| call.ts);
        let dates = calls.iter().filter_map(|call| call.ts).map(|ts| ts.date()).collect::<BTreeSet<_>>();
        let ids = calls.iter().filter_map(|call| call.id).map(|id| (id, 0)).collect::<HashMap<_, _>>();
        let there = count_stored(self.home.disk().as_ref(), &dates, ids);
        let there = there.map_err(|error| Failure::io("compare with the trail", path.display(), &error))?;
        let mut new = Vec::new();
        for call in calls {
            let Some(id) = call.id else { continue };
            if there.get(&id).is_some_and(|times| *times > 0) || !self.stored.insert(id) {
                report.before += 1;
            } else if self.recorder.too_late(&call).is_some() {
                report.late += 1;
            } else {
                new.push(call);
            }
        }
        report.stored += new.len() as u64;
        self.record(new)
    }

    fn record(&self, calls: Vec<Call>) -> Result<(), Failure> {
        if calls.is_empty() {
            return Ok(());
        }
        let since = Instant::now();
        let goes_on = |error: Error| Failure::could_not(error.message(), "run the same command again: it goes on");
        loop {
            match self.recorder.record_durable(calls.clone()) {
                Ok(ack) => return ack.wait_for(DURABLE_WAIT_MAX).map_err(goes_on),
                Err(Error::Busy) if since.elapsed() < DURABLE_WAIT_MAX => std::thread::sleep(BUSY_PAUSE),
                Err(error) => return Err(goes_on(error)),
            }
        }
    }
}

/// Returns about how many bytes the texts of a call have.
fn size(call: &Call) -> usize {
    let outcome = call.outcome.as_ref();
    let result = outcome.and_then(|outcome| outcome.result.as_ref()).map_or(0, |result| match result {
        tooltrail::Payload::Text(text) | tooltrail::Payload::Json(text) => text.len(),
    });
    call.args.len() + result + outcome.and_then(|outcome| outcome.error.as_ref()).map_or(0, String::len)
}

/// Whether nobody has written to a file for a day.
fn rests(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|file| file.modified());
    modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age >= REST))
}
