//! The journal of one writer: its segments, and the calls that are open in them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Date, Timestamp};
use crate::disk::Disk;
use crate::journal::frame::{Body, Kind, Record, SALT_BYTES};
use crate::journal::segment::{Header, SEGMENT_BYTES, SEGMENT_BYTES_FIRST, Segment, SyncMode};
use crate::journal::slots::begin;
use crate::random::Random;

/// The most segments of one writer: one is written, others wait for the sync of their day files, and one may be broken.
const SEGMENTS_MAX: usize = 4;

/// The most bytes of the frames of open calls. They are copied into each new segment, and may fill a quarter of it.
const OPEN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The bytes by which a segment may exceed its limit for records that calls have ended: some thousands of records.
const ENDED_BYTES_MAX: u64 = 256 * 1024;

/// The pause before the next attempt after a new segment could not be started.
const RETRY: Duration = Duration::from_secs(1);

/// One segment takes at most this fraction (1/32) of a small disk. Each writer of a home has a few segments, and most
/// of the disk is for the day files.
const SEGMENT_DISK_SHARE: u64 = 32;

/// A new segment must leave this fraction (1/8) of the disk free, or 64 MiB if that is less. Then day files can still
/// be written, and are synced themselves.
const RESERVE_DISK_SHARE: u64 = 8;
const RESERVE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A day file: the user's folder and the date.
type Day = (String, Date);

/// The content of one frame.
pub(crate) type Entry<'a> = Body<'a>;

/// The journal of one writer.
#[derive(Debug)]
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    random: Arc<dyn Random>,
    home: String,
    boot: String,
    owner: u128,
    /// The segments, oldest first; new frames go into the last one.
    segments: Vec<Segment>,
    number: u64,
    open: BTreeMap<u64, Record>,
    open_bytes: usize,
    /// Why a segment is no longer used; kept until its content is safe elsewhere.
    trouble: Option<String>,
    /// When to try again to start a segment, and the error of the last attempt.
    retry: Option<(Duration, io::ErrorKind, String)>,
}

impl Journal {
    /// Returns a journal without segments.
    pub(crate) fn new(disk: Arc<dyn Disk>, random: Arc<dyn Random>, home: String) -> Self {
        let mut owner = [0; 16];
        random.fill(&mut owner);
        let boot = disk.boot().unwrap_or_default();
        Self {
            disk,
            random,
            home,
            boot,
            // 0 means no owner.
            owner: u128::from_le_bytes(owner).max(1),
            segments: Vec::new(),
            number: 0,
            open: BTreeMap::new(),
            open_bytes: 0,
            trouble: None,
            retry: None,
        }
    }

    /// Returns the home's id and the boot id of the operating system.
    pub(crate) fn identity(&self) -> (&str, &str) {
        (&self.home, &self.boot)
    }

    /// Returns a new salt.
    pub(crate) fn salt(&self) -> [u8; SALT_BYTES] {
        let mut salt = [0; SALT_BYTES];
        self.random.fill(&mut salt);
        salt
    }

    /// Returns why a segment is no longer used, while it is not replaced.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether the journal has a segment.
    pub(crate) fn is_begun(&self) -> bool {
        !self.segments.is_empty()
    }

    /// Whether the journal has a segment and no call is open in it, so that it can be closed once its lines are durable
    /// in the day files.
    pub(crate) fn is_idle(&self) -> bool {
        !self.segments.is_empty() && self.open.is_empty()
    }

    /// Whether the call with this id is open in the journal.
    pub(crate) fn has_open(&self, id: u64) -> bool {
        id > 0 && self.open.contains_key(&id)
    }

    /// Returns the open calls.
    pub(crate) fn open_calls(&self) -> Vec<Record> {
        self.open.values().cloned().collect()
    }

