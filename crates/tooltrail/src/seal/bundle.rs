//! A bundle: many entries with their proofs in one file, which is checked without the home.
//!
//! `docs/proof.md` has the format. A bundle is written and checked line by line, so that neither grows in memory with the
//! number of entries; only the tree of one day file is held at a time (64 bytes a line).

use std::collections::BTreeSet;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::{Date, Timestamp};
use crate::error::Error;
use crate::home::{TRAIL_FOLDER, day_name};
use crate::json::{Json, push_string};
use crate::query::{Filter, Line, Question};
use crate::read::Trail;
use crate::seal::checkpoint::{SignedCheckpoint, parse_hash};
use crate::seal::heads::Heads;
use crate::seal::lines::{LineStart, lines_from};
use crate::seal::log::HashFiles;
use crate::seal::name::{NameKey, file_name};
use crate::seal::note::VerifierKey;
use crate::seal::prove::{Checked, leaves, log_path, newest_note};
use crate::seal::record::{Head, Members, Record};
use crate::seal::tree::{Hash, Levels, inclusion, leaf_hash, proves_inclusion, root};
use crate::seal::verify::Verdict;

/// The value of the first member of a bundle.
const VERSION: &str = "tooltrail/v1";

/// The most bytes of a line of a bundle: an entry of 64 KiB, escaped, with its path.
pub const BUNDLE_LINE_BYTES_MAX: usize = 1024 * 1024;

/// The bytes of a day file that are read in one step. The lines of the bundle are some times as long, because each holds
/// the path of its entry.
const STEP_BYTES: u64 = 1024 * 1024;

/// A bundle that is being written.
pub struct Bundle {
    question: Question,
    now: Timestamp,
    state: Option<Writing>,
    /// What was written so far.
    counts: BundleCounts,
}

/// What is in a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BundleCounts {
    /// The entries with their proofs.
    pub entries: u64,
    /// Entries that match but are not in the bundle, because they are not sealed yet.
    pub unsealed: u64,
    /// Entries that match but are not in the bundle, because they are not what was sealed at their place.
    pub changed: u64,
    /// Day files that could not be read.
    pub unreadable: u64,
}

struct Writing {
    checkpoint: SignedCheckpoint,
    heads: Heads,
    /// The files that are still to come, the next one last.
    files: Vec<(String, Date)>,
    file: Option<Reading>,
    /// Whether the last line was written.
    is_over: bool,
}

