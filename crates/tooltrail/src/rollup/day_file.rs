//! The rollup of one day file: its calls counted, and what is needed to go on when the file has grown.
//!
//! A call may have several sightings, of which one counts. A later line can therefore change what earlier lines count:
//! a more trusted sighting takes the place of one that was counted. So a rollup knows where the sightings of each call
//! id are. When the file has grown, the earlier sightings of the new lines' calls are read again, what they counted is
//! taken away, and all of them are counted anew.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use super::cells::{Cells, CountedEntry, hour_of};
use super::lines::{Broken, FileLine, Settled, id_of, is_near_midnight, is_own, seen};
use super::sessions::{SessionRow, SessionRows};
use super::sightings::{Seen, Sightings, call_key_of, key_of};
use crate::clock::{Date, Zone};
use crate::day::Forward;
use crate::disk::{DiskFile, Stat};
use crate::query::{FirstKind, Line};

/// The bytes before the covered length that must be the same, at most. Each line of ours ends with random characters.
const LAST_BYTES: usize = 1_024;

/// The most cells, the most sessions and the most first uses of a rollup, about 200 bytes each: a sender that invents names must not fill the
/// memory.
const CELLS_MAX: usize = 50_000;

/// The most ids and call ids whose places are known, 16 bytes each. Later entries are counted without a comparison.
const KEYS_MAX: usize = 2_000_000;

/// The bytes that are read of a line that is read again; few lines are longer.
const LINE_BYTES: usize = 4 * 1024;

/// The part of a day file that a rollup counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    pub(crate) inode: u64,
    /// Its length: it ends with a newline.
    pub(crate) len: u64,
    /// The checksum of its last bytes, to recognise the file.
    pub(super) last: u32,
    /// The checksum of all of it.
    pub(super) all: u32,
    pub(super) lines: u64,
}

/// The calls of one day file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileRollup {
    pub(crate) covered: Covered,
    /// Lines that are no entries.
    pub(crate) broken: Broken,
    /// All calls but those of `edges`.
    pub(crate) cells: Cells,
    /// Of each hour, the range of bytes in which its entries are.
    pub(crate) hours: BTreeMap<u32, (u64, u64)>,
    /// Of each user and tool, server or client, the time and the offset of the first entry.
    pub(crate) firsts: BTreeMap<(u32, FirstKind, u32), (i64, u64)>,
    /// The sessions, with all calls but those of `edges`.
    pub(crate) sessions: SessionRows,
    /// All sightings of calls that may have further ones in the file of the day before or after, by offset.
    pub(crate) edges: Vec<Seen>,
    /// The offsets of entries that do not count, in order.
    pub(crate) absorbed: Vec<u64>,
    /// The keys of ids and call ids, in order, each with the offset of an entry that has it.
    pub(super) keys: Vec<(u64, u64)>,
}

impl FileRollup {
    fn count(&mut self, call: &CountedEntry<'_>) {
        self.cells.add(call);
        if let Some(session) = self.session(call) {
            session.count(call.status);
        }
    }

    fn uncount(&mut self, call: &CountedEntry<'_>) {
        self.cells.remove(call);
        if let Some(session) = self.session(call) {
            session.uncount(call.status);
        }
    }

    fn session(&mut self, call: &CountedEntry<'_>) -> Option<&mut SessionRow> {
        let (user, _) = self.cells.names_of(call);
        call.session().map(|session| self.sessions.entry((user, session.into())).or_default())
    }
}

/// Why a file has no rollup: its times depend on the zone in which they are read, or it has too many tools or sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit;

/// Whether a file is the one that was covered, and still has the same bytes at the end of the covered part.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn is_current(covered: &Covered, file: &dyn DiskFile, stat: &Stat) -> io::Result<bool> {
    if stat.inode != covered.inode || stat.len < covered.len {
        return Ok(false);
    }
    Ok(checksum_before(file, covered.len)? == covered.last)
}

fn checksum_before(file: &dyn DiskFile, len: u64) -> io::Result<u32> {
    let from = len.saturating_sub(LAST_BYTES as u64);
    let mut bytes = [0; LAST_BYTES];
    let read = file.read_at(&mut bytes[..usize::try_from(len - from).unwrap_or(0)], from)?;
    Ok(crc32c::crc32c(&bytes[..read]))
}

