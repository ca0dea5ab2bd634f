//! The import of one file, from the first read to the last acknowledgement.

use std::io;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest as _, Sha256};
use tooltrail::{DurabilityPolicy, Home, Recorder, Timestamp, Zone, hex};

use crate::failure::Failure;
use crate::import::line::{check, read_line};
use crate::import::order::{Note, Notes};
use crate::import::source::{Again, LINE_BYTES_MAX, STDIN, Source, SourceLine};
use crate::import::state::{EarlierImport, Of, Runs, earlier};
use crate::import::store::Store;
use crate::output;
use crate::typos::Typos;

/// Maximum rejected lines that a report names one by one; more are only counted.
const REJECTED_NAMED_MAX: usize = 1_000;

/// Maximum characters of the message about a rejected line, which may quote the line.
const REFUSAL_CHARS_MAX: usize = 300;

/// How far the time of a line may be ahead of the system clock: clocks differ by a few minutes at worst.
const AHEAD_MS_MAX: i64 = 5 * 60 * 1_000;

/// The settings that all files of one command share.
pub(crate) struct Job<'a> {
    /// The home to import into.
    pub(crate) home: &'a Home,
    /// The recorder that stores the entries.
    pub(crate) recorder: &'a Recorder,
    /// How durable an entry of each tool must be before it counts as stored.
    pub(crate) durability: &'a DurabilityPolicy,
    /// The time zone of times that name no zone.
    pub(crate) zone: &'a Zone,
    /// The user of lines that name no user.
    pub(crate) user: &'a str,
    /// Whether a content that was imported before is imported again.
    pub(crate) again: bool,
}

/// The result of importing one file.
#[derive(Debug)]
pub(crate) struct Report {
    /// The SHA-256 of the uncompressed content, in hex.
    pub(crate) sha256: String,
    /// What was done with the file.
    pub(crate) outcome: Outcome,
    /// The lines that were rejected.
    pub(crate) rejected: Rejected,
    /// Warnings about keys that are probably misspelt, each with the number of the first line that has the key.
    pub(crate) warnings: Vec<(u64, String)>,
    /// How the file begins, if its first line is not a call.
    pub(crate) begins: Begins,
}

/// How a file begins whose first line is not a call, to choose a hint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Begins {
    /// With a call, or with something for which there is no hint.
    #[default]
    Other,
    /// With a JSON list.
    List,
    /// With a JSON object that continues on further lines.
    Object,
}

/// What was done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The calls are stored: `accepted` by this command, `before` by the earlier import that was cut short. The first
    /// `earlier` lines were imported when the file was shorter.
    Stored { run: u32, accepted: u64, before: u64, earlier: u64 },
    /// Nothing was stored, because no line is a call that can be kept.
    Nothing,
    /// The file was refused, because its content was imported already.
    Refused,
}

/// Lines that were rejected, because they are no calls or too old to be kept.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    /// The number of rejected lines.
    pub(crate) count: u64,
    /// The first rejected lines: their numbers, and what is wrong.
    pub(crate) named: Vec<(u64, String)>,
}

impl Rejected {
    pub(crate) fn push(&mut self, number: u64, error: String) {
        self.count += 1;
        if self.named.len() < REJECTED_NAMED_MAX {
            self.named.push((number, error));
        }
    }

    /// Adds the rejected lines of another part, in the order of line numbers.
    fn add(&mut self, others: Self) {
        self.count += others.count;
        self.named.extend(others.named);
        self.named.sort_by_key(|(number, _)| *number);
        self.named.truncate(REJECTED_NAMED_MAX);
    }
}

/// The result of the first pass over a file.
struct Scanned {
    /// The beginning of the file, if it is a content whose import was cut short. It is finished before the rest.
    first: Option<(Content, Part)>,
    /// The rest of the file, or all of it.
    rest: Part,
    content: Content,
    again: Again,
    typos: Typos,
    begins: Begins,
}

/// A content for which an import state is kept.
#[derive(Clone, Copy)]
struct Content {
    hash: [u8; 32],
    bytes: u64,
}

/// Lines that are imported together.
struct Part {
    plan: Sha256,
    entries: u64,
    notes: Notes,
    rejected: Rejected,
    /// The entries of days that are too old to be kept now. The second pass decides again, because a day may end in
    /// between.
    late: Rejected,
    /// The number of the other entries.
    kept: u64,
    /// The number of lines at the beginning of the file that were imported when the file was shorter.
    earlier: u64,
}

/// What was stored of a part.
struct StoredPart {
    run: u32,
    accepted: u64,
    before: u64,
    rejected: Rejected,
}

