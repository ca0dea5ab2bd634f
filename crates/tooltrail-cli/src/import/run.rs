//! One file from its first byte to its last acknowledgement.

use std::io;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest as _, Sha256};
use tooltrail::{DurabilityPolicy, Home, Recorder, Zone, hex};

use crate::failure::Failure;
use crate::import::line::{check, read_line};
use crate::import::order::{Note, Notes};
use crate::import::source::{Again, LINE_BYTES_MAX, STDIN, Source, SourceLine};
use crate::import::state::{EarlierImport, Of, Runs, earlier};
use crate::import::store::Store;
use crate::output;
use crate::typos::Typos;

/// Rejected lines that are named one by one; the rest is only counted.
const REJECTED_NAMED_MAX: usize = 1_000;

/// Characters of what is wrong with a line, which may quote it.
const REFUSAL_CHARS_MAX: usize = 300;

/// How far a line's time may be ahead of our clock: clocks differ by minutes at worst.
const AHEAD_MS_MAX: i64 = 5 * 60 * 1_000;

/// What all files of a command share.
pub(crate) struct Job<'a> {
    /// Where to.
    pub(crate) home: &'a Home,
    /// By whom.
    pub(crate) recorder: &'a Recorder,
    /// How durable each tool's entries are before they count as stored.
    pub(crate) durability: &'a DurabilityPolicy,
    /// The zone of naive times.
    pub(crate) zone: &'a Zone,
    /// The user of lines without one.
    pub(crate) user: &'a str,
    /// Whether content that was imported is imported once more.
    pub(crate) again: bool,
}

/// What became of a file.
#[derive(Debug)]
pub(crate) struct Report {
    /// Its content's SHA-256 in hex.
    pub(crate) sha256: String,
    /// What was done.
    pub(crate) outcome: Outcome,
    /// The lines that are no calls.
    pub(crate) rejected: Rejected,
    /// Keys that are most likely misspelt, with the lines where they stood first.
    pub(crate) warnings: Vec<(u64, String)>,
    /// How the file begins, where not with a call.
    pub(crate) begins: Begins,
}

/// How a file begins whose first line is no call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Begins {
    /// With a call, or anything else.
    #[default]
    Other,
    /// With a list.
    List,
    /// With an object of which the first line is only the beginning.
    Object,
}

/// What was done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Stored: so many now, and so many before the import was cut short; so many lines at the beginning were imported as
    /// the whole of the file when it was shorter.
    Stored { run: u32, accepted: u64, before: u64, earlier: u64 },
    /// No line of it is a call.
    Nothing,
    /// Its content was imported already.
    Refused,
}

/// Lines that are no calls.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    /// How many.
    pub(crate) count: u64,
    /// The first of them, with what is wrong.
    pub(crate) named: Vec<(u64, String)>,
}

impl Rejected {
    pub(super) fn push(&mut self, number: u64, error: String) {
        self.count += 1;
        if self.named.len() < REJECTED_NAMED_MAX {
            self.named.push((number, error));
        }
    }

    /// Adds others, by their lines.
    fn add(&mut self, others: Self) {
        self.count += others.count;
        self.named.extend(others.named);
        self.named.sort_by_key(|(number, _)| *number);
        self.named.truncate(REJECTED_NAMED_MAX);
    }
}

/// The first way through a file.
struct Scanned {
    /// The beginning of the file, where it is a content whose import was cut short: it is finished before the rest.
    first: Option<(Content, Part)>,
    /// The rest, or all of it.
    rest: Part,
    content: Content,
    again: Again,
    typos: Typos,
    begins: Begins,
}

