//! Stores the calls of session files, each once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tooltrail::disk::Lock;
use tooltrail::{Call, Date, EntryId, Error, Home, Recorder, Via};

use crate::failure::Failure;
use crate::import::{Rejected, each_stored, lock_sessions, why_ahead};
use crate::settings::file::AgentsFile;
use crate::transcripts::formats::Format;
use crate::transcripts::hooked::HookedCalls;
use crate::transcripts::pair::{FoundCall, Pairs, is_interrupted};
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
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The calls that were stored now.
    pub(crate) stored: u64,
    /// The calls that were in the trail already.
    pub(crate) before: u64,
    /// Calls without a result, which a later import may complete.
    pub(crate) open: u64,
    /// Calls of days that are too old to be kept.
    pub(crate) late: u64,
    /// Calls of projects that are left out.
    pub(crate) excluded: u64,
    /// The lines that say nothing about calls, by kind.
    pub(crate) other_lines: BTreeMap<String, u64>,
    /// Malformed lines, and lines with a call that cannot be stored.
    pub(crate) rejected: Rejected,
    /// Why the file, or the rest of it, could not be read.
    pub(crate) unread: Option<String>,
}

/// The most kinds of other lines that are counted by name, and the most characters of a kind.
const KINDS_MAX: usize = 100;
const KIND_CHARS_MAX: usize = 60;

/// The longest reason why a line is malformed, in characters.
const WHY_CHARS_MAX: usize = 200;

/// Imports session files into a home.
pub(crate) struct Run<'a> {
    home: &'a Home,
    recorder: &'a Recorder,
    user: &'a str,
    /// The projects that are left out.
    agents: &'a AgentsFile,
    /// The entries that this run has met.
    met: HashSet<EntryId>,
    /// The calls that this run has met and whose ids alone tell them from all others. A fork of a session may hold them
    /// with other times.
    met_unique: HashSet<[u8; 10]>,
    /// The calls that hooks recorded without an id.
    hooked: HookedCalls,
    /// Calls without a result of files that have rested, with the number of their file. They are stored last, because
    /// another file may have the result.
    unanswered: Vec<(usize, FoundCall)>,
    reports: Vec<Report>,
    _lock: Box<dyn Lock>,
}

/// Returns whose session file this is; `None` if it is no session file.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn recognise(path: &Path) -> io::Result<Option<Format>> {
    let mut reader = Reader::open(path)?;
    for _ in 0..LINES_TO_RECOGNISE {
        let Some(line) = reader.next()? else { return Ok(None) };
        for object in line.iter().flatten() {
            if object["tool"].is_string() {
                // A line of a call, in whatever company.
                return Ok(None);
            }
            if let Some(format) = Format::of_line(object) {
                return Ok(Some(format));
            }
        }
    }
    Ok(None)
}

/// Counts the calls of a session file, but for those of projects that are left out, and returns their first and last day.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn look(path: &Path, format: Format, agents: &AgentsFile) -> io::Result<(u64, Option<(Date, Date)>)> {
    let (mut count, mut days) = (0, None::<(Date, Date)>);
    each_call(path, format, |call| {
        if is_excluded(&call, agents) {
            return;
        }
        count += 1;
        if let Some(day) = call.ts.map(|ts| ts.date()) {
            let (first, last) = days.unwrap_or((day, day));
            days = Some((first.min(day), last.max(day)));
        }
    })?;
    Ok((count, days))
}

/// Returns the calls of a session file, without their arguments and results, and without those of projects that are left
/// out.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn calls_of(path: &Path, format: Format, agents: &AgentsFile) -> io::Result<Vec<Call>> {
    let mut calls = Vec::new();
    each_call(path, format, |mut call| {
        if is_excluded(&call, agents) {
            return;
        }
        call.args = String::new();
        if let Some(outcome) = &mut call.outcome {
            (outcome.result, outcome.error) = (None, None);
        }
        calls.push(call);
    })?;
    Ok(calls)
}

/// Calls `take` with each call of a session file.
fn each_call(path: &Path, format: Format, mut take: impl FnMut(Call)) -> io::Result<()> {
    let (mut reader, mut pairs) = (Reader::open(path)?, Pairs::of_file(format, path, ""));
    let mut add = |found: FoundCall| take(found.call);
    while let Some(line) = reader.next()? {
        for object in line.into_iter().flatten() {
            let said = format.read(&object, &mut pairs.session);
            said.into_iter().flatten().filter_map(|said| pairs.take(said).ok()?).for_each(&mut add);
        }
    }
    pairs.unanswered().into_iter().flatten().for_each(add);
    Ok(())
}