/// Whether the covered part of a file has the bytes that were counted.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn is_unchanged(covered: &Covered, file: &dyn DiskFile) -> io::Result<bool> {
    let (mut at, mut sum, mut block) = (0, 0, vec![0; 256 * 1024]);
    while at < covered.len {
        let part = usize::try_from(covered.len - at).unwrap_or(usize::MAX).min(block.len());
        let read = file.read_at(&mut block[..part], at)?;
        if read == 0 {
            return Ok(false);
        }
        sum = crc32c::crc32c_append(sum, &block[..read]);
        at += read as u64;
    }
    Ok(sum == covered.all)
}

/// Counts the lines of a file after the part that a rollup covers, as far as they are whole and below `upto`.
///
/// `go_on` is asked after each block with the bytes that were read. If it says no, the rollup covers what was read.
///
/// # Errors
/// Any I/O error of the operating system. Then, and for an [`Unfit`] file, the rollup must not be used any more.
pub(crate) fn extend(
    rollup: &mut FileRollup,
    (file, stat): (&dyn DiskFile, &Stat),
    (day, zone): (Date, &Zone),
    mut go_on: impl FnMut(u64) -> bool,
) -> io::Result<Result<(), Unfit>> {
    let mut extension = Extension {
        file,
        zone,
        day,
        rollup,
        places: HashMap::new(),
        keys: Vec::new(),
        sightings: Sightings::default(),
        recounted: HashSet::new(),
        taken_away: HashSet::new(),
        is_unfit: false,
    };
    let mut forward = Forward::new(file, extension.rollup.covered.len, stat.len);
    loop {
        let mut failed = Ok(());
        let read = forward.step(|offset, line| {
            if failed.is_ok() {
                failed = extension.add(offset, line);
            }
        })?;
        failed?;
        if extension.is_unfit {
            return Ok(Err(Unfit));
        }
        if read == 0 || !go_on(read) {
            break;
        }
    }
    extension.finish();
    rollup.covered.inode = stat.inode;
    rollup.covered.len = forward.position();
    rollup.covered.last = checksum_before(file, rollup.covered.len)?;
    Ok(Ok(()))
}

/// A rollup to which lines are being added.
struct Extension<'a> {
    file: &'a dyn DiskFile,
    zone: &'a Zone,
    day: Date,
    rollup: &'a mut FileRollup,
    /// Of each key in the new lines, the first entry that has it.
    places: HashMap<u64, u64>,
    /// The keys of the new lines, of further entries.
    keys: Vec<(u64, u64)>,
    /// The sightings of the calls that have more than one: they are counted when all are known.
    sightings: Sightings,
    /// The keys of these calls. What their first sightings counted was taken away.
    recounted: HashSet<u64>,
    /// The offsets of their sightings that were near midnight or did not count.
    taken_away: HashSet<u64>,
    is_unfit: bool,
}

