//! Returns entries as they arrive, from any writer.

use std::fmt;

use super::locate::{Owned, days, followed};
use super::page::Unreadable;
use super::poll_schedule::{Key, Look, PollSchedule};
use super::trail::owned;
use super::{Skipped, Trail};
use crate::clock::Date;
use crate::day::{Broken, NextChunk, TailCursor};
use crate::disk::{DiskFile, Stat, is_trouble};
use crate::error::Error;
use crate::home::{TRAIL_FOLDER, day_name};
use crate::query::{Filter, Line, Question};

/// The most entries of a batch: hundreds of lines on a screen, and little memory for the caller.
const BATCH_ENTRIES_MAX: usize = 1_000;

/// The bytes of entries after which a batch ends.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The bytes read after which a batch ends, so that a filter without matches still answers quickly.
const READ_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// An entry that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrived {
    /// The user's folder.
    pub folder: String,
    /// The date of its day file.
    pub day: Date,
    /// The stored line, unchanged and without newline: a complete JSON object.
    pub line: String,
}

/// What a follower found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Followed {
    /// An entry that matches the question.
    Entry(Arrived),
    /// A day file changed other than by growing. Entries may be missing between the previous and the next item.
    Gap {
        /// The user's folder.
        folder: String,
        /// The date of the day file.
        day: Date,
        /// What happened to the file.
        why: GapWhy,
    },
}

/// Why entries may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapWhy {
    /// The file became shorter than what was read of it.
    Cut,
    /// Another file has its name, or its content is different.
    Replaced,
    /// The file is gone.
    Removed,
    /// A line is longer than the limit for reading (64 MiB).
    TooLong,
}

impl fmt::Display for GapWhy {
    /// Writes the end of the sentence "the file …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "was cut",
            Self::Replaced => "was replaced",
            Self::Removed => "was removed",
            Self::TooLong => "has a line too long to read",
        })
    }
}

/// Follows the day files of a question: each call of [`Follow::next_batch`] returns the entries that arrived since the
/// previous call.
///
/// It keeps no file open, takes no lock, has no thread and never waits. The caller decides when to ask again.
///
/// It watches the day files in the question's range of days, the day before it, and all later days. A file or folder
/// that appears later is read from its start. Each round checks the files to which a recorder of the same [`Home`] value
/// has appended, those that any process has reported as flushed, and those that grew in the last minute. All others take
/// turns, so that the cost of a round does not grow with the home: with five rounds a second, a line of a program that
/// reports nothing is seen at once in a home of a hundred users, and within thirty seconds in one of 20,000; a late line
/// in an old file within minutes.
///
/// [`Home`]: crate::Home
///
/// Entries come in order of arrival: within a file in its order, between files in the order of the checks. Only
/// complete lines are returned, each once. A file that was cut or replaced is reported as a [`Followed::Gap`], followed
/// by its new lines. Lines that were written and removed between two rounds can be missed.
#[derive(Debug)]
pub struct Follow {
    trail: Trail,
    question: Question,
    schedule: PollSchedule,
    skipped: Skipped,
    unreadable: Unreadable,
    /// The number of entries that match except for their time.
    older: u64,
    buffer: Vec<u8>,
}

impl Trail {
    /// Follows the matching entries from now on. The question's limit and cursor are ignored.
    ///
    /// It checks every day file of the range once.
    ///
    /// # Errors
    /// As [`Trail::recent`].
    pub fn follow(&self, question: &Question) -> Result<Follow, Error> {
        question.query.check_no_firsts("a follower")?;
        let first = self.ask(question)?.first;
        let mut follow = Follow {
            trail: Self::new(self.home.clone(), self.clock.clone(), self.zone.clone()),
            question: question.clone(),
            schedule: PollSchedule::default(),
            skipped: Skipped::default(),
            unreadable: Unreadable::default(),
            older: 0,
            buffer: Vec::new(),
        };
        follow.schedule.follow(&self.home);
        for folder in followed(&self.home, owned(question).as_ref())? {
            let dates = days(&self.home, &folder, &mut follow.unreadable);
            if !dates.is_empty() {
                follow.schedule.listed(&folder);
            }
            for day in dates.into_iter().filter(|day| *day >= first.plus_days(-1)) {
                follow.begin_at_end((folder.clone(), day));
            }
        }
        Ok(follow)
    }

