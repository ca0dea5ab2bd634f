//! The rollups of all day files of a date: one file, with an index at its end.
//!
//! The file begins with a magic number, then come the parts of the records, then the index, then its place. Each part and
//! the index have a checksum. The file is replaced as a whole, so that a reader finds the old one or the new one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::bytes::{Reader, Writer};
use super::cells::Cells;
use super::day_file::{Covered, FileRollup};
use super::home::{self, HomeCalls, HomeRollup};
use super::lines::Broken;
use super::record::{Part, decode_days, decode_hours, decode_keys, decode_sessions, decode_sightings, encode};
use crate::clock::Date;
use crate::disk::{Disk, DiskFile};
use crate::rollup_files;

/// The first bytes of the file, with the version of its form.
const MAGIC: &[u8; 8] = b"ttroll 2";

/// The bytes at the end of the file: offset, length and checksum of the index.
const END_BYTES: usize = 20;

/// The largest file that is read, so that a wrong length takes no memory: far more than the rollups of 20,000 users.
const BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// The largest part of a record, and the largest index.
const PART_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The place of a part in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    offset: u64,
    len: u64,
    sum: u32,
}

/// What the index says about a day file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct IndexEntry {
    /// What is covered of the day file. Nothing is, if the file is unfit for a rollup.
    pub(crate) covered: Covered,
    pub(crate) broken: Broken,
    /// The length at which a file was found unfit.
    pub(crate) unfit_len: u64,
    places: [Place; Part::COUNT],
}

/// The rollups of a date, of which the index is read.
#[derive(Debug)]
pub(crate) struct DayRollups {
    file: Option<Box<dyn DiskFile>>,
    /// The day files by their folders.
    pub(crate) entries: BTreeMap<String, IndexEntry>,
    /// The parts of the rollup of the whole home.
    home: Option<[Place; home::PARTS]>,
}

/// The entries of the index by their folders, and the parts of the rollup of the whole home.
type Index = (BTreeMap<String, IndexEntry>, Option<[Place; home::PARTS]>);

/// A rollup that is to be written.
#[derive(Debug)]
pub(crate) enum NewRollup {
    Rollup(Box<FileRollup>),
    /// The file is unfit, at this length.
    Unfit(u64),
}