/// Whether a call was made in the folder of a project that is left out.
fn is_excluded(call: &Call, agents: &AgentsFile) -> bool {
    let cwd = call.extra.iter().find(|(name, _)| name == "cwd");
    let cwd = cwd.and_then(|(_, json)| serde_json::from_str::<String>(json).ok());
    cwd.is_some_and(|cwd| agents.excludes(&cwd))
}

impl<'a> Run<'a> {
    /// Returns a run, during which no other process imports session files.
    ///
    /// # Errors
    /// If another process does, or if the journal of a process that has ended cannot be read yet.
    pub(crate) fn new(
        home: &'a Home,
        recorder: &'a Recorder,
        user: &'a str,
        agents: &'a AgentsFile,
    ) -> Result<Self, Failure> {
        // A call that is only in a journal would be stored twice.
        if let Some(why) = recorder.unrecovered() {
            return Err(Failure::could_not(
                format!("what an earlier process left cannot be settled yet: {why}"),
                "run the same command again later",
            ));
        }
        let lock = lock_sessions(home.disk().as_ref()).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Failure::could_not(
                "another process imports session files into this home now",
                "run the same command again when it has ended",
            ),
            _ => Failure::io("lock", "the home's imports", &error),
        })?;
        let (met, met_unique) = (HashSet::new(), HashSet::new());
        let (unanswered, reports) = (Vec::new(), Vec::new());
        let hooked = HookedCalls::default();
        Ok(Self { home, recorder, user, agents, met, met_unique, hooked, unanswered, reports, _lock: lock })
    }

    /// Imports a session file. Of a file that cannot be read to its end, what comes before is stored.
    ///
    /// # Errors
    /// If calls cannot be stored.
    pub(crate) fn import(&mut self, path: &Path, format: Format) -> Result<(), Failure> {
        let mut report = Report::default();
        let read = Reader::open(path).map(|reader| (reader, Pairs::of_file(format, path, self.user)));
        match read {
            Ok((mut reader, mut pairs)) => self.read(path, &mut reader, &mut pairs, &mut report)?,
            Err(error) => report.unread = Some(error.to_string()),
        }
        self.reports.push(report);
        Ok(())
    }

    /// Stores the calls that have no result in any of the files. Returns what was done with each file, in the order in
    /// which they were imported.
    ///
    /// # Errors
    /// If calls cannot be stored.
    pub(crate) fn finish(mut self) -> Result<Vec<Report>, Failure> {
        let mut reports = std::mem::take(&mut self.reports);
        let mut unanswered = std::mem::take(&mut self.unanswered).into_iter().peekable();
        while let Some((number, first)) = unanswered.next() {
            let mut calls = vec![first];
            while calls.len() < CALLS_MAX
                && let Some((_, found)) = unanswered.next_if(|(other, _)| *other == number)
            {
                calls.push(found);
            }
            self.store(calls, &mut reports[number])?;
        }
        Ok(reports)
    }

    fn read(
        &mut self,
        path: &Path,
        reader: &mut Reader,
        pairs: &mut Pairs,
        report: &mut Report,
    ) -> Result<(), Failure> {
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
            match line {
                Err(why) => report.rejected.push(reader.line, self.recorder.excerpt(&why, &[], WHY_CHARS_MAX)),
                Ok(objects) => {
                    for object in objects {
                        let ended = self.take(&object, reader.line, pairs, report);
                        bytes += ended.iter().map(size).sum::<usize>();
                        calls.extend(ended);
                    }
                }
            }
            if calls.len() >= CALLS_MAX || bytes >= CALLS_BYTES_MAX {
                self.store(std::mem::take(&mut calls), report)?;
                bytes = 0;
            }
        }
        self.store(calls, report)?;
        // A call whose result stands in the part that was not read is not interrupted.
        let is_over = report.unread.is_none() && rests(path);
        for found in pairs.unanswered() {
            match found {
                Err(why) => report.rejected.push(reader.line, why.to_owned()),
                Ok(found) if found.call.ts.and_then(why_ahead).is_some() => {
                    let why = found.call.ts.and_then(why_ahead).unwrap_or_default();
                    report.rejected.push(reader.line, why);
                }
                Ok(found) if is_over => self.unanswered.push((self.reports.len(), found)),
                Ok(_) => report.open += 1,
            }
        }
        Ok(())
    }

    /// Takes in an object of a line. Returns the calls that have ended.
    fn take(&self, object: &Value, line: u64, pairs: &mut Pairs, report: &mut Report) -> Vec<FoundCall> {
        let said = pairs.format.read(object, &mut pairs.session).unwrap_or_default();
        if said.is_empty() {
            let kind = object["type"].as_str().unwrap_or("without a type");
            let kind = self.recorder.excerpt(kind, &[], KIND_CHARS_MAX);
            if report.other_lines.len() < KINDS_MAX || report.other_lines.contains_key(&kind) {
                *report.other_lines.entry(kind).or_default() += 1;
            }
        }
        let mut ended = Vec::new();
        for said in said {
            let found = pairs.take(said).map_err(str::to_owned).and_then(|found| {
                let ahead = found.as_ref().and_then(|found| why_ahead(found.call.ts?));
                ahead.map_or(Ok(found), Err)
            });
            match found {
                Ok(found) => ended.extend(found),
                Err(why) => report.rejected.push(line, why),
            }
        }
        ended
    }

    /// Stores calls that are not in the trail, in the order of time.
    fn store(&mut self, mut calls: Vec<FoundCall>, report: &mut Report) -> Result<(), Failure> {
        let all = calls.len();
        calls.retain(|found| !is_excluded(&found.call, self.agents));
        report.excluded += (all - calls.len()) as u64;
        calls.sort_by_key(|found| found.call.ts);
        let dates = calls.iter().filter_map(|found| found.call.ts).map(|ts| ts.date()).collect::<BTreeSet<_>>();
        let mut ids = calls.iter().filter_map(|found| found.call.id).map(|id| (id, false)).collect::<HashMap<_, _>>();
        // A hook has seen these calls. What it could not see is the outcome of a call whose agent ended before.
        let unique = calls.iter().filter(|found| found.unique.is_some()).filter_map(|found| found.call.call_id.clone());
        let mut call_ids = unique.map(|id| (id, Hooked::No)).collect::<HashMap<_, _>>();
        let without_ids = calls.iter().any(|found| hides_ids(&found.call));
        let read = each_stored(self.home.disk().as_ref(), &dates, |stored| {
            if let Some(is_there) = stored.entry_id().and_then(|id| ids.get_mut(&id)) {
                *is_there = true;
            }
            if stored.via.as_deref() != Some(Via::Hook.as_str()) {
                return;
            }
            if without_ids {
                self.hooked.add(stored);
            }
            if let Some(seen) = stored.call_id.as_deref().and_then(|id| call_ids.get_mut(id)) {
                *seen = (*seen).max(if stored.is_interrupted() { Hooked::Interrupted } else { Hooked::Ended });
            }
        });
        read.map_err(|error| Failure::io("read", "the day files of the home", &error))?;
        let mut new = Vec::new();
        for FoundCall { call, unique } in calls {
            let Some(id) = call.id else { continue };
            let was_met = unique.is_some_and(|unique| !self.met_unique.insert(unique)) | !self.met.insert(id);
            let is_hooked = match call.call_id.as_ref().and_then(|id| call_ids.get(id)) {
                Some(Hooked::Ended) => true,
                Some(Hooked::Interrupted) => is_interrupted(&call),
                Some(Hooked::No) | None => false,
            };
            let is_there = was_met || is_hooked || ids.get(&id) == Some(&true);
            if is_there || without_ids && self.hooked.take(&call) {
                report.before += 1;
            } else if self.recorder.too_late(&call).is_some() {
                report.late += 1;
            } else {
                new.push(call);
            }
        }
        let stored = new.len() as u64;
        self.record(new)?;
        report.stored += stored;
        Ok(())
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
fn size(found: &FoundCall) -> usize {
    let call = &found.call;
    let outcome = call.outcome.as_ref();
    let result = outcome.and_then(|outcome| outcome.result.as_ref()).map_or(0, |result| match result {
        tooltrail::Payload::Text(text) | tooltrail::Payload::Json(text) => text.len(),
    });
    call.args.len() + result + outcome.and_then(|outcome| outcome.error.as_ref()).map_or(0, String::len)
}

/// Whether the hooks of the agent do not know the ids of its calls.
fn hides_ids(call: &Call) -> bool {
    let client = call.client.as_deref().unwrap_or_default();
    [Format::Gemini, Format::Copilot].iter().any(|format| client.starts_with(format.client()))
}

/// What a hook has recorded of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hooked {
    No,
    /// That it began. The session file may know how it ended.
    Interrupted,
    Ended,
}

/// Whether nobody has written to a file for a day.
fn rests(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|file| file.modified());
    modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age >= REST))
}