    /// Writes all entries or none. With `sync`, these and all earlier entries are durable afterwards.
    ///
    /// A segment whose write or sync fails is never written again; the entries of this call go into another segment.
    ///
    /// # Errors
    /// Any I/O error of the operating system; [`io::ErrorKind::QuotaExceeded`] if all slots are in use, or if too many
    /// calls are open.
    pub(crate) fn write(&mut self, entries: &[Entry<'_>], sync: SyncMode, now: Duration) -> io::Result<()> {
        let bytes = entries.iter().map(Entry::frame_bytes).sum::<usize>() as u64;
        let opened = entries.iter().filter(|entry| entry.kind == Kind::Intent);
        if self.open_bytes + opened.map(Entry::frame_bytes).sum::<usize>() > OPEN_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many calls are open"));
        }
        let mut tries = 0;
        loop {
            tries += 1;
            // Allow extra room for ends of calls: they are short, and without them the calls would be reported as
            // interrupted.
            let slack = if entries.iter().all(|entry| entry.kind == Kind::Ended) { ENDED_BYTES_MAX } else { 0 };
            let segment = self.with_room(bytes, slack, now)?;
            match segment.write(entries, sync) {
                Ok(()) => break,
                Err(error) if segment.broken => {
                    self.trouble = Some(format!("could not write the journal: {error}"));
                    if tries > 1 {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        for entry in entries {
            self.note(entry);
        }
        Ok(())
    }

    fn note(&mut self, entry: &Entry<'_>) {
        match entry.kind {
            Kind::Intent => {
                self.open_bytes += entry.frame_bytes();
                self.open.insert(entry.id, owned(entry));
            }
            Kind::Line | Kind::Ended => {
                if let Some(open) = self.open.remove(&entry.id) {
                    self.open_bytes -= borrowed(&open).frame_bytes();
                }
            }
            Kind::Touch | Kind::Flushed | Kind::Begun => {}
        }
    }

    /// Returns a segment with room for `bytes` more bytes; starts a new one if needed.
    fn with_room(&mut self, bytes: u64, slack: u64, now: Duration) -> io::Result<&mut Segment> {
        if !self.segments.last().is_some_and(|segment| segment.fits(bytes, slack)) {
            self.begin(now)?;
        }
        self.segments.last_mut().ok_or_else(|| io::ErrorKind::QuotaExceeded.into())
    }

    /// Starts a segment and copies the open calls of the other segments into it.
    fn begin(&mut self, now: Duration) -> io::Result<()> {
        if self.segments.len() >= SEGMENTS_MAX {
            return Err(full());
        }
        if let Some((_, kind, why)) = self.retry.as_ref().filter(|(at, ..)| now < *at) {
            return Err(io::Error::new(*kind, why.clone()));
        }
        let begun = self.begin_now();
        self.retry = begun.as_ref().err().map(|error| (now + RETRY, error.kind(), error.to_string()));
        begun
    }

    fn begin_now(&mut self) -> io::Result<()> {
        let (home, boot, salt) = (self.home.clone(), self.boot.clone(), self.salt());
        let header = Header { home, boot, owner: self.owner, number: self.number + 1, salt };
        let mut segment = begin(&*self.disk, &header, self.segment_bytes()?)?.ok_or_else(full)?;
        self.number += 1;
        let mut entries = self.open.values().map(borrowed).collect::<Vec<_>>();
        entries.push(own(Kind::Begun, entries.len() as u64));
        let written = segment.write(&entries, SyncMode::Later);
        // A broken segment is kept too: it holds its lock, so that recovery does not take it for a segment of a dead
        // process.
        self.segments.push(segment);
        written
    }

    /// Returns the size in bytes up to which a new segment may grow on this disk.
    fn segment_bytes(&self) -> io::Result<u64> {
        let Some(space) = self.disk.space()? else { return Ok(SEGMENT_BYTES) };
        let reserve = (space.total / RESERVE_DISK_SHARE).min(RESERVE_BYTES_MAX);
        // The first segment may reuse a file that already has its space.
        if !self.segments.is_empty() && space.free < reserve + SEGMENT_BYTES_FIRST {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "what is left of the disk is kept for the day files",
            ));
        }
        Ok((space.total / SEGMENT_DISK_SHARE).clamp(SEGMENT_BYTES_FIRST, SEGMENT_BYTES))
    }

    /// Returns the current end of the journal (segment number and sequence), for [`Journal::flushed`].
    pub(crate) fn end(&self) -> (u64, u64) {
        (self.number, self.segments.last().map_or(0, Segment::sequence))
    }

    /// Whether the day files should be synced in order to free a segment.
    pub(crate) fn is_crowded(&self) -> bool {
        self.segments.len() >= SEGMENTS_MAX / 2
    }

    /// Frees segments: all lines before this end of the journal are durable in the day files.
    ///
    /// # Errors
    /// Any I/O error of the operating system; what could not be freed is tried again next time.
    pub(crate) fn flushed(&mut self, (number, sequence): (u64, u64), now: Duration) -> io::Result<()> {
        if self.segments.last().is_some_and(|segment| segment.broken) && !self.open.is_empty() {
            self.begin(now)?;
            if let Some(segment) = self.segments.last_mut() {
                segment.write(&[], SyncMode::Now)?;
            }
        }
        // A broken segment gets no more frames; entries written after it broke are in a later segment.
        let freed = |segment: &&Segment| {
            let whole = segment.number() == number && segment.sequence() == sequence;
            segment.number() < number || (segment.broken && whole)
        };
        let free = self.segments.iter().take_while(freed).count();
        if free > 0
            && let Some(last) = self.segments.last_mut().filter(|segment| !segment.broken)
        {
            // The open calls were copied into the last segment; that copy must be durable before the others are freed.
            last.write(&[], SyncMode::Now)?;
        }
        for _ in 0..free {
            // Oldest first, because the last segment says which open calls of the others are no longer valid.
            let salt = self.salt();
            self.segments[0].free(salt)?;
            self.segments.remove(0);
        }
        if !self.segments.iter().any(|segment| segment.broken) {
            self.trouble = None;
        }
        let salt = self.salt();
        let is_only = self.segments.len() == 1;
        match self.segments.iter_mut().find(|segment| segment.number() == number && !segment.broken) {
            Some(last)
                if is_only && last.sequence() == sequence && last.is_worth_a_restart() && self.open.is_empty() =>
            {
                self.number += 1;
                last.restart(self.number, salt)
            }
            Some(segment) if sequence > 1 => segment.write(&[own(Kind::Flushed, sequence)], SyncMode::Later),
            _ => Ok(()),
        }
    }

    /// Empties all segments. The caller makes sure that all lines are durable in the day files and that no call is
    /// open.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        while !self.segments.is_empty() {
            let salt = self.salt();
            self.segments[0].free(salt)?;
            self.segments.remove(0);
        }
        self.trouble = None;
        Ok(())
    }