impl DayRollups {
    /// Reads the index of a date's rollups. It is empty if there is none, or if the file is damaged or of another
    /// version.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn open(disk: &dyn Disk, date: Date) -> io::Result<Self> {
        let none = Self { file: None, entries: BTreeMap::new(), home: None };
        let Some(file) = rollup_files::with_path(date, |path| disk.open(path))? else { return Ok(none) };
        Ok(match read_index(&*file)? {
            Some((entries, home)) => Self { file: Some(file), entries, home },
            None => none,
        })
    }

    /// Reads parts of the rollup of a day file. `None` if they are damaged. Also returns its calls by day, if the days
    /// are asked for.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn read(&self, entry: &IndexEntry, parts: &[Part]) -> io::Result<Option<(FileRollup, Cells)>> {
        let (mut rollup, mut days) = (FileRollup::default(), Cells::default());
        (rollup.covered, rollup.broken) = (entry.covered, entry.broken);
        for part in parts {
            let Some(bytes) = self.part(entry, *part)? else { return Ok(None) };
            let is_read = match part {
                Part::Days => decode_days(&bytes, &mut rollup).map(|found| days = found),
                Part::Hours => decode_hours(&bytes, &mut rollup),
                Part::Sightings => decode_sightings(&bytes, &mut rollup),
                Part::Sessions => decode_sessions(&bytes, &mut rollup),
                Part::Keys => decode_keys(&bytes, &mut rollup),
            };
            if is_read.is_none() {
                return Ok(None);
            }
        }
        Ok(Some((rollup, days)))
    }

    /// Returns the calls of the whole home. `None` if they are not known or damaged. They are those of the covered parts
    /// of all files of the index.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn home(&self, calls: HomeCalls) -> io::Result<Option<HomeRollup>> {
        let (Some(file), Some([days, hours, statuses, others])) = (&self.file, &self.home) else { return Ok(None) };
        let place = match calls {
            HomeCalls::Days => days,
            HomeCalls::Hours => hours,
            HomeCalls::Statuses => statuses,
        };
        let (calls, others) = (read_place(&**file, place)?, read_place(&**file, others)?);
        Ok(calls.zip(others).and_then(|(calls, others)| HomeRollup::decode(&calls, &others)))
    }

    fn part(&self, entry: &IndexEntry, part: Part) -> io::Result<Option<Vec<u8>>> {
        let (Some(file), Some(place)) = (&self.file, entry.places.get(part as usize)) else { return Ok(None) };
        read_place(&**file, place)
    }

    /// Writes the rollups of a date: those that were read, with new ones in their place, and without those of folders
    /// that are gone. The rollup of the whole home is made of all of them.
    ///
    /// # Errors
    /// Any I/O error of the operating system. Then the old file stays.
    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        date: Date,
        new: &BTreeMap<String, NewRollup>,
        gone: &BTreeSet<String>,
    ) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        let (mut entries, mut home) = (Vec::new(), Some(HomeRollup::default()));
        let kept = self.entries.keys().filter(|folder| !gone.contains(*folder));
        for folder in kept.chain(new.keys()).collect::<BTreeSet<_>>() {
            let record = match new.get(folder) {
                Some(new) => Some(Record::of(new)),
                None => self.record(folder)?,
            };
            // A damaged one is left out, so that it is made again.
            let Some(Record { mut entry, parts, rollup }) = record else { continue };
            match (&mut home, rollup) {
                (Some(home), Some(rollup)) => home.add(folder, &rollup),
                _ => home = None,
            }
            for (place, part) in entry.places.iter_mut().zip(&parts) {
                *place = append(&mut bytes, part);
            }
            entries.push((folder, entry));
        }
        let home = home.filter(HomeRollup::is_small).map(|mut home| {
            home.thin_out();
            home.encode().map(|part| append(&mut bytes, &part))
        });
        let mut index = Writer::default();
        index.number(entries.len() as u64);
        for (folder, entry) in entries {
            index.text(folder);
            write_entry(&mut index, &entry);
        }
        index.option(home, |index, places| places.iter().for_each(|place| write_place(index, place)));
        let Place { offset, len, sum } = append(&mut bytes, &index.0);
        bytes.extend(offset.to_le_bytes());
        bytes.extend(len.to_le_bytes());
        bytes.extend(sum.to_le_bytes());
        rollup_files::with_path(date, |path| disk.replace(path, &bytes))
    }

    /// Reads the record of a file to write it again; `None` if it is damaged.
    fn record(&self, folder: &str) -> io::Result<Option<Record<'_>>> {
        let Some(entry) = self.entries.get(folder).cloned() else { return Ok(None) };
        let mut parts = [const { Vec::new() }; Part::COUNT];
        if entry.unfit_len > 0 {
            return Ok(Some(Record { entry, parts, rollup: None }));
        }
        for (read, part) in parts.iter_mut().zip(Part::ALL) {
            let Some(bytes) = self.part(&entry, part)? else { return Ok(None) };
            *read = bytes;
        }
        let read = self.read(&entry, &[Part::Days, Part::Hours, Part::Sightings])?;
        Ok(read.map(|(rollup, _)| Record { entry, parts, rollup: Some(Cow::Owned(rollup)) }))
    }
}

/// A record as it is written: what the index says, and its parts. The rollup is `None` if the file is unfit.
struct Record<'a> {
    entry: IndexEntry,
    parts: [Vec<u8>; Part::COUNT],
    rollup: Option<Cow<'a, FileRollup>>,
}