/// The file that is being read.
struct Reading {
    folder: String,
    date: Date,
    /// The head with its tree; `None` if nothing of the file can be proved.
    sealed: Option<(u64, Head, Levels)>,
    /// The next line.
    next: LineStart,
    /// Whether the line about its head was written.
    has_head: bool,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Bundle {
    /// Returns the bundle of the entries that match a question; its limit and cursor are ignored. The entries are in the
    /// order of their files.
    #[must_use]
    pub fn new(question: Question) -> Self {
        Self { question, now: Timestamp::from_millis(0), state: None, counts: BundleCounts::default() }
    }

    /// Returns what was written so far.
    #[must_use]
    pub fn counts(&self) -> BundleCounts {
        self.counts
    }

    /// Returns the next lines, each with a newline; `None` at the end. They may be empty, because each step is bounded.
    ///
    /// # Errors
    /// [`Error::Input`] if the question is malformed or nothing of the home is sealed; [`Error::Io`] if the log cannot be
    /// read.
    pub fn step(&mut self, trail: &Trail) -> Result<Option<String>, Error> {
        let failed = |error| Error::io("make a bundle of", trail.home().root())(error);
        let Some(writing) = &mut self.state else {
            self.now = trail.clock.now();
            let writing = begin(trail, &self.question, &mut self.counts)?;
            let mut text = format!("{{\"bundle\":\"{VERSION}\",\"checkpoint\":");
            push_string(&mut text, &writing.checkpoint.whole);
            self.state = Some(writing);
            return Ok(Some(text + "}\n"));
        };
        if writing.file.is_none() {
            let Some((folder, date)) = writing.files.pop() else {
                if std::mem::replace(&mut writing.is_over, true) {
                    return Ok(None);
                }
                let BundleCounts { entries, unsealed, changed, unreadable } = self.counts;
                return Ok(Some(format!(
                    "{{\"end\":{entries},\"unsealed\":{unsealed},\"changed\":{changed},\"unreadable\":{unreadable}}}\n"
                )));
            };
            match open(trail, writing, folder, date) {
                Ok(file) => writing.file = Some(file),
                Err(_) => self.counts.unreadable += 1,
            }
        }
        let Some(mut file) = writing.file.take() else { return Ok(Some(String::new())) };
        let mut text = String::new();
        if file
            .step(trail, (&self.question, self.now), &writing.checkpoint, &mut self.counts, &mut text)
            .map_err(failed)?
        {
            writing.file = Some(file);
        }
        Ok(Some(text))
    }
}

/// Reads the newest checkpoint and the heads, and lists the files.
fn begin(trail: &Trail, question: &Question, counts: &mut BundleCounts) -> Result<Writing, Error> {
    question.query.check_no_firsts("a bundle")?;
    let failed = |error| Error::io("read the log of", trail.home().root())(error);
    let disk = &**trail.home().disk();
    let asked = trail.ask(question)?;
    let checkpoint = newest_note(disk).map_err(failed)?.ok_or_else(|| {
        Error::input("nothing of this home is sealed", "record something first, and wait some seconds")
    })?;
    let hashes = HashFiles { disk };
    let heads = Heads::read(disk, checkpoint.checkpoint.size, |size| root(&hashes, size)).map_err(failed)?;
    let (folders, unreadable) = trail.folders_of(&asked)?;
    counts.unreadable += unreadable;
    let days = folders.into_iter().flat_map(|folder| {
        let name = folder.name.clone();
        folder.days.into_iter().map(move |day| (name.clone(), day))
    });
    let mut files = days.filter(|(_, day)| asked.may_hold(*day)).collect::<Vec<_>>();
    files.sort_by(|a, b| b.cmp(a));
    Ok(Writing { checkpoint, heads, files, file: None, is_over: false })
}

fn open(trail: &Trail, writing: &Writing, folder: String, date: Date) -> io::Result<Reading> {
    let disk = &**trail.home().disk();
    let mut growing = Reading { folder, date, sealed: None, next: LineStart::default(), has_head: false };
    let folder = &*growing.folder;
    let file = disk.open(&[folder, TRAIL_FOLDER, &day_name(date)])?.ok_or(io::ErrorKind::NotFound)?;
    let Some(key) = NameKey::read(disk, folder)? else { return Ok(growing) };
    let Some((index, head)) = writing.heads.newest(&key.of_file(folder, date)) else { return Ok(growing) };
    let size = writing.checkpoint.checkpoint.size;
    if let Some(leaves) = leaves(disk, (folder, date), &*file, (*index, head), size)? {
        growing.sealed = Some((*index, head.clone(), Levels::of(leaves)));
    }
    Ok(growing)
}

impl Reading {
    /// Adds the lines of the next entries to `text`. Returns whether the file has more.
    fn step(
        &mut self,
        trail: &Trail,
        (question, now): (&Question, Timestamp),
        checkpoint: &SignedCheckpoint,
        counts: &mut BundleCounts,
        text: &mut String,
    ) -> io::Result<bool> {
        let disk = &**trail.home().disk();
        let Some(file) = disk.open(&[&self.folder, TRAIL_FOLDER, &day_name(self.date)])? else { return Ok(false) };
        let filter = Filter::new(&question.query, now);
        let first = question.window(now).0.start();
        let is_wanted = |line: &[u8]| {
            let parsed = || Line::parse(std::str::from_utf8(line).ok()?, trail.zone());
            filter.may_match(line) && parsed().is_some_and(|line| line.ts >= first && filter.matches(&line))
        };
        let next = lines_from(&*file, self.next, STEP_BYTES, |at, line| {
            if !is_wanted(line) {
                return Ok(());
            }
            match self.proved(at.number, line)? {
                Some(proved) => {
                    if !std::mem::replace(&mut self.has_head, true) {
                        *text += &self.head_line(trail, checkpoint)?;
                    }
                    *text += &proved;
                    counts.entries += 1;
                }
                None if self.is_sealed_there(at.number) => counts.changed += 1,
                None => counts.unsealed += 1,
            }
            Ok(())
        })?;
        self.next = next.unwrap_or(self.next);
        Ok(next.is_some())
    }