    /// Returns for each of these entries whether it matches a question, including the question's user and days.
    ///
    /// # Errors
    /// [`Error::Input`] if days or limit are out of range.
    pub fn answers<'e>(
        &self,
        question: &Question,
        entries: impl IntoIterator<Item = &'e Arrived>,
    ) -> Result<Vec<bool>, Error> {
        question.query.check_no_firsts("the stream")?;
        let first = self.ask(question)?.first.start();
        let owned = owned(question);
        let filter = Filter::new(&question.query, self.clock.now());
        let answers = |entry: &Arrived| {
            filter.may_match(entry.line.as_bytes())
                && Line::parse(&entry.line, &self.zone).is_some_and(|line| {
                    line.ts >= first && is_owned(owned.as_ref(), &entry.folder, &line) && filter.matches(&line)
                })
        };
        Ok(entries.into_iter().map(answers).collect())
    }
}

/// Whether a line in this folder belongs to this user; always true if the question names no user.
fn is_owned(owned: Option<&Owned>, folder: &str, line: &Line<'_>) -> bool {
    owned.is_none_or(|owned| owned.holds(folder, line.string("user").as_deref()))
}

/// An open day file, and its state when it was opened.
type Opened = (Box<dyn DiskFile>, Stat);

/// The batch that is being collected.
#[derive(Debug, Default)]
struct Batch {
    followed: Vec<Followed>,
    entry_bytes: usize,
    read_bytes: u64,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.followed.len() >= BATCH_ENTRIES_MAX
            || self.entry_bytes >= BATCH_BYTES_MAX
            || self.read_bytes >= READ_BYTES_MAX
    }

    fn entry(&mut self, (folder, day): &Key, line: &str) {
        self.entry_bytes += line.len();
        let arrived = Arrived { folder: folder.clone(), day: *day, line: line.to_owned() };
        self.followed.push(Followed::Entry(arrived));
    }

    fn gap(&mut self, (folder, day): &Key, why: GapWhy) {
        self.followed.push(Followed::Gap { folder: folder.clone(), day: *day, why });
    }
}

impl Follow {
    /// Returns the entries that have arrived, at most about a thousand or 4 MiB. An empty batch does not mean that
    /// there are no more.
    ///
    /// # Errors
    /// [`Error::Io`] if the system does not allow reading. No entry is lost: the next call continues at the same
    /// position.
    pub fn next_batch(&mut self) -> Result<Vec<Followed>, Error> {
        let mut batch = Batch::default();
        if self.schedule.due.is_empty() {
            let now = self.trail.clock.now();
            let from = self.question.window(now).0.plus_days(-1);
            let (owned, today) = (owned(&self.question), now.date());
            let (home, at) = (&self.trail.home, self.trail.clock.monotonic());
            self.schedule.begin(home, owned.as_ref(), (from, today), at, &mut self.unreadable)?;
        }
        while !batch.is_full() {
            let Some(mut look) = self.schedule.due.pop_front() else { break };
            if !self.look(&mut look, &mut batch)? {
                self.schedule.due.push_front(look);
            }
        }
        Ok(batch.followed)
    }