impl Job<'_> {
    /// Imports one file.
    pub(crate) fn import(&self, path: &Path) -> Result<Report, Failure> {
        let scanned = self.scan(path).map_err(|error| match error.kind() {
            io::ErrorKind::IsADirectory => Failure::could_not(
                format!("{} is a folder, not a file", name_of(path)),
                format!("name the files in it, as in `tooltrail import {}/*.jsonl`", path.display()),
            ),
            _ => Failure::io("read", name_of(path), &error),
        })?;
        let (mut rest, mut first) = (scanned.rest, None);
        match scanned.first {
            // The file has not grown: the content whose import was cut short is the complete file.
            Some((content, whole)) if content.bytes == scanned.content.bytes => rest = whole,
            Some((content, part)) => {
                let runs = self.runs(path, content)?;
                first = Some((part.earlier, self.store(path, runs, (content, part), &scanned.again)?));
            }
            None => {}
        }
        let warnings = scanned.typos.warnings.iter();
        let warnings = warnings.map(|(line, text)| (*line, self.recorder.excerpt(text, b"", REFUSAL_CHARS_MAX)));
        let (sha256, warnings, begins) = (hex(&scanned.content.hash), warnings.collect(), scanned.begins);
        let report = |outcome, rejected| Report { sha256, outcome, rejected, warnings, begins };
        if first.is_none() && rest.kept == 0 && rest.earlier == 0 {
            rest.rejected.add(rest.late);
            return Ok(report(Outcome::Nothing, rest.rejected));
        }
        let runs = self.runs(path, scanned.content)?;
        // A file that has grown only by blank lines has nothing new.
        let nothing_new = rest.kept == 0 && rest.rejected.count == 0 && rest.late.count == 0;
        if first.is_none() && !self.again && (runs.found() == EarlierImport::Finished || nothing_new) {
            return Ok(report(Outcome::Refused, rest.rejected));
        }
        let earlier = first.as_ref().map_or(rest.earlier, |(earlier, _)| *earlier);
        let mut stored = self.store(path, runs, (scanned.content, rest), &scanned.again)?;
        if let Some((_, first)) = first {
            stored.accepted += first.accepted;
            stored.before += first.before;
            stored.rejected.add(first.rejected);
        }
        let StoredPart { run, accepted, before, rejected } = stored;
        Ok(report(Outcome::Stored { run, accepted, before, earlier }, rejected))
    }

    /// Looks up the earlier imports of a content, and locks the content for this process.
    fn runs(&self, path: &Path, content: Content) -> Result<Runs, Failure> {
        Runs::open(self.home.disk(), &content.hash).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Failure::could_not(
                format!("another process is importing the content of {}", name_of(path)),
                "wait until it ends",
            ),
            _ => Failure::io("import", name_of(path), &error),
        })
    }

    /// Stores the entries of a part that are not stored yet. The part is a complete content, or what is new in it.
    fn store(
        &self,
        path: &Path,
        runs: Runs,
        (content, part): (Content, Part),
        again: &Again,
    ) -> Result<StoredPart, Failure> {
        let failed = |error: io::Error| Failure::io("import", name_of(path), &error);
        let (plan, whose) = (hex(&part.plan.finalize()), self.whose());
        let of = Of { plan: &plan, bytes: content.bytes, whose: &whose };
        let Some(progress) = runs.begin(of, crate::clock::now()).map_err(failed)? else {
            return Err(Failure::could_not(
                format!("an import of {} was cut short, with another --user or another zone", name_of(path)),
                "run it again with those of that time",
            ));
        };
        let (run, before) = (progress.run(), progress.done());
        let notes = part.notes.sorted(progress.started()).map_err(failed)?;
        let bar = bar(Some(part.entries), "storing {wide_bar} {human_pos}/{human_len} entries, {eta} left");
        bar.set_position(before);
        let store = Store::new(self, path, (&content.hash, again), progress, bar);
        let (accepted, stood, late) = store.run(notes)?;
        let mut rejected = part.rejected;
        rejected.add(late);
        Ok(StoredPart { run, accepted, before: before + stood, rejected })
    }

    /// Runs the first pass: reads all lines, checks which are calls, and notes their times.
    fn scan(&self, path: &Path) -> io::Result<Scanned> {
        let mut source = Source::open(path, self.home.disk().as_ref(), |len, input| {
            let bar = bar(len, "reading {wide_bar} {bytes}/{total_bytes}");
            Box::new(bar.wrap_read(input))
        })?;
        // With `--again` the complete content is imported again, so earlier imports do not matter.
        if !self.again {
            source.set_earlier(earlier(self.home.disk().as_ref(), &self.whose())?);
        }
        let (mut known, mut first) = (0, None);
        let (mut typos, mut begins) = (Typos::default(), Begins::Other);
        let mut part = self.part(0);
        let mut line = Vec::new();
        while let Some(source_line) = source.next(&mut line)? {
            if source.known() > known {
                // All lines so far were imported when the file was shorter, except a line that was incomplete then.
                known = source.known();
                let whole = source_line.offset + u64::from(source_line.len) <= known;
                (first, part) = (None, self.part(source_line.number - u64::from(!whole)));
                if whole {
                    continue;
                }
            }
            match source.cut().filter(|(bytes, _)| first.is_none() && *bytes > known) {
                Some((bytes, hash)) => {
                    // The content whose import was cut short ends within this line, or at the end of it.
                    let len = usize::try_from(bytes.saturating_sub(source_line.offset)).unwrap_or(usize::MAX);
                    let whole = len >= line.len();
                    let begun = SourceLine {
                        len: u32::try_from(len).unwrap_or(source_line.len).min(source_line.len),
                        ..source_line
                    };
                    let text = &line[..len.min(line.len())];
                    self.take(&mut part, begun, text, (&mut typos, &mut begins))?;
                    let rest = self.part(source_line.number - u64::from(!whole));
                    first = Some((Content { hash, bytes }, std::mem::replace(&mut part, rest)));
                    if !whole {
                        self.take(&mut part, source_line, &line, (&mut typos, &mut begins))?;
                    }
                }
                None => self.take(&mut part, source_line, &line, (&mut typos, &mut begins))?,
            }
        }
        let (hash, bytes, again) = source.finish()?;
        Ok(Scanned { first, rest: part, content: Content { hash, bytes }, again, typos, begins })
    }

    /// Returns an empty part that follows `earlier` lines imported before.
    fn part(&self, earlier: u64) -> Part {
        let mut plan = Sha256::new();
        plan.update(self.user.as_bytes());
        let (notes, rejected, late) = (Notes::new(self.home.disk()), Rejected::default(), Rejected::default());
        Part { plan, entries: 0, notes, rejected, late, kept: 0, earlier }
    }

    /// Checks a line and adds it to a part.
    fn take(
        &self,
        part: &mut Part,
        source_line: SourceLine,
        line: &[u8],
        (typos, begins): (&mut Typos, &mut Begins),
    ) -> io::Result<()> {
        if source_line.too_long {
            part.rejected.push(source_line.number, format!("longer than {} MiB", LINE_BYTES_MAX >> 20));
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let call = match read_line(line, self.zone) {
            Ok(call) => call,
            Err(error) => {
                if part.entries == 0 && part.rejected.count == 0 {
                    *begins = begin_of(line);
                }
                part.rejected.push(source_line.number, self.recorder.excerpt(&error, line, REFUSAL_CHARS_MAX));
                return Ok(());
            }
        };
        if let Some(why) = call.ts.and_then(why_ahead) {
            part.rejected.push(source_line.number, why);
            return Ok(());
        }
        typos.look(source_line.number, &call);
        match self.recorder.too_late(&call) {
            Some(why) => part.late.push(source_line.number, why),
            None => part.kept += 1,
        }
        let ts_ms = call.ts.map(|ts| ts.as_millis());
        let note = Note {
            ts_ms: ts_ms.unwrap_or(0),
            number: source_line.number,
            offset: source_line.offset,
            len: source_line.len,
            check: check(line),
        };
        part.plan.update(source_line.number.to_be_bytes());
        part.plan.update(ts_ms.unwrap_or(-1).to_be_bytes());
        part.entries += 1;
        if ts_ms.is_some() { part.notes.push_timed(note) } else { part.notes.push_untimed(note) }
    }

    /// Returns a hash of the user that lines without a user get.
    fn whose(&self) -> String {
        hex(&Sha256::digest(self.user.as_bytes()))
    }
}

/// Returns what kind of JSON begins with this line, which is not a call.
fn begin_of(line: &[u8]) -> Begins {
    match line.trim_ascii() {
        [b'[', ..] => Begins::List,
        [b'{', .., b'}'] => Begins::Other,
        [b'{', ..] => Begins::Object,
        _ => Begins::Other,
    }
}

/// Returns the name of a file for messages.
pub(crate) fn name_of(path: &Path) -> String {
    if path.as_os_str() == STDIN { "stdin".to_owned() } else { path.display().to_string() }
}

/// Returns why a time cannot be that of a call that has ended; `None` if it can.
pub(crate) fn why_ahead(ts: Timestamp) -> Option<String> {
    let is_ahead = ts.as_millis() > crate::clock::now().as_millis() + AHEAD_MS_MAX;
    is_ahead.then(|| format!("ts {ts} lies in the future"))
}

/// Returns a progress bar, which is hidden if stderr is not a terminal.
fn bar(len: Option<u64>, template: &str) -> ProgressBar {
    if !output::stderr_is_terminal() {
        return ProgressBar::hidden();
    }
    match len {
        Some(len) => {
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(len).with_style(style)
        }
        None => ProgressBar::new_spinner(),
    }
}