    /// Whether the line of this number is among those that were sealed.
    fn is_sealed_there(&self, number: u64) -> bool {
        self.sealed.as_ref().is_some_and(|(_, head, _)| number < head.tree.first_line + head.entries)
    }

    /// Returns a line with its proof in the head; `None` if it is not what was sealed at this number.
    fn proved(&self, number: u64, line: &[u8]) -> io::Result<Option<String>> {
        let Some((_, head, levels)) = &self.sealed else { return Ok(None) };
        let Some(leaf) = number.checked_sub(head.tree.first_line) else { return Ok(None) };
        let Ok(text) = std::str::from_utf8(line) else { return Ok(None) };
        if levels.leaf(leaf) != Some(leaf_hash(line)) {
            return Ok(None);
        }
        let path = hashes(&inclusion(levels, leaf, head.entries)?);
        let mut proved = format!("{{\"leaf\":{leaf},\"path\":{path},\"line\":");
        push_string(&mut proved, text);
        Ok(Some(proved + "}\n"))
    }

    /// Returns the line about the file's head, which comes before its entries.
    fn head_line(&self, trail: &Trail, checkpoint: &SignedCheckpoint) -> io::Result<String> {
        let disk = &**trail.home().disk();
        let Some((index, head, _)) = &self.sealed else { return Ok(String::new()) };
        let key = NameKey::read(disk, &self.folder)?.ok_or(io::ErrorKind::NotFound)?;
        let encoded = STANDARD.encode(Record::Head(head.clone()).encode());
        let log_path = hashes(&log_path(disk, *index, checkpoint)?);
        let mut text = format!("{{\"head\":\"{encoded}\",\"index\":{index},\"log_path\":{log_path},\"folder\":");
        push_string(&mut text, &self.folder);
        let day_key = STANDARD.encode(key.of_day(self.date));
        Ok(format!("{text},\"date\":\"{}\",\"day_key\":\"{day_key}\"}}\n", self.date))
    }
}

/// Returns hashes as a JSON array.
fn hashes(hashes: &[Hash]) -> String {
    let texts = hashes.iter().map(|hash| format!("\"{}\"", STANDARD.encode(hash))).collect::<Vec<_>>();
    format!("[{}]", texts.join(","))
}

/// Checks a bundle line by line with the key of the log.
#[derive(Debug)]
pub struct CheckBundle {
    key: VerifierKey,
    checkpoint: Option<SignedCheckpoint>,
    head: Option<Head>,
    /// The leaf of the last entry, and the names of the files so far: nothing may come twice.
    leaf: Option<u64>,
    names: BTreeSet<Hash>,
    /// The entries whose proofs hold.
    entries: u64,
    /// What the last line says: how many entries there are, and how many were left out.
    end: Option<(u64, u64)>,
    lines: u64,
    /// The first line that does not hold.
    wrong: Option<Checked>,
}

impl CheckBundle {
    /// Returns the check of a bundle that has no lines yet.
    #[must_use]
    pub fn new(key: VerifierKey) -> Self {
        let (checkpoint, head, leaf, names) = (None, None, None, BTreeSet::new());
        Self { key, checkpoint, head, leaf, names, entries: 0, end: None, lines: 0, wrong: None }
    }

    /// Whether a file begins like a bundle.
    #[must_use]
    pub fn is_bundle(begin: &[u8]) -> bool {
        begin.starts_with(b"{\"bundle\":")
    }

    /// Takes the next line, without its newline.
    pub fn line(&mut self, line: &str) {
        self.lines += 1;
        if let Err((verdict, text)) = self.checked(line) {
            let text = format!("line {}: {text}", self.lines);
            self.wrong.get_or_insert(Checked { verdict, text });
        }
    }