    /// Whether the last batch ended a round, so that the caller should wait a little. Otherwise there is more to read
    /// at once.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.schedule.due.is_empty()
    }

    /// Returns the counts so far of lines that are not entries, and of files that could not be read.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        Skipped { unreadable: self.unreadable.count(), ..self.skipped }
    }

    /// Returns the first ten files and folders that could not be read, by their paths below the home.
    #[must_use]
    pub fn unreadable_names(&self) -> Vec<String> {
        self.unreadable.names()
    }

    /// Returns how many entries arrived that match the query, but are older than its days.
    #[must_use]
    pub fn older(&self) -> u64 {
        self.older
    }

    /// Skips the current content of a file. If the file cannot be read now, its content at the first successful read is
    /// skipped.
    fn begin_at_end(&mut self, key: Key) {
        let opened = self.open(&key);
        let cursor = match opened {
            Ok(opened) => opened.and_then(|(file, stat)| self.or_none(&key, TailCursor::at_end(&*file, stat))),
            Err(()) => {
                self.schedule.file(&key).unread = true;
                return;
            }
        };
        if let Some(cursor) = cursor {
            self.schedule.file(&key).cursor = cursor;
        }
    }

    fn or_none<T>(&mut self, (folder, day): &Key, result: std::io::Result<T>) -> Option<T> {
        self.unreadable.or_none(&[folder, TRAIL_FOLDER, &day_name(*day)], result)
    }

    /// Opens a file; `None` if it is missing, `Err` if it cannot be read.
    fn open(&mut self, key: &Key) -> Result<Option<Opened>, ()> {
        let (folder, day) = key;
        let home = &self.trail.home;
        let open = || {
            let Some(file) = home.disk().open(&[folder, TRAIL_FOLDER, &day_name(*day)])? else { return Ok(None) };
            let stat = file.stat()?;
            Ok(Some((file, stat)))
        };
        let before = self.unreadable.count();
        let opened = open();
        let failed = opened.as_ref().is_err_and(is_trouble);
        let opened = self.or_none(key, opened).flatten();
        debug_assert!(failed || before == self.unreadable.count());
        if failed { Err(()) } else { Ok(opened) }
    }

    /// Checks one file and reads its new lines, up to the limit of the batch. Returns whether the file is done.
    fn look(&mut self, look: &mut Look, batch: &mut Batch) -> Result<bool, Error> {
        if self.is_unchanged(&look.key) {
            return Ok(true);
        }
        // A file that cannot be read now is continued at the same position later.
        let Ok(opened) = self.open(&look.key) else { return Ok(true) };
        let Some((file, stat)) = opened else {
            if self.schedule.knows(&look.key) {
                let watched = self.schedule.file(&look.key);
                if !std::mem::replace(&mut watched.missing, true) && watched.cursor.has_begun() {
                    batch.gap(&look.key, GapWhy::Removed);
                }
            }
            return Ok(true);
        };
        if std::mem::take(&mut self.schedule.file(&look.key).unread) {
            if let Some(cursor) = self.or_none(&look.key, TailCursor::at_end(&*file, stat)) {
                self.schedule.file(&look.key).cursor = cursor;
            }
            return Ok(true);
        }
        let upto = stat.len.min(*look.upto.get_or_insert(stat.len));
        let watched = self.schedule.file(&look.key);
        let broken = watched.cursor.check(&*file, stat);
        let Some(broken) = self.or_none(&look.key, broken) else { return Ok(true) };
        let watched = self.schedule.file(&look.key);
        // If the file was reported as missing before, its return is not a second gap.
        let told = std::mem::take(&mut watched.missing);
        match broken.filter(|_| !told) {
            Some(Broken::Cut) => batch.gap(&look.key, GapWhy::Cut),
            Some(Broken::Replaced) => batch.gap(&look.key, GapWhy::Replaced),
            None => {}
        }
        if !watched.cursor.is_below(stat.len) {
            watched.checked = Some(stat);
        }
        if !watched.cursor.is_below(upto) {
            return Ok(true);
        }
        self.read(&look.key, &*file, upto, batch)
    }

    /// Whether a file is as it was when all of it had been read. This takes one system call, and most looks end here.
    fn is_unchanged(&mut self, key: &Key) -> bool {
        let disk = self.trail.home.disk();
        let checked = self.schedule.knows(key).then(|| self.schedule.file(key).checked).flatten();
        checked.is_some_and(
            |checked| matches!(disk.stat(&[&key.0, TRAIL_FOLDER, &day_name(key.1)]), Ok(Some(stat)) if stat == checked),
        )
    }

    /// Reads the new lines of a file. Returns whether that was everything.
    fn read(&mut self, key: &Key, file: &dyn DiskFile, upto: u64, batch: &mut Batch) -> Result<bool, Error> {
        let Self { trail, question, schedule, skipped, unreadable, older, buffer } = self;
        let first = trail.ask(question)?.first.start();
        let owned = owned(question);
        let filter = Filter::new(&question.query, trail.clock.now());
        let path = [&*key.0, TRAIL_FOLDER, &day_name(key.1)];
        let mut done = false;
        while !done && !batch.is_full() {
            let cursor = &mut schedule.file(key).cursor;
            let ahead = cursor.ahead(file, upto, buffer);
            let Some((ahead, read)) = unreadable.or_none(&path, ahead) else { return Ok(true) };
            batch.read_bytes += read;
            match ahead {
                NextChunk::Nothing => done = true,
                NextChunk::Skipped => {}
                NextChunk::TooLong => {
                    skipped.too_long += 1;
                    batch.gap(key, GapWhy::TooLong);
                }
                NextChunk::Lines(offset, lines) => {
                    let lines = if offset == 0 { lines.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(lines) } else { lines };
                    for line in lines.split(|byte| *byte == b'\n') {
                        let line = line.strip_suffix(b"\r").unwrap_or(line);
                        if line.iter().all(u8::is_ascii_whitespace) || !filter.may_match(line) {
                            continue;
                        }
                        let text = std::str::from_utf8(line).ok();
                        match text.and_then(|text| Some((text, Line::parse(text, &trail.zone)?))) {
                            Some((text, entry)) if is_owned(owned.as_ref(), &key.0, &entry) => {
                                if filter.matches(&entry) && entry.ts >= first {
                                    batch.entry(key, text)
                                } else {
                                    *older += u64::from(entry.ts < first && filter.matches_but_time(&entry))
                                }
                            }
                            Some(_) => {}
                            None => skipped.line(line),
                        }
                    }
                    schedule.grew(key, trail.clock.monotonic());
                }
            }
        }
        Ok(done)
    }
}