/// What a state is kept of.
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
    /// Of the entries, those of days that are too old to be kept now; storing decides, as a day may end before.
    late: Rejected,
    /// The others.
    kept: u64,
    /// Lines before them, at the beginning of the file, that were imported when it was shorter.
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
            // It has not grown: this is the whole of it.
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
        // What has only grown by blank lines holds nothing new.
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

    /// Looks up what is known of a content.
    fn runs(&self, path: &Path, content: Content) -> Result<Runs, Failure> {
        Runs::open(self.home.disk(), &content.hash).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Failure::could_not(
                format!("another process is importing the content of {}", name_of(path)),
                "wait until it ends",
            ),
            _ => Failure::io("import", name_of(path), &error),
        })
    }

    /// Stores what is not stored of a part, which is the whole of a content or what was new of it.
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

    /// Reads all lines once: which are calls, and when they happened.
    fn scan(&self, path: &Path) -> io::Result<Scanned> {
        let mut source = Source::open(path, self.home.disk().as_ref(), |len, input| {
            let bar = bar(len, "reading {wide_bar} {bytes}/{total_bytes}");
            Box::new(bar.wrap_read(input))
        })?;
        // Content that is imported once more is imported whole.
        if !self.again {
            source.set_earlier(earlier(self.home.disk().as_ref(), &self.whose())?);
        }
        let (mut known, mut first) = (0, None);
        let (mut typos, mut begins) = (Typos::default(), Begins::Other);
        let mut part = self.part(0);
        let mut line = Vec::new();
        while let Some(place) = source.next(&mut line)? {
            if source.known() > known {
                // All so far was imported when the file was shorter, but a line that had only begun.
                known = source.known();
                let whole = place.offset + u64::from(place.len) <= known;
                (first, part) = (None, self.part(place.number - u64::from(!whole)));
                if whole {
                    continue;
                }
            }
            match source.cut().filter(|(bytes, _)| first.is_none() && *bytes > known) {
                Some((bytes, hash)) => {
                    // The content that was cut short ends in this line, or with it.
                    let len = usize::try_from(bytes.saturating_sub(place.offset)).unwrap_or(usize::MAX);
                    let whole = len >= line.len();
                    let begun = SourceLine { len: u32::try_from(len).unwrap_or(place.len).min(place.len), ..place };
                    let text = &line[..len.min(line.len())];
                    self.take(&mut part, begun, text, (&mut typos, &mut begins))?;
                    let rest = self.part(place.number - u64::from(!whole));
                    first = Some((Content { hash, bytes }, std::mem::replace(&mut part, rest)));
                    if !whole {
                        self.take(&mut part, place, &line, (&mut typos, &mut begins))?;
                    }
                }
                None => self.take(&mut part, place, &line, (&mut typos, &mut begins))?,
            }
        }
        let (hash, bytes, again) = source.finish()?;
        Ok(Scanned { first, rest: part, content: Content { hash, bytes }, again, typos, begins })
    }

    /// Returns a part without lines, behind so many.
    fn part(&self, earlier: u64) -> Part {
        let mut plan = Sha256::new();
        plan.update(self.user.as_bytes());
        let (notes, rejected, late) = (Notes::new(self.home.disk()), Rejected::default(), Rejected::default());
        Part { plan, entries: 0, notes, rejected, late, kept: 0, earlier }
    }

    /// Takes a line into a part.
    fn take(
        &self,
        part: &mut Part,
        place: SourceLine,
        line: &[u8],
        (typos, begins): (&mut Typos, &mut Begins),
    ) -> io::Result<()> {
        if place.too_long {
            part.rejected.push(place.number, format!("longer than {} MiB", LINE_BYTES_MAX >> 20));
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
                part.rejected.push(place.number, self.recorder.excerpt(&error, line, REFUSAL_CHARS_MAX));
                return Ok(());
            }
        };
        let latest_ms = crate::clock::now().as_millis() + AHEAD_MS_MAX;
        if let Some(ts) = call.ts.filter(|ts| ts.as_millis() > latest_ms) {
            part.rejected.push(place.number, format!("ts {ts} lies in the future"));
            return Ok(());
        }
        typos.look(place.number, &call);
        match self.recorder.too_late(&call) {
            Some(why) => part.late.push(place.number, why),
            None => part.kept += 1,
        }
        let ts_ms = call.ts.map(|ts| ts.as_millis());
        let note = Note {
            ts_ms: ts_ms.unwrap_or(0),
            number: place.number,
            offset: place.offset,
            len: place.len,
            check: check(line),
        };
        part.plan.update(place.number.to_be_bytes());
        part.plan.update(ts_ms.unwrap_or(-1).to_be_bytes());
        part.entries += 1;
        if ts_ms.is_some() { part.notes.push_timed(note) } else { part.notes.push_untimed(note) }
    }

    /// Returns a hash over what decides whose the lines without a user are.
    fn whose(&self) -> String {
        hex(&Sha256::digest(self.user.as_bytes()))
    }
}

/// Returns what a line that is no call begins.
fn begin_of(line: &[u8]) -> Begins {
    match line.trim_ascii() {
        [b'[', ..] => Begins::List,
        [b'{', .., b'}'] => Begins::Other,
        [b'{', ..] => Begins::Object,
        _ => Begins::Other,
    }
}

/// Returns how a file is called in messages.
pub(crate) fn name_of(path: &Path) -> String {
    if path.as_os_str() == STDIN { "stdin".to_owned() } else { path.display().to_string() }
}

/// Returns a progress bar where a person watches, else one that shows nothing.
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