    /// Empties all segments and overwrites what they held, because lines were erased. The caller makes sure that all lines
    /// are durable in the day files. Calls that are open are copied into a new segment first.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn zero(&mut self) -> io::Result<()> {
        let mut old = self.segments.len();
        if old > 0 && !self.open.is_empty() {
            if old >= SEGMENTS_MAX {
                return Err(full());
            }
            self.begin_now()?;
            if let Some(segment) = self.segments.last_mut() {
                segment.write(&[], SyncMode::Now)?;
            }
        }
        while old > 0 {
            let salt = self.salt();
            self.segments[0].free_with_zeros(salt)?;
            self.segments.remove(0);
            old -= 1;
        }
        Ok(())
    }

    /// Returns the lines of these day files that are in the journal and may not be durable in the day files yet, in
    /// order.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn lines_of(&self, days: &BTreeSet<Day>) -> io::Result<BTreeMap<Day, Vec<Record>>> {
        let mut lines = BTreeMap::<Day, Vec<Record>>::new();
        for segment in &self.segments {
            // Frames after this end come from a failed write, which was reported as an error.
            let end = segment.sequence();
            for record in segment.scan()?.unflushed(end).filter(|record| record.kind == Kind::Line) {
                let day = (record.folder.clone(), record.day);
                if days.contains(&day) {
                    lines.entry(day).or_default().push(record.clone());
                }
            }
        }
        Ok(lines)
    }
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, "every segment of the journal is in use")
}

/// Returns an entry that belongs to no day file.
fn own(kind: Kind, id: u64) -> Entry<'static> {
    Entry { kind, id, durable_len: 0, folder: "", day: Timestamp::from_millis(0).date(), line: b"" }
}

fn borrowed(record: &Record) -> Entry<'_> {
    let Record { kind, id, durable_len, ref folder, day, ref line } = *record;
    Entry { kind, id, durable_len, folder, day, line }
}

fn owned(entry: &Entry<'_>) -> Record {
    let Entry { kind, id, durable_len, folder, day, line } = *entry;
    Record { kind, id, durable_len, folder: folder.to_owned(), day, line: line.to_vec() }
}