impl Extension<'_> {
    fn add(&mut self, offset: u64, line: Option<&[u8]>) -> io::Result<()> {
        let Some(line) = line else {
            // Its checksum is not known.
            self.is_unfit = true;
            return Ok(());
        };
        let covered = &mut self.rollup.covered;
        covered.all = crc32c::crc32c_append(crc32c::crc32c_append(covered.all, line), b"\n");
        covered.lines += 1;
        match FileLine::read(offset, line, self.zone) {
            FileLine::Blank => Ok(()),
            FileLine::Broken => {
                self.rollup.broken.line(line);
                Ok(())
            }
            FileLine::Entry(entry) if is_own(&entry) => Ok(()),
            FileLine::Entry(entry) => self.entry(&entry, offset, line.len() as u64),
        }
    }

    fn entry(&mut self, entry: &Line<'_>, offset: u64, len: u64) -> io::Result<()> {
        self.is_unfit |= !entry.has_zone()
            || self.rollup.cells.cells.len() > CELLS_MAX
            || self.rollup.sessions.len() > CELLS_MAX
            || self.rollup.firsts.len() > CELLS_MAX;
        if let Some(id) = id_of(entry).filter(|_| self.has_room()) {
            let key = key_of(&[b"id", &id.to_be_bytes()]);
            if self.has(key, |known| id_of(known) == Some(id))? {
                self.rollup.absorbed.push(offset);
                return Ok(());
            }
            self.note(key, offset);
        }
        let rollup = &mut *self.rollup;
        let ended_ms = entry.ts.as_millis();
        let hour = rollup.hours.entry(hour_of(ended_ms)).or_insert((offset, offset));
        hour.1 = offset + len + 1;
        let call = CountedEntry::of(entry);
        let (user, _) = rollup.cells.names_of(&call);
        for kind in FirstKind::ALL {
            let Some(name) = kind.of(entry) else { continue };
            let name = rollup.cells.names.number(&name);
            let first = rollup.firsts.entry((user, kind, name)).or_insert((ended_ms, offset));
            *first = (*first).min((ended_ms, offset));
        }
        if let Some(session) = rollup.session(&call) {
            session.see(call.began_ms(), ended_ms, entry.string("client").as_deref());
        }
        let Some(key) = call_key_of(entry).filter(|_| self.has_room()) else {
            self.rollup.count(&call);
            return Ok(());
        };
        if self.count_anew(key)? {
            match self.sightings.add(seen(entry, offset, self.day, true)) {
                None => self.note(key, offset),
                Some(_) => self.rollup.count(&call),
            }
        } else {
            self.note(key, offset);
            if is_near_midnight(self.day, ended_ms) {
                self.rollup.edges.push(seen(entry, offset, self.day, true));
            } else {
                self.rollup.count(&call);
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.rollup.keys.len() + self.keys.len() + self.places.len() < KEYS_MAX
    }

    /// Notes the place of an entry with a key.
    fn note(&mut self, key: u64, offset: u64) {
        match self.places.entry(key) {
            Entry::Vacant(place) => drop(place.insert(offset)),
            Entry::Occupied(_) => self.keys.push((key, offset)),
        }
    }

    /// Returns the offsets of the entries that have a key and are not counted anew yet, in order.
    fn offsets(&self, key: u64) -> Vec<u64> {
        let from = self.rollup.keys.partition_point(|(known, _)| *known < key);
        let covered = self.rollup.keys[from..].iter().take_while(|(known, _)| *known == key);
        covered.map(|(_, offset)| *offset).chain(self.places.get(&key).copied()).collect()
    }

    /// Whether one of the entries with this key fits.
    fn has(&self, key: u64, fits: impl Fn(&Line<'_>) -> bool) -> io::Result<bool> {
        for offset in self.offsets(key) {
            if self.with_entry(offset, |entry| fits(entry))? == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes away what the known sightings with this key count, so that they are counted with a new one. Returns false if
    /// there are none.
    fn count_anew(&mut self, key: u64) -> io::Result<bool> {
        if self.recounted.contains(&key) {
            return Ok(true);
        }
        let known = self.offsets(key);
        if known.is_empty() {
            return Ok(false);
        }
        self.recounted.insert(key);
        let mut before = Sightings::default();
        for offset in known {
            let found = self.with_entry(offset, |entry| seen(entry, offset, self.day, true))?;
            if let Some(seen) = found.filter(|seen| seen.sighting.call_key() == Some(key)) {
                before.add(seen.clone());
                self.sightings.add(seen);
            }
        }
        let before = Settled::of(before, self.day);
        let rollup = &mut *self.rollup;
        before.counted.iter().for_each(|seen| rollup.uncount(&CountedEntry::of_sighting(&seen.sighting)));
        self.taken_away.extend(before.edges.iter().map(|seen| seen.offset));
        self.taken_away.extend(before.absorbed);
        Ok(true)
    }

    /// Reads the entry at an offset of the file again.
    fn with_entry<T>(&self, offset: u64, read: impl FnOnce(&Line<'_>) -> T) -> io::Result<Option<T>> {
        let mut bytes = vec![0; LINE_BYTES];
        let end = loop {
            let count = self.file.read_at(&mut bytes, offset)?;
            match memchr::memchr(b'\n', &bytes[..count]) {
                Some(end) => break end,
                // It was read as a whole before, so it ends within the file.
                None if count < bytes.len() => return Ok(None),
                None => bytes.resize(2 * bytes.len(), 0),
            }
        };
        match FileLine::read(offset, &bytes[..end], self.zone) {
            FileLine::Entry(entry) => Ok(Some(read(&entry))),
            FileLine::Blank | FileLine::Broken => Ok(None),
        }
    }

    fn finish(self) {
        let settled = Settled::of(self.sightings, self.day);
        let rollup = self.rollup;
        settled.counted.iter().for_each(|seen| rollup.count(&CountedEntry::of_sighting(&seen.sighting)));
        rollup.edges.retain(|seen| !self.taken_away.contains(&seen.offset));
        rollup.absorbed.retain(|offset| !self.taken_away.contains(offset));
        rollup.edges.extend(settled.edges);
        rollup.edges.sort_by_key(|seen| seen.offset);
        rollup.absorbed.extend(settled.absorbed);
        rollup.absorbed.sort_unstable();
        rollup.keys.extend(self.places);
        rollup.keys.extend(self.keys);
        rollup.keys.sort_unstable();
    }
}
