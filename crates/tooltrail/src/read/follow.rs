//! Entries as they arrive, whoever writes them.

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

/// Entries after which a batch ends: a screenful of hundreds, and little to hold for whoever prints it.
const BATCH_ENTRIES_MAX: usize = 1_000;

/// Bytes of entries after which a batch ends.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes read after which a batch ends, so that a filter which fits nothing still answers within moments.
const READ_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// An entry that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrived {
    /// The user's folder.
    pub folder: String,
    /// The date of its day file.
    pub day: Date,
    /// The stored line as it stands, without newline: a whole JSON object.
    pub line: String,
}

/// What a follower met.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Followed {
    /// An entry that answers.
    Entry(Arrived),
    /// A day file is not what it was: entries may be missing between the one before and the one after this.
    Gap {
        /// The user's folder.
        folder: String,
        /// The date of the day file.
        day: Date,
        /// What happened to it.
        why: GapWhy,
    },
}

/// Why entries may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapWhy {
    /// The file became shorter than what was read of it.
    Cut,
    /// Another file, or other content, stands in its place.
    Replaced,
    /// The file is gone.
    Removed,
    /// A line is longer than any that is read (64 MiB).
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

/// Follows the day files of a question: each call of [`Follow::next_batch`] gives what has arrived since the one before.
///
/// It holds no file open and takes no lock, has no thread and never waits: the caller decides when to ask again.
///
/// Watched are the day files that the question's days reach, the day before, and any in the future; a file or folder
/// that appears later is read from its beginning. Each round lists the home, and looks at what grew in the last minute
/// and at today's file of every user (up to 1,024 users a round); older dates and new day files in known folders have
/// their turn by and by, 128 and 64 a round. A round therefore has a bounded cost, and a late line in an old file of a
/// large home may take some rounds of polling to be seen.
///
/// Entries come in order of arrival: within a file in its order, between files as they were looked at. Only whole lines
/// are given, each once. A file that was cut or replaced is a [`Followed::Gap`], after which what is new in it follows;
/// lines that came and went between two rounds are the ones it may miss.
#[derive(Debug)]
pub struct Follow {
    trail: Trail,
    question: Question,
    schedule: PollSchedule,
    skipped: Skipped,
    unreadable: Unreadable,
    /// Entries that answer but for their time.
    older: u64,
    buffer: Vec<u8>,
}

impl Trail {
    /// Follows the entries that answer, from now on. The question's limit and cursor have no meaning here.
    ///
    /// It looks once at every day file of the range.
    ///
    /// # Errors
    /// As [`Trail::recent`].
    pub fn follow(&self, question: &Question) -> Result<Follow, Error> {
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

    /// Says of each of these entries whether it answers a question, its user and days included.
    ///
    /// # Errors
    /// [`Error::Input`] if days or limit are out of range.
    pub fn answers<'e>(
        &self,
        question: &Question,
        entries: impl IntoIterator<Item = &'e Arrived>,
    ) -> Result<Vec<bool>, Error> {
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

/// Whether a folder's line is one of this user's; everybody's are, where no user is asked for.
fn is_owned(owned: Option<&Owned>, folder: &str, line: &Line<'_>) -> bool {
    owned.is_none_or(|owned| owned.holds(folder, line.string("user").as_deref()))
}

/// A day file, and what it was when it was opened.
type Opened = (Box<dyn DiskFile>, Stat);

/// A batch under way.
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
    /// Returns what has arrived, at most about a thousand entries or 4 MiB; none does not mean that there is no more.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses to let us read. Nothing is lost by it: the next call goes on where this ended.
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

    /// Whether the last batch ended a round: time to wait a little. Otherwise there is more to read at once.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.schedule.due.is_empty()
    }

    /// Returns the counts of lines met so far that are no entries, and of files that could not be read.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        Skipped { unreadable: self.unreadable.count(), ..self.skipped }
    }

    /// Returns the first ten files and folders that could not be read, by their paths below the home.
    #[must_use]
    pub fn unreadable_names(&self) -> Vec<String> {
        self.unreadable.names()
    }

    /// Returns how many entries arrived that answer the query, but are older than its days.
    #[must_use]
    pub fn older(&self) -> u64 {
        self.older
    }

    /// Takes what a file holds now as known. Of one that cannot be read now, what it holds when it can is.
    fn begin_at_end(&mut self, key: Key) {
        let opened = self.open(&key);
        let place = match opened {
            Ok(opened) => opened.and_then(|(file, stat)| self.or_none(&key, TailCursor::at_end(&*file, stat))),
            Err(()) => {
                self.schedule.file(&key).unread = true;
                return;
            }
        };
        if let Some(place) = place {
            self.schedule.file(&key).cursor = place;
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

    /// Looks at one file and reads what is new, as far as the batch goes. Returns whether it is done with it.
    fn look(&mut self, look: &mut Look, batch: &mut Batch) -> Result<bool, Error> {
        // What cannot be read now is gone on with where it was, once it can be.
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
            if let Some(place) = self.or_none(&look.key, TailCursor::at_end(&*file, stat)) {
                self.schedule.file(&look.key).cursor = place;
            }
            return Ok(true);
        }
        let upto = stat.len.min(*look.upto.get_or_insert(stat.len));
        let watched = self.schedule.file(&look.key);
        let broken = watched.cursor.check(&*file, stat);
        let Some(broken) = self.or_none(&look.key, broken) else { return Ok(true) };
        let watched = self.schedule.file(&look.key);
        // A file that is back after it was told to be gone is no second gap.
        let told = std::mem::take(&mut watched.missing);
        match broken.filter(|_| !told) {
            Some(Broken::Cut) => batch.gap(&look.key, GapWhy::Cut),
            Some(Broken::Replaced) => batch.gap(&look.key, GapWhy::Replaced),
            None => {}
        }
        if !watched.cursor.is_below(upto) {
            return Ok(true);
        }
        self.read(&look.key, &*file, upto, batch)
    }

    /// Reads what is new in a file. Returns whether that was all.
    fn read(&mut self, key: &Key, file: &dyn DiskFile, upto: u64, batch: &mut Batch) -> Result<bool, Error> {
        let Self { trail, question, schedule, skipped, unreadable, older, buffer } = self;
        let first = trail.ask(question)?.first.start();
        let owned = owned(question);
        let filter = Filter::new(&question.query, trail.clock.now());
        let path = [&*key.0, TRAIL_FOLDER, &day_name(key.1)];
        let mut done = false;
        while !done && !batch.is_full() {
            let place = &mut schedule.file(key).cursor;
            let ahead = place.ahead(file, upto, buffer);
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