    /// Returns the verdict, and how many entries are proved.
    #[must_use]
    pub fn end(self) -> (Checked, u64) {
        let checked = |verdict, text: String| Checked { verdict, text };
        let result = match (self.wrong, self.checkpoint) {
            (Some(wrong), _) => wrong,
            (None, None) => checked(Verdict::BadSignature, "the file is no bundle".to_owned()),
            (None, Some(_)) if self.end.is_none_or(|(entries, _)| entries != self.entries) => {
                checked(Verdict::Truncated, "the end of the bundle is missing".to_owned())
            }
            (None, Some(_)) if self.entries == 0 => checked(Verdict::Missing, "the bundle has no entry".to_owned()),
            (None, Some(_)) => {
                let left_out = self.end.map_or(0, |(_, left_out)| left_out);
                let more = if left_out == 0 { String::new() } else { format!("; {left_out} more could not be proved") };
                checked(Verdict::Ok, format!("entries in the bundle: {}; each is as it was sealed{more}", self.entries))
            }
        };
        (result, self.entries)
    }

    fn checked(&mut self, line: &str) -> Result<(), (Verdict, &'static str)> {
        let wrong = |text| (Verdict::Modified, text);
        let Ok(Json::Object(members)) = Json::read(line, 3) else { return Err(wrong("it is no line of a bundle")) };
        let members = Members(&members);
        if let Some(version) = members.text("bundle") {
            return self.begin(version, members.text("checkpoint"));
        }
        let Some(checkpoint) = &self.checkpoint else {
            return Err((Verdict::BadSignature, "no signed checkpoint stands before it"));
        };
        if self.end.is_some() {
            return Err(wrong("it stands after the end"));
        }
        if let Some(entries) = members.number("end") {
            let left_out = ["unsealed", "changed", "unreadable"].map(|name| members.number(name).unwrap_or(0));
            self.end = Some((entries, left_out.iter().fold(0, |all, count| all.saturating_add(*count))));
            return Ok(());
        }
        let path = |name: &str| match members.get(name) {
            Some(Json::Array(path)) => path
                .iter()
                .map(|hash| if let Json::String(hash) = hash { parse_hash(hash) } else { None })
                .collect::<Option<Vec<_>>>(),
            _ => None,
        };
        if let Some(encoded) = members.text("head") {
            self.head = None;
            let read = || {
                let head = STANDARD.decode(encoded).ok()?;
                let day_key = parse_hash(members.text("day_key")?)?;
                let name = file_name(&day_key, members.text("folder")?, members.text("date")?);
                Some((head, members.number("index")?, path("log_path")?, name))
            };
            let (encoded, index, log_path, name) = read().ok_or(wrong("the head is incomplete"))?;
            let of_log = &checkpoint.checkpoint;
            if !proves_inclusion(&log_path, (index, leaf_hash(&encoded)), (of_log.size, of_log.root)) {
                return Err(wrong("the head is not in the log that was signed"));
            }
            let Some(Record::Head(head)) = Record::decode(&encoded) else {
                return Err(wrong("the entry of the log is not a head"));
            };
            if head.name != name {
                return Err(wrong("the head is of another file"));
            }
            if !self.names.insert(name) {
                return Err(wrong("the file comes twice"));
            }
            (self.head, self.leaf) = (Some(head), None);
            return Ok(());
        }
        let Some(head) = &self.head else { return Err(wrong("no head that holds stands before it")) };
        let read = || Some((members.number("leaf")?, path("path")?, members.text("line")?));
        let (leaf, path, text) = read().ok_or(wrong("the entry is incomplete"))?;
        if !proves_inclusion(&path, (leaf, leaf_hash(text.as_bytes())), (head.entries, head.root)) {
            return Err(wrong("the entry is not the one that was sealed"));
        }
        if self.leaf.replace(leaf).is_some_and(|before| before >= leaf) {
            return Err(wrong("the entry comes twice, or in another order"));
        }
        self.entries += 1;
        Ok(())
    }

    fn begin(&mut self, version: &str, note: Option<&str>) -> Result<(), (Verdict, &'static str)> {
        if version != VERSION || self.lines != 1 {
            return Err((Verdict::Modified, "it is no begin of a bundle that is known"));
        }
        let checkpoint = note
            .and_then(SignedCheckpoint::parse)
            .filter(|note| note.checkpoint.origin == self.key.name() && note.is_signed_by(&self.key));
        self.checkpoint = Some(checkpoint.ok_or((Verdict::BadSignature, "the checkpoint is not signed by this key"))?);
        Ok(())
    }
}