impl<'a> Record<'a> {
    fn of(new: &'a NewRollup) -> Self {
        match new {
            NewRollup::Rollup(rollup) => {
                let (covered, broken) = (rollup.covered, rollup.broken);
                let entry = IndexEntry { covered, broken, ..IndexEntry::default() };
                Self { entry, parts: encode(rollup), rollup: Some(Cow::Borrowed(rollup)) }
            }
            NewRollup::Unfit(unfit_len) => {
                let entry = IndexEntry { unfit_len: *unfit_len, ..IndexEntry::default() };
                Self { entry, parts: [const { Vec::new() }; Part::COUNT], rollup: None }
            }
        }
    }
}

/// Appends a part to the bytes of the file.
fn append(bytes: &mut Vec<u8>, part: &[u8]) -> Place {
    let place = Place { offset: bytes.len() as u64, len: part.len() as u64, sum: crc32c::crc32c(part) };
    bytes.extend(part);
    place
}

fn write_place(writer: &mut Writer, place: &Place) {
    writer.all([place.offset, place.len, u64::from(place.sum)]);
}

fn parse_place(reader: &mut Reader<'_>) -> Option<Place> {
    Some(Place { offset: reader.number()?, len: reader.number()?, sum: reader.small()? })
}

fn read_place(file: &dyn DiskFile, place: &Place) -> io::Result<Option<Vec<u8>>> {
    if place.len > PART_BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(place.len).unwrap_or(0)];
    let read = file.read_at(&mut bytes, place.offset)?;
    Ok((read == bytes.len() && crc32c::crc32c(&bytes) == place.sum).then_some(bytes))
}

fn read_index(file: &dyn DiskFile) -> io::Result<Option<Index>> {
    let len = file.stat()?.len;
    let (mut magic, mut end) = ([0; MAGIC.len()], [0; END_BYTES]);
    if len > BYTES_MAX
        || len < (MAGIC.len() + END_BYTES) as u64
        || file.read_at(&mut magic, 0)? < MAGIC.len()
        || magic != *MAGIC
        || file.read_at(&mut end, len - END_BYTES as u64)? < END_BYTES
    {
        return Ok(None);
    }
    let mut reader = Reader(&end);
    let mut fixed = |count| {
        reader.bytes(count).map_or(0, |bytes| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let place = Place { offset: fixed(8), len: fixed(8), sum: fixed(4) as u32 };
    if place.offset.checked_add(place.len) != Some(len - END_BYTES as u64) {
        return Ok(None);
    }
    Ok(read_place(file, &place)?.and_then(|bytes| parse_index(&bytes)))
}

fn parse_index(bytes: &[u8]) -> Option<Index> {
    let mut reader = Reader(bytes);
    let count = reader.count()?;
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let folder = reader.text()?.into_string();
        entries.insert(folder, read_entry(&mut reader)?);
    }
    let home = reader.option(|reader| {
        let mut places = [Place::default(); home::PARTS];
        for place in &mut places {
            *place = parse_place(reader)?;
        }
        Some(places)
    })?;
    (entries.len() == count && reader.0.is_empty()).then_some((entries, home))
}

fn write_entry(writer: &mut Writer, entry: &IndexEntry) {
    let Covered { inode, len, last, all, lines } = entry.covered;
    let Broken { nul, invalid_json, too_long } = entry.broken;
    writer.all([inode, len, u64::from(last), u64::from(all), lines, nul, invalid_json, too_long, entry.unfit_len]);
    entry.places.iter().for_each(|place| write_place(writer, place));
}

fn read_entry(reader: &mut Reader<'_>) -> Option<IndexEntry> {
    let (inode, len) = (reader.number()?, reader.number()?);
    let covered = Covered { inode, len, last: reader.small()?, all: reader.small()?, lines: reader.number()? };
    let (nul, invalid_json, too_long) = (reader.number()?, reader.number()?, reader.number()?);
    let broken = Broken { nul, invalid_json, too_long };
    let unfit_len = reader.number()?;
    let mut places = [Place::default(); Part::COUNT];
    for place in &mut places {
        *place = parse_place(reader)?;
    }
    Some(IndexEntry { covered, broken, unfit_len, places })
}
